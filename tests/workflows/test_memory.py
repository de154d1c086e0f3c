"""Memory that a map takes, as it is foreseen; benchmarks/memory.py measures it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from affine import Affine
from pyproj import CRS

from geocobot.bands import BandRange
from geocobot.centerlines.trace import rows_held
from geocobot.data.dataset import SceneDataset
from geocobot.errors import SceneSizeError
from geocobot.grid import GeoGrid
from geocobot.inference.rows import RowWork
from geocobot.io.resampled import resampled
from geocobot.io.scene import Scene
from geocobot.tracing.polygonize import BLOCK_ROWS, WIDE_PX, block_rows_of
from geocobot.workflows.memory import DEFAULT_GIB, buffers_gib, needed_gib, plan_rows_ahead

USUAL: dict[str, Any] = {"width_px": 20_000, "tile_px": 512, "n_classes": 1, "tiles": 12}


def work_on(scene: Path, folder: Path, tile_px: int = 64, n_classes: int = 2) -> RowWork:
    ranges = tuple(BandRange(i, f"band {i}", "uint8", 0.0, 255.0) for i in (1, 2, 3))
    dataset = SceneDataset(Scene.open(scene), ranges)
    return RowWork(dataset, tile_px, tile_px // 4, n_classes, 3, folder)


@pytest.mark.parametrize(
    "name", [*USUAL, "rows_ahead", "file_width_px", "exact", "separate", "line_rows"]
)
def test_more_of_anything_takes_more(name: str) -> None:
    usual = USUAL | {"rows_ahead": 0, "file_width_px": USUAL["width_px"]}
    usual |= {"exact": False, "separate": False, "line_rows": 0}
    assert buffers_gib(**usual | {name: 2 * usual[name] + 1}) > buffers_gib(**usual)


def test_the_promise_for_the_widest_scenes() -> None:
    """Measured: 1.14 GiB at 100,000 px with tiles of 1024 px, one class."""
    wide = USUAL | {"width_px": 100_000, "tile_px": 1024}
    assert 1.14 < buffers_gib(**wide) <= DEFAULT_GIB


def test_centerlines_take_what_is_measured() -> None:
    """Measured beside tracing alone: 466 MiB at 100,000 px, 169 MiB at 20,000 px, one class."""
    for width_px, measured_mib in ((100_000, 466), (20_000, 169)):
        grid = GeoGrid(CRS.from_epsg(32633), Affine(0.3, 0, 5e5, 0, -0.3, 5e6), (9000, width_px))
        usual = USUAL | {"width_px": width_px}
        without = buffers_gib(**usual)
        more_mib = [
            1024 * (buffers_gib(**usual, line_rows=rows_held(grid, gaps_m)) - without)
            for gaps_m in (0.0, 10.0)
        ]
        assert measured_mib < more_mib[0] < 1.2 * measured_mib
        assert more_mib[0] < more_mib[1] < 1.3 * more_mib[0]


def test_centerlines_count_against_the_limit(
    scene_factory: Callable[..., Path], tmp_path: Path
) -> None:
    work = work_on(scene_factory(shape_hw=(2, 60_000)), tmp_path)
    limit_gib = needed_gib(work, 3, 0)
    assert plan_rows_ahead(work, 3, limit_gib) == 0
    with pytest.raises(SceneSizeError, match=r"takes about 1.0 GiB"):
        plan_rows_ahead(work, 3, limit_gib, line_rows=700)


def test_resampled_scenes_are_as_wide_as_their_files_as_well(
    scene_factory: Callable[..., Path], tmp_path: Path
) -> None:
    work = work_on(scene_factory(shape_hw=(2, 60_000)), tmp_path)
    native = work.dataset.scene
    sizes = {0.5: None, 1.0: None, 4.0: None}
    for size_m in sizes:
        seen = resampled(native, (size_m, size_m))
        shown = replace(work, dataset=SceneDataset(seen, work.dataset.ranges))
        sizes[size_m] = needed_gib(shown, 3, 0)
    assert needed_gib(work, 3, 0) == sizes[1.0]
    assert sizes[4.0] < sizes[0.5]
    alone = buffers_gib(width_px=15_000, tile_px=64, n_classes=2, tiles=9)
    assert sizes[4.0] > 1.2 * alone


def test_a_limit_is_kept_or_refused(scene_factory: Callable[..., Path], tmp_path: Path) -> None:
    work = work_on(scene_factory(shape_hw=(2, 60_000)), tmp_path, 512, 3)
    kept = []
    for limit_gib in np.linspace(0.1, 4, 40):
        if needed_gib(work, 3, 0) > limit_gib:
            with pytest.raises(SceneSizeError, match=r"60000 px wide. A map of it, of 3 cl"):
                plan_rows_ahead(work, 3, limit_gib)
        else:
            kept.append(plan_rows_ahead(work, 3, limit_gib))
            assert needed_gib(work, 3, kept[-1]) <= limit_gib
    assert 0 < sum(kept) < len(kept) < 40


def test_stages_work_ahead_where_there_is_room(
    scene_factory: Callable[..., Path], tmp_path: Path
) -> None:
    work = work_on(scene_factory(shape_hw=(90, 200)), tmp_path)
    assert plan_rows_ahead(work, 3, None) == 1
    between = (needed_gib(work, 3, 0) + needed_gib(work, 3, 1)) / 2
    assert plan_rows_ahead(work, 3, between) == 0
    with pytest.raises(SceneSizeError, match=r"about 0.3 GiB.*--max-memory is 0.01 GiB.*--bbox"):
        plan_rows_ahead(work, 3, 0.01)


def test_wide_scenes_are_traced_in_lower_blocks() -> None:
    assert block_rows_of(WIDE_PX) == BLOCK_ROWS
    assert block_rows_of(WIDE_PX + 1) < BLOCK_ROWS
    assert block_rows_of(WIDE_PX // 2, separate=True) == BLOCK_ROWS
    assert block_rows_of(WIDE_PX // 2 + 1, separate=True) < BLOCK_ROWS
