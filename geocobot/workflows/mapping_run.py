"""Where the map of a scene grows until it is whole: in `<result>.partial`, beside its place."""

from __future__ import annotations

import json
import logging
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from geocobot.errors import (
    DeviceError,
    GeocobotError,
    OutputError,
    ResumeError,
    WorkerError,
)
from geocobot.inference.journal import RowJournal
from geocobot.io.output import check_output
from geocobot.io.unfinished import refused
from geocobot.workflows.moment import moment_now
from geocobot.workflows.resumed import changes, held, refuse_held
from geocobot.workflows.targets import Targets

_LOG = logging.getLogger("geocobot.workflows")

_STATE_NAME = "run.json"
_LOCK_NAME = "lock"
_ROWS_NAME = "rows"
_FILES_NAME = "files"
_CLOSING_NAME = "closing"

_ALONE = "One process at a time makes the map of a scene"


@dataclass(frozen=True)
class MappingRun:
    """The map of one scene on its way.

    Attributes:
        targets: the files to come.
        partial: where finished tile rows and unfinished files are kept.
        resumed: whether an interrupted run is being continued.
        overwrite: whether existing results may be replaced.
    """

    targets: Targets
    partial: Path
    resumed: bool
    overwrite: bool

    @classmethod
    def claim(cls, targets: Targets, *, resume: bool, overwrite: bool) -> MappingRun:
        """Find out before any work whether a map can be made; create nothing.

        Args:
            targets: the files to come.
            resume: whether to go on with an interrupted run, if there is one.
            overwrite: whether results, or an interrupted run, may be replaced.

        Raises:
            OutputError: results or an interrupted run are there already, or another process works
                there.
        """
        partial = targets.partial
        is_begun = os.path.isfile(partial / _STATE_NAME)
        if is_begun and not resume and not overwrite:
            refuse_held(partial / _LOCK_NAME, partial, _ALONE)
            raise OutputError(
                partial,
                "holds an interrupted run",
                "geocobot does not throw work away unasked",
                "Pass --resume to go on with it, or --overwrite (-f) to start anew",
            )
        resumed = resume and is_begun
        # Of a run that broke off while files got their names, some have theirs already.
        overwrite = overwrite or (resumed and os.path.isfile(partial / _CLOSING_NAME))
        for path in targets.paths():
            check_output(path, overwrite)
        return cls(targets, partial, resumed, overwrite)

    def begun_batch(self) -> int | None:
        """How many tiles at a time the interrupted run was begun with."""
        if not self.resumed:
            return None
        state = json.loads((self.partial / _STATE_NAME).read_text("utf-8"))
        found: int | None = state["identity"]["option"].get("batch_size")
        return found

    @contextmanager
    def begun(self, identity: Mapping[str, Any]) -> Iterator[OpenRun]:
        """Hold the place while the map is made; when the block ends well, nothing of it is left.

        Args:
            identity: all that the map follows from, as JSON.

        Raises:
            OutputError: another process works there, or the folder cannot be made.
            ResumeError: the interrupted run follows from something else.
        """
        is_over = False
        try:
            with held(self.partial / _LOCK_NAME, self.partial, _ALONE, self._cannot_write):
                try:
                    yield self._open(identity)
                except ResumeError:
                    raise
                except BaseException as error:
                    is_over = not self._is_kept(error, identity)
                    raise
                is_over = True
        finally:
            if is_over:
                shutil.rmtree(self.partial, ignore_errors=True)

    def _open(self, identity: Mapping[str, Any]) -> OpenRun:
        """Take up the interrupted run, or begin this one."""
        now: dict[str, Any] = json.loads(json.dumps(identity))
        try:
            state = self._recalled(now) if self.resumed else self._begin(now)
            shutil.rmtree(self.partial / _FILES_NAME, ignore_errors=True)
            for name in (_ROWS_NAME, _FILES_NAME):
                (self.partial / name).mkdir(exist_ok=True)
        except OSError as error:
            raise self._cannot_write(error) from error
        return OpenRun(
            self._journal,
            self.partial / _FILES_NAME,
            datetime.fromisoformat(state["begun"]),
            self.partial / _CLOSING_NAME,
        )

    def _cannot_write(self, error: OSError) -> OutputError:
        """The error in the user's words."""
        return OutputError(
            self.partial,
            f"cannot be written ({error.strerror})",
            "The map grows there until it is whole",
            "Free some space, or choose another --out",
        )

    @property
    def _journal(self) -> RowJournal:
        """Finished tile rows."""
        return RowJournal(self.partial / _ROWS_NAME)

    def _begin(self, now: Mapping[str, Any]) -> Mapping[str, Any]:
        """Forget what was there, and write down what this run follows from."""
        shutil.rmtree(self.partial / _ROWS_NAME, ignore_errors=True)
        (self.partial / _CLOSING_NAME).unlink(missing_ok=True)
        state = {"begun": moment_now().isoformat(timespec="seconds"), "identity": now}
        path = self.partial / _STATE_NAME
        temporary = path.with_suffix(".part")
        temporary.write_text(json.dumps(state), encoding="utf-8")
        temporary.replace(path)
        return state

    def _recalled(self, now: Mapping[str, Any]) -> Mapping[str, Any]:
        """What the interrupted run was begun with, which has to be this."""
        state: dict[str, Any] = json.loads((self.partial / _STATE_NAME).read_text("utf-8"))
        self._check_same(state["identity"], now)
        return state

    def _is_kept(self, error: BaseException, identity: Mapping[str, Any]) -> bool:
        """Whether a run that broke off can go on; say how."""
        n_finished = len(self._journal.finished())
        # What an earlier run has left is not this one's to throw away.
        if not n_finished or not (self.resumed or _can_go_on(error, identity)):
            return False
        _LOG.warning(
            "%s keeps %d finished tile rows. To go on with them, repeat the command with --resume.",
            self.partial,
            n_finished,
        )
        return True

    def _check_same(self, begun: Mapping[str, Any], now: Mapping[str, Any]) -> None:
        """Refuse to go on with the map of something else."""
        changed = [
            f"{group} {name} (was {_short(was)}, is {_short(now_is)})"
            for group, values in begun.items()
            for name, was, now_is in changes(values, now.get(group, {}))
        ]
        if changed:
            raise ResumeError(
                self.partial,
                f"was begun with another {', '.join(changed)}",
                "A resumed map goes on with exactly what it was begun with",
                "Repeat the first command with --resume added, or start anew with --overwrite (-f)",
            )


@dataclass(frozen=True)
class OpenRun:
    """The place of a map while it is made.

    Attributes:
        journal: of finished tile rows.
        files: folder for files that are not whole yet.
        begun: when the run was begun, the first time.
        closing: see `close`.
    """

    journal: RowJournal
    files: Path
    begun: datetime
    closing: Path

    def close(self) -> None:
        """Note that all files are written, and get their names next.

        Raises:
            OutputError: there is no room for the note.
        """
        try:
            self.closing.touch()
        except OSError as error:
            raise refused(self.closing, error) from error


def _can_go_on(error: BaseException, identity: Mapping[str, Any]) -> bool:
    """Whether the same command may come further than this time.

    A disk or a GPU may have room again; what is wrong with a file on this machine, options or the
    model needs another command.
    """
    is_remote = identity["scene"]["bytes"] is None
    goes_on = isinstance(error, DeviceError | OutputError | WorkerError)
    return is_remote or goes_on or not isinstance(error, GeocobotError)


def _short(value: Any) -> str:
    """A value for a message."""
    text = str(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
