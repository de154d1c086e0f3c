"""Which code is running."""

from __future__ import annotations

import subprocess
from pathlib import Path

from geocobot._version import __version__

_HOME = Path(__file__).resolve().parents[2]


def running_commit() -> str:
    """The commit that this code was checked out from, "+" behind it where it was changed since.

    Outside a checkout, or without git, the version has to do.
    """
    if not (_HOME / ".git").exists():
        return f"geocobot {__version__}"
    try:
        head = _git("rev-parse", "HEAD")
        changed = _git("status", "--porcelain", "--", "geocobot")
    except (OSError, subprocess.SubprocessError):
        return f"geocobot {__version__}"
    return f"{head}+" if changed else head


def _git(*words: str) -> str:
    """What git says."""
    asked = ["git", "-C", str(_HOME), *words]
    done = subprocess.run(asked, capture_output=True, text=True, check=True, timeout=60)  # noqa: S603 # our own words
    return done.stdout.strip()
