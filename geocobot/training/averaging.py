"""A running average of the trained weights: what is validated and kept instead of the last step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

_DECAY = 0.995
_RAMP_STEPS = 10


class WeightAverage:
    """Exponential moving average of a model's trained parameters.

    Single steps on a handful of patches jump about the place they settle in; their average stands
    still (Polyak and Juditsky, 1992). It spans about the last ninth of the steps, 200 at most, so
    that a short run is not held back by its random start. Lightning's own callback copies frozen
    weights as well and writes them into every checkpoint.

    Args:
        model: its parameters with `requires_grad` are averaged.
    """

    def __init__(self, model: nn.Module) -> None:
        self._trained = {n: p for n, p in model.named_parameters() if p.requires_grad}
        self._average: dict[str, Tensor] = {}

    def update(self, step: int) -> None:
        """Take in the parameters as they are now.

        Args:
            step: optimizer steps done so far, from 1.
        """
        if not self._average:
            self._average = {n: p.detach().clone() for n, p in self._trained.items()}
            return
        decay = min(_DECAY, step / (step + _RAMP_STEPS - 1))
        averages = [self._average[n].to(p.device) for n, p in self._trained.items()]
        update: Any = get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call] # torch's
        update(averages, list(self._trained.values()), step)
        self._average = dict(zip(self._trained, averages, strict=True))

    @torch.no_grad()
    def swap(self) -> None:
        """Exchange the average and the parameters; once more, and both are where they were."""
        for name, average in self._average.items():
            parameter = self._trained[name]
            current = parameter.detach().clone()
            parameter.copy_(average)
            self._average[name] = current

    def state_dict(self) -> dict[str, Tensor]:
        """The average by the names of the parameters; empty before the first step."""
        return dict(self._average)

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Go on from an average that was saved."""
        self._average = dict(state)
