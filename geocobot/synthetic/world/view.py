"""What a batch looks at: coordinates of every pixel, and the numbers that belong to places."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 # PyTorch's own name for it

from geocobot.synthetic.world.dice import Dice

_CHANNELS, _TABLE = 12, 1 << 14

# Bits of a key: two lattice coordinates, then the layer, then the picture.
_COORDINATE_BITS, _LAYER_BITS = 16, 6
# Pictures of a batch take up to ten bits above the layer; parts of a cell are counted above these.
_PART_SHIFT = 2 * _COORDINATE_BITS + _LAYER_BITS + 10
# Odd, and without a pattern: what splitmix64 multiplies by (Steele et al., OOPSLA 2014).
_MIXERS = (-0x40A7B892E31B1A47, -0x6B2FB644ECCEEE15)


@dataclass(frozen=True)
class View:
    """Square pictures of the world, all of one size in pixels.

    Attributes:
        x_m: (B, S, S) metres to the east of the picture's middle.
        y_m: (B, S, S) metres to the north of it.
        pixel_m: (B, 1, 1) pixel side.
        dice: of the batch.
    """

    x_m: Tensor
    y_m: Tensor
    pixel_m: Tensor
    dice: Dice

    @classmethod
    def of(cls, pixel_m: Tensor, side_px: int, dice: Dice) -> View:
        """Look down with so many pixels of `pixel_m` (B, 1, 1) metres."""
        at = torch.arange(side_px, device=pixel_m.device) - (side_px - 1) / 2
        shape = (len(pixel_m), side_px, side_px)
        x_m = (at[None, None, :] * pixel_m).expand(shape)
        return cls(x_m, (-at[None, :, None] * pixel_m).expand(shape), pixel_m, dice)

    @property
    def side_px(self) -> int:
        """Side of the pictures."""
        return self.x_m.shape[-1]

    @property
    def half_m(self) -> Tensor:
        """(B, 1, 1) metres from the middle to a side."""
        return self.pixel_m * self.side_px / 2

    @cached_property
    def table(self) -> Tensor:
        """(C, T) evenly distributed numbers, 0 to 1, see `look_up`."""
        numbers = torch.rand(_CHANNELS, _TABLE, generator=self.dice.generator)
        return numbers.to(self.x_m.device, non_blocking=True)

    def look_up(self, channel: int, key: Tensor) -> Tensor:
        """The numbers, 0 to 1, that belong to the keys (B, S, S) of cells in a channel."""
        return self.table[channel].take(_slot(key))

    def turned(self, angle: Tensor) -> tuple[Tensor, Tensor]:
        """(B, S, S) metres along and across a direction (B, 1, 1), from the middle."""
        c, s = angle.cos(), angle.sin()
        return self.x_m * c + self.y_m * s, self.y_m * c - self.x_m * s

    def cover(self, distance_m: Tensor, soft_px: float = 1.0) -> Tensor:
        """Share of each pixel that a shape covers, from metres to its outline, negative inside."""
        return (0.5 - distance_m / (self.pixel_m * soft_px)).clamp(0, 1)

    def noise(self, planes: int, roughest_px: int = 64) -> Tensor:
        """Bumps of all sizes from two pixels up, a strength for each drawn per sample.

        In pixels and not in metres, because bare ground looks alike from any height.

        Returns:
            (B, planes, S, S), mean about 0, standard deviation about 1.
        """
        dice, side = self.dice, self.side_px
        total = torch.zeros(dice.n, planes, side, side, device=self.x_m.device)
        power = torch.zeros(dice.n, 1, 1, 1, device=self.x_m.device)
        slope = dice.uniform(0.1, 1.3, 1, 1, 1)
        size = 2
        while size <= min(roughest_px, side):
            strength = (size / roughest_px) ** slope
            nodes = side // size + 3
            lattice = dice.noise(planes, nodes, nodes)
            wide = F.interpolate(lattice, scale_factor=size, mode="bilinear", align_corners=False)
            # Nodes lie elsewhere in every batch, and nothing is learned from where they are.
            start = size // 2 + int(torch.randint(size, (1,), generator=dice.generator))
            # Linear weights between nodes leave 2/3 of the strength.
            total += 1.5 * strength * wide[..., start : start + side, start : start + side]
            power = power + strength**2
            size *= 2
        return total / power.sqrt()


@dataclass(frozen=True)
class Cells:
    """A lattice of cells, every one with numbers of its own that all of its pixels agree on.

    Attributes:
        view: what is looked at.
        key: (B, S, S) int64, the same for all pixels of a cell and no others.
        p_m: (B, S, S) metres along the first axis from the middle of the cell.
        q_m: (B, S, S) metres along the second one.
    """

    view: View
    key: Tensor
    p_m: Tensor
    q_m: Tensor

    @classmethod
    def of(
        cls, view: View, at: tuple[Tensor, Tensor], size: tuple[Tensor, Tensor], layer: int
    ) -> Cells:
        """Cut the plane into cells.

        Args:
            view: what is looked at.
            at: (B, S, S) metres along the first and the second axis.
            size: (B, 1, 1) metres of a cell along them.
            layer: of the world: other layers have other numbers in the same cell.
        """
        (u, v), (size_u, size_v) = at, size
        i, j = (u / size_u).floor(), (v / size_v).floor()
        p, q = u - (i + 0.5) * size_u, v - (j + 0.5) * size_v
        return cls(view, cell_key(view, i, j, layer), p, q)

    def number(self, channel: int, low: float | Tensor = 0.0, high: float | Tensor = 1.0) -> Tensor:
        """The cell's own number, evenly distributed, (B, S, S)."""
        return low + (high - low) * self.view.table[channel].take(self._slot)

    @cached_property
    def _slot(self) -> Tensor:
        """(B, S, S) where the cells' numbers stand in the table."""
        return _slot(self.key)

    def has(self, channel: int, share: float | Tensor) -> Tensor:
        """True in a share of the cells, (B, S, S) bool."""
        return self.number(channel) < share

    def moved(self, by: Tensor) -> Cells:
        """The same cells with what is in their middle pushed aside, as far as (B, S, S) metres."""
        p = self.p_m - by * self.number(_CHANNELS - 1, -1.0, 1.0)
        q = self.q_m - by * self.number(_CHANNELS - 2, -1.0, 1.0)
        return Cells(self.view, self.key, p, q)

    def parts(self, index: Tensor) -> Cells:
        """What cells are made of, numbered (B, S, S) from 0 to 255, with numbers of their own."""
        key = self.key + ((index.long() + 1) << _PART_SHIFT)
        return Cells(self.view, key, self.p_m, self.q_m)

    def divided(
        self, size_uv: tuple[Tensor, Tensor], share: Tensor, generation: int
    ) -> tuple[Cells, tuple[Tensor, Tensor]]:
        """Cut a share of rectangular cells across their longer side, somewhere about the middle.

        Args:
            size_uv: metres of a cell along both axes, what can be expanded to (B, S, S).
            share: of the cells that is cut, (B, 1, 1).
            generation: how often these cells were divided before, 0 to 2.

        Returns:
            The cells with their halves, and sizes along both axes, (B, S, S).
        """
        size_u, size_v = size_uv
        is_long = size_u >= size_v
        size, at = torch.where(is_long, size_u, size_v), torch.where(is_long, self.p_m, self.q_m)
        is_cut = self.has(7, share)
        cut = size * self.number(8, -0.25, 0.25)
        side = torch.where(at < cut, -1.0, 1.0)
        at = torch.where(is_cut, at - (cut + side * size / 2) / 2, at)
        size = torch.where(is_cut, size / 2 - side * cut, size)
        # A digit of its own for every generation: no two pieces share a key.
        half = self.parts((1.5 + side / 2) * 4**generation - 1)
        cells = Cells(
            self.view,
            torch.where(is_cut, half.key, self.key),
            torch.where(is_long, at, self.p_m),
            torch.where(is_long, self.q_m, at),
        )
        return cells, (torch.where(is_long, size, size_u), torch.where(is_long, size_v, size))

    def turned(self, angle: Tensor) -> Cells:
        """The same cells with what is in their middle turned by an angle (B, S, S)."""
        c, s = angle.cos(), angle.sin()
        return Cells(self.view, self.key, self.p_m * c + self.q_m * s, self.q_m * c - self.p_m * s)


def cell_key(view: View, i: Tensor, j: Tensor, layer: int) -> Tensor:
    """Key of cells (i, j) (B, S, S) in a layer of the world, (B, S, S) int64, from 0.

    No two cells share one, as long as a picture shows less than 65,536 of them along an axis.
    """
    mask = (1 << _COORDINATE_BITS) - 1
    sample = torch.arange(view.dice.n, device=i.device).view(-1, 1, 1)
    above = (sample << _LAYER_BITS) + layer
    pair = ((i.long() & mask) << _COORDINATE_BITS) + (j.long() & mask)
    return (above << 2 * _COORDINATE_BITS) + pair


def _slot(key: Tensor) -> Tensor:
    """Where the numbers of a key stand in the table: neighbors and mirror images far apart."""
    for mixer in _MIXERS:
        key = (key ^ (key >> 30)) * mixer
    return (key ^ (key >> 31)) & (_TABLE - 1)


def box_distance(p: Tensor, q: Tensor, half_p: Tensor, half_q: Tensor) -> Tensor:
    """Metres to the outline of a rectangle around the origin, negative inside; short outside."""
    return torch.maximum(p.abs() - half_p, q.abs() - half_q)
