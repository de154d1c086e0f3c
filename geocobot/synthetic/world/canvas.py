"""What is painted so far: colors, heights, and what every pixel is and belongs to."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import torch
from torch import Tensor


class Cover(IntEnum):
    """What the ground is covered with."""

    GRASS = 0
    CROP = 1
    SOIL = 2
    TREE = 3
    WATER = 4
    ROAD = 5
    PAVED = 6
    BUILDING = 7
    CAR = 8


@dataclass
class Canvas:
    """A batch of pictures; painters change it in place.

    Attributes:
        color: (B, 3, S, S) surface color in full sun, 0 to 1.
        height_m: (B, S, S) above the ground.
        cover: (B, S, S) int64, see `Cover`.
        thing: (B, S, S) int64 number of the object, 0 where there is none.
    """

    color: Tensor
    height_m: Tensor
    cover: Tensor
    thing: Tensor

    @classmethod
    def blank(cls, n: int, side_px: int, device: torch.device) -> Canvas:
        """Black and flat grass."""
        shape = (n, side_px, side_px)
        return cls(
            torch.zeros(n, 3, side_px, side_px, device=device),
            torch.zeros(shape, device=device),
            torch.zeros(shape, dtype=torch.long, device=device),
            torch.zeros(shape, dtype=torch.long, device=device),
        )

    def paint(self, share: Tensor, color: Tensor) -> None:
        """Lay a color over what is there.

        Args:
            share: (B, S, S) 0 (nothing) to 1 (opaque).
            color: (B, 3, S, S), or what can be expanded to it.
        """
        self.color = torch.lerp(self.color, color, share.unsqueeze(1))

    def put(
        self,
        share: Tensor,
        color: Tensor,
        cover: Cover,
        *,
        height_m: Tensor | float = 0.0,
        thing: Tensor | None = None,
    ) -> None:
        """Paint something and let the pixels that it covers by more than half be it.

        Args:
            share: as for `paint`.
            color: as for `paint`.
            cover: what it is.
            height_m: of its upper side.
            thing: (B, S, S) int64 key of its cell; None where it is no single object.
        """
        self.paint(share, color)
        here = share > 0.5
        self.height_m = torch.where(here, height_m, self.height_m)
        self.cover = torch.where(here, int(cover), self.cover)
        self.thing = torch.where(here, 0 if thing is None else thing + 1, self.thing)
