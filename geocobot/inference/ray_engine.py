"""Tile rows computed by the nodes of a Ray cluster that see the same folders.

To be imported where a cluster is asked for: Ray is an extra.
"""

from __future__ import annotations

import logging
import pickle
import socket
import threading
from collections import Counter, deque
from collections.abc import Callable, Generator, Sequence
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import ray

from geocobot.ahead import PATIENCE_S
from geocobot.errors import GeocobotError, OutputError, WorkerError
from geocobot.inference.batch import usual_batch
from geocobot.inference.blended_row import BlendedRow
from geocobot.inference.engines import in_order
from geocobot.inference.lanes import Lanes
from geocobot.inference.predictor import PredictorSource
from geocobot.inference.row_maker import RowMaker
from geocobot.inference.rows import RowWork
from geocobot.models.precision import Compute

_LOG = logging.getLogger("geocobot.inference")

_ATTEMPTS = 4
_PATIENCE_S = 10.0
_IN_FLIGHT = 2
"""Rows that an actor has at a time: the one it computes, and the one it begins with next."""


class RayEngine:
    """Computes in actors of a Ray cluster, each of which holds the model; use it as a context.

    Rows go to whoever is free. What an actor had not finished when its node ended goes to the
    others; a new actor takes its place as soon as the cluster has room for it.

    Args:
        source: the model; its files lie where all nodes see them.
        compute: where, and how exactly.
        actors: how many, a GPU or `threads` CPUs each.
        threads: of each.
        address: of the cluster; None starts one on this machine, for this process alone.
    """

    def __init__(
        self,
        source: PredictorSource,
        compute: Compute,
        actors: int,
        threads: int,
        address: str | None,
    ) -> None:
        self.threads, self.batches = Lanes(compute, threads).threads, 0
        self._compute = compute
        self._address = address
        self._crew = _Crew(source, compute, actors, threads)

    def fitting_batch(self, image_shape: tuple[int, int, int]) -> int:
        """The usual number: nodes may differ, and all have to use the same."""
        return usual_batch(self._compute, image_shape)

    def __enter__(self) -> Self:
        """Join the cluster.

        Raises:
            WorkerError: no cluster answers at the address.
        """
        try:
            _knock(self._address)
            ray.init(
                address=self._address,
                include_dashboard=None if self._address else False,
                log_to_driver=False,
                logging_level=logging.ERROR,
            )
        except (OSError, ValueError, RuntimeError) as error:
            raise WorkerError(
                f"--address {self._address}",
                f"leads to no Ray cluster ({str(error).splitlines()[0]})",
                "It names the head node of a cluster that runs, such as 10.0.0.1:6379, or is auto",
                "Start one with: ray start --head",
            ) from error
        try:
            self._crew.check_room()
        except WorkerError:
            ray.shutdown()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Leave the cluster, which ends this process's actors."""
        ray.shutdown()

    def rows(
        self, work: RowWork, numbers: Sequence[int], told: Callable[[int], None]
    ) -> Generator[BlendedRow]:
        """Compute rows of a scene; see `Engine`."""
        return in_order(work, numbers, partial(self._finished, work, numbers), told)

    def _finished(
        self, work: RowWork, numbers: Sequence[int], is_left: threading.Event
    ) -> Generator[int]:
        """Hand rows out; the numbers of those that are in the journal, as they come."""
        waiting, attempts = deque(numbers), Counter[int]()
        crew = self._crew
        crew.begin(work)
        try:
            while (waiting or crew.running) and not is_left.is_set():
                crew.fill(len(waiting))
                for actor in crew.free():
                    if waiting:
                        attempts[waiting[0]] += 1
                        crew.ask(actor, waiting.popleft())
                number, is_made = crew.next_answer()
                if number is None:
                    continue
                if is_made:
                    yield number
                elif attempts[number] == _ATTEMPTS:
                    raise _ended(f"Tile row {number}")
                else:
                    waiting.appendleft(number)
        finally:
            crew.stop()


def _knock(address: str | None) -> None:
    """Fail at once where nobody answers: Ray itself goes on trying for many minutes."""
    host, _, port = (address or "").rpartition("://")[2].rpartition(":")
    if host and port.isdigit():
        socket.create_connection((host, int(port)), _PATIENCE_S).close()


class _Crew:
    """The actors: those that are still to come, those that are ready, and what they are at."""

    def __init__(
        self, source: PredictorSource, compute: Compute, actors: int, threads: int
    ) -> None:
        self._made = partial(RowMaker, source, compute, threads)
        self._n_actors = actors
        self._room = {"num_gpus": 1} if compute.device.type == "cuda" else {"num_cpus": threads}
        self._joining: dict[Any, Any] = {}
        self._ready: list[Any] = []
        self.running: dict[Any, tuple[Any, int]] = {}
        self._lost = 0
        self._folder = ""
        self._packed: Any = None

    def check_room(self) -> None:
        """Refuse actors that no node has room for, which would be waited for without end.

        Raises:
            WorkerError: there is no such node.
        """
        for asked, amount in self._room.items():
            kind = asked.removeprefix("num_").upper().removesuffix("S")  # CPU, GPU
            nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]
            most = max((node.get(kind, 0) for node in nodes), default=0)
            if most < amount:
                raise WorkerError(
                    "--engine ray",
                    f"finds no node with {amount} {kind}s (the largest has {most:g})",
                    "Each part of the engine works on one node, with a GPU or as many cores as it "
                    "has --threads",
                    "Pass fewer --threads, or another --device",
                )

    def begin(self, work: RowWork) -> None:
        """Turn to a scene: who is there has to see its folder too."""
        self._folder = str(work.folder)
        self._packed = ray.put(pickle.dumps(work))
        self._lost = 0
        for actor in self._ready:
            self._joining[actor.join.remote(self._folder)] = actor
        self._ready = []

    def fill(self, n_rows: int) -> None:
        """Ask the cluster for the actors that are missing, and never for more than rows."""
        there = len(self._ready) + len(self._joining)
        for _ in range(min(self._n_actors, n_rows + len(self.running)) - there):
            actor: Any = ray.remote(_Actor).options(max_restarts=0, **self._room).remote(self._made)
            self._joining[actor.join.remote(self._folder)] = actor

    def free(self) -> list[Any]:
        """Who takes rows, those who have none first."""
        has = Counter(id(actor) for actor, _ in self.running.values())
        return [a for k in range(_IN_FLIGHT) for a in self._ready if has[id(a)] <= k]

    def ask(self, actor: Any, number: int) -> None:
        """Have an actor compute a row after those it has."""
        self.running[actor.make.remote(self._packed, number)] = actor, number

    def next_answer(self) -> tuple[int | None, bool]:
        """Wait a while for something: the row it is about, if any, and whether it is made.

        Raises:
            GeocobotError: what stopped a row.
            WorkerError: actors end before they are ready, again and again.
        """
        events = [*self._joining, *self.running]
        happened, _ = ray.wait(events, num_returns=1, timeout=PATIENCE_S)
        if not happened:
            return None, False
        event = happened[0]
        is_joining = event in self._joining
        actor, number = (self._joining.pop(event), None) if is_joining else self.running.pop(event)
        try:
            ray.get(event)
        except ray.exceptions.RayActorError as error:
            _LOG.warning("A node or a process has ended: %s", str(error).splitlines()[0])
            self._dismiss(actor)
            self._lost += is_joining
            if self._lost == _ATTEMPTS * self._n_actors:
                raise _ended("The work of an actor") from error
            return number, False
        except ray.exceptions.RayTaskError as error:
            raise error.cause if isinstance(error.cause, GeocobotError) else error from None
        if is_joining:
            self._ready.append(actor)
        return number, True

    def stop(self) -> None:
        """End all actors that are at something: a row is in the journal whole or not at all."""
        for actor in [actor for actor, _ in self.running.values()] + [*self._joining.values()]:
            self._dismiss(actor)
        self.running.clear()
        self._joining.clear()

    def _dismiss(self, actor: Any) -> None:
        """End an actor."""
        self._ready = [other for other in self._ready if other is not actor]
        ray.kill(actor)


class _Actor:
    """Computes on a node; the model is loaded once, and not before an error can be told."""

    def __init__(self, made: Callable[[], RowMaker]) -> None:
        self._maker: RowMaker | None = None
        self._made = made

    def join(self, folder: str) -> None:
        """Load the model, and refuse a folder that is not there on this node."""
        if not Path(folder).is_dir():
            raise OutputError(
                folder,
                "is not there on a node of the cluster",
                "Finished tile rows are kept there, and every node has to see them",
                "Choose an --out on storage that all nodes share, under the same path",
            )
        if self._maker is None:
            self._maker = self._made()

    def make(self, packed: bytes, number: int) -> None:
        """Compute a row and keep it in the journal."""
        assert self._maker is not None
        self._maker.make(packed, number)


def _ended(subject: str) -> WorkerError:
    """What to say of what nobody lives to finish."""
    return WorkerError(
        subject,
        f"was begun {_ATTEMPTS} times, and each time the node or the process ended before it was "
        f"done",
        "An actor needs memory for the model and a batch of tiles; a node that runs out of it ends "
        "processes",
        "Repeat the command with --resume, and a smaller --batch-size or more memory per node",
    )
