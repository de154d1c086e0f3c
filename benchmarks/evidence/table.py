"""The table: a CSV file with a row per run, to which several processes append."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias

import pandas as pd
from filelock import FileLock, Timeout

from evidence.grid import Purpose, Trial

Row: TypeAlias = Mapping[str, str]

ASKED = tuple(Trial.__dataclass_fields__)
FOUND = (
    "mean_iou", "iou", "everywhere_iou", "validation_iou", "thresholds", "tile_px",
    "steps_made", "views", "seconds", "stopped_by", "trained_parameters", "adapter_parameters",
    "cobot_parameters", "condition_s", "condition_s_max", "condition_w_max",
    "condition_s_by_epoch", "condition_w_by_epoch", "loss_spikes", "peak_gib", "machine", "commit",
)  # fmt: skip
COLUMNS = (*ASKED, *FOUND)


class MissingRunsError(ValueError):
    """What is asked for needs runs that are not made yet."""


class Table:
    """A CSV file that never holds half a row.

    A row is written at once, under a lock, and flushed to the disk. Where a machine went down in
    the middle of one, reading leaves it out and the next row takes its place.

    Args:
        path: the file; made with the first row.
        locks: folder for what processes tell each other; of this machine.
    """

    def __init__(self, path: Path, locks: Path) -> None:
        self.path = path
        self.locks = locks
        locks.mkdir(parents=True, exist_ok=True)

    def rows(self) -> list[Row]:
        """All whole rows.

        Raises:
            ValueError: the file has other columns.
        """
        whole = self._whole()
        if not whole:
            return []
        header, *lines = csv.reader(io.StringIO(whole.decode("utf-8"), newline=""))
        if tuple(header) != COLUMNS:
            raise ValueError(
                f"{self.path} has other columns than this version writes: move it away, or take "
                "the commit that its rows name"
            )
        return [dict(zip(header, line, strict=True)) for line in lines]

    def finished(self, trial: Trial) -> Row | None:
        """The row of a run, if it was made."""
        return find_row(self.rows(), trial)

    def append(self, trial: Trial, found: Mapping[str, object]) -> None:
        """Add the row of a run.

        Raises:
            ValueError: figures are missing or unknown.
        """
        if set(found) != set(FOUND):
            raise ValueError(f"a row has {', '.join(FOUND)}; found {', '.join(found)}")
        text = {name: "" if value is None else str(value) for name, value in found.items()}
        with FileLock(self.locks / "table.lock"):
            whole = self._whole()
            lines = [] if whole else [list(COLUMNS)]
            row = trial.key | text
            _replace_tail(self.path, len(whole), [*lines, [row[name] for name in COLUMNS]])

    @contextmanager
    def claim(self, trial: Trial) -> Iterator[bool]:
        """Whether this process may make a run: no other one is at it, and it is not made yet.

        A process that dies lets go of what it has claimed.
        """
        lock = FileLock(self.locks / f"{trial.name}.lock")
        try:
            lock.acquire(blocking=False)
        except Timeout:
            yield False
            return
        try:
            yield self.finished(trial) is None
        finally:
            lock.release()

    def _whole(self) -> bytes:
        """The file up to the end of its last whole row."""
        content = self.path.read_bytes() if self.path.is_file() else b""
        return content[: content.rfind(b"\n") + 1]


def find_row(rows: Sequence[Row], trial: Trial) -> Row | None:
    """The row of a run among rows."""
    return next((r for r in rows if all(r[n] == v for n, v in trial.key.items())), None)


def missing(rows: Sequence[Row], trials: Sequence[Trial]) -> list[Trial]:
    """The runs that have no row."""
    known = {tuple(row[name] for name in ASKED) for row in rows}
    return [trial for trial in trials if tuple(trial.key.values()) not in known]


def frame_of(rows: Sequence[Row], trials: Sequence[Trial], purpose: Purpose) -> pd.DataFrame:
    """The rows of runs as numbers.

    Args:
        rows: of the table.
        trials: which of them.
        purpose: that all of them have.

    Raises:
        ValueError: a run of another purpose.
        MissingRunsError: one without a row.
    """
    if {trial.purpose for trial in trials} - {purpose}:
        raise ValueError(f"runs of another purpose among those for {purpose}")
    if gaps := missing(rows, trials):
        raise MissingRunsError(f"{len(gaps)} of {len(trials)} runs are not made yet")
    by_key = {tuple(row[name] for name in ASKED): row for row in rows}
    chosen = [by_key[tuple(trial.key.values())] for trial in dict.fromkeys(trials)]
    frame = pd.DataFrame(chosen, columns=list(COLUMNS))
    for name in ("rank", "seed", "patches", "rate", "mean_iou", "everywhere_iou", "seconds",
                 "trained_parameters", "steps_made", "views", "condition_s_max",
                 "condition_w_max", "loss_spikes"):  # fmt: skip
        frame[name] = pd.to_numeric(frame[name])
    return frame


def _replace_tail(path: Path, kept_bytes: int, rows: Sequence[Sequence[str]]) -> None:
    """Cut a file off behind its whole rows and write more of them, in one piece."""
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows(rows)
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        os.ftruncate(descriptor, kept_bytes)
        os.pwrite(descriptor, text.getvalue().encode("utf-8"), kept_bytes)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
