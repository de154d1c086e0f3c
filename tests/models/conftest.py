"""A checkpoint in the official format, and a server on this machine that hands it out."""

import hashlib
import shutil
import threading
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch

from geocobot.models import bases, weights
from geocobot.models.base_file import write_base
from geocobot.models.bases import WeightsSource

from .mini import MINI, SMALL, make_parts, make_provenance, official_sam


@pytest.fixture(scope="session")
def sam():
    return official_sam(MINI)


@pytest.fixture(scope="session")
def checkpoint(sam, tmp_path_factory):
    """A checkpoint file in the official format."""
    path = tmp_path_factory.mktemp("official") / "sam_mini.pth"
    torch.save(sam.state_dict(), path)
    return path


@pytest.fixture(scope="session")
def parts():
    """Encoder and heads that the base file was written from."""
    return make_parts(SMALL)


@pytest.fixture
def base_file(parts, tmp_path):
    """A base file of the miniature of tiny."""
    path = tmp_path / "small.safetensors"
    write_base(path, SMALL, **parts, provenance=make_provenance("small"))
    return path


@pytest.fixture
def small(monkeypatch):
    """The miniature of tiny among the bases, with no weights of its own."""
    monkeypatch.setitem(bases.BASES, "small", SMALL)
    return SMALL


@pytest.fixture
def bundled(base_file, small, tmp_path, monkeypatch):
    """The base file as one that comes with the package; the path of that copy."""
    folder = tmp_path / "pretrained"
    folder.mkdir()
    monkeypatch.setattr(weights, "PACKAGE_FOLDER", folder)
    monkeypatch.setitem(bases.BASES, "small", replace(small, bundled=base_file.name))
    return Path(shutil.copy(base_file, folder))


@pytest.fixture
def cache(tmp_path, monkeypatch):
    folder = tmp_path / "cache"
    monkeypatch.setenv("GEOCOBOT_HOME", str(folder))
    return folder


@pytest.fixture
def server(checkpoint):
    """Address of a server on this machine with the checkpoint's folder."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    handler = partial(Quiet, directory=str(checkpoint.parent))
    httpd = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=httpd.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{httpd.server_port}"
    httpd.shutdown()
    httpd.server_close()
    thread.join()


@pytest.fixture
def mini(server, checkpoint, cache, monkeypatch):
    """The miniature base, its weights published by the server."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    content = checkpoint.read_bytes()
    source = WeightsSource(
        f"{server}/{checkpoint.name}",
        checkpoint.name,
        hashlib.sha256(content).hexdigest(),
        len(content),
    )
    spec = replace(MINI, weights=source)
    monkeypatch.setitem(bases.BASES, "mini", spec)
    return spec
