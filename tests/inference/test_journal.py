"""Finished tile rows on the disk."""

from __future__ import annotations

import errno
import os
from dataclasses import replace

import numpy as np
import pytest

from geocobot.errors import OutputError
from geocobot.inference.blended_row import BlendedRow
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


def test_noise_is_kept_as_it_is_and_runs_in_few_bytes(journal):
    noise = make_row(1, width=5000)
    still = replace(noise, own=np.full((2, 32, 5000), 254, np.uint8))
    # Noise in few rows, and few rows of noise: what a sample misses still comes back.
    mixed = replace(noise, own=np.where(np.arange(32)[:, None] > 28, noise.own, np.uint8(0)))
    for number, row in enumerate((noise, still, mixed)):
        journal.keep(number, row)
        assert_same(journal.recall(number), row)
    sizes = [(journal.folder / f"row-00000{k}.z").stat().st_size for k in range(3)]
    plain = sum(part.nbytes for part in (noise.above, noise.own, noise.below))
    assert plain < sizes[0] < plain + 300
    assert sizes[1] < plain - 0.99 * noise.own.nbytes


@pytest.mark.parametrize("still", [True, False])
def test_a_row_that_rots_is_named(journal, still):
    row = make_row(5)
    if still:
        row = replace(row, below=np.tile(row.below[:, :, :1], 70))
    journal.keep(5, row)
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
