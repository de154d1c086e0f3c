"""Which code is running."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from geocobot._version import __version__
from geocobot.workflows import commit
from geocobot.workflows.commit import running_commit


def git(folder: Path, *words: str) -> str:
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.com"]
    asked = ["git", "-C", str(folder), *identity, *words]
    return subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    git(tmp_path, "init", "-q")
    (tmp_path / "geocobot").mkdir()
    (tmp_path / "geocobot" / "a.py").write_text("a = 1\n")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-q", "-m", "a")
    monkeypatch.setattr(commit, "_HOME", tmp_path)
    return tmp_path


def test_it_is_the_commit_of_the_checkout(checkout: Path) -> None:
    assert running_commit() == git(checkout, "rev-parse", "HEAD")


def test_changed_code_shows(checkout: Path) -> None:
    (checkout / "geocobot" / "a.py").write_text("a = 2\n")
    assert running_commit() == git(checkout, "rev-parse", "HEAD") + "+"


def test_what_lies_beside_the_code_does_not_matter(checkout: Path) -> None:
    (checkout / "notes.txt").write_text("x")
    assert running_commit() == git(checkout, "rev-parse", "HEAD")


def test_an_installed_package_knows_its_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commit, "_HOME", tmp_path)
    assert running_commit() == f"geocobot {__version__}"


def test_a_machine_without_git_knows_its_version(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    assert running_commit() == f"geocobot {__version__}"
