"""Scenes that STAC items name: which asset of each, and where it lies.

SpatioTemporal Asset Catalogs, https://stacspec.org: an item is a place and a time, its assets are
the files of it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
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
    return tuple(_asset_of(item, given, asset) for item in items)


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


def _read_items(given: str, text: str) -> Sequence[Item]:
    """The items of a file, each of which knows where it lies."""
    try:
        from pystac import Item
        from pystac.errors import STACError, STACTypeError
    except ModuleNotFoundError as error:
        raise ConfigError(
            given,
            "is a file of STAC items, and pystac is not installed",
            "geocobot reads them with it",
            "Install it with: pip install 'geocobot[stac]'",
        ) from error
    try:
        read = json.loads(text)
    except ValueError as error:
        raise _no_stac(given, f"is no JSON ({error})") from error
    kind = read.get("type") if isinstance(read, dict) else None
    if kind not in {"Feature", "FeatureCollection"}:
        what = f"is a STAC {kind.lower()}" if kind in {"Catalog", "Collection"} else "is no STAC"
        raise _no_stac(given, what)
    place = given if _is_address(given) else str(Path(given).absolute())
    try:
        features = [read] if kind == "Feature" else list(read["features"])
        items = [Item.from_dict(feature) for feature in features]
        for item in items:
            item.set_self_href(_absolute(item.get_self_href() or place, place))
    except (
        STACError, STACTypeError, AttributeError, KeyError, TypeError, ValueError
    ) as error:  # fmt: skip
        raise _no_stac(
            given, f"has a feature that is no STAC item ({_first_line(error)})"
        ) from error
    if not items:
        raise _no_stac(given, "has no item")
    return items


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


def _asset_of(item: Item, given: str, wanted: str | None) -> ItemAsset:
    """The scene of an item."""
    if wanted is not None and wanted not in item.assets:
        raise _no_asset(item, given, f"has no asset {wanted!r}")
    keys = [wanted] if wanted is not None else _scene_keys(item)
    if len(keys) != 1:
        found = (
            f"has {len(keys)} assets that may be meant" if keys else "has no raster for an asset"
        )
        raise _no_asset(item, given, found)
    return ItemAsset(item.id, _absolute(item.assets[keys[0]].href, item.self_href))


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
    has = f"Its assets are {'; '.join(listed[:_MAX_LISTED] + more)}" if listed else "It has none"
    return LayerError(
        f"{without_secrets(given)}: item {item.id}",
        found,
        f"One of them is the scene. {has}",
        "Say which with --asset, by the word before the bracket",
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
    if base.startswith("file://"):
        base = url2pathname(urlsplit(base).path)
    return os.fspath(make_absolute_href(href, base, start_is_dir=False))
