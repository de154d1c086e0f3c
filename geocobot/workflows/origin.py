"""What results say of the model and the scenes that they were made of."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from geocobot.io.opening import file_name
from geocobot.io.styles import Origin
from geocobot.models.card import ModelCard
from geocobot.secrecy import without_secrets


def origin_of(model: str, card: ModelCard, scenes: Iterable[str], license: str | None) -> Origin:  # noqa: A002
    """What a map was made of.

    Args:
        model: path of the model file.
        card: of the model.
        scenes: paths or URLs, of which the names are kept.
        license: of the results, or None.
    """
    names = map(file_name, scenes)
    return Origin(
        model=name_of_model(model, card),
        scenes=tuple(without_secrets(name) for name in names),
        license=license or "",
    )


def name_of_model(model: str, card: ModelCard) -> str:
    """A model file with its folder, which tells more, and the model's base."""
    return f"{Path(*Path(model).parts[-2:]).as_posix()}, base {card.segmenter.base}"
