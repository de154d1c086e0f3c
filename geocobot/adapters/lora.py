"""LoRA on the q and v parts of a fused qkv projection, with or without COBOT."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from geocobot.adapters.cobot import CobotSite
from geocobot.adapters.config import AdapterInit, AdapterShape
from geocobot.adapters.part import AdapterPart


class LoraDelta(AdapterPart):
    """What one site adds to a frozen projection: alpha * B W diag(gamma + C S) A x.

    Linear in x. Hu et al., arXiv 2106.09685; with COBOT, Eq. 17 of arXiv 2311.17112.

    Attributes:
        A: (r, d_in), down-projection.
        B: (d_out, r), up-projection; starts at 0, so that the delta is exactly 0 ("published"
            starts it by Xavier, as the authors' code does).
        cobot: the reweighting between the two, or None for plain LoRA.
    """

    def __init__(
        self,
        d_in: int,
        d_out: int,
        shape: AdapterShape,
        init: AdapterInit,
        cobot: CobotSite | None,
    ) -> None:
        super().__init__()
        self.A = nn.Parameter(torch.empty(shape.rank, d_in))
        self.B = nn.Parameter(torch.zeros(d_out, shape.rank))
        nn.init.kaiming_uniform_(self.A, a=math.sqrt(5))
        if init == "published":
            nn.init.xavier_uniform_(self.B)
        self.cobot = cobot
        self.dropout = nn.Dropout(shape.dropout)
        self.alpha = shape.alpha

    def forward(self, x: Tensor) -> Tensor:
        """The delta for activations (..., d_in), as (..., d_out)."""
        bottleneck = nn.functional.linear(x, self.A)
        if self.cobot is not None:
            bottleneck = self.cobot(bottleneck)
        return nn.functional.linear(self.alpha * self.dropout(bottleneck), self.B)


class FusedQkvLora(nn.Module):
    """A frozen fused qkv projection with LoRA on q and v; stands where the projection stood.

    Attributes:
        base: the projection, d to 3 d, in the order q, k, v.
        q: what is added to q.
        v: what is added to v.
    """

    def __init__(self, base: nn.Linear, q: LoraDelta, v: LoraDelta) -> None:
        super().__init__()
        self.base = base
        self.q = q
        self.v = v

    def forward(self, x: Tensor) -> Tensor:
        """Project (..., d) to (..., 3 d)."""
        q, k, v = self.base(x).chunk(3, dim=-1)
        return torch.cat((q + self.q(x), k, v + self.v(x)), dim=-1)
