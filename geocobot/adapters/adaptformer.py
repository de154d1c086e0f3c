"""AdaptFormer beside a transformer block's MLP, with or without COBOT."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from geocobot.adapters.cobot import CobotSite
from geocobot.adapters.config import AdapterShape
from geocobot.adapters.part import AdapterPart


class AdaptFormer(AdapterPart):
    """A bottleneck beside the MLP: alpha * (B relu(W diag(gamma + C S) (A LN(x) + a)) + b).

    Chen et al., arXiv 2205.13535; with COBOT, Eq. 17 of arXiv 2311.17112, the coefficient sets
    added before the ReLU.

    Attributes:
        norm: the adapter's own LayerNorm, after the block's.
        down: A and a, (r, d) and (r,).
        cobot: the reweighting, or None for plain AdaptFormer.
        up: B and b, (d, r) and (d,); both start at 0, so that the branch is exactly 0
            (in the authors' code as well).
    """

    def __init__(self, d: int, shape: AdapterShape, cobot: CobotSite | None) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(d)
        self.down = nn.Linear(d, shape.rank)
        self.cobot = cobot
        self.dropout = nn.Dropout(shape.dropout)
        self.up = nn.Linear(shape.rank, d)
        self.alpha = shape.alpha
        nn.init.kaiming_uniform_(self.down.weight, a=math.sqrt(5))
        nn.init.zeros_(self.down.bias)
        nn.init.zeros_(self.up.weight)
        nn.init.zeros_(self.up.bias)

    def forward(self, x: Tensor) -> Tensor:
        """The branch for the MLP's own input (..., d), as (..., d)."""
        bottleneck = nn.functional.linear(self.norm(x), *self._down())
        branch: Tensor = self.up(self.dropout(nn.functional.relu(bottleneck)))
        return self.alpha * branch

    def _down(self) -> tuple[Tensor, Tensor]:
        """Weight (r, d) and bias (r,) of the down-projection, COBOT taken in, in float32."""
        weight, bias = self.down.weight, self.down.bias
        if self.cobot is None:
            return weight, bias
        with torch.autocast(weight.device.type, enabled=False):
            mixing = self.cobot()
            return mixing @ weight, mixing @ bias


class AdaptFormerMlp(nn.Module):
    """A frozen MLP with AdaptFormer beside it; stands where the MLP stood.

    Attributes:
        base: the MLP, d to d.
        adapter: the branch that is added.
    """

    def __init__(self, base: nn.Module, adapter: AdaptFormer) -> None:
        super().__init__()
        self.base = base
        self.adapter = adapter

    def forward(self, x: Tensor) -> Tensor:
        """Map (..., d) to (..., d)."""
        mlp: Tensor = self.base(x)
        branch: Tensor = self.adapter(x)
        return mlp + branch
