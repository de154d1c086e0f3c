"""`geocobot models`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from geocobot.config import ShowOptions
from geocobot.progress import Progress

if TYPE_CHECKING:
    from geocobot.workflows.catalog import Catalog
    from geocobot.workflows.shown_model import ShownModel


def list_models(progress: Progress) -> Catalog:  # noqa: ARG001
    """List the bases: size, machine, source of the weights, and what the cache holds."""
    from geocobot.workflows import catalog

    return catalog.list_models()


def show_model(options: ShowOptions, progress: Progress) -> ShownModel:  # noqa: ARG001
    """Count the parameters of a base, its adapters and a head, and what a tile costs."""
    from geocobot.workflows import shown_model

    return shown_model.show_model(options)
