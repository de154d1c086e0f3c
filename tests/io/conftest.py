"""Fixtures of the tests that write files."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture
def fill_the_disk() -> Callable[[Path, str], dict[str, list[int]]]:
    """Write a file of `full_disk.KINDS` with less and less room; say what became of it."""
    pytest.importorskip("resource", reason="Windows cannot limit the size of files")

    def run(folder: Path, kind: str) -> dict[str, list[int]]:
        script = Path(__file__).with_name("full_disk.py")
        command = [sys.executable, str(script), str(folder), kind]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        return dict(json.loads(done.stdout))

    return run
