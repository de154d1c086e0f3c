"""What all painters of a batch share."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from geocobot.synthetic.world.climate import Climate
from geocobot.synthetic.world.light import Sun
from geocobot.synthetic.world.view import View


@dataclass(frozen=True)
class Setting:
    """Where and under which sky the pictures of a batch are painted.

    Attributes:
        view: what is looked at.
        climate: colors of the places.
        sun: where the light comes from.
        bumps: (B, 4, S, S) noise: 0 and 2 for what lies where, 1 for grain, 3 for stains.
    """

    view: View
    climate: Climate
    sun: Sun
    bumps: Tensor
