"""How much memory a map takes beside the model, foreseen from its width."""

from __future__ import annotations

from geocobot.errors import SceneSizeError
from geocobot.inference.portions import PIXELS_AT_ONCE, STRIP_ROWS
from geocobot.inference.rows import RowWork
from geocobot.io.resampled import ResampledScene
from geocobot.tracing.polygonize import block_rows_of

GIB = 2**30

DEFAULT_GIB = 1.5
"""Stages work ahead of each other as long as the map stays below this."""

_FIXED_BYTES = 300e6
"""GDAL's cache of the rasters to be written, polygons that wait, libraries, what the heap keeps."""

_TRACED_BYTES = 15
_SCORE_BYTES = 3
"""Per pixel of a block that is traced, and more of it per class."""

_SEPARATED_BYTES = 90
"""Per pixel of a block that is cut into objects: it, its neighbors, and all their runs."""

_LINED_BYTES, _LINED_SCORE_BYTES = 5, 2.5
"""Per pixel of the rows that centerlines are drawn in, and more of it per class."""

_FILE_ROWS = 1024
"""Rows that wait to be whole blocks of a file: read ones in GDAL's cache, scores and classes."""

_EXACT_BYTES = 4
"""Of a score with all its digits."""

_RESTORED_BYTES = 24
"""Per pixel of scores that are brought back to the pixels of their file at once."""

_IMAGE_BYTES = 4 * 3
"""Per pixel of a tile that the model is shown."""


def needed_gib(
    work: RowWork,
    batches: int,
    rows_ahead: int,
    *,
    separate: bool = False,
    line_rows: int = 0,
) -> float:
    """Memory that a map takes beside the model, at its peak.

    Measured with `benchmarks/memory.py`; it does not depend on the height.

    Args:
        work: the scene and its tiles.
        batches: of tiles that are there at the same time.
        rows_ahead: how many finished tile rows may wait between two stages.
        separate: whether objects are cut apart.
        line_rows: in which centerlines are drawn at a time; 0 where none are.
    """
    scene = work.dataset.scene
    native = scene.native if isinstance(scene, ResampledScene) else scene
    return buffers_gib(
        width_px=scene.grid.width,
        file_width_px=native.grid.width,
        tile_px=work.size_px,
        n_classes=work.n_classes,
        tiles=batches * work.batch_size,
        rows_ahead=rows_ahead,
        exact=work.exact,
        separate=separate,
        line_rows=line_rows,
    )


def buffers_gib(
    *,
    width_px: int,
    tile_px: int,
    n_classes: int,
    tiles: int,
    rows_ahead: int = 0,
    file_width_px: int | None = None,
    exact: bool = False,
    separate: bool = False,
    line_rows: int = 0,
) -> float:
    """The same, before there is a plan.

    Args:
        width_px: of the scene as the model is shown it.
        tile_px: side of a tile.
        n_classes: planes of logits.
        tiles: that are there at the same time.
        rows_ahead: how many finished tile rows may wait between two stages.
        file_width_px: of the scene as its file is, where that is another.
        exact: whether scores have all their digits.
        separate: whether objects are cut apart.
        line_rows: in which centerlines are drawn at a time; 0 where none are.
    """
    file_px = file_width_px or width_px
    # Logits of two bytes and a mask while a row is blended; then what its neighbors wait for.
    blended = tile_px * (2 * n_classes + 1)
    # Half of them lie between two rows, in two bytes; the others are scores, if not exact.
    finished = (2.0 if exact else 1.5) * tile_px * n_classes * (1 + 3 * rows_ahead)
    traced = block_rows_of(file_px, separate=separate) * (
        _TRACED_BYTES + _SCORE_BYTES * n_classes + _SEPARATED_BYTES * separate
    )
    lined = line_rows * (_LINED_BYTES + _LINED_SCORE_BYTES * n_classes)
    filed = _FILE_ROWS * (n_classes * (_EXACT_BYTES if exact else 1) + 1)
    shown = tiles * tile_px**2 * (_IMAGE_BYTES + 4 * n_classes)
    restored = 0.0
    if file_px != width_px:
        waiting = STRIP_ROWS * n_classes * (1 + _EXACT_BYTES * exact)
        restored = width_px * waiting + file_px * STRIP_ROWS + _RESTORED_BYTES * PIXELS_AT_ONCE
    return (
        _FIXED_BYTES
        + shown
        + width_px * (blended + finished)
        + file_px * (traced + lined + filed)
        + restored
    ) / GIB


def plan_rows_ahead(
    work: RowWork,
    batches: int,
    max_memory_gib: float | None,
    *,
    separate: bool = False,
    line_rows: int = 0,
) -> int:
    """How many tile rows may wait between two stages without taking too much memory.

    Args:
        work: the scene and its tiles.
        batches: of tiles that are there at the same time.
        max_memory_gib: what the map may take beside the model; None asks for no limit, but for
            no more than `DEFAULT_GIB` where it can be had.
        separate: whether objects are cut apart.
        line_rows: in which centerlines are drawn at a time; 0 where none are.

    Raises:
        SceneSizeError: the map takes more even if nothing waits.
    """
    limit = DEFAULT_GIB if max_memory_gib is None else max_memory_gib
    if needed_gib(work, batches, 1, separate=separate, line_rows=line_rows) <= limit:
        return 1
    least = needed_gib(work, batches, 0, separate=separate, line_rows=line_rows)
    if max_memory_gib is not None and least > limit:
        grid = work.dataset.grid
        raise SceneSizeError(
            work.dataset.scene.path,
            f"is {grid.width} px wide",
            f"A map of it, of {work.n_classes} {'class' if work.n_classes == 1 else 'classes'} in "
            f"tiles of {work.size_px} px, takes about {least:.1f} GiB beside the model, however "
            f"high it is, and --max-memory is {max_memory_gib:g} GiB",
            "Allow that much, pass a smaller --batch-size, or map the scene in parts with --bbox",
        )
    return 0
