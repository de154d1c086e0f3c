"""Mount points: folders that another file system is attached to, and that nothing can replace."""

from __future__ import annotations

import os
import re
from pathlib import Path

from geocobot.errors import OutputError

_MOUNTS = Path("/proc/self/mountinfo")


def check_no_mount(path: str | Path) -> None:
    """Refuse a mount point as the place of a folder that is to appear whole, by a rename.

    Args:
        path: the folder to come.

    Raises:
        OutputError: something is mounted there.
    """
    target = Path(path)
    if os.path.ismount(target) or str(target.resolve()) in _mounted():
        raise OutputError(
            path,
            "is a mount point (a disk, a share or a container's volume)",
            "The finished folder takes its place at once, which no mount point allows",
            f"Name a folder inside it, such as --out {target / 'result'}",
        )


def _mounted() -> set[str]:
    """Mount points by Linux, which lists binds within one file system too; elsewhere none.

    The fifth field is the mount point, blanks in octal (proc_pid_mountinfo(5)).
    """
    try:
        lines = _MOUNTS.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return set()
    return {re.sub(r"\\(\d{3})", lambda m: chr(int(m[1], 8)), line.split()[4]) for line in lines}
