"""`geocobot models`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from geocobot.progress import Progress

if TYPE_CHECKING:
    from geocobot.workflows.catalog import Catalog


def list_models(progress: Progress) -> Catalog:  # noqa: ARG001
    """List the bases: size, machine, source of the weights, and what the cache holds."""
    from geocobot.workflows import catalog

    return catalog.list_models()
