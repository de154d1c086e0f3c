import errno
import hashlib
import logging
import os
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from geocobot.errors import CheckpointError, ConfigError
from geocobot.models import weights
from geocobot.models.base_file import read_base
from geocobot.models.bases import BASES
from geocobot.models.provenance import read_provenance
from geocobot.models.weights import (
    cache_folder,
    cached_path,
    fetch_weights,
    package_path,
    resolve_start,
    sha256_of,
)


class Recorder:
    """A progress that remembers."""

    def __init__(self):
        self.label, self.total, self.done = "", 0, 0

    @contextmanager
    def task(self, label, total):
        self.label, self.total = label, total
        yield self

    def advance(self, steps=1):
        self.done += steps

    def note(self, text):
        pass


def test_the_variable_names_the_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("GEOCOBOT_HOME", str(tmp_path))
    assert cache_folder() == tmp_path
    assert cached_path(BASES["vit_b"]) == tmp_path / "sam_vit_b_01ec64.pth"
    assert cached_path(BASES["tiny"]) is None


def test_a_home_is_expanded(monkeypatch):
    monkeypatch.setenv("GEOCOBOT_HOME", "~/weights")
    assert cache_folder() == Path.home() / "weights"


def test_without_it_the_platform_decides(monkeypatch):
    monkeypatch.delenv("GEOCOBOT_HOME", raising=False)
    assert cache_folder().name.lower() == "geocobot"


@pytest.fixture
def _homeless(monkeypatch):
    """A user without a home, as a container's with a number but no name."""

    def unknown(number):
        raise KeyError(f"getpwuid(): uid not found: {number}")

    pwd = pytest.importorskip("pwd", reason="Windows always has a home")
    monkeypatch.setattr(pwd, "getpwuid", unknown)
    for name in ("HOME", "XDG_CACHE_HOME", "GEOCOBOT_HOME"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.usefixtures("_homeless")
@pytest.mark.parametrize("named", [None, "~/weights"])
def test_without_a_home_the_variable_is_asked_for(monkeypatch, tmp_path, named):
    if named is not None:
        monkeypatch.setenv("GEOCOBOT_HOME", named)
    with pytest.raises(ConfigError, match=r"who has none.*Set the environment variable GEO"):
        cache_folder()
    assert cached_path(BASES["tiny"]) is None
    monkeypatch.setenv("GEOCOBOT_HOME", str(tmp_path))
    assert cache_folder() == tmp_path


@pytest.mark.usefixtures("_homeless")
def test_an_older_platformdirs_leaves_the_home_as_it_is(monkeypatch):
    monkeypatch.setattr(weights, "user_cache_path", lambda *_, **__: Path("~/.cache/geocobot"))
    with pytest.raises(ConfigError, match="who has none"):
        cache_folder()


def test_weights_are_downloaded_once_and_checked(mini, cache, checkpoint, caplog):
    progress = Recorder()
    with caplog.at_level(logging.INFO, "geocobot.models"):
        path = fetch_weights(mini, progress)
    assert path == cache / "sam_mini.pth"
    assert path.read_bytes() == checkpoint.read_bytes()
    assert [p.name for p in cache.iterdir()] == ["sam_mini.pth"]
    assert progress.done == progress.total == mini.weights.size_bytes
    assert "sam_mini.pth" in progress.label
    assert mini.weights.url in caplog.text


def test_the_cache_needs_no_network(mini, monkeypatch):
    path = fetch_weights(mini)
    monkeypatch.setattr(weights, "_download", None)
    assert fetch_weights(mini) == path


def test_without_network_the_error_says_all_ways_out(mini, cache):
    lost = replace(mini, weights=replace(mini.weights, url="http://127.0.0.1:9/sam_mini.pth"))
    with pytest.raises(CheckpointError, match="cannot be downloaded") as caught:
        fetch_weights(lost)
    message = str(caught.value)
    for part in (
        "http://127.0.0.1:9/sam_mini.pth",
        str(cache / "sam_mini.pth"),
        "--base tiny",
        "--checkpoint",
    ):
        assert part in message
    assert list(cache.iterdir()) == []


def test_a_missing_page_is_the_same_error(mini):
    lost = replace(mini, weights=replace(mini.weights, url=mini.weights.url + "x"))
    with pytest.raises(CheckpointError, match=r"cannot be downloaded there \(.*File not found"):
        fetch_weights(lost)


def test_a_file_with_another_checksum_never_reaches_the_cache(mini, cache):
    other = replace(mini, weights=replace(mini.weights, sha256="0" * 64))
    with pytest.raises(CheckpointError, match=r"SHA-256 .* official file has 000000000000"):
        fetch_weights(other)
    assert list(cache.iterdir()) == []


def test_an_interrupt_leaves_nothing(mini, cache, monkeypatch):
    def interrupted(_source, path, _progress):
        path.write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(weights, "_download", interrupted)
    with pytest.raises(KeyboardInterrupt):
        fetch_weights(mini)
    assert list(cache.iterdir()) == []


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EACCES])
def test_a_cache_without_room_or_permission(mini, cache, monkeypatch, code):
    def stopped(_source, path, _progress):
        path.write_bytes(b"half")
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(weights, "_download", stopped)
    with pytest.raises(
        CheckpointError,
        match=rf"sam_mini.pth cannot be written \({os.strerror(code)}\)\. The weights of 0.0 GB.*"
        "Free some space, let GEOCOBOT_HOME name another folder",
    ):
        fetch_weights(mini)
    assert list(cache.iterdir()) == []


def test_a_cache_that_cannot_be_made_is_an_error(mini, cache):
    cache.write_text("a file where the folder should be")
    with pytest.raises(CheckpointError, match="File exists"):
        fetch_weights(mini)


def test_a_base_without_weights_has_nothing_to_fetch(small):
    with pytest.raises(
        ConfigError, match=r"--base small has no pretrained weights.*--checkpoint F"
    ):
        fetch_weights(small)


def test_what_comes_with_the_package_is_not_downloaded(bundled, monkeypatch):
    monkeypatch.setattr(weights, "_download", None)
    assert fetch_weights(BASES["small"]) == package_path(BASES["small"]) == bundled
    bundled.unlink()
    with pytest.raises(
        CheckpointError, match=r"small.safetensors does not exist.*Install geocobot"
    ):
        fetch_weights(BASES["small"])


@pytest.mark.parametrize("name", ["tiny", "vit_b", "vit_l", "vit_h"])
def test_what_is_said_to_come_with_the_package_is_there(name):
    spec = BASES[name]
    path = package_path(spec)
    assert (path is None) == (spec.bundled is None)
    if path is not None:
        assert read_provenance(path).base == name
        assert read_base(path, spec)


def test_a_base_without_weights_starts_at_random_unless_a_file_is_named(small, mini, base_file):
    assert resolve_start(small, "pretrained", None) == "random"
    assert resolve_start(small, "pretrained", base_file) == "pretrained"
    assert resolve_start(mini, "pretrained", None) == "pretrained"
    assert resolve_start(mini, "random", None) == "random"
    assert resolve_start(replace(small, bundled="x"), "pretrained", None) == "pretrained"
    with pytest.raises(ConfigError, match="--start random is asked for with --checkpoint"):
        resolve_start(small, "random", base_file)


def test_the_checksum_is_that_of_the_content(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"content" * 1000)
    assert sha256_of(path) == hashlib.sha256(b"content" * 1000).hexdigest()


@pytest.mark.parametrize(
    "module", ["weights", "bases", "cost", "card", "architecture", "provenance"]
)
def test_what_the_command_line_lists_needs_no_torch(module):
    code = f"import sys, geocobot.models.{module}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
