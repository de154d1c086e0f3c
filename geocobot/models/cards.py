"""What a safetensors file of geocobot says of itself: JSON in its metadata, read without torch."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from geocobot._version import __version__
from geocobot.errors import GeocobotError, MissingFileError

METADATA_KEY = "geocobot"
"""The one key of the file's metadata; several would be written in random order."""

Card = TypeVar("Card")


@dataclass(frozen=True, kw_only=True)
class FileKind:
    """One kind of file, in the words of its error messages.

    Attributes:
        name: "a model file".
        error: what is raised where a file is none.
        needed: what geocobot needs, a sentence without its full stop.
        origin: where to get one, as the end of a sentence: "train one with geocobot train".
        others: by a name that only the JSON of another kind has, what such a file is, as the rest
            of a sentence.
        format_version: of the file's layout, the newest that this geocobot reads.
    """

    name: str
    error: type[GeocobotError]
    needed: str
    origin: str
    others: Mapping[str, str]
    format_version: int


def read_as(path: Path, kind: FileKind, card_type: type[Card]) -> Card:
    """Read a file's card, and nothing else of it.

    Args:
        path: the file.
        kind: what it should be.
        card_type: dataclass of the card; its JSON has "format_version" and "geocobot_version".

    Raises:
        MissingFileError: there is no such file.
        GeocobotError: of the kind's own class: it is another file, truncated, or of a newer
            geocobot.
    """
    from pydantic import TypeAdapter, ValidationError

    content = _content(path, kind)
    try:
        return TypeAdapter(card_type).validate_python(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise _damaged(path, kind, f"{where}: {first['msg']}") from error
    except GeocobotError as error:
        raise _damaged(path, kind, str(error)) from error


def _content(path: Path, kind: FileKind) -> Mapping[str, object]:
    """The JSON of a file of this kind and of a format that is known."""
    text = _metadata(path, kind).get(METADATA_KEY)
    if text is None:
        raise _foreign(path, kind, "holds tensors, but was not written by geocobot")
    try:
        content: dict[str, object] = json.loads(text)
        version = int(str(content["format_version"]))
    except (ValueError, TypeError, KeyError) as error:
        raise _damaged(path, kind, repr(error)) from error
    for mark, found in kind.others.items():
        if mark in content:
            raise _foreign(path, kind, found)
    if version > kind.format_version:
        raise kind.error(
            path,
            f"was written by geocobot {content.get('geocobot_version')} in format {version}",
            f"This geocobot {__version__} reads formats up to {kind.format_version}",
            "Upgrade with: pip install --upgrade geocobot",
        )
    return content


def _metadata(path: Path, kind: FileKind) -> Mapping[str, str]:
    """The safetensors metadata; opening checks that all tensors are there."""
    from safetensors import SafetensorError, safe_open

    if not os.path.isfile(path):
        found, remedy = (
            ("is a folder", "Name the file in it")
            if os.path.isdir(path)
            else ("does not exist", f"Check the path, or {kind.origin}")
        )
        raise MissingFileError(path, found, kind.needed, remedy)
    try:
        str(path).encode("utf-8")
    except UnicodeEncodeError as error:
        raise kind.error(
            path,
            "has a name that is not UTF-8",
            "safetensors opens files by names in UTF-8",
            "Rename the file, or the folder that is called so",
        ) from error
    try:
        with safe_open(path, framework="numpy") as file:
            return file.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise kind.error(
            path,
            f"cannot be read as {kind.name} ({error})",
            kind.needed,
            f"Copy it again, whole, or {kind.origin}; the file may be truncated",
        ) from error


def _foreign(path: Path, kind: FileKind, found: str) -> GeocobotError:
    """The error for a file of another kind."""
    return kind.error(path, found, kind.needed, f"Pass that file, or {kind.origin}")


def _damaged(path: Path, kind: FileKind, reason: str) -> GeocobotError:
    """The error for a card that makes no sense."""
    return kind.error(
        path,
        f"has a card that makes no sense ({reason})",
        f"geocobot needs the card of {kind.name} as it was written",
        f"Copy the file again, or {kind.origin}",
    )
