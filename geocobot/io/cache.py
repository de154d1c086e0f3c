"""How much of a raster GDAL keeps decoded.

Left alone, GDAL fills 5 % of the machine's memory with blocks that nobody asks for again: memory
then grows with the scene until it gets there.
"""

from __future__ import annotations

import os
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import rasterio

_LEAST_BYTES = 64 * 2**20
_ENOUGH_BYTES = 128 * 2**20  # where rows are cut into blocks, and a tile needs few of them


def bounded_cache(source: Any, rows: int) -> AbstractContextManager[Any]:
    """Read within it, and GDAL keeps about one row of tiles, whatever the scene's height.

    As much has to stay in a file of full-width strips, where every tile of a row needs the same
    ones. Where a file is cut into blocks 128 MB are the most.
    A size that the user has set with GDAL_CACHEMAX is left alone.

    Args:
        source: the open dataset.
        rows: height of a tile in pixels.
    """
    if "GDAL_CACHEMAX" in os.environ:
        return nullcontext()
    block_rows = max(height for height, _ in source.block_shapes)
    pixel_bytes = sum(np.dtype(name).itemsize for name in source.dtypes)
    # A tile may begin and end within a block, and the blocks are kept whole.
    bound = (rows + 2 * block_rows) * source.width * pixel_bytes
    if max(width for _, width in source.block_shapes) < source.width:
        bound = min(bound, _ENOUGH_BYTES)
    env: AbstractContextManager[Any] = rasterio.Env(GDAL_CACHEMAX=max(bound, _LEAST_BYTES))
    return env
