from __future__ import annotations

import os
from pathlib import Path

import pytest

from geocobot.errors import OutputError
from geocobot.io import mounts
from geocobot.io.mounts import check_no_mount


def test_a_plain_folder_and_none_at_all_are_fine(tmp_path: Path) -> None:
    check_no_mount(tmp_path)
    check_no_mount(tmp_path / "to" / "come")


def test_the_root_is_a_mount_point() -> None:
    with pytest.raises(OutputError, match=r"^/ is a mount point.*such as --out /result"):
        check_no_mount("/")


def test_a_folder_bound_within_its_file_system_is_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bound = tmp_path / "my volume"
    bound.mkdir()
    table = tmp_path / "mountinfo"
    place = str(bound).replace(" ", "\\040")
    table.write_text(f"44 27 254:0 /a {place} rw,relatime - ext4 /dev/vda rw\n", encoding="utf-8")
    monkeypatch.setattr(mounts, "_MOUNTS", table)
    with pytest.raises(OutputError, match="my volume is a mount point"):
        check_no_mount(bound)
    monkeypatch.setattr(mounts, "_MOUNTS", tmp_path / "none")
    check_no_mount(bound)
    monkeypatch.setattr(os.path, "ismount", lambda path: Path(path) == bound)
    with pytest.raises(OutputError, match="my volume is a mount point"):
        check_no_mount(bound)
