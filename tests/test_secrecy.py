from __future__ import annotations

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geocobot.config import TrainOptions
from geocobot.errors import UnreadableFileError
from geocobot.io.opening import file_name, file_stem
from geocobot.secrecy import without_secrets
from geocobot.settings import make_options, to_flags, to_yaml
from geocobot.workflows.run_folder import RunFolder
from geocobot.workflows.scene_figures import distinct_names
from geocobot.yaml_file import read_yaml

WORD = st.text("abcdefXYZ0123456789-_.~%", min_size=3, max_size=12)
SECRET = "hunter2"


@pytest.mark.parametrize(
    ("given_text", "shown"),
    [
        (f"https://anna:{SECRET}@host.org/a.tif", "https://***@host.org/a.tif"),
        (f"/vsicurl/https://{SECRET}@host.org/a.tif", "/vsicurl/https://***@host.org/a.tif"),
        (f"https:/anna:{SECRET}@host.org/a.tif", "https:/***@host.org/a.tif"),
        (r"C:/data@home/a.tif", r"C:/data@home/a.tif"),
        (f"https://host.org/a.tif?token={SECRET}&x=1", "https://host.org/a.tif?token=***&x=1"),
        (f"a.tif?x=1&X-Amz-Signature={SECRET}", "a.tif?x=1&X-Amz-Signature=***"),
        (f"a.tif?sv=2020&sig={SECRET}' is odd", "a.tif?sv=2020&sig=***' is odd"),
        (f"a.tif?api_key={SECRET}, b.tif", "a.tif?api_key=***, b.tif"),
        (f"ftp://u:{SECRET}@h/a and ftp://u:{SECRET}@h/b", "ftp://***@h/a and ftp://***@h/b"),
    ],
)
def test_secrets_in_addresses_are_hidden(given_text, shown):
    assert without_secrets(given_text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "roads.shp has no CRS",
        "mail anna@host.org about https://host.org/a.tif",
        "s3://bucket/folder/a@2x.tif",
        "https://host.org/a.tif?bbox=1,2,3,4&bands=2",
        "C:\\data\\a.tif",
    ],
)
def test_all_else_stays(text):
    assert without_secrets(text) == text


@given(WORD, WORD, st.sampled_from(["http", "https", "ftp", "s3"]))
def test_no_password_survives(user, password, scheme):
    shown = without_secrets(f"cannot read {scheme}://{user}:{password}@host/x.tif (HTTP 401)")
    assert shown == f"cannot read {scheme}://***@host/x.tif (HTTP 401)"
    assert without_secrets(shown) == shown


def test_errors_hold_no_secret_in_any_part():
    address = f"https://anna:{SECRET}@host.org/a.tif"
    error = UnreadableFileError(address, f"is not {address}", f"{address} has", f"Try {address}")
    for held in (error, pickle.loads(pickle.dumps(error))):
        assert SECRET not in repr(vars(held)) + str(held) + repr(held.args)
        assert "https://***@host.org/a.tif" in str(held)


def test_a_run_that_can_be_resumed_holds_no_secret(tmp_path):
    def begin(token: str, *, resume: bool) -> RunFolder:
        run = RunFolder.claim(tmp_path / "run", resume=resume, overwrite=False)
        address = f"https://anna:{SECRET}@h/a.tif?token={token}"
        with run.begun(TrainOptions(raster=(address,), labels=("roads.shp",)), "same"):
            return run

    run = begin("first", resume=False)
    written = [path.read_text() for path in run.partial.rglob("*") if path.is_file()]
    assert written
    assert all(SECRET not in text and "first" not in text for text in written)
    (run.partial / "checkpoints").mkdir()
    (run.partial / "checkpoints" / "last.ckpt").touch()
    begin("renewed", resume=True)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_are_typed_as_they_are(number):
    options = TrainOptions(raster=("a.tif",), labels=("b.shp",), nodata=number)
    words = to_flags(options)
    assert float(words[words.index("--nodata") + 1]) == number


def test_options_without_secrets_are_read_as_they_were_written(tmp_path):
    options = TrainOptions(raster=('it\'s "a".tif',), labels=("b.shp",), bands=(3, 2, 1))
    (tmp_path / "o.yaml").write_text(to_yaml(options), encoding="utf-8")
    assert make_options(TrainOptions, read_yaml(tmp_path / "o.yaml"), "a test") == options


def test_written_options_hold_no_secret():
    options = TrainOptions(raster=(f"https://anna:{SECRET}@h/a.tif",), labels=("roads.shp",))
    assert SECRET not in to_yaml(options)
    assert to_flags(options)[:2] == ["--raster", "https://***@h/a.tif"]


@pytest.mark.parametrize(
    ("path", "name", "stem"),
    [
        (f"https://host.org/d/roads.geojson?token=a.{SECRET}.c", "roads.geojson", "roads"),
        (f"/vsicurl/https://host.org/a.tif?sig={SECRET}/{SECRET}", "a.tif", "a"),
        ("folder/which?.gpkg", "which?.gpkg", "which?"),
    ],
)
def test_a_query_is_no_part_of_a_name(path, name, stem):
    """Names become those of classes and layers, and stand in logs."""
    assert (file_name(path), file_stem(path)) == (name, stem)


def test_scenes_of_one_name_are_called_by_their_files_without_secrets():
    paths = [f"https://anna:{SECRET}@host.org/{k}/scene.tif?token={SECRET}" for k in "ab"]
    names = distinct_names(["scene", "scene"], paths)
    assert names == [f"https://***@host.org/{k}/scene.tif?token=***" for k in "ab"]
