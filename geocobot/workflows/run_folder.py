"""Where a training run lives: under `<out>.partial` until it is finished, then under `<out>`."""

from __future__ import annotations

import json
import logging
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeAlias

from geocobot.config import PretrainOptions, TrainOptions
from geocobot.errors import OutputError, ResumeError
from geocobot.io.mounts import check_no_mount
from geocobot.io.output import check_output_folder, put_folder
from geocobot.secrecy import values_without_secrets
from geocobot.settings import to_yaml
from geocobot.training.trainer import has_checkpoint, remove_checkpoints

CONFIG_NAME = "config.yaml"
"""The resolved options of a run, as written into its folder."""

RunOptions: TypeAlias = TrainOptions | PretrainOptions
"""Options of the commands that a run folder is for."""

_STATE_NAME = "run.json"
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
    """

    target: Path
    partial: Path
    resumed: bool
    overwrite: bool

    @classmethod
    def claim(cls, out: str | Path, *, resume: bool, overwrite: bool) -> RunFolder:
        """Find out where a run goes, before any work; create nothing.

        Args:
            out: the folder of the finished run.
            resume: whether to go on with an interrupted run, if there is one.
            overwrite: whether a finished or an interrupted run may be replaced.

        Raises:
            OutputError: a finished or an interrupted run is there already, or the place cannot
                be written to.
            ResumeError: the interrupted run is of another kind than what is asked for.
        """
        target = Path(out)
        if not target.name:  # "." and "/" have none
            target = target.absolute()
        partial = target.with_name(f"{target.name}.partial")
        check_no_mount(target)
        check_output_folder(target, overwrite, CONFIG_NAME)
        if not os.path.exists(partial):
            check_output_folder(partial, overwrite=False)
            if resume:
                _log.info("There is no interrupted run at %s: training starts anew.", partial)
            return cls(target, partial, resumed=False, overwrite=overwrite)
        if not resume and not overwrite:
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
        return cls(target, partial, resumed, overwrite)

    def begin(self, options: RunOptions, fingerprint: str) -> None:
        """Make the folder, or check that the interrupted run in it is this one.

        Args:
            options: resolved options.
            fingerprint: checksum of what is learned from.

        Raises:
            ResumeError: options, scenes, labels or weights have changed since.
            OutputError: the folder cannot be made.
        """
        state = {"options": _fixed(options), "fingerprint": fingerprint}
        if self.resumed:
            self._check_same(json.loads((self.partial / _STATE_NAME).read_text("utf-8")), state)
            return
        shutil.rmtree(self.partial, ignore_errors=True)
        try:
            self.partial.mkdir(parents=True)
            (self.partial / _STATE_NAME).write_text(json.dumps(state), encoding="utf-8")
        except OSError as error:
            raise OutputError(
                self.partial,
                f"cannot be made ({error.strerror})",
                "A run grows there until it is finished",
                "Choose another --out, or free the place",
            ) from error

    def finish(self, options: RunOptions) -> None:
        """Add the resolved options, put the folder in its place, drop what only a resume needs.

        Raises:
            OutputError: something has come to lie at the target since, or it cannot be renamed;
                the run can still be resumed.
        """
        check_output_folder(self.target, self.overwrite, CONFIG_NAME)
        (self.partial / CONFIG_NAME).write_text(to_yaml(options), encoding="utf-8")
        put_folder(self.partial, self.target)
        remove_checkpoints(self.target)
        (self.target / _STATE_NAME).unlink()

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Tell whoever interrupts the run inside the `with` block how it can go on."""
        try:
            yield
        except KeyboardInterrupt:
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
            f"{name} (was {value!r})"
            for name, value in begun["options"].items()
            if asked["options"].get(name) != value
        ]
        if not changed and begun["fingerprint"] == asked["fingerprint"]:
            return
        raise ResumeError(
            self.partial,
            f"was begun with other {', '.join(changed) or 'scenes, labels or weights'}",
            "A resumed run goes on with exactly what it was begun with",
            "Repeat the first command with --resume added, or start anew with --overwrite (-f)",
        )


def _fixed(options: RunOptions) -> dict[str, Any]:
    """The options that make a run what it is, as JSON gives them back, without passwords."""
    given = asdict(options).items()
    kept = {n: values_without_secrets(v) for n, v in given if n not in _FREE_TO_CHANGE}
    return dict(json.loads(json.dumps(kept)))
