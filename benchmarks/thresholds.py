"""Which threshold a score must pass: rules compared on the scores of finished runs.

Usage: python benchmarks/thresholds.py [FOLDER of benchmarks/pretrained.py, build/pretrained]

Every run left the scores of its validation blocks, which is all that a rule may look at, and those
of the part that judges it. The table has the mean IoU of the judged part by rule, averaged over the
seeds and rates of an arm on a scene:

- "best": the middle of the best thresholds in validation.
- "half F1": half of the F1 of the best, where it would be if scores were probabilities.
- "one error": the package's: from the best to half the F1, as far as one standard error goes.
- "lower": the lower of the best and half the F1.
- "one half": 0.5, without a look at anything.
- "oracle": the best thresholds in the judged part, class by class; no rule can know them.
"""

from __future__ import annotations

import argparse
import statistics
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from arms import SCORE_STEPS

from geocobot.classes import IGNORE, classify, name_classes
from geocobot.training.thresholds import ScoreHistograms

Curves = npt.NDArray[np.float64]

_PLATEAU = 0.002  # an IoU so near the best is as good


@dataclass(frozen=True)
class Kept:
    """What one run left.

    Attributes:
        title: scene, arm, seed and rate.
        validation: counted scores of its validation blocks.
        scores: (K, H, W) uint8 steps of the judged part.
        valid: (H, W) bool, where that has data.
        truth: (H, W) uint8 class numbers.
    """

    title: str
    validation: ScoreHistograms
    scores: npt.NDArray[np.uint8]
    valid: npt.NDArray[np.bool_]
    truth: npt.NDArray[np.uint8]

    @classmethod
    def read(cls, path: Path) -> Kept:
        """Read what `arms.keep_scores` wrote."""
        with np.load(path) as file:
            histograms = ScoreHistograms(len(file["scores"]))
            histograms.counts = torch.from_numpy(file["validation"])
            return cls(path.stem, histograms, file["scores"], file["valid"], file["truth"])

    @property
    def n_classes(self) -> int:
        """K."""
        return len(self.scores)

    def judged_counts(self) -> npt.NDArray[np.int64]:
        """Counts (2, K, steps) of the judged part's scores, other and true pixels."""
        known = self.valid & (self.truth != IGNORE)
        truth = self.truth[known]
        steps = np.minimum(self.scores[:, known], SCORE_STEPS - 1)
        counts = [
            [
                np.bincount(plane[(truth == k) == own], minlength=SCORE_STEPS)
                for own in (False, True)
            ]
            for k, plane in enumerate(steps, start=1)
        ]
        return np.array(counts).transpose(1, 0, 2)

    def mean_iou(self, thresholds: Curves) -> float:
        """Mean IoU of the judged part's map with these thresholds."""
        specs = name_classes([f"class {k}" for k in range(self.n_classes)])
        classes = [replace(c, threshold=float(t)) for c, t in zip(specs, thresholds, strict=True)]
        scores = self.scores.astype(np.float32) / SCORE_STEPS
        known = self.valid & (self.truth != IGNORE)
        found, truth = classify(scores, self.valid, classes)[known], self.truth[known]
        numbers = range(1, self.n_classes + 1)
        both = [((found == k) & (truth == k)).sum() for k in numbers]
        either = [((found == k) | (truth == k)).sum() for k in numbers]
        return statistics.mean(float(b / max(e, 1)) for b, e in zip(both, either, strict=True))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, nargs="?", default=Path("build/pretrained"))
    folder: Path = parser.parse_args().folder
    found: dict[str, list[list[float]]] = defaultdict(list)
    for path in sorted((folder / "scores").glob("*.npz")):
        kept = Kept.read(path)
        found[kept.title.split("_seed")[0]].append(list(by_rule(kept)))
    print("\n".join(table(found)))


def by_rule(kept: Kept) -> Iterator[float]:
    """Mean IoU of the judged part by each of the rules, in their order."""
    counts = kept.validation.counts.sum(dim=(0, 1)).numpy()
    for rule in RULES.values():
        yield kept.mean_iou(rule(kept, iou_by_threshold(counts)))


def iou_by_threshold(counts: npt.NDArray[np.int64]) -> Curves:
    """IoU (K, steps) of every class at every threshold, of counts (2, K, steps)."""
    others, own = counts[..., ::-1].cumsum(axis=-1)[..., ::-1]
    iou: Curves = own / np.maximum(own[:, :1] + others, 1)
    return iou


def best(_: Kept, iou: Curves) -> Curves:
    """The middle of the thresholds that are as good as the best."""
    good = iou >= iou.max(axis=1, keepdims=True) - _PLATEAU
    middles = [statistics.median(np.flatnonzero(row)) for row in good]
    return np.array(middles) / SCORE_STEPS


def half_f1(_: Kept, iou: Curves) -> Curves:
    """Half the F1 of the best."""
    most = iou.max(axis=1)
    half: Curves = most / (1 + most)
    return half


def one_error(kept: Kept, _: Curves) -> Curves:
    """As the package tunes."""
    return np.array(kept.validation.tune().thresholds)


def lower(kept: Kept, iou: Curves) -> Curves:
    """The lower of the best and half the F1."""
    return np.minimum(best(kept, iou), half_f1(kept, iou))


def one_half(kept: Kept, _: Curves) -> Curves:
    """0.5 throughout."""
    return np.full(kept.n_classes, 0.5)


def oracle(kept: Kept, _: Curves) -> Curves:
    """What is best where it is judged."""
    return best(kept, iou_by_threshold(kept.judged_counts()))


RULES: Mapping[str, Callable[[Kept, Curves], Curves]] = {
    "best": best,
    "half F1": half_f1,
    "one error": one_error,
    "lower": lower,
    "one half": one_half,
    "oracle": oracle,
}


def table(found: Mapping[str, list[list[float]]]) -> Iterator[str]:
    """Lines of Markdown: one per scene and arm, and their mean."""
    rows = {
        name: [statistics.mean(values) for values in zip(*runs, strict=True)]
        for name, runs in found.items()
    }
    yield f"| Scene and arm | runs | {' | '.join(RULES)} |"
    yield "| --- " * (2 + len(RULES)) + "|"
    for name, values in rows.items():
        yield f"| `{name}` | {len(found[name])} | {' | '.join(f'{v:.3f}' for v in values)} |"
    means = [statistics.mean(values) for values in zip(*rows.values(), strict=True)]
    yield f"| mean of {len(rows)} | | {' | '.join(f'{v:.3f}' for v in means)} |"


if __name__ == "__main__":
    main()
