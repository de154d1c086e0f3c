"""Low-rank adapters on linear layers: LoRA and DoRA, with or without COBOT."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from geocobot.adapters.cobot import CobotSite
from geocobot.adapters.config import AdapterShape
from geocobot.adapters.part import AdapterPart
from geocobot.config.values import AdapterInit

# Norms of weights are divided by; a row of zeros has none.
_LEAST_NORM = 1e-12


class LowRank(AdapterPart):
    """The low-rank part of one site: U A with U = alpha * B W diag(gamma + C S).

    Hu et al., arXiv 2106.09685; with COBOT, Eq. 17 of arXiv 2311.17112.

    Attributes:
        A: (r, d_in), down-projection.
        B: (d_out, r), up-projection; starts at 0, so that the site adds exactly 0 ("published"
            starts it by Xavier, as the authors' code does).
        cobot: the reweighting between the two, or None without COBOT.
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
        self.alpha = shape.alpha

    def up(self) -> Tensor:
        """U, (d_out, r): everything after the down-projection as one matrix, in float32."""
        scaled = self.alpha * self.B
        # Autocast would round gamma, C, S and W to bfloat16 before they meet.
        with torch.autocast(scaled.device.type, enabled=False):
            return scaled if self.cobot is None else scaled @ self.cobot()


class AdaptedLinear(nn.Module, ABC):
    """A frozen linear layer with low-rank parts on some of its outputs; stands where it stood.

    All parts share one product down and one up, so that a fused projection costs no more passes
    over the tokens than a single one.

    Args:
        base: the layer, d_in to d_out.
        parts: by name.
        rows: the outputs of the layer that each part adds to, in order; empty for all.
        dropout: share of bottleneck activations dropped in training.
    """

    def __init__(
        self,
        base: nn.Linear,
        parts: Mapping[str, LowRank],
        rows: Mapping[str, Sequence[range]],
        dropout: float,
    ) -> None:
        super().__init__()
        self.base = base
        for name, part in parts.items():
            self.add_module(name, part)
        self.rows = {name: tuple(rows[name]) for name in parts}
        self.dropout = nn.Dropout(dropout)

    @property
    def parts(self) -> dict[str, LowRank]:
        """The low-rank parts by name."""
        return {n: m for n, m in self.named_children() if isinstance(m, LowRank)}

    @abstractmethod
    def merged_weight(self) -> Tensor:
        """The weight (d_out, d_in) of the plain layer that gives the same outputs, in float64."""

    def add_delta(self, frozen: Tensor, x: Tensor) -> Tensor:
        """Add U A x of every part.

        Args:
            frozen: (..., d_out), what the layer itself gives.
            x: (..., d_in), its input.
        """
        parts = self.parts
        down = torch.cat([part.A for part in parts.values()])
        up = torch.cat([self.spread(name, part.up()) for name, part in parts.items()], dim=1)
        bottleneck = self.dropout(nn.functional.linear(x, down)).to(frozen.dtype)
        # One pass that reads and writes the outputs, where a sum after a product needs two.
        rows = frozen.reshape(-1, frozen.shape[-1])
        added = torch.addmm(rows, bottleneck.reshape(-1, up.shape[1]), up.T.to(frozen.dtype))
        return added.view(frozen.shape)

    def spread(self, name: str, values: Tensor, fill: float = 0.0) -> Tensor:
        """Put a part's values (n, ...) to its rows of the layer, (d_out, ...)."""
        ranges, d_out = self.rows[name], self.base.out_features
        if not ranges:
            return values
        if len(ranges) == 1:
            around = (ranges[0].start, d_out - ranges[0].stop)
            padding = (0, 0) * (values.dim() - 1) + around
            return nn.functional.pad(values, padding, value=fill)
        index = torch.tensor([row for rows in ranges for row in rows], device=values.device)
        whole = values.new_full((d_out, *values.shape[1:]), fill)
        return whole.index_copy(0, index, values)

    def delta(self) -> Tensor:
        """U A of all parts as one matrix (d_out, d_in), in float64."""
        total = torch.zeros_like(self.base.weight, dtype=torch.float64)
        for name, part in self.parts.items():
            total += self.spread(name, part.up().double() @ part.A.double())
        return total


class LoraLinear(AdaptedLinear):
    """A frozen linear layer with LoRA: y = base(x) + U A x."""

    def forward(self, x: Tensor) -> Tensor:
        """Map (..., d_in) to (..., d_out)."""
        frozen: Tensor = self.base(x)
        return self.add_delta(frozen, x)

    @torch.no_grad()
    def merged_weight(self) -> Tensor:
        """W + U A, (d_out, d_in) in float64."""
        return self.base.weight.double() + self.delta()


class DoraPart(LowRank):
    """A low-rank part whose outputs also have a magnitude.

    Attributes:
        magnitude: (d_out,), m; its layer starts it at the norms of the frozen rows.
    """

    magnitude: nn.Parameter


class DoraLinear(AdaptedLinear):
    """A frozen linear layer with DoRA: every adapted row keeps a direction and a magnitude.

    y = m (W + U A) x / |W + U A| + bias, the norm taken of each row and held constant in the
    backward pass. Liu et al., "DoRA", arXiv 2402.09353, Eq. 5 and 11.
    """

    def __init__(
        self,
        base: nn.Linear,
        parts: Mapping[str, DoraPart],
        rows: Mapping[str, Sequence[range]],
        dropout: float,
    ) -> None:
        super().__init__(base, parts, rows, dropout)
        for name, part in parts.items():
            # At the start U may be non-zero ("published"), and magnitudes are the frozen ones.
            norms = torch.linalg.vector_norm(self._rows_of(name, base.weight.detach()), dim=1)
            part.magnitude = nn.Parameter(norms)

    @property
    def dora_parts(self) -> dict[str, DoraPart]:
        """The parts with their magnitudes, by name."""
        return {n: m for n, m in self.named_children() if isinstance(m, DoraPart)}

    def forward(self, x: Tensor) -> Tensor:
        """Map (..., d_in) to (..., d_out)."""
        frozen: Tensor = self.base(x)
        # The product is rounded, not the scale: in bfloat16 1.003 would be 1.
        scale = self.scale()
        scaled: Tensor = self.add_delta(frozen, x) * scale
        if self.base.bias is not None:
            # It went through the scaling, which is not for it: exactly 0 where the scale is 1.
            scaled = scaled + (1 - scale) * self.base.bias
        return scaled.to(frozen.dtype)

    def scale(self) -> Tensor:
        """Factor m / |W + U A| of every output, (d_out,); 1 where nothing is adapted."""
        total = None
        for name, part in self.dora_parts.items():
            norm = self._norm(name, part).clamp(min=_LEAST_NORM)
            factor = self.spread(name, part.magnitude / norm, fill=1.0)
            total = factor if total is None else total * factor
        if total is None:
            raise AssertionError("an adapted layer has a part")
        return total

    @torch.no_grad()
    def merged_weight(self) -> Tensor:
        """Weight m (W + U A) / |W + U A|, (d_out, d_in) in float64."""
        weight = self.base.weight.double() + self.delta()
        return weight * self.scale().double()[:, None]

    @torch.no_grad()
    def _norm(self, name: str, part: DoraPart) -> Tensor:
        """|W + U A| of each of a part's rows, (n,)."""
        with torch.autocast(part.A.device.type, enabled=False):
            moved = self._rows_of(name, self.base.weight) + part.up() @ part.A
            norms: Tensor = torch.linalg.vector_norm(moved, dim=1)
            return norms

    def _rows_of(self, name: str, weight: Tensor) -> Tensor:
        """A part's rows (n, d_in) of the layer's weight (d_out, d_in)."""
        ranges = self.rows[name]
        if not ranges:
            return weight
        slices = [weight[rows.start : rows.stop] for rows in ranges]
        return slices[0] if len(slices) == 1 else torch.cat(slices)
