"""Draw what the pages on concepts show: run it again where the code has changed.

    geocobot demo && python docs/drawings/draw.py demo

Colors are those of the page that a drawing stands in (`docs/styles/site.css`), light or dark.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path

import geopandas as gpd
import numpy as np
import shapely

from geocobot.inference.shares import axis_weights

HERE = Path(__file__).parent
WIDTH = 480
"""Of every drawing, so that 17 px of text are still 11 px on a phone."""


def main(demo: Path) -> None:
    """Write all drawings beside this file."""
    drawings = {
        "relation": (420, relation(), "Adapters in all blocks, joined by one matrix"),
        "site": (500, site(), "One adapter: down to four numbers, weighted, mixed, and up again"),
        "weights": (330, weights(), "Three overlapping tiles and the weights of their pixels"),
        "rows": (400, rows(), "Tile rows: what is finished is written, what overlaps waits"),
        "split": (640, split(demo), "Training ground, validation blocks and the gap between them"),
    }
    for name, (height, parts, title) in drawings.items():
        # One line for each part and no empty one, or Markdown would end the drawing there.
        head = f'<figure class="drawing"><svg viewBox="0 0 {WIDTH} {height}" role="img">'
        lines = [head, f"<title>{title}</title>", ARROW_HEAD, *parts, "</svg></figure>"]
        (HERE / f"{name}.svg").write_text("\n".join(lines) + "\n", encoding="utf-8")


ARROW_HEAD = (
    '<defs><marker id="head" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" '
    'markerHeight="7" orient="auto-start-reverse"><path d="M0 0L10 5L0 10z" class="head"/>'
    "</marker></defs>"
)


def relation() -> Iterator[str]:
    """Blocks of the encoder, the adapter of each, and the matrix that they share."""
    names = ["block 1", "block 2", "block 3", "block 12"]
    tops = [40, 125, 210, 325]
    yield text(105, 22, "SAM's encoder, frozen")
    for name, top in zip(names, tops, strict=True):
        yield box(10, top, 190, 60, "plain")
        yield text(72, top + 36, name)
        yield box(130, top + 12, 58, 36, "ours")
        yield text(159, top + 36, "q, v", "small")
    yield text(105, 302, "⋮")
    for upper, lower in pairwise(tops):
        yield arrow(60, upper + 60, 60, lower)
    yield text(385, 72, "S: who listens")
    yield text(385, 94, "to whom")
    side, left, top = 24, 313, 110
    for row in range(6):
        for col in range(6):
            strength = 0.9 if row == col else (0.1 + 0.13 * ((row * 5 + col * 3) % 4))
            place = (left + col * side, top + row * side, side - 2, side - 2)
            yield box(*place, "theirs", opacity=strength)
    for number, y in enumerate(tops):
        yield arrow(190, y + 30, left - 8, top + 18 + number * 36, both=True)
    yield text(385, 285, "C: what each adapter", "small")
    yield text(385, 305, "tells the others,", "small")
    yield text(385, 325, "a column for every one", "small")
    yield text(385, 365, "864 numbers in all", "small")
    yield text(385, 385, "for ViT-B", "small")


def site() -> Iterator[str]:
    """What a token goes through beside the frozen projection."""
    yield text(240, 24, "a token x: 768 numbers")
    yield arrow(240, 34, 100, 78)
    yield arrow(240, 34, 330, 64)
    yield box(15, 80, 170, 300, "plain")
    yield text(100, 222, "q projection,")
    yield text(100, 244, "frozen")
    steps = [
        ("A: down to 4 numbers", "ours"),
        ("&times; &gamma;, its own weights", "ours"),
        ("+ what others say: C S", "theirs"),
        ("W: mixes the 4", "ours"),
        ("B: up to 768", "ours"),
    ]
    for number, (label, kind) in enumerate(steps):
        top = 68 + number * 66
        yield box(215, top, 250, 44, kind)
        yield text(340, top + 28, label)
        if number:
            yield arrow(340, top - 22, 340, top - 2)
    yield arrow(100, 380, 220, 428)
    yield arrow(340, 376, 260, 428)
    yield '<circle cx="240" cy="440" r="20" class="plain"/>'
    yield text(240, 446, "+")
    yield text(240, 488, "q, adapted")


def weights() -> Iterator[str]:
    """Weights of three tiles along a row, from the code that blends them, and their sum."""
    tile, overlap = 256, 64
    step = tile - overlap
    shown = 2 * step + tile
    scale = (WIDTH - 20) / shown
    kinds = ["ours", "theirs", "ours"]
    ramp = axis_weights(tile, overlap) / axis_weights(tile, overlap).max()
    total = np.zeros(shown)
    yield text(240, 22, "tiles of 256 px that overlap by 64 px")
    for number, kind in enumerate(kinds):
        left = 10 + number * step * scale
        top = 40 if number % 2 == 0 else 72
        yield box(left, top, tile * scale, 26, kind)
        yield text(left + tile * scale / 2, top + 19, f"tile {number + 1}", "small")
        total[number * step : number * step + tile] += ramp
    yield text(240, 132, "their weights")
    for number, kind in enumerate(kinds):
        xs = 10 + (number * step + np.arange(0, tile, 4)) * scale
        points = [f"{x:.1f},{260 - 100 * w:.1f}" for x, w in zip(xs, ramp[::4], strict=True)]
        yield f'<polyline points="{" ".join(points)}" class="line {kind}"/>'
    yield '<line x1="10" y1="261" x2="470" y2="261" class="axis"/>'
    middle = total[overlap:-overlap]
    assert abs(middle - 1).max() < 0.002  # what the text below says
    yield text(240, 288, "Where two tiles meet, their weights")
    yield text(240, 310, "add up to 1: no edge can stand there.")


def rows() -> Iterator[str]:
    """A scene gone through in rows of tiles, from the top."""
    left, width = 20, 250
    bands = [
        (30, 70, "done", "written, traced"),
        (100, 90, "done", "written, traced"),
        (190, 26, "theirs", "overlap: waits"),
        (216, 64, "ours", "being computed"),
        (280, 90, "plain", "not yet read"),
    ]
    for top, height, kind, label in bands:
        yield box(left, top, width, height, kind)
        yield text(left + width + 12, top + height / 2 + 6, label, "start")
    for number in range(4):
        yield box(left + number * 60, 190, 70, 90, "outline")
    yield arrow(145, 300, 145, 352)
    yield text(145, 392, "the map goes on downwards")
    yield text(145, 22, "the scene")


def split(demo: Path) -> Iterator[str]:
    """The split that the demo was trained with, over the roads that it learned."""
    parts = gpd.read_file(demo / "run" / "split.gpkg")
    roads = gpd.read_file(demo / "roads.gpkg")
    west, south, east, north = parts.total_bounds
    scale = (WIDTH - 20) / (east - west)

    def place(shape: shapely.Geometry) -> shapely.Geometry:
        return shapely.transform(
            shape, lambda xy: np.column_stack([xy[:, 0] - west, north - xy[:, 1]]) * scale + 10
        )

    kinds = {"gap": "plain", "train": "ours", "validation": "theirs"}
    for role, kind in kinds.items():
        for shape in parts.geometry[parts.role == role]:
            yield area(place(shape), kind)
    inside = roads.geometry.intersection(shapely.box(west, south, east, north))
    merged = shapely.union_all(inside.to_numpy())
    yield area(place(merged.simplify(2.0)), "road")
    for number, (label, kind) in enumerate(
        [("training", "ours"), ("validation", "theirs"), ("gap: neither", "plain")]
    ):
        x = 10 + number * 155
        yield box(x, 605, 22, 22, kind)
        yield text(x + 30, 622, label, "start")


def area(shape: shapely.Geometry, kind: str) -> str:
    """A polygon, or several, as a path."""
    rings = [
        np.asarray(ring.coords)
        for part in shapely.get_parts(shape)
        if part.geom_type == "Polygon"
        for ring in (part.exterior, *part.interiors)
    ]
    return f'<path d="{" ".join(map(outline, rings))}" class="{kind}"/>'


def outline(ring: Iterable[tuple[float, float]]) -> str:
    """A ring as a part of a path."""
    return "M" + "L".join(f"{x:.0f} {y:.0f}" for x, y in ring) + "z"


def box(
    x: float, y: float, width: float, height: float, kind: str, *, opacity: float | None = None
) -> str:
    """A rectangle, filled as its kind is or with an opacity of its own."""
    place = f'x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}"'
    style = "" if opacity is None else f' style="fill-opacity:{opacity:.2f}"'
    return f'<rect {place} rx="4" class="{kind}"{style}/>'


def text(x: float, y: float, words: str, kind: str = "") -> str:
    """Words, centered unless their kind says otherwise."""
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}">{words}</text>'


def arrow(x1: float, y1: float, x2: float, y2: float, *, both: bool = False) -> str:
    """An arrow from one point to another, or both ways."""
    heads = 'marker-end="url(#head)"' + (' marker-start="url(#head)"' if both else "")
    return f'<line x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}" class="arrow" {heads}/>'


if __name__ == "__main__":
    main(Path(sys.argv[1]))
