"""Finished tile rows on the disk."""

from __future__ import annotations

import errno
import os

import numpy as np
import pytest

from geocobot.errors import OutputError
from geocobot.inference.blend import BlendedRow
from geocobot.inference.journal import RowJournal


def make_row(seed=0, above=16, below=16, width=70, own=np.uint8):
    rng = np.random.default_rng(seed)
    return BlendedRow(
        row_off=48 * seed,
        above=rng.integers(-32768, 32767, (2, above, width), dtype=np.int16),
        own=rng.integers(0, 255, (2, 32, width), dtype=own),
        below=rng.integers(-32768, 32767, (2, below, width), dtype=np.int16),
    )


def assert_same(row, other):
    assert row.row_off == other.row_off
    for name in ("above", "own", "below"):
        kept, found = getattr(row, name), getattr(other, name)
        assert kept.dtype == found.dtype
        assert np.array_equal(kept, found)


@pytest.fixture
def journal(tmp_path):
    return RowJournal(tmp_path)


def test_rows_come_back_as_they_were(journal):
    rows = {0: make_row(0, above=0), 7: make_row(7), 12: make_row(12, below=0)}
    rows[13] = make_row(13, own=np.int16)
    for number, row in rows.items():
        journal.keep(number, row)
    assert journal.finished() == set(rows)
    for number, row in rows.items():
        assert_same(journal.recall(number), row)


def test_what_is_not_whole_is_not_finished(journal):
    journal.keep(1, make_row(1))
    journal.keep(2, make_row(2))
    path = journal.folder / "row-000002.z"
    path.write_bytes(path.read_bytes()[:-1])
    (journal.folder / "row-000003.z").write_bytes(b"")
    (journal.folder / "row-000004.part").write_bytes(b"killed while it was written")
    (journal.folder / "row-notes.z").write_text("{}")
    assert journal.finished() == {1}
    journal.keep(2, make_row(2))
    assert journal.finished() == {1, 2}


def test_a_row_that_rots_is_named(journal):
    journal.keep(5, make_row(5))
    path = journal.folder / "row-000005.z"
    content = bytearray(path.read_bytes())
    content[-40:-20] = bytes(20)
    path.write_bytes(bytes(content))
    assert journal.finished() == {5}
    with pytest.raises(OutputError, match=r"row-000005.z is damaged .*Delete it, and rep"):
        journal.recall(5)


def test_a_full_disk_is_told_and_leaves_no_row(journal, monkeypatch):
    def fsync(_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(OutputError, match=r"No space left.*repeat the command with --resume"):
        journal.keep(0, make_row())
    assert journal.finished() == set()
