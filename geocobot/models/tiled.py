"""Images larger than the model's tiles, shown to it in tiles."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn


class InTiles(nn.Module):
    """Shows images to a segmenter in tiles no larger than those that it maps with.

    Images that are no larger it shows as they are. Others it cuts into as few tiles as cover them,
    evenly spread, and a pixel has the logits of the tile whose middle is nearest.

    Args:
        segmenter: (B, C, H, W) image to (B, K, H, W) logits.
        tile_px: side of a tile; None shows every image whole.
    """

    def __init__(self, segmenter: nn.Module, tile_px: int | None) -> None:
        super().__init__()
        self.segmenter = segmenter
        self.tile_px = tile_px

    def forward(self, image: Tensor) -> Tensor:
        """Logits (B, K, H, W) of images (B, C, H, W)."""
        height, width = image.shape[-2:]
        if self.tile_px is None or max(height, width) <= self.tile_px:
            found: Tensor = self.segmenter(image)
            return found
        logits: Tensor | None = None
        for top, bottom, first_row, end_row in _stretches(height, self.tile_px):
            for left, right, first_col, end_col in _stretches(width, self.tile_px):
                tile = self.segmenter(image[..., top:bottom, left:right])
                if logits is None:
                    logits = tile.new_empty((*tile.shape[:2], height, width))
                rows, cols = (first_row - top, end_row - top), (first_col - left, end_col - left)
                logits[..., first_row:end_row, first_col:end_col] = tile[
                    ..., slice(*rows), slice(*cols)
                ]
        assert logits is not None
        return logits


def _stretches(length: int, tile: int) -> list[tuple[int, int, int, int]]:
    """Begin and end of each tile along an axis, and of what is nearest to its middle."""
    tile = min(length, tile)
    n = -(-length // tile)
    begins = [(length - tile) * k // max(n - 1, 1) for k in range(n)]
    cuts = [(before + tile + after) // 2 for before, after in pairwise(begins)]
    edges = [0, *cuts, length]
    return [(b, b + tile, edges[k], edges[k + 1]) for k, b in enumerate(begins)]
