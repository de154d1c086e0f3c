"""Seams between tiles: blending beside cropping at the same overlap, after the tile grid has moved.

Claim: a map of blended tiles has no line where tiles meet; cropped ones, of which each gives its
center up to the middle of the overlap, have a step there that is at least 5 times as large.

Usage: python benchmarks/seams.py [kampala_buildings vegas_roads vegas_multiclass]
       [--overlap 0.25] [--tile PX] [--picture FILE.png]
       python benchmarks/seams.py --model FILE --raster FILE [...]

A real model maps a scene that it was not trained on, three times: as `geocobot predict` does, with
the tile grid moved by 7 px and by half a stride. It is trained where it is not there yet (two
minutes), and kept under `build/seams`. Blended and cropped maps come from the same logits. Two
measures, both without the pixels within half a tile of the scene's edge:

- Moved grid: how far the scores move with it, within the overlaps of either grid and where neither
  has any. There no seam has a part in it: it is what the model itself makes of another frame.
- Step: how far neighboring pixels differ across the lines along which tiles are cut, beyond what
  the same pixels differ by in the map whose lines are half a stride away. The picture's own edges
  are in both. Blended tiles are also judged at the distance from the line where they are worst. So
  far as this is chance, it shows where neither grid overlaps: what it scatters by there is "noise".
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from rasterio.windows import Window
from real_scenes import CASES, DATA, parts, timed

from geocobot.data.dataset import SceneDataset
from geocobot.inference.blend import merge_rows
from geocobot.inference.blended_row import blend_rows
from geocobot.inference.tiles import TileLogits, load_tiles, plan_tiles, predict_tiles
from geocobot.io.fitting import open_scene_for
from geocobot.models.card import ModelCard
from geocobot.models.modelfile import load_model
from geocobot.models.precision import Compute
from geocobot.models.segmenter import Segmenter
from geocobot.steps import as_steps, score_steps, scores_of
from geocobot.tiling import TilePlan

How: TypeAlias = Literal["cropped", "blended"]
Scores: TypeAlias = npt.NDArray[np.float32]

HOWS: tuple[How, ...] = ("cropped", "blended")
SMALL_SHIFT_PX = 7
CLAIM = 5.0
LEAST = 1e-4  # what the tables can show


@dataclass(frozen=True)
class Maps:
    """One grid of tiles, put together in both ways.

    Attributes:
        plan: the tiles.
        scores: (K, H, W), 0 to 1.
    """

    plan: TilePlan
    scores: dict[How, Scores]

    def starts(self, axis: int) -> list[int]:
        """Where the tiles begin, along the rows (0) or the columns (1)."""
        windows = self.plan.windows
        return sorted({int(w.col_off if axis else w.row_off) for w in windows})

    def lines(self, axis: int) -> list[int]:
        """The first pixel beyond each line along which cropped tiles are cut."""
        return [start + self.plan.overlap_px // 2 for start in self.starts(axis)[1:]]

    def overlaps(self) -> npt.NDArray[np.bool_]:
        """(H, W), where more than one tile has a say."""
        zones = [np.zeros(length, dtype=np.bool_) for length in self.plan.grid.shape]
        for axis, zone in enumerate(zones):
            for start in self.starts(axis)[1:]:
                zone[max(0, start) : start + self.plan.overlap_px] = True
        return zones[0][:, None] | zones[1]


@dataclass(frozen=True)
class Steps:
    """Differences of neighboring pixels by their distance from a line, 0 across it.

    Attributes:
        distances: (D,) in pixels.
        here: (D, N) in the map with the lines.
        there: (D, N) of the same pixels where the lines are half a stride away.
    """

    distances: npt.NDArray[np.int64]
    here: Scores
    there: Scores

    @property
    def excess(self) -> npt.NDArray[np.float64]:
        """(D,) what seams add to the mean."""
        added: npt.NDArray[np.float64] = self.here.mean(axis=1, dtype=np.float64)
        return added - self.there.mean(axis=1, dtype=np.float64)

    def within(self, first_px: int, last_px: int) -> npt.NDArray[np.float64]:
        """The excess at some distances on both sides."""
        away = np.abs(self.distances)
        return self.excess[(away >= first_px) & (away <= last_px)]


def main() -> None:
    given = parse()
    torch.set_num_threads(1)  # the same figures on any number of cores
    if given.model is not None:
        report(given.raster.stem, given.model, given.raster, given)
        return
    for name in given.names:
        report(name, *trained(name, given.out), given)


def report(name: str, model: Path, raster: Path, given: argparse.Namespace) -> None:
    """Map one scene three times, and print both measures."""
    segmenter, card = load_model(model)
    dataset = SceneDataset(open_scene_for(raster, card.ranges, card.ground_pixel_m), card.ranges)
    size_px = given.tile or card.patch_px
    plan = plan_tiles(dataset, size_px=size_px, overlap_px=round(given.overlap * size_px))
    half_px = (size_px - plan.overlap_px) // 2
    first, near, far = (
        map_scene(segmenter, card, dataset, shifted(plan, shift_px))
        for shift_px in (0, SMALL_SHIFT_PX, half_px)
    )
    height, width = plan.grid.shape
    print(f"\n{name}: {width} x {height} px, tiles of {size_px} px, overlap {plan.overlap_px} px\n")
    print("| Grid moved by | Where | Mean, cropped | Blended | Ratio | 99.9 %, cropped | Blended |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    ratios = [
        print_moved(first, moved, shift_px, size_px // 2)
        for moved, shift_px in ((near, SMALL_SHIFT_PX), (far, half_px))
    ]
    print(f"\nmoved grid, cropped / blended in the overlaps: at best {judged(max(ratios))}")
    print_steps({how: steps(first, far, how, half_px - 1, size_px // 2) for how in HOWS}, plan)
    if given.picture:
        draw(first, given.picture)


def trained(name: str, folder: Path) -> tuple[Path, Path]:
    """The model of a case, trained where it is not there yet, and the raster it has not seen."""
    case = CASES[name]
    run = folder / name
    run.mkdir(parents=True, exist_ok=True)
    train_on, unseen = parts(case, run)
    model = run / "run" / "model.safetensors"
    if not model.exists():
        labels = DATA / case.labels
        timed(
            "train", "--raster", train_on, "--labels", labels, "-o", run / "run", "-f", *case.flags
        )
    return model, unseen


def shifted(plan: TilePlan, shift_px: int) -> TilePlan:
    """The plan with its tiles moved to the north-west, and more of them where they no longer reach.

    Args:
        plan: its first tile lies on the scene's first pixel.
        shift_px: less than a stride.
    """
    size_px = int(plan.windows[0].width)
    stride_px = size_px - plan.overlap_px
    rows, cols = (
        range(-shift_px, max(1, length - plan.overlap_px), stride_px) for length in plan.grid.shape
    )
    windows = [Window(col, row, size_px, size_px) for row in rows for col in cols]
    return TilePlan.of(plan.grid, windows, plan.overlap_px)


def map_scene(segmenter: Segmenter, card: ModelCard, dataset: SceneDataset, plan: TilePlan) -> Maps:
    """Scores of the scene, cropped and blended from the same logits."""
    loader = load_tiles(dataset, plan, batch_size=4)
    compute = Compute(torch.device("cpu"))
    tiles = list(predict_tiles(segmenter, loader, compute, n_classes=len(card.classes)))
    strips = merge_rows(blend_rows(tiles, plan), plan)
    blended = np.concatenate([strip.scores for strip in strips], axis=1)
    return Maps(plan, {"cropped": crop(tiles, plan), "blended": blended})


def crop(tiles: Iterable[TileLogits], plan: TilePlan) -> Scores:
    """Tiles cut in the middle of their overlaps, with scores as coarse as blended ones.

    Every tile is laid from its first cut on, over what the tiles north and west of it have there.
    """
    found: npt.NDArray[np.uint8] | None = None
    cut_px = plan.overlap_px // 2
    first_row = min(w.row_off for w in plan.windows)
    first_col = min(w.col_off for w in plan.windows)
    for tile in tiles:
        steps_of_tile = score_steps(as_steps(tile.logits, tile.valid))
        if found is None:
            found = np.empty((len(steps_of_tile), *plan.grid.shape), dtype=np.uint8)
        row, col = int(tile.window.row_off), int(tile.window.col_off)
        top = max(0, row if row == first_row else row + cut_px)
        left = max(0, col if col == first_col else col + cut_px)
        laid = found[:, top : row + tile.window.height, left : col + tile.window.width]
        height, width = laid.shape[1:]
        laid[:] = steps_of_tile[:, top - row : top - row + height, left - col : left - col + width]
    assert found is not None
    return scores_of(found)


def print_moved(first: Maps, moved: Maps, shift_px: int, margin_px: int) -> float:
    """How far scores move with the grid, in rows of a table; the overlaps' ratio of means."""
    inner = np.s_[..., margin_px:-margin_px, margin_px:-margin_px]
    zone = (first.overlaps() | moved.overlaps())[inner]
    apart = {how: np.abs(first.scores[how] - moved.scores[how])[inner] for how in HOWS}
    ratios = []
    for where, chosen in (("overlaps", zone), ("neither", ~zone)):
        if not chosen.any():
            continue
        means = [float(apart[how][:, chosen].mean()) for how in HOWS]
        rare = [float(np.quantile(apart[how][:, chosen], 0.999)) for how in HOWS]
        ratios.append(means[0] / means[1])
        print(
            f"| {shift_px} px | {where}, {chosen.mean():.0%} | {means[0]:.4f} | {means[1]:.4f} | "
            f"{ratios[-1]:.2f} | {rare[0]:.3f} | {rare[1]:.3f} |"
        )
    return ratios[0]


def judged(ratio: float) -> str:
    """A ratio beside the one that is asked."""
    return f"{ratio:.2f} x ({CLAIM:.0f} x asked)"


def steps(first: Maps, far: Maps, how: How, reach_px: int, margin_px: int) -> Steps:
    """Steps around the lines of two maps, each beside the other, along both axes."""
    profiles: list[tuple[Scores, Scores]] = []
    for with_lines, without in ((first, far), (far, first)):
        for axis in (0, 1):
            lines = [line - margin_px for line in with_lines.lines(axis)]
            here, there = (
                step_profile(along(maps.scores[how], axis, margin_px), lines, reach_px)
                for maps in (with_lines, without)
            )
            profiles.append((here, there))
    here, there = (np.concatenate(side, axis=1) for side in zip(*profiles, strict=True))
    return Steps(np.arange(-reach_px, reach_px + 1), here, there)


def along(scores: Scores, axis: int, margin_px: int) -> Scores:
    """Scores (N, L) along an axis, without the margin."""
    inner = scores[:, margin_px:-margin_px, margin_px:-margin_px]
    turned = np.moveaxis(inner, 1 + axis, -1)
    return turned.reshape(-1, turned.shape[-1])


def step_profile(scores: Scores, lines: Iterable[int], reach_px: int) -> Scores:
    """Differences (2 * reach + 1, N) of neighbors along (N, L), around lines that lie within."""
    found = [
        np.abs(np.diff(scores[:, line - 1 - reach_px : line + 1 + reach_px], axis=1)).T
        for line in lines
        if line - 1 - reach_px >= 0 and line + 1 + reach_px <= scores.shape[1]
    ]
    return np.concatenate(found, axis=1)


def print_steps(found: dict[How, Steps], plan: TilePlan) -> None:
    """What seams add to the differences of neighbors, and what the claim comes to."""
    ramp_px = plan.overlap_px // 2
    middle = len(found["blended"].distances) // 2
    worst = {how: float(found[how].within(0, ramp_px).max()) for how in HOWS}
    print("\n| Step across the line | Cropped | Blended |\n| --- | --- | --- |")
    for title, values in step_rows(found, middle):
        print(f"| {title} | {' | '.join(f'{value:.4f}' for value in values)} |")
    print(f"| largest excess in the overlap | {worst['cropped']:.4f} | {worst['blended']:.4f} |")
    apart = found["blended"].within(ramp_px + 1, middle - ramp_px)
    noise = float(apart.std()) if apart.size else 0.0
    ratio = float(found["cropped"].excess[middle]) / max(worst["blended"], noise, LEAST)
    print(f"\nnoise {noise:.4f}; step, cropped / largest of blended: {judged(ratio)}")


def step_rows(found: dict[How, Steps], middle: int) -> Iterator[tuple[str, list[float]]]:
    """The figures at the line itself."""
    sides = [found[how] for how in HOWS]
    yield "mean", [float(side.here[middle].mean()) for side in sides]
    yield "same pixels without a line", [float(side.there[middle].mean()) for side in sides]
    yield "excess", [float(side.excess[middle]) for side in sides]
    yield "99.9 %", [float(np.quantile(side.here[middle], 0.999)) for side in sides]
    yield "99.9 % without a line", [float(np.quantile(s.there[middle], 0.999)) for s in sides]


def draw(maps: Maps, path: Path) -> None:
    """The scores of the first class, cropped on the left and blended on the right."""
    planes = [np.rint(maps.scores[how][0] * 255).astype(np.uint8) for how in HOWS]
    gap = np.full((planes[0].shape[0], 8), 255, dtype=np.uint8)
    Image.fromarray(np.hstack([planes[0], gap, planes[1]])).save(path)
    print(f"\n{path}: cropped on the left, blended on the right")


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", default=["kampala_buildings"], metavar="NAME")
    parser.add_argument("--overlap", type=float, default=0.25, help="share of a tile, 0 to 0.5")
    parser.add_argument("--tile", type=int, help="side in pixels; default the model's")
    parser.add_argument("--model", type=Path, help="model file, with --raster")
    parser.add_argument("--raster", type=Path, help="scene that it has not seen")
    parser.add_argument("--picture", type=Path, help="PNG of the scores, of the last scene")
    parser.add_argument("--out", type=Path, default=Path("build/seams"))
    given = parser.parse_args()
    if (given.model is None) != (given.raster is None):
        parser.error("--model and --raster belong together")
    return given


if __name__ == "__main__":
    main()
