"""Random numbers of a batch: one per sample, from one generator."""

from __future__ import annotations

import math

import torch
from torch import Tensor


class Dice:
    """Draws for every sample of a batch.

    Numbers are drawn on the CPU and moved, so that a GPU sees the same places; the noise in them
    is drawn where it is wanted, because there is so much of it. Nothing waits for a move: a GPU is
    as fast as the CPU can tell it what to do.

    Args:
        generator: on the CPU.
        n: samples in the batch.
        device: where the numbers are wanted.
    """

    def __init__(self, generator: torch.Generator, n: int, device: torch.device) -> None:
        self.generator = generator
        self.n = n
        self.device = device

    def uniform(self, low: float, high: float, *more: int) -> Tensor:
        """Evenly distributed numbers, (n, 1, 1), or (n, *more)."""
        drawn = torch.rand(self.n, *(more or (1, 1)), generator=self.generator)
        return self._moved(low + (high - low) * drawn)

    def log_uniform(self, low: float, high: float) -> Tensor:
        """Numbers whose logarithm is evenly distributed, (n, 1, 1)."""
        return self.uniform(math.log(low), math.log(high)).exp()

    def chance(self, share: float) -> Tensor:
        """True with a probability, (n, 1, 1) bool."""
        return self.uniform(0.0, 1.0) < share

    def normal(self, *more: int) -> Tensor:
        """Standard normal numbers, (n, 1, 1), or (n, *more)."""
        return self._moved(torch.randn(self.n, *(more or (1, 1)), generator=self.generator))

    def noise(self, *more: int) -> Tensor:
        """Standard normal numbers, (n, *more), other ones on other devices."""
        seed = int(torch.randint(2**62, (), generator=self.generator))
        own = torch.Generator(self.device).manual_seed(seed)
        return torch.randn(self.n, *more, generator=own, device=self.device)

    def rows(self, table: Tensor, *more: int) -> Tensor:
        """Rows of a table (R, C), any of them for every sample, (n, *more, C)."""
        picked = torch.randint(len(table), (self.n, *more), generator=self.generator)
        return self._moved(table[picked])

    def _moved(self, numbers: Tensor) -> Tensor:
        """The numbers where they are wanted, on the way there at least."""
        return numbers.to(self.device, non_blocking=True)
