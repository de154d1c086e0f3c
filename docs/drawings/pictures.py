"""Draw the tutorial's pictures from what `geocobot demo` has left: run it again for others.

geocobot demo && python docs/drawings/pictures.py demo
"""

from __future__ import annotations

import sys
from pathlib import Path

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import rasterio
from PIL import Image, ImageDraw
from rasterio.windows import Window, bounds

HERE = Path(__file__).parents[1] / "pictures"
SIDE_PX = 420
VIEW = Window(120, 40, SIDE_PX, SIDE_PX)
"""Of the unseen scene, in its pixels."""


def main(demo: Path) -> None:
    """Write the scene, its scores and its polygons, one picture each."""
    HERE.mkdir(exist_ok=True)
    with rasterio.open(demo / "scene_unseen.tif") as scene:
        seen = np.moveaxis(scene.read([1, 2, 3], window=VIEW), 0, 2)
        corners = bounds(VIEW, scene.transform)
    with rasterio.open(demo / "roads_found_scores.tif") as scores:
        steps = scores.read(1, window=VIEW)
    save("scene", Image.fromarray(seen))
    save("scores", Image.fromarray(glow(steps)))
    found = gpd.read_file(demo / "roads_found.gpkg", layer="roads_found").clip(corners)
    true = gpd.read_file(demo / "roads.gpkg").clip(corners)
    save("labels", over(seen, true, corners, (13, 148, 136)))
    save("polygons", over(seen, found, corners, (217, 119, 6)))


def glow(steps: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Scores (H, W), 0 to 254, as a picture (H, W, 3) from dark to bright."""
    level = np.minimum(steps, 254)[..., None] / 254
    dark, bright = np.array([20, 24, 35]), np.array([255, 214, 102])
    return np.asarray(dark + level * (bright - dark), dtype=np.uint8)


def over(
    seen: npt.NDArray[np.uint8],
    areas: gpd.GeoDataFrame,
    corners: tuple[float, float, float, float],
    color: tuple[int, int, int],
) -> Image.Image:
    """Polygons drawn over the picture (H, W, 3) of the ground within `corners`."""
    west, south, east, north = corners
    image = Image.fromarray(seen).convert("L").convert("RGB")
    draw = ImageDraw.Draw(image, "RGBA")
    scale = SIDE_PX / (east - west), SIDE_PX / (north - south)
    for part in areas.explode().geometry:
        if part.geom_type != "Polygon":
            continue
        layer = Image.new("L", image.size)
        brush = ImageDraw.Draw(layer)
        for ring, value in [(part.exterior, 150), *((hole, 0) for hole in part.interiors)]:
            xy = [((x - west) * scale[0], (north - y) * scale[1]) for x, y in ring.coords]
            brush.polygon(xy, fill=value)
            draw.line(xy, fill=(*color, 255), width=2)
        image.paste(Image.new("RGB", image.size, color), mask=layer)
    return image


def save(name: str, image: Image.Image) -> None:
    """Write a small JPEG."""
    image.save(HERE / f"{name}.jpg", quality=78, optimize=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
