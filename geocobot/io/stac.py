"""Scenes that STAC items name: which asset of each, and where it lies.

SpatioTemporal Asset Catalogs, https://stacspec.org: an item is a place and a time, its assets are
the files of it.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

from geocobot.errors import ConfigError, LayerError, MissingFileError, UnreadableFileError
from geocobot.io.opening import GDAL_NAME, is_raster_name
from geocobot.io.remote import patiently, reason
from geocobot.secrecy import without_secrets

if TYPE_CHECKING:
    from pystac import Asset, Item

_ENDINGS = frozenset({".json", ".geojson"})
_ROLES = frozenset({"data", "visual"})
_RASTER_TYPES = ("image/tiff", "image/vnd.stac.geotiff", "image/jp2")
_TIMEOUT_S = 30
_MAX_LISTED = 20


@dataclass(frozen=True)
class ItemAsset:
    """The scene of an item.

    Attributes:
        item: id of the item.
        path: file name, URL or GDAL name of the asset.
    """

    item: str
    path: str


def is_stac_name(given: str) -> bool:
    """Whether a file or an address ends as STAC does; a query is no ending."""
    if _is_address(given):
        given = urlsplit(given).path
    elif GDAL_NAME.match(given) and not os.path.exists(given):
        return False
    return Path(given).suffix.lower() in _ENDINGS


def _is_address(given: str) -> bool:
    """Whether it is fetched from the web."""
    return given.lower().startswith(("http://", "https://"))


def find_assets(given: str, flag: str, asset: str | None = None) -> tuple[ItemAsset, ...]:
    """The scenes that a STAC item, or a collection of items, stands for.

    Args:
        given: path or address of a JSON file, an item or a FeatureCollection of items.
        flag: names it on the command line.
        asset: key of the asset to take; by default the one raster among an item's assets that has
            the role data or visual.

    Returns:
        One scene per item, in the order of the file.

    Raises:
        MissingFileError: there is no such file.
        UnreadableFileError: it cannot be read, or is no STAC.
        ConfigError: pystac is not installed.
        LayerError: an item has not the asset, or several that could be meant.
    """
    items = _read_items(given, _read_text(given, flag))
    return tuple(_asset_of(item, place, given, asset) for item, place in items)


def _read_text(given: str, flag: str) -> str:
    """What the file says."""
    try:
        if _is_address(given):
            return patiently(given, lambda _: _fetched(given))
        return Path(given).read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise MissingFileError(
            given, "does not exist", f"{flag} names a raster file, or STAC items", "Check the path"
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise UnreadableFileError(
            given,
            f"cannot be read ({getattr(error, 'strerror', None) or reason(error)})",
            f"{flag} takes STAC items as JSON",
            "Check the address and the permissions",
        ) from error


def _fetched(url: str) -> str:
    """The text behind an address."""
    import requests

    answer = requests.get(url, timeout=_TIMEOUT_S)
    answer.raise_for_status()
    return answer.content.decode("utf-8")


def _read_items(given: str, text: str) -> list[tuple[Item, str]]:
    """The items of a file, and where each lies."""
    try:
        from pystac import STACError, STACTypeError
    except ModuleNotFoundError as error:
        raise ConfigError(
            given,
            "is a file of STAC items, and pystac is not installed",
            "geocobot reads them with it",
            "Install it with: pip install 'geocobot[stac]'",
        ) from error
    place = given if _is_address(given) else str(Path(given).absolute())
    try:
        items = [_read_item(feature, place) for feature in _features(given, text)]
    except (
        STACError, STACTypeError, AttributeError, KeyError, TypeError, ValueError
    ) as error:  # fmt: skip
        found = f"has a feature that is no STAC item ({_first_line(error)})"
        raise _no_stac(given, found) from error
    if not items:
        raise _no_stac(given, "has no item")
    return items


def _features(given: str, text: str) -> list[Any]:
    """The features of a file."""
    try:
        read = json.loads(text)
    except ValueError as error:
        raise _no_stac(given, f"is no JSON ({error})") from error
    kind = read.get("type") if isinstance(read, dict) else None
    if kind == "Feature":
        return [read]
    if kind == "FeatureCollection":
        return list(read["features"])
    others = {"Catalog": "is a STAC catalog", "Collection": "is a STAC collection"}
    raise _no_stac(given, others.get(str(kind), "is no STAC"))


def _read_item(feature: Any, place: str) -> tuple[Item, str]:
    """An item, and where it lies; what is none raises whatever pystac comes upon.

    Args:
        feature: as JSON.
        place: path or address of the file that it is in.
    """
    from pystac import Item

    item = Item.from_dict(feature)
    texts = [item.id, *(asset.href for asset in item.assets.values())]
    for asset in item.assets.values():
        texts += [asset.media_type or "", *(asset.roles or ())]
    if not item.id or not all(isinstance(text, str) for text in texts):
        raise TypeError("an id, a link, a media type or a role is no text")
    # As the file has it: pystac takes a relative one to start from the current folder.
    own = [link["href"] for link in feature.get("links") or () if link["rel"] == "self"]
    return item, _absolute(own[0], place) if own else place


def _no_stac(given: str, found: str) -> UnreadableFileError:
    """What to say of another kind of JSON."""
    return UnreadableFileError(
        given,
        found,
        "JSON that stands for scenes is a STAC item, or a FeatureCollection of items",
        "Save the items of a search as one file, or name the rasters themselves",
    )


def _first_line(error: Exception) -> str:
    """What an exception says, in short."""
    return (str(error).splitlines() or [type(error).__name__])[0][:100]


def _asset_of(item: Item, place: str, given: str, wanted: str | None) -> ItemAsset:
    """The scene of an item that lies at a place."""
    if wanted is not None and wanted not in item.assets:
        raise _no_asset(item, given, f"has no asset {wanted!r}")
    keys = [wanted] if wanted is not None else _scene_keys(item)
    if len(keys) != 1:
        n_meant = f"{len(keys)} assets that may be meant" if keys else "no raster among its assets"
        raise _no_asset(item, given, f"has {n_meant}")
    return ItemAsset(item.id, _absolute(item.assets[keys[0]].href, place))


def _scene_keys(item: Item) -> list[str]:
    """Keys of the assets that may be meant when nobody says which."""
    rasters = {key: asset for key, asset in item.assets.items() if _is_raster(asset)}
    with_role = [key for key, asset in rasters.items() if _ROLES & set(asset.roles or ())]
    return with_role or [key for key, asset in rasters.items() if not asset.roles]


def _is_raster(asset: Asset) -> bool:
    """Whether an asset is a raster, by its media type or else by its ending."""
    if asset.media_type is None:
        return is_raster_name(asset.href)
    return str(asset.media_type).lower().startswith(_RASTER_TYPES)


def _no_asset(item: Item, given: str, found: str) -> LayerError:
    """What to say of an item that has not the one asset; lists those that it has."""
    listed = [
        f"{key} ({', '.join([asset.media_type or 'of no type', *(asset.roles or ())])})"
        for key, asset in item.assets.items()
    ]
    more = [f"and {len(listed) - _MAX_LISTED} more"] if len(listed) > _MAX_LISTED else []
    if not listed:
        return LayerError(
            f"{without_secrets(given)}: item {item.id}",
            found,
            "It names no file at all, and a scene is one",
            "Leave the item out",
        )
    return LayerError(
        f"{without_secrets(given)}: item {item.id}",
        found,
        f"Its assets are {'; '.join(listed[:_MAX_LISTED] + more)}",
        "Say which of them is the scene with --asset, by the word before the bracket",
    )


def _absolute(href: str, base: str) -> str:
    """Where a link leads, as GDAL names it.

    Args:
        href: an address, a GDAL name, a path, or what follows from `base`.
        base: path or address of the file that the link is in.
    """
    from pystac.utils import make_absolute_href

    if href.startswith("file://"):
        return url2pathname(urlsplit(href).path)
    if GDAL_NAME.match(href):
        return href
    if base.startswith("file://"):
        base = url2pathname(urlsplit(base).path)
    return os.fspath(make_absolute_href(href, base, start_is_dir=False))
