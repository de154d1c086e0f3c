"""The bases there are, what they cost and what the cache holds of them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from geocobot.models.bases import BASES, BaseSpec
from geocobot.models.cost import encoder_flop, encoder_parameters
from geocobot.models.weights import cache_folder, cached_path, package_path
from geocobot.workflows.privacy import hide


@dataclass(frozen=True)
class CatalogEntry:
    """One base.

    Attributes:
        name: what `--base` calls it.
        width: channels of a token.
        depth: transformer blocks.
        parameters: weights of its image encoder.
        tflop_per_tile: cost of one tile of 1024 px, in 10^12 floating-point operations.
        weights_url: where the pretrained weights are published; None where they are not.
        weights_bytes: their size; 0 where there are none.
        cached: whether the cache folder holds them.
        bundled: whether they come with the package.
    """

    name: str
    width: int
    depth: int
    parameters: int
    tflop_per_tile: float
    weights_url: str | None
    weights_bytes: int
    cached: bool
    bundled: bool


@dataclass(frozen=True)
class Catalog:
    """All bases.

    Attributes:
        bases: smallest first.
        folder: the cache folder, with ~ for the home.
    """

    bases: tuple[CatalogEntry, ...]
    folder: str

    def summary(self) -> str:
        """Lay the bases out as a table."""
        head = ("base", "parameters", "TFLOP per 1024 px tile", "weights", "cached", "made for")
        rows = [head, *(_row(entry) for entry in self.bases)]
        widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
        lines = [
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            for row in rows
        ]
        return "\n".join([*lines, "", f"Weights are downloaded once, to {self.folder}."])


def list_models() -> Catalog:
    """List the bases, smallest first, without touching the network.

    Raises:
        ConfigError: there is no home to keep weights in, and `GEOCOBOT_HOME` names no folder.
    """
    ordered = sorted(BASES.values(), key=lambda spec: spec.depth * spec.width**2)
    return Catalog(tuple(_entry(spec) for spec in ordered), hide(str(cache_folder())))


def _entry(spec: BaseSpec) -> CatalogEntry:
    """What the catalog says of one base."""
    path, source, own = cached_path(spec), spec.weights, package_path(spec)
    size_bytes = source.size_bytes if source else 0
    if own is not None:
        size_bytes = _size_bytes(own)
    return CatalogEntry(
        name=spec.name,
        width=spec.width,
        depth=spec.depth,
        parameters=encoder_parameters(spec),
        tflop_per_tile=encoder_flop(spec, 1024) / 1e12,
        weights_url=source.url if source else None,
        weights_bytes=size_bytes,
        cached=path is not None and os.path.isfile(path),
        bundled=own is not None,
    )


def _size_bytes(path: Path) -> int:
    """The size of a file; 0 where there is none that could be read."""
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _row(entry: CatalogEntry) -> tuple[str, ...]:
    """One line of the table."""
    weights = f"{entry.weights_bytes / 1e6:,.0f} MB"
    cached, machine = ("yes" if entry.cached else "no"), "GPU"
    if entry.bundled:
        cached, machine = "in the package" if entry.weights_bytes else "lost: install again", "CPU"
    elif entry.weights_url is None:
        weights, cached, machine = "none: trained with the head", "-", "CPU"
    parameters, tflop = f"{entry.parameters / 1e6:.1f} M", f"{entry.tflop_per_tile:.2f}"
    return entry.name, parameters, tflop, weights, cached, machine
