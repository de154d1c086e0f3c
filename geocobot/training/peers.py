"""The processes that train together: who is who, and what they tell each other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from lightning.fabric.plugins.environments.cluster_environment import ClusterEnvironment
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from torch import Tensor

# One may fit the readers of a head, write a checkpoint or read a slow disk while others wait.
_PATIENCE = timedelta(minutes=30)


@dataclass(frozen=True)
class Seat:
    """Which of the processes that train together this one is.

    Attributes:
        number: among all, from 0; the first one writes logs and checkpoints.
        local: among those of its node, from 0; it computes on the GPU of this number.
        node: its node, from 0.
        devices: processes on each node.
        nodes: how many nodes there are.
    """

    number: int = 0
    local: int = 0
    node: int = 0
    devices: int = 1
    nodes: int = 1

    @property
    def of(self) -> int:
        """How many processes there are in all."""
        return self.devices * self.nodes

    @property
    def is_first(self) -> bool:
        """Whether this is the process that writes."""
        return self.number == 0


class Peers:
    """What the processes that train together tell each other; of one, what it tells itself.

    All of them have to call the same methods in the same order.

    Args:
        seat: of this process.
    """

    def __init__(self, seat: Seat) -> None:
        self.seat = seat
        # For what lies in the memory of the CPU: NCCL sends from GPUs alone, and waiting for one
        # in every step would slow it down.
        self._group: Any = None
        if seat.of > 1:
            is_gloo = dist.get_backend() == "gloo"
            self._group = dist.group.WORLD if is_gloo else dist.new_group(backend="gloo")

    def mean(self, value: Tensor) -> Tensor:
        """The mean of a tensor over all processes, on the device where it is."""
        if self.seat.of == 1:
            return value
        summed = value.detach().clone()
        dist.all_reduce(summed)
        return summed / self.seat.of

    def total(self, counts: Tensor) -> Tensor:
        """The sum of a tensor on the CPU over all processes."""
        if self.seat.of == 1:
            return counts
        summed = counts.clone()
        dist.all_reduce(summed, group=self._group)
        return summed

    def as_first_says(self, values: Sequence[float]) -> list[float]:
        """Numbers as the first process has them."""
        said = torch.tensor(values, dtype=torch.float64)
        if self.seat.of > 1:
            dist.broadcast(said, 0, group=self._group)
        found: list[float] = said.tolist()
        return found

    def gathered(self, value: Any) -> list[Any]:
        """What each process has, in their order."""
        if self.seat.of == 1:
            return [value]
        found: list[Any] = [None] * self.seat.of
        dist.all_gather_object(found, value, group=self._group)
        return found

    def environment(self) -> ClusterEnvironment:
        """What Lightning has to know of the processes.

        Always named, because Lightning otherwise takes hints of a cluster from the environment.
        """
        return LightningEnvironment() if self.seat.of == 1 else _Environment(self.seat)


@contextmanager
def joined(seat: Seat, store: Any, device_type: str) -> Iterator[Peers]:
    """Meet the other processes, and part from them at the end of the `with` block.

    Args:
        seat: of this process.
        store: where they meet, one of torch's.
        device_type: where all of them compute.
    """
    gpu = torch.device("cuda", seat.local) if device_type == "cuda" else None
    dist.init_process_group(
        "gloo" if gpu is None else "nccl",
        store=store,
        rank=seat.number,
        world_size=seat.of,
        timeout=_PATIENCE,
        device_id=gpu,
    )
    yield Peers(seat)
    # Not after an error: NCCL would wait for processes that are gone.
    dist.destroy_process_group()


class _Environment(ClusterEnvironment):
    """Tells Lightning of processes that are started and have met already.

    Args:
        seat: of this process.
    """

    def __init__(self, seat: Seat) -> None:
        super().__init__()
        self._seat = seat

    @property
    def creates_processes_externally(self) -> bool:
        """Lightning starts none."""
        return True

    @property
    def main_address(self) -> str:
        """Nobody asks for it: the processes have met."""
        raise RuntimeError("processes that have met need no address")

    @property
    def main_port(self) -> int:
        """Nobody asks for it: the processes have met."""
        raise RuntimeError("processes that have met need no address")

    @staticmethod
    def detect() -> bool:
        """It is named, never found."""
        return False

    def world_size(self) -> int:
        """How many processes there are."""
        return self._seat.of

    def set_world_size(self, size: int) -> None:
        """It is known."""

    def global_rank(self) -> int:
        """Number of this process."""
        return self._seat.number

    def set_global_rank(self, rank: int) -> None:
        """It is known."""

    def local_rank(self) -> int:
        """Number of this process on its node."""
        return self._seat.local

    def node_rank(self) -> int:
        """Number of its node."""
        return self._seat.node


ALONE = Peers(Seat())
"""One process that trains by itself."""
