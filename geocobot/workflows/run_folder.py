"""Where a training run lives: under `<out>.partial` until it is finished, then under `<out>`."""

from __future__ import annotations

import json
import logging
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeAlias

from geocobot.config import PretrainOptions, TrainOptions
from geocobot.errors import OutputError, ResumeError
from geocobot.io.mounts import check_no_mount
from geocobot.io.output import check_output_folder, put_folder, refuse_within
from geocobot.io.unfinished import write_text
from geocobot.secrecy import values_without_secrets
from geocobot.settings import to_yaml
from geocobot.training.trainer import has_checkpoint, remove_checkpoints
from geocobot.workflows.resumed import changes, held, refuse_held

CONFIG_NAME = "config.yaml"
"""The resolved options of a run, as written into its folder."""

RunOptions: TypeAlias = TrainOptions | PretrainOptions
"""Options of the commands that a run folder is for."""

_STATE_NAME = "run.json"
_ALONE = "One process at a time trains into a folder"
# Options that change how a run goes on, but not what it is.
_FREE_TO_CHANGE = {
    *("resume", "overwrite", "out", "workers", "max_minutes", "epochs", "patience"),
    *("feature_cache_gb", "devices", "nodes", "report", "logger", "sample_patches"),
}

_log = logging.getLogger("geocobot.workflows")


@dataclass(frozen=True)
class RunFolder:
    """The folder of one training run.

    Attributes:
        target: where the finished run appears, whole.
        partial: where it grows, beside the target; an interrupted run stays there.
        resumed: whether an interrupted run is being continued.
        overwrite: whether a finished run at the target may be replaced.
        replaces: whether an interrupted run was there, which may be thrown away.
    """

    target: Path
    partial: Path
    resumed: bool
    overwrite: bool
    replaces: bool

    @classmethod
    def claim(
        cls, out: str | Path, inputs: Iterable[str] = (), *, resume: bool, overwrite: bool
    ) -> RunFolder:
        """Find out where a run goes, before any work; create nothing.

        Args:
            out: the folder of the finished run.
            inputs: what is read for it, none of which may lie there.
            resume: whether to go on with an interrupted run, if there is one.
            overwrite: whether a finished or an interrupted run may be replaced.

        Raises:
            OutputError: a finished or an interrupted run is there already, or the place cannot
                be written to, or an input lies there.
            ResumeError: the interrupted run is of another kind than what is asked for.
        """
        target = Path(out)
        if not target.name:  # "." and "/" have none
            target = target.absolute()
        partial = target.with_name(f"{target.name}.partial")
        check_no_mount(target)
        check_output_folder(target, overwrite, CONFIG_NAME)
        refuse_within(target, inputs)
        if not os.path.exists(partial):
            check_output_folder(partial, overwrite=False)
            if resume:
                _log.info("There is no interrupted run at %s: training starts anew.", partial)
            return cls(target, partial, resumed=False, overwrite=overwrite, replaces=False)
        if not resume and not overwrite:
            refuse_held(_lock_of(partial), partial, _ALONE)
            raise OutputError(
                partial,
                "holds an interrupted run",
                "geocobot does not throw work away unasked",
                "Pass --resume to go on with it, or --overwrite (-f) to start anew",
            )
        check_output_folder(partial, overwrite=True, marker=_STATE_NAME)
        resumed = resume and has_checkpoint(partial)
        if resume and not resumed:
            _log.info("%s was stopped before its first checkpoint: it starts anew.", partial)
        return cls(target, partial, resumed, overwrite, replaces=not resumed)

    def begun_options(self) -> Mapping[str, Any] | None:
        """What the interrupted run was begun with; None for a new one."""
        if not self.resumed:
            return None
        found: Mapping[str, Any] = json.loads((self.partial / _STATE_NAME).read_text("utf-8"))
        options: Mapping[str, Any] = found["options"]
        return options

    @contextmanager
    def begun(self, options: RunOptions, fingerprint: str) -> Iterator[None]:
        """Hold the folder inside the `with` block: made, or checked to be that of this run.

        Args:
            options: resolved options.
            fingerprint: checksum of what is learned from.

        Raises:
            ResumeError: options, scenes, labels or weights have changed since.
            OutputError: another process trains there, or has done so since, or the folder cannot
                be made.
        """
        with held(_lock_of(self.partial), self.partial, _ALONE, self._cannot_make):
            self._begin({"options": _fixed(options), "fingerprint": fingerprint})
            yield

    def _begin(self, state: Mapping[str, Any]) -> None:
        """Make the folder, or check that the interrupted run in it is this one."""
        # Asked again: another process may have been faster.
        check_output_folder(self.target, self.overwrite, CONFIG_NAME)
        if self.resumed:
            self._check_same(json.loads((self.partial / _STATE_NAME).read_text("utf-8")), state)
            return
        check_output_folder(self.partial, self.replaces, _STATE_NAME)
        shutil.rmtree(self.partial, ignore_errors=True)
        try:
            self.partial.mkdir(parents=True)
            (self.partial / _STATE_NAME).write_text(json.dumps(state), encoding="utf-8")
        except OSError as error:
            raise self._cannot_make(error) from error

    def _cannot_make(self, error: OSError) -> OutputError:
        """The error in the user's words."""
        return OutputError(
            self.partial,
            f"cannot be made ({error.strerror})",
            "A run grows there until it is finished",
            "Choose another --out, or free the place",
        )

    def finish(self, options: RunOptions) -> None:
        """Add the resolved options, put the folder in its place, drop what only a resume needs.

        Raises:
            OutputError: something has come to lie at the target since, or it cannot be renamed;
                the run can still be resumed.
        """
        check_output_folder(self.target, self.overwrite, CONFIG_NAME)
        write_text(self.partial / CONFIG_NAME, to_yaml(options), self.partial / CONFIG_NAME)
        put_folder(self.partial, self.target)
        remove_checkpoints(self.target)
        (self.target / _STATE_NAME).unlink()

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Tell how a run can go on that is interrupted inside the block, or by a full disk."""
        try:
            yield
        except (KeyboardInterrupt, OutputError):
            if has_checkpoint(self.partial):
                _log.warning(
                    "%s keeps the run up to its last checkpoint. To go on with it, repeat the "
                    "command with --resume.",
                    self.partial,
                )
            raise

    def _check_same(self, begun: Mapping[str, Any], asked: Mapping[str, Any]) -> None:
        """Refuse to go on with a run that is not the one asked for."""
        changed = [
            f"{name} (was {was!r})" for name, was, _ in changes(begun["options"], asked["options"])
        ]
        if not changed and begun["fingerprint"] == asked["fingerprint"]:
            return
        raise ResumeError(
            self.partial,
            f"was begun with other {', '.join(changed) or 'scenes, labels or weights'}",
            "A resumed run goes on with exactly what it was begun with",
            "Repeat the first command with --resume added, or start anew with --overwrite (-f)",
        )


def _lock_of(partial: Path) -> Path:
    """The file that is there while somebody trains into a folder."""
    return partial.with_name(f"{partial.name}.lock")


def _fixed(options: RunOptions) -> dict[str, Any]:
    """The options that make a run what it is, as JSON gives them back, without passwords."""
    given = asdict(options).items()
    kept = {n: values_without_secrets(v) for n, v in given if n not in _FREE_TO_CHANGE}
    return dict(json.loads(json.dumps(kept)))
