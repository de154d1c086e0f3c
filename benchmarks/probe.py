"""What frozen features are worth: a linear classifier on each pixel's, judged where nobody looked.

Usage: python benchmarks/probe.py random FILE [FILE ...] [--scenes vegas_roads ...] [--pixels 60000]
       [--seed 0]

Each FILE is a base file of `geocobot pretrain`, or a checkpoint of an unfinished run (`last.ckpt`);
"random" is the same network before any training. Nothing but a logistic regression is fitted, on
some pixels of the training part, for each class against all else; its threshold is the one with the
best IoU there. So half a minute per base tells two recipes apart, where training would take ten and
add its own noise. Two sets of features: all scales of the dense head, and the encoder's levels.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from arms import Job, begin, survey
from places import PLACES
from torch import Tensor
from torch.nn.functional import interpolate, pad

from geocobot.bands import normalize
from geocobot.classes import IGNORE
from geocobot.models.base_file import read_base
from geocobot.models.bases import find_base
from geocobot.training.first_fit import regress
from geocobot.training.pretrain.model import PretrainedParts
from geocobot.workflows.ground import Ground, Inputs

Features = Callable[[Tensor], list[Tensor]]

_TILE_PX = 256
_THRESHOLDS = torch.linspace(-3, 2, 26)
_RANDOM = "random"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("bases", nargs="+")
    parser.add_argument("--scenes", nargs="+", default=list(PLACES), choices=list(PLACES))
    parser.add_argument("--pixels", type=int, default=60_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("build/probe"))
    given = parser.parse_args()
    grounds = {scene: _ground(scene, given.seed, given.out) for scene in given.scenes}
    rows = [["Base, features", *(f"`{scene}`" for scene in given.scenes), "mean"]]
    rows.append(["---"] * len(rows[0]))
    for base in given.bases:
        parts = load(base)
        for name, features in (("dense head", dense_scales), ("encoder", encoder_levels)):
            values = [
                probe(partial(features, parts), *pair, given.pixels, given.seed)
                for pair in grounds.values()
            ]
            shown = [f"{value:.3f}" for value in [*values, statistics.mean(values)]]
            rows.append([f"{base}, {name}", *shown])
    print("\n".join(f"| {' | '.join(row)} |" for row in rows))


def load(base: str) -> PretrainedParts:
    """The network with the weights that a word or a file stands for."""
    spec = find_base("tiny")
    torch.manual_seed(0)
    parts = PretrainedParts(spec)
    if base == _RANDOM:
        return parts.eval()
    if base.endswith(".ckpt"):
        average = torch.load(base, weights_only=True)["average"]
        state = {name.removeprefix("parts."): tensor for name, tensor in average.items()}
        parts.load_state_dict(state, strict=False)
        return parts.eval()
    tensors = read_base(base, spec)
    for prefix, module in (("image_encoder.", parts.encoder), ("dense_head.", parts.dense)):
        own = {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}
        module.load_state_dict(module.state_dict() | own)
    return parts.eval()


def dense_scales(parts: PretrainedParts, image: Tensor) -> list[Tensor]:
    """What the dense head's readers read, every scale as it is."""
    return [scale.float() for scale in parts.dense.scales(*parts.segmenter.encode(image))]


def encoder_levels(parts: PretrainedParts, image: Tensor) -> list[Tensor]:
    """The encoder's second and last level."""
    levels = parts.segmenter.encode(image)[0].levels
    return [levels[1].float(), levels[-1].float()]


def probe(features: Features, ground: Ground, judged: Inputs, pixels: int, seed: int) -> float:
    """Mean IoU of the classes on the part that was not fitted."""
    x, label = _sample(features, ground, ground, pixels, seed)
    n_classes = len(ground.labels.classes)
    targets = torch.stack([(label == k + 1).float() for k in range(n_classes)], dim=1)
    weights, bias = regress(x, targets)
    judged_x, judged_label = _sample(features, ground, judged, pixels, seed)
    logits = x @ weights + bias
    judged_logits = judged_x @ weights + bias
    found = []
    for k in range(n_classes):
        truth = targets[:, k] > 0
        tried = [_iou(logits[:, k] > t, truth) for t in _THRESHOLDS]
        threshold = _THRESHOLDS[tried.index(max(tried))]
        found.append(_iou(judged_logits[:, k] > threshold, judged_label == k + 1))
    return statistics.mean(found)


def _ground(scene: str, seed: int, folder: Path) -> tuple[Ground, Inputs]:
    """The part to fit on and the part to judge."""
    threads = torch.get_num_threads()
    job = Job(scene=scene, arm="unet", seed=seed, minutes=1.0, max_views=0, threads=threads)
    ground, judged, _ = survey(job, folder)
    begin(job)
    return ground, judged


def _sample(
    features: Features, ground: Ground, part: Inputs, pixels: int, seed: int
) -> tuple[Tensor, Tensor]:
    """Features (N, C), the pixel's own values among them, and class numbers of some pixels."""
    scene = part.scenes[0]
    patch = scene.read(scene.grid.window)
    label = torch.from_numpy(part.rasters[0].read(scene.grid.window).classes.astype("int64"))
    label[~torch.from_numpy(patch.valid)] = IGNORE
    image = torch.from_numpy(normalize(patch.image, patch.valid, ground.ranges))
    generator = torch.Generator().manual_seed(seed)
    share = pixels / max(1, int((label != IGNORE).sum()))
    chosen = (label != IGNORE) & (torch.rand(label.shape, generator=generator) < share)
    rows, labels = [], []
    for row in range(0, label.shape[0], _TILE_PX):
        for col in range(0, label.shape[1], _TILE_PX):
            here = (slice(row, row + _TILE_PX), slice(col, col + _TILE_PX))
            at = chosen[here].nonzero().T
            if at.shape[1]:
                rows.append(_tile(features, image[:, *here], at))
                labels.append(label[here][at[0], at[1]])
    return torch.cat(rows), torch.cat(labels)


@torch.no_grad()
def _tile(features: Features, image: Tensor, at: Tensor) -> Tensor:
    """Features (N, C) at N places of a tile."""
    height, width = image.shape[1:]
    tile = pad(image, (0, _TILE_PX - width, 0, _TILE_PX - height), value=0.5).unsqueeze(0)
    planes = [
        interpolate(f, size=(_TILE_PX, _TILE_PX), mode="bilinear", align_corners=False)
        for f in features(tile)
    ]
    return torch.cat([p[0][:, at[0], at[1]] for p in [*planes, tile]]).T


def _iou(found: Tensor, truth: Tensor) -> float:
    """Intersection over union of two masks."""
    union = int((found | truth).sum())
    return int((found & truth).sum()) / union if union else 0.0


if __name__ == "__main__":
    main()
