"""What things look like in a place: a palette per sample, often true to life and sometimes not."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from geocobot.synthetic.world.dice import Dice

# Display values of red, green and blue, 0 to 255, of the same thing in different places.
_GRASS = ((88, 106, 62), (112, 124, 78), (150, 144, 102), (172, 158, 120), (74, 98, 54))
_CROPS = (
    (92, 112, 62),
    (122, 134, 84),
    (172, 156, 110),
    (140, 132, 96),
    (66, 92, 48),
    (190, 174, 120),
)
_SOILS = (
    (132, 112, 92),
    (166, 118, 88),
    (196, 178, 146),
    (112, 102, 94),
    (150, 136, 122),
    (214, 204, 186),
)
_TREES = ((48, 66, 38), (62, 80, 46), (78, 90, 52), (92, 96, 60), (104, 86, 52), (40, 56, 44))
_WATER = ((40, 58, 66), (62, 76, 70), (54, 84, 98), (92, 92, 72), (24, 34, 44), (70, 130, 140))
_ASPHALT = ((92, 92, 94), (118, 117, 114), (142, 140, 136), (166, 162, 154), (74, 74, 78))
_ROOFS = (
    (158, 104, 84), (130, 88, 76), (172, 128, 108), (112, 110, 108), (136, 134, 130), (84, 86, 90),
    (176, 174, 170), (222, 220, 216), (240, 240, 238), (126, 112, 96), (96, 116, 140),
    (140, 92, 62), (104, 128, 112), (190, 170, 140), (60, 60, 64),
)  # fmt: skip
_RUST = ((150, 84, 56), (124, 68, 46), (176, 116, 80), (198, 152, 120), (110, 78, 66))
_PAINTS = (
    (206, 206, 204),
    (60, 62, 66),
    (150, 152, 154),
    (128, 40, 36),
    (44, 62, 96),
    (236, 236, 232),
    (30, 30, 32),
)

_STRANGE_SHARE = 0.03
_STRANGE_PLACES = 0.08


@dataclass(frozen=True)
class Climate:
    """Colors of one place per sample, (B, 3) or (B, K, 3), 0 to 1.

    Attributes:
        grass: of lawns and meadows.
        crops: of six crops.
        soil: of bare ground.
        trees: of four kinds of crowns.
        water: of lakes and rivers.
        asphalt: of roads.
        paving: of yards and pavements.
        dirt: of tracks.
        roofs: of four kinds of roofs.
        rust: of what old sheets of metal turn to.
        paints: of seven kinds of cars.
        forest: (B, 1, 1) how much of the country is wooded, 0 to 1.
    """

    grass: Tensor
    crops: Tensor
    soil: Tensor
    trees: Tensor
    water: Tensor
    asphalt: Tensor
    paving: Tensor
    dirt: Tensor
    roofs: Tensor
    rust: Tensor
    paints: Tensor
    forest: Tensor

    @classmethod
    def draw(cls, dice: Dice) -> Climate:
        """Draw a climate for every sample; in some nothing has its usual color."""
        odd_place = dice.chance(_STRANGE_PLACES)

        def some(colors: tuple[tuple[int, int, int], ...], *more: int) -> Tensor:
            table = torch.tensor(colors, dtype=torch.float32) / 255
            usual = dice.rows(table, *more)
            tone = dice.uniform(0.8, 1.2, *more, 1)
            tint = dice.normal(*more, 3) * 0.02
            strange = dice.uniform(0.05, 0.95, *more, 3)
            is_strange = (odd_place | dice.chance(_STRANGE_SHARE)).view(
                -1, *(1,) * (usual.dim() - 1)
            )
            return torch.where(is_strange, strange, usual * tone + tint).clamp(0, 1)

        soil = some(_SOILS)
        return cls(
            grass=some(_GRASS),
            crops=some(_CROPS + _SOILS, 6),
            soil=soil,
            trees=some(_TREES, 4),
            water=some(_WATER),
            asphalt=some(_ASPHALT),
            paving=some(_ASPHALT + _SOILS[2:]),
            dirt=soil * dice.uniform(0.95, 1.3, 1),
            roofs=some(_ROOFS, 4),
            rust=some(_RUST),
            paints=some(_PAINTS, 7),
            forest=dice.uniform(0.0, 1.0),
        )


def plane(color: Tensor) -> Tensor:
    """One color per sample, (B, 3), as (B, 3, 1, 1)."""
    return color[:, :, None, None]


def chosen(colors: Tensor, share: Tensor) -> Tensor:
    """One of K colors for every pixel.

    Args:
        colors: (B, K, 3).
        share: (B, S, S) 0 to 1, which of them.

    Returns:
        (B, 3, S, S).
    """
    n, k, _ = colors.shape
    index = (share * k).long().clamp(0, k - 1).view(n, 1, -1).expand(-1, 3, -1)
    picked = colors.permute(0, 2, 1).gather(2, index)
    return picked.view(n, 3, *share.shape[1:])
