"""Where a base file's weights come from: what it says of itself, readable without torch."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from geocobot._version import __version__
from geocobot.errors import CheckpointError, MissingFileError
from geocobot.models.card import METADATA_KEY

FORMAT_VERSION = 1
"""Version of the base file's layout that this geocobot writes, and the newest it reads."""


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """How the weights in a base file were made.

    Attributes:
        base: name of the base that they belong to.
        recipe: the resolved options of the pretraining, as JSON knows them.
        commit: of the code that ran.
        seed: of everything random in it.
        steps: optimizer steps.
        data: names of what it saw.
        hours: wall time.
        device: where it ran, in words.
        license: of the weights.
        geocobot_version: of the geocobot that wrote the file.
        created: ISO date in UTC.
        format_version: of the file's layout.
    """

    base: str
    recipe: Mapping[str, Any]
    commit: str
    seed: int
    steps: int
    data: tuple[str, ...]
    hours: float
    device: str
    license: str = "Apache-2.0"
    geocobot_version: str = __version__
    created: str = field(default_factory=lambda: datetime.now(UTC).date().isoformat())
    format_version: int = FORMAT_VERSION

    def to_json(self) -> str:
        """One line of JSON, the same for the same provenance.

        Raises:
            TypeError: the recipe holds something that JSON does not know.
        """
        return json.dumps(asdict(self), sort_keys=True, ensure_ascii=False)


def read_provenance(path: str | Path) -> Provenance:
    """Read what a base file says of itself, and none of its tensors.

    Raises:
        MissingFileError: there is no such file.
        CheckpointError: it is no base file, truncated, or of a newer geocobot.
    """
    path = Path(path)
    if not os.path.isfile(path):
        raise MissingFileError(
            path,
            "does not exist",
            "geocobot needs a base file, such as tiny.safetensors",
            "Check the path",
        )
    return _parse(path, _metadata(path).get(METADATA_KEY))


def _metadata(path: Path) -> Mapping[str, str]:
    """The safetensors metadata; opening checks that all tensors are there."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            return file.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise CheckpointError(
            path,
            f"cannot be read as a base file ({error})",
            "geocobot needs a whole base file, such as tiny.safetensors",
            "Copy it again; the file may be truncated or of another kind",
        ) from error


def _parse(path: Path, text: str | None) -> Provenance:
    """Check the JSON and build the provenance."""
    from pydantic import TypeAdapter, ValidationError

    if text is None:
        raise _foreign(path, "holds tensors, but was not written by geocobot")
    try:
        content = json.loads(text)
        version = int(content["format_version"])
    except (ValueError, TypeError, KeyError) as error:
        raise _damaged(path, repr(error)) from error
    if "segmenter" in content:
        raise _foreign(path, "is the model file of a training run")
    if version > FORMAT_VERSION:
        raise CheckpointError(
            path,
            f"was written by geocobot {content.get('geocobot_version')} in format {version}",
            f"This geocobot {__version__} reads formats up to {FORMAT_VERSION}",
            "Upgrade with: pip install --upgrade geocobot",
        )
    try:
        return TypeAdapter(Provenance).validate_python(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise _damaged(path, f"{where}: {first['msg']}") from error


def _foreign(path: Path, found: str) -> CheckpointError:
    """The error for a file of another kind."""
    return CheckpointError(
        path,
        found,
        "geocobot needs a base file, such as tiny.safetensors",
        "Pass that file, or leave --checkpoint out",
    )


def _damaged(path: Path, reason: str) -> CheckpointError:
    """The error for metadata that make no sense."""
    return CheckpointError(
        path,
        f"says of itself what makes no sense ({reason})",
        "geocobot needs the base file as pretraining wrote it",
        "Copy the file again",
    )
