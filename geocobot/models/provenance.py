"""Where a base file's weights come from: what it says of itself, readable without torch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from geocobot._version import __version__
from geocobot.errors import CheckpointError
from geocobot.models.cards import FileKind, read_as

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
        after: provenance of the weights that the pretraining went on from; None if it began at
            random.
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
    after: Provenance | None = None

    @property
    def runs(self) -> tuple[Provenance, ...]:
        """All pretrainings that the weights went through, the first one first."""
        return (*(self.after.runs if self.after is not None else ()), self)

    def to_json(self) -> str:
        """One line of JSON, the same for the same provenance.

        Raises:
            TypeError: the recipe holds something that JSON does not know.
        """
        return json.dumps(asdict(self), sort_keys=True, ensure_ascii=False)


_BASE_FILE = FileKind(
    name="a base file",
    error=CheckpointError,
    needed="geocobot needs a base file, such as tiny.safetensors",
    origin="make one with geocobot pretrain",
    others={"segmenter": "is the model file of a training run"},
    format_version=FORMAT_VERSION,
)


def read_provenance(path: str | Path) -> Provenance:
    """Read what a base file says of itself, and none of its tensors.

    Raises:
        MissingFileError: there is no such file.
        CheckpointError: it is no base file, truncated, or of a newer geocobot.
    """
    return read_as(Path(path), _BASE_FILE, Provenance)
