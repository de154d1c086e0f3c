"""Which threshold a score must pass: rules compared on the scores of finished runs.

Usage: python benchmarks/thresholds.py [FOLDER of benchmarks/pretrained.py, build/pretrained]

Every run left the scores of its validation blocks, which is all that a rule may look at, and those
of the part that judges it. The table has the mean IoU of the judged part by rule, averaged over all
runs of an arm on a scene:

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
from torch import Tensor

from geocobot.classes import classify, name_classes
from geocobot.evaluation.pixels import Confusion
from geocobot.training.thresholds import (
    ScoreHistograms,
    half_f1,
    iou_by_threshold,
    middle_of_plateau,
)


@dataclass(frozen=True, eq=False)
class Kept:
    """What one run left.

    Attributes:
        title: scene, arm, seed and rate, minutes and views.
        validation: counted scores of its validation blocks.
        scores: (K, H, W) float32 of the judged part, 0 to 1.
        valid: (H, W) bool, where that has data.
        truth: (H, W) uint8 class numbers.
    """

    title: str
    validation: ScoreHistograms
    scores: npt.NDArray[np.float32]
    valid: npt.NDArray[np.bool_]
    truth: npt.NDArray[np.uint8]

    @classmethod
    def read(cls, path: Path) -> Kept:
        """Read what `arms.keep_scores` wrote."""
        with np.load(path) as file:
            scores = file["scores"].astype(np.float32)
            histograms = ScoreHistograms(len(scores))
            histograms.counts = torch.from_numpy(file["validation"])
            return cls(path.stem, histograms, scores, file["valid"], file["truth"])

    def judged(self) -> ScoreHistograms:
        """Counted scores of the judged part."""
        histograms = ScoreHistograms(len(self.scores))
        planes = (self.scores, self.truth.astype(np.int64), self.valid)
        scores, truth, valid = (torch.from_numpy(plane)[None] for plane in planes)
        histograms.add(scores.logit(), truth, valid)
        return histograms

    def mean_iou(self, thresholds: list[float]) -> float:
        """Mean IoU of the judged part's map with these thresholds."""
        specs = name_classes([f"class {k}" for k in range(len(thresholds))])
        classes = [replace(c, threshold=t) for c, t in zip(specs, thresholds, strict=True)]
        confusion = Confusion(classes)
        confusion.add(self.truth, classify(self.scores, self.valid, classes), self.valid)
        return confusion.scores().mean_iou


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
    for rule in RULES.values():
        yield kept.mean_iou(rule(kept))


def curves(histograms: ScoreHistograms) -> Tensor:
    """IoU (K, bins) of every class at every threshold."""
    return iou_by_threshold(histograms.counts.sum(dim=(0, 1)))


def best(histograms: ScoreHistograms) -> list[float]:
    """The middle of the thresholds that are as good as the best."""
    return [middle_of_plateau(iou, int(iou.argmax())) / len(iou) for iou in curves(histograms)]


def half(histograms: ScoreHistograms) -> list[float]:
    """Half the F1 of the best."""
    return [half_f1(float(iou.max())) for iou in curves(histograms)]


RULES: Mapping[str, Callable[[Kept], list[float]]] = {
    "best": lambda kept: best(kept.validation),
    "half F1": lambda kept: half(kept.validation),
    "one error": lambda kept: list(kept.validation.tune().thresholds),
    "lower": lambda kept: [*map(min, best(kept.validation), half(kept.validation))],
    "one half": lambda kept: [0.5] * len(kept.scores),
    "oracle": lambda kept: best(kept.judged()),
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
