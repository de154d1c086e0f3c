"""How far may pixels be from the size that a model knows? A scene in larger and smaller ones.

Usage: python benchmarks/pixel_size.py [kampala_buildings] [--model FILE] [--minutes 2] [--seed 0]
       [--sizes 0.67 0.8 0.9 1 1.1 1.25 1.5 2] [--out build/pixel_size]

A model is trained on one part of a place (see places.py), unless a model file is named. The part
that it never saw is resampled to pixels so many times as large as its own (by mean where they are
larger, else bilinear), and mapped as it is: the model file is told that these are its own pixels,
or `geocobot predict` would refuse those that are more than 10 % off. "read in its size" is the same
file with `--resolution`, that is resampled on the fly to the pixels that the model knows. Judged in
pixels of the file each time, by IoU against the labels.
"""

from __future__ import annotations

import argparse
import math
import shutil
from dataclasses import replace
from pathlib import Path

import rasterio
from affine import Affine
from places import PLACES, Place, cut_part
from rasterio.enums import Resampling
from real_scenes import DATA, judge, timed

from geocobot.models.modelfile import load_model, save_model


def resized(scene: Path, factor: float, path: Path) -> Path:
    """A scene in pixels so many times as large."""
    how = Resampling.average if factor > 1 else Resampling.bilinear
    with rasterio.open(scene) as source:
        height, width = (round(side / factor) for side in source.shape)
        values = source.read(out_shape=(source.count, height, width), resampling=how)
        scale = Affine.scale(source.width / width, source.height / height)
        place = {"height": height, "width": width, "transform": source.transform @ scale}
        with rasterio.open(path, "w", **source.profile | place) as target:
            target.write(values)
            target.colorinterp = source.colorinterp
    return path


def told_of(model: Path, factor: float, path: Path) -> Path:
    """A model file that says that it knows pixels so many times as large."""
    segmenter, card = load_model(model)
    width_m, height_m = card.ground_pixel_m
    save_model(path, segmenter, replace(card, ground_pixel_m=(width_m * factor, height_m * factor)))
    return path


def mapped_iou(scene: Path, model: Path, labels: Path, out: Path, *how: object) -> float:
    """IoU of a map of a scene."""
    timed(
        "predict", "--raster", scene, "--model", model, "-o", out, "-f", "--no-report",
        "--save-classes", "-q", *how,
    )  # fmt: skip
    figures = judge(out.with_name(f"{out.stem}_classes.tif"), scene, labels, None)
    return next(iter(figures.values()))


def measure(place: Place, model: Path, sizes: list[float], folder: Path) -> None:
    """Map the part that was not learned from in pixels of each size."""
    judged, labels = cut_part(place.judged, folder), DATA / place.labels
    side_m = math.sqrt(math.prod(load_model(model)[1].ground_pixel_m))
    for factor in sizes:
        scene = resized(judged, factor, folder / f"scene_{factor:g}.tif")
        told = told_of(model, factor, folder / f"model_{factor:g}.safetensors")
        as_it_is = mapped_iou(scene, told, labels, folder / f"as_it_is_{factor:g}.gpkg")
        read = mapped_iou(
            scene, model, labels, folder / f"read_{factor:g}.gpkg", "--resolution", f"{side_m:.6g}"
        )
        print(f"| {factor:g} | {factor * side_m:.3g} | {as_it_is:.3f} | {read:.3f} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("name", nargs="?", choices=list(PLACES), default="kampala_buildings")
    parser.add_argument("--model", type=Path, help="trained on the part that is learned from")
    parser.add_argument("--minutes", type=float, default=2.0, help="of the training")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--sizes", type=float, nargs="*", default=[0.67, 0.8, 0.9, 1, 1.1, 1.25, 1.5, 2]
    )
    parser.add_argument("--out", type=Path, default=Path("build/pixel_size"))
    given = parser.parse_args()
    place, folder = PLACES[given.name], given.out / given.name
    folder.mkdir(parents=True, exist_ok=True)
    model = folder / "model.safetensors"
    if given.model is not None:
        shutil.copy(given.model, model)
    elif not model.is_file():
        timed(
            "train", "--raster", cut_part(place.train, folder), "--labels", DATA / place.labels,
            "-o", folder / "run", "-f", "--max-minutes", given.minutes, "--seed", given.seed, "-q",
        )  # fmt: skip
        shutil.copy(folder / "run" / "model.safetensors", model)
    print("| Pixels, times | m | IoU as it is | read in its size |")
    print("| --- | --- | --- | --- |")
    measure(place, model, given.sizes, folder)


if __name__ == "__main__":
    main()
