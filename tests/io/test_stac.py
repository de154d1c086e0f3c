"""STAC items as scenes: which asset, where it lies, and what is wrong where there is none."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pystac
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geocobot.errors import ConfigError, LayerError, MissingFileError, UnreadableFileError
from geocobot.io import remote
from geocobot.io.files import find_rasters, find_scenes
from geocobot.io.scene import Scene
from geocobot.io.stac import is_stac_name

COG, PNG = pystac.MediaType.COG, pystac.MediaType.PNG


def make_item(name: str, **assets: tuple[str, str | None, list[str] | None]) -> pystac.Item:
    """An item with assets: address, media type and roles of each."""
    item = pystac.Item(name, None, None, datetime(2025, 6, 1, tzinfo=UTC), {})
    for key, (href, kind, roles) in assets.items():
        item.add_asset(key, pystac.Asset(href, media_type=kind, roles=roles))
    return item


def save(path: Path, *items: pystac.Item) -> str:
    """A collection of items as a file, links as they are."""
    path.parent.mkdir(parents=True, exist_ok=True)
    features = [item.to_dict(include_self_link=True, transform_hrefs=False) for item in items]
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    return str(path)


VISUAL = {"visual": ("a/visual.tif", COG, ["visual"])}
SENTINEL = VISUAL | {
    "blue": ("a/B02.tif", COG, ["data", "reflectance"]),
    "thumbnail": ("a/thumbnail.png", PNG, ["thumbnail"]),
}


@pytest.mark.parametrize(
    ("assets", "chosen"),
    [
        (VISUAL, "visual.tif"),
        ({"image": ("a/image.tif", COG, ["data"]), "png": ("a/image.png", PNG, ["visual"])}, None),
        ({"image": ("a/image.tif", pystac.MediaType.GEOTIFF, ["data"])}, None),
        ({"image": ("a/image.jp2", pystac.MediaType.JPEG2000, ["data"])}, "image.jp2"),
        ({"image": ("a/image.tif", None, None), "info": ("a/info.xml", None, None)}, None),
        ({"image": ("a/image.tif", COG, None), "cloud": ("a/c.tif", COG, ["metadata"])}, None),
        ({"image": ("a/image.tif", COG, ["data"]), "other": ("a/other.tif", COG, None)}, None),
    ],
)
def test_the_one_raster_is_the_scene(tmp_path: Path, assets: Any, chosen: str | None) -> None:
    given = save(tmp_path / "items.json", make_item("one", **assets))
    assert find_rasters([given]) == (str(tmp_path / "a" / (chosen or "image.tif")),)


def test_the_user_says_which(tmp_path: Path) -> None:
    given = save(tmp_path / "items.json", make_item("S2A_1", **SENTINEL))
    assert find_rasters([given], asset="blue") == (str(tmp_path / "a" / "B02.tif"),)
    with pytest.raises(
        LayerError,
        match=r"items\.json: item S2A_1 has 2 assets that may be meant\. Its assets are visual "
        r"\(image/tiff; .*, visual\); blue \(.*, data, reflectance\); thumbnail \(image/png, "
        r"thumbnail\)\. Say which of them is the scene with --asset",
    ):
        find_rasters([given])
    with pytest.raises(LayerError, match=r"S2A_1 has no asset 'red'\. Its assets are visual"):
        find_rasters([given], asset="red")


@pytest.mark.parametrize("assets", [{}, {"png": ("a.png", PNG, ["visual"])}])
def test_an_item_without_a_raster(tmp_path: Path, assets: Any) -> None:
    given = save(tmp_path / "items.json", make_item("empty", **assets))
    with pytest.raises(LayerError, match=r"item empty has no raster among its assets\. It"):
        find_rasters([given])


def test_more_assets_than_a_message_holds(tmp_path: Path) -> None:
    assets = {f"B{k}": (f"{k}.tif", COG, ["data"]) for k in range(30)}
    given = save(tmp_path / "items.json", make_item("many", **assets))
    with pytest.raises(LayerError, match=r"B19 \([^)]*\); and 10 more\. Say which of"):
        find_rasters([given])


@pytest.mark.parametrize(
    ("href", "self_href", "path"),
    [
        ("a/b.tif", None, "{here}/a/b.tif"),
        ("../b.tif", None, "{parent}/b.tif"),
        ("./b.tif", "https://example.org/items/one.json", "https://example.org/items/b.tif"),
        ("./b.tif", "./deep/one.json", "{here}/deep/b.tif"),
        ("{here}/x.tif", None, "{here}/x.tif"),
        ("/x.tif", "https://example.org/items/one.json", "https://example.org/x.tif"),
        ("file://{here}/x%20y.tif", None, "{here}/x y.tif"),
        ("https://example.org/b.tif?sig=abc", None, "https://example.org/b.tif?sig=abc"),
        ("s3://bucket/b.tif", None, "s3://bucket/b.tif"),
        ("s3://bucket/b.tif", "https://example.org/one.json", "s3://bucket/b.tif"),
        ("/vsis3/bucket/b.tif", None, "/vsis3/bucket/b.tif"),
    ],
)
def test_where_links_lead(tmp_path: Path, href: str, self_href: str | None, path: str) -> None:
    here = tmp_path / "here"
    places = {"here": str(here), "parent": str(tmp_path)}
    item = make_item("one", image=(href.format(**places), COG, ["data"])).to_dict()
    item["links"] = [{"rel": "self", "href": self_href}] if self_href else []
    here.mkdir()
    (here / "one.json").write_text(json.dumps(item))
    assert find_rasters([str(here / "one.json")]) == (path.format(**places),)


def test_names_from_where_one_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(tmp_path / "deep" / "items.json", make_item("one", **VISUAL))
    monkeypatch.chdir(tmp_path)
    assert find_rasters(["deep/items.json"]) == (str(tmp_path / "deep" / "a" / "visual.tif"),)
    assert find_rasters(["deep/*.json"]) == (str(tmp_path / "deep" / "a" / "visual.tif"),)


def test_items_beside_files(tmp_path: Path) -> None:
    items = [make_item(n, image=(f"{n}/TCI.tif", COG, ["data"])) for n in ("one", "two")]
    found = find_scenes(["first.tif", save(tmp_path / "items.geojson", *items), "last.tif"])
    assert found.items == (None, "one", "two", None)
    assert [Path(path).name for path in found.paths] == [
        "first.tif", "TCI.tif", "TCI.tif", "last.tif",
    ]  # fmt: skip


def test_a_scene_of_two_items_is_named_twice(tmp_path: Path) -> None:
    given = save(tmp_path / "items.json", make_item("one", **VISUAL), make_item("two", **VISUAL))
    with pytest.raises(ConfigError, match=r"--raster names .*visual\.tif twice"):
        find_rasters([given])


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("not so", r"is no JSON \(Expecting value"),
        ("[1, 2]", "is no STAC"),
        ('"text"', "is no STAC"),
        ('{"type": "FeatureCollection", "features": []}', "has no item"),
        ('{"type": "FeatureCollection"}', "has a feature that is no STAC item"),
        ('{"type": "FeatureCollection", "features": [3]}', "has a feature that is no STAC item"),
        ('{"type": "Feature", "geometry": null}', "has a feature that is no STAC item"),
        ('{"type": "Catalog", "id": "x"}', "is a STAC catalog"),
        ('{"type": ["Feature"]}', "is no STAC"),
    ],
)
def test_what_is_no_stac(tmp_path: Path, text: str, found: str) -> None:
    path = tmp_path / "items.json"
    path.write_text(text)
    with pytest.raises(
        UnreadableFileError, match=rf"items\.json {found}.*is a STAC item, or a FeatureCollection"
    ):
        find_rasters([str(path)])


json_values = st.recursive(
    st.none() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)


@given(
    st.fixed_dictionaries(
        {"type": st.just("Feature")},
        optional={
            "stac_version": st.just("1.0.0") | json_values,
            "id": st.text(max_size=3) | json_values,
            "properties": st.just({"datetime": "2025-06-01T00:00:00Z"}) | json_values,
            "links": st.just([]) | json_values,
            "assets": json_values,
            "geometry": st.none(),
        },
    )
)
def test_whatever_a_feature_holds_is_an_error_in_words(
    tmp_path_factory: pytest.TempPathFactory, feature: Any
) -> None:
    path = tmp_path_factory.mktemp("any") / "items.json"
    path.write_text(json.dumps(feature))
    with pytest.raises((UnreadableFileError, LayerError), match=r"STAC item|among its assets"):
        find_rasters([str(path)])


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match=r"items\.json does not exist\. --val-raster names"):
        find_rasters([str(tmp_path / "items.json")], "--val-raster")


def test_pystac_is_an_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pystac", None)
    path = tmp_path / "items.json"
    path.write_text("{}")
    with pytest.raises(ConfigError, match=r"pystac is not installed.*'geocobot\[stac\]'"):
        find_rasters([str(path)])


@pytest.mark.parametrize(
    ("name", "is_stac"),
    [
        ("items.json", True),
        ("a/items.GeoJSON", True),
        ("https://example.org/items.json?limit=3", True),
        ("https://example.org/scene.tif?item=a.json", False),
        ("s3://bucket/items.json", False),
        ("STACIT:items.json", False),
        ("/vsicurl/https://example.org/items.json", False),
        ("scene.tif", False),
    ],
)
def test_what_ends_as_stac_does(name: str, is_stac: bool) -> None:
    assert is_stac_name(name) is is_stac


@pytest.fixture
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "DELAYS_S", (0.001,) * len(remote.DELAYS_S))


@pytest.mark.usefixtures("short_waits")
@pytest.mark.parametrize("fault", ["503", "close", "half"])
def test_items_on_a_server_that_fails_now_and_then(
    serve: Callable[..., Any], scene_factory: Callable[..., Path], fault: str
) -> None:
    site = serve(fault, rate=0.4, seed=4)
    (site.folder / "a").mkdir()
    scene_factory().rename(site.folder / "a" / "visual.tif")
    save(site.folder / "items.json", make_item("one", **VISUAL))
    (path,) = find_rasters([f"{site.url}/items.json"])
    assert path == f"{site.url}/a/visual.tif"
    assert Scene.open(path).grid == Scene.open(site.folder / "a" / "visual.tif").grid


@pytest.mark.usefixtures("short_waits")
@pytest.mark.parametrize(
    ("fault", "rate", "said"),
    [("", 0.0, r"404 Client Error"), ("503", 1.0, r"503 Server Error.*; asked 7 times")],
)
def test_items_that_no_server_has(
    serve: Callable[..., Any], fault: str, rate: float, said: str
) -> None:
    site = serve(*filter(None, [fault]), rate=rate)
    with pytest.raises(UnreadableFileError, match=rf"cannot be read \({said}") as caught:
        find_rasters([f"{site.url}/items.json?token=hush"])
    assert "hush" not in str(caught.value)
    assert len(site.requests()) == (7 if fault else 1)
