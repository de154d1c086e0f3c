"""What is to be said of somebody's scenes and labels."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import get_args

from geocobot.report.page import Level


@dataclass(frozen=True)
class Finding:
    """One thing to be said.

    Attributes:
        level: "stop" if training would be pointless, "warning" if it would suffer, "note" of what
            is good to know.
        text: one or two sentences: what was found, and what to do about it.
    """

    level: Level
    text: str


@dataclass
class Findings:
    """What has been found so far, each thing once.

    Attributes:
        said: in the order in which it came.
    """

    said: list[Finding] = field(default_factory=list)

    def say(self, level: Level, text: str) -> None:
        """Add a finding."""
        finding = Finding(level, text)
        if finding not in self.said:
            self.said.append(finding)

    def ordered(self) -> tuple[Finding, ...]:
        """What matters most first."""
        levels = get_args(Level)
        return tuple(sorted(self.said, key=lambda finding: levels.index(finding.level)))

    @contextmanager
    def listening(self, least: int) -> Iterator[None]:
        """Take what geocobot logs as findings, in place of showing it.

        Args:
            least: level of the least important notice that is taken.
        """
        log = logging.getLogger("geocobot")
        before = log.handlers, log.propagate, log.level
        log.handlers, log.propagate = [_Ear(self)], False
        log.setLevel(least)
        try:
            yield
        finally:
            log.handlers, log.propagate, log.level = before


class _Ear(logging.Handler):
    """Makes findings of notices."""

    def __init__(self, findings: Findings) -> None:
        super().__init__()
        self._findings = findings

    def emit(self, record: logging.LogRecord) -> None:
        """Take one notice."""
        level: Level = "warning" if record.levelno >= logging.WARNING else "note"
        self._findings.say(level, record.getMessage())
