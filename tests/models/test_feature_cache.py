import errno
import logging
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from geocobot.models.encoder import Features
from geocobot.models.feature_cache import FeatureCache, rounded

from .sharing import PATCHES, ROUNDS, share

ROOM = 10**6


def features(seed=0, levels=0, side=8):
    rng = torch.Generator().manual_seed(seed)
    planes = [torch.randn(4, side, side, generator=rng) for _ in range(levels + 1)]
    return rounded(Features(tuple(planes[1:]), planes[0]))


def same(a, b):
    return len(a.levels) == len(b.levels) and all(
        torch.equal(x, y) and x.dtype == y.dtype
        for x, y in zip([a.neck, *a.levels], [b.neck, *b.levels], strict=True)
    )


def files_of(folder):
    return sorted(path for path in folder.iterdir() if path.is_file())


def size_of(folder):
    return sum(path.stat().st_size for path in files_of(folder))


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "cache" / "features"


@pytest.fixture
def file_bytes(tmp_path):
    """Size of one file of `features()`."""
    FeatureCache(tmp_path / "probe", ROOM).keep("a", features())
    return size_of(tmp_path / "probe")


@pytest.mark.parametrize("levels", [0, 3])
def test_what_is_kept_is_found_by_whoever_opens_the_folder(folder, levels):
    cache = FeatureCache(folder, ROOM)
    assert cache.find("a") is None
    assert not folder.exists()
    cache.keep("a", features(levels=levels))
    for again in (cache, FeatureCache(folder, ROOM)):
        assert same(again.find("a"), features(levels=levels))
        assert again.find("b") is None


def test_patches_are_counted_by_how_their_keys_begin(folder):
    cache = FeatureCache(folder, ROOM)
    assert cache.count() == 0
    for key in ("one-a", "one-b", "two-a"):
        cache.keep(key, features())
    (folder / ".one-c.features.0123.part").touch()
    assert (cache.count(), cache.count("one-"), cache.count("three-")) == (3, 2, 0)


@given(st.lists(st.floats(-1e6, 1e6, width=32), min_size=4, max_size=4))
def test_rounding_moves_a_value_by_half_a_thousandth_at_most(values):
    neck = torch.tensor(values).reshape(1, 2, 2)
    kept = rounded(Features((neck,), neck))
    assert torch.equal(kept.neck, kept.levels[0])
    assert torch.allclose(kept.neck.float(), neck, rtol=2**-11, atol=2**-25)
    assert same(rounded(kept), kept)


def test_values_beyond_float16_stay_float32():
    large = torch.tensor([[[1e5]]])
    kept = rounded(Features((large / 10,), large))
    assert kept.neck.dtype == torch.float32
    assert kept.levels[0].dtype == torch.float16
    assert torch.equal(kept.neck, large)


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: content[:3],
        lambda content: content[: len(content) // 2],
        lambda content: content[:-1],
        lambda content: content + b"\0",
        lambda content: content[:-9] + bytes([content[-9] ^ 1]) + content[-8:],
        lambda content: bytes([content[0] ^ 1]) + content[1:],
        lambda content: bytes(len(content)),
        lambda content: b"garbage",
    ],
)
def test_what_is_damaged_is_not_trusted_but_replaced(folder, damage, caplog):
    cache = FeatureCache(folder, ROOM)
    cache.keep("a", features())
    (path,) = files_of(folder)
    path.write_bytes(damage(path.read_bytes()))
    assert cache.find("a") is None
    assert f"{path} is damaged: its features are computed again" in caplog.text
    assert not path.exists()
    cache.keep("a", features())
    assert same(cache.find("a"), features())


def test_the_file_of_another_patch_is_not_trusted(folder):
    cache = FeatureCache(folder, ROOM)
    cache.keep("a", features())
    (path,) = files_of(folder)
    path.rename(path.with_name(path.name.replace("a", "b", 1)))
    assert cache.find("b") is None


def test_the_bound_holds_and_a_turn_longer_than_the_cache_still_finds_its_part(
    folder, file_bytes, caplog
):
    cache = FeatureCache(folder, 8 * file_bytes)
    keys = [f"patch-{k}" for k in range(16)]
    found = []
    for _ in range(3):
        hits = 0
        for seed, key in enumerate(keys):
            if cache.find(key) is not None:
                hits += 1
            else:
                cache.keep(key, features(seed))
            assert size_of(folder) <= 8 * file_bytes
        found.append(hits)
    assert found == [0, 8, 8]
    (message,) = [r.message for r in caplog.records]
    assert message.startswith("No more encoder features are kept: the ")
    assert message.endswith(f" {8 * file_bytes / 1e9:g} GB are full of what is in use.")


def test_a_file_larger_than_the_bound_is_not_kept(folder, file_bytes):
    cache = FeatureCache(folder, file_bytes - 1)
    cache.keep("a", features())
    assert cache.find("a") is None
    assert size_of(folder) == 0


def let_pass(folder, hours):
    """Make everything in the folder older."""
    for path in files_of(folder):
        then = path.stat().st_mtime - 3600 * hours
        os.utime(path, (then, then))


def test_what_earlier_runs_used_longest_ago_makes_room(folder, file_bytes):
    first = FeatureCache(folder, 32 * file_bytes)
    for k in range(16):
        first.keep(f"old-{k}", features(k))
    let_pass(folder, 2)
    second = FeatureCache(folder, 32 * file_bytes)
    for k in range(16):
        second.keep(f"recent-{k}", features(k))
    let_pass(folder, 1)
    cache = FeatureCache(folder, 32 * file_bytes)
    assert cache.find("old-3") is not None
    for k in range(8):
        cache.keep(f"new-{k}", features(k))
        assert size_of(folder) <= 32 * file_bytes
    assert (cache.count("new-"), cache.count("recent-")) == (8, 16)
    assert cache.find("old-3") is not None
    for k in range(8, 40):
        cache.keep(f"new-{k}", features(k))
    assert (cache.count("recent-"), cache.count("old-"), cache.count("new-")) == (0, 1, 31)


def test_what_another_run_is_using_stays(folder, file_bytes):
    other = FeatureCache(folder, 8 * file_bytes)
    for k in range(8):
        other.keep(f"other-{k}", features(k))
    let_pass(folder, 1)
    cache = FeatureCache(folder, 8 * file_bytes)
    again = FeatureCache(folder, 8 * file_bytes)
    for k in range(6):
        assert again.find(f"other-{k}") is not None
    for k in range(8):
        cache.keep(f"own-{k}", features(k))
    assert (cache.count("other-"), cache.count("own-")) == (6, 2)


def test_what_is_in_use_stays_where_the_clock_of_the_disk_is_behind(folder, file_bytes):
    FeatureCache(folder, 8 * file_bytes).keep("found", features())
    cache = FeatureCache(folder, 8 * file_bytes)
    assert cache.find("found") is not None
    for k in range(20):
        cache.keep(f"own-{k}", features(k))
        let_pass(folder, 1)
    assert (cache.count("found"), cache.count("own-")) == (1, 7)


def test_what_another_process_writes_counts(folder, file_bytes):
    bound = 32 * file_bytes
    one, two = FeatureCache(folder, bound), FeatureCache(folder, bound)
    for k in range(64):
        one.keep(f"one-{k}", features(k))
        two.keep(f"two-{k}", features(k))
    assert 30 * file_bytes < size_of(folder) <= bound + bound // 16


def test_what_a_killed_run_left_half_written_goes_like_any_other_file(folder, file_bytes):
    folder.mkdir(parents=True)
    left = folder / ".a.features.0123.part"
    left.write_bytes(bytes(3 * file_bytes))
    strange = folder / "thesis.txt"
    strange.write_bytes(bytes(100 * file_bytes))
    let_pass(folder, 1)
    cache = FeatureCache(folder, 4 * file_bytes)
    for k in range(4):
        cache.keep(f"patch-{k}", features(k))
    assert cache.count() == 4
    assert not left.exists()
    assert strange.exists()


def test_a_disk_that_fills_up_stops_nothing_but_the_keeping(folder, monkeypatch, caplog):
    cache = FeatureCache(folder, ROOM)
    cache.keep("a", features())
    write = Path.write_bytes

    def half(path, content):
        write(path, content[: len(content) // 2])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_bytes", half)
    for key in ("b", "c", "d"):
        cache.keep(key, features())
        assert cache.find(key) is None
    (message,) = [r.message for r in caplog.records]
    assert message.startswith("No more encoder features are kept: ")
    assert message.endswith(f"{folder} cannot be written to (No space left on device).")
    assert cache.find("a") is not None
    assert len(files_of(folder)) == 1


def test_a_disk_is_not_filled_to_its_last_byte(folder, monkeypatch, caplog):
    total = 10**12
    monkeypatch.setattr(
        shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(total, total - 10**9, 10**9)
    )
    cache = FeatureCache(folder, ROOM)
    cache.keep("a", features())
    assert cache.find("a") is None
    assert "lies on a disk that is nearly full" in caplog.text


def test_a_folder_that_cannot_be_made_stops_nothing(tmp_path, caplog):
    (tmp_path / "features").write_text("a file")
    cache = FeatureCache(tmp_path / "features" / "here", ROOM)
    cache.keep("a", features())
    cache.keep("b", features())
    assert cache.find("a") is None
    (message,) = [r.message for r in caplog.records]
    assert "cannot be written to (Not a directory)" in message


def test_two_processes_share_a_folder(folder):
    script = Path(__file__).with_name("sharing.py")
    other = subprocess.Popen(
        [sys.executable, str(script), str(folder), "1", str(ROOM)],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert other.stdout.readline() == "begins\n"
    found = share(folder, 2, ROOM)
    found_there = int(other.communicate(timeout=120)[0])
    assert other.returncode == 0
    # In its first round at most a process finds nothing.
    assert min(found, found_there) >= PATCHES * (ROUNDS - 1)
    assert found + found_there <= PATCHES * (2 * ROUNDS - 1)
    assert FeatureCache(folder, ROOM).count() == PATCHES == len(files_of(folder))


def test_what_goes_wrong_is_said_through_the_log(folder, caplog, capfd):
    with caplog.at_level(logging.INFO, "geocobot"):
        FeatureCache(folder, 1).keep("a", features())
    assert [r.name for r in caplog.records] == ["geocobot.models"]
    assert capfd.readouterr() == ("", "")
