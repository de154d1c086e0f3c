"""The model as a map needs it: loaded, merged, and shown every tile as often as asked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor

from geocobot.adapters.merge import merge
from geocobot.config.values import TtaName
from geocobot.inference.tiles import Predictor
from geocobot.models.modelfile import load_model
from geocobot.progress import Progress


@dataclass(frozen=True)
class PredictorSource:
    """Where a process finds the model of a map.

    Attributes:
        model: the model file.
        checkpoint: file with the base's weights, where they are neither those that come with the
            package nor the cached official ones.
        tta: which views of a tile are averaged.
    """

    model: str
    checkpoint: str | None = None
    tta: TtaName = "none"

    def load(self, progress: Progress | None = None) -> Predictor:
        """Load the model; adapters that can be are merged into the weights.

        Args:
            progress: shows the download of the base.

        Raises:
            GeocobotError: the file or the base is not as needed.
        """
        segmenter, card = load_model(self.model, checkpoint=self.checkpoint, progress=progress)
        if card.segmenter.adapter.merges:
            merge(segmenter.encoder, keep=False)
        return segmenter if self.tta == "none" else Views(segmenter, self.tta)


class Views(torch.nn.Module):
    """Shows every tile mirrored and turned as well, and averages what the model says of them.

    Args:
        predictor: the model.
        tta: "flips" are 4 views (as it is, mirrored along each axis and along both), "dihedral"
            are these and the same after a quarter turn, 8 in all.
    """

    def __init__(self, predictor: torch.nn.Module, tta: TtaName) -> None:
        super().__init__()
        self._predictor = predictor
        self._views = _VIEWS[tta]

    def forward(self, image: Tensor) -> Tensor:
        """Mean logits (B, K, H, W) of all views of square images (B, C, H, W)."""
        total: Tensor | None = None
        for view in self._views:
            logits = _undone(self._predictor(_seen(image, view)), view).float()
            total = logits if total is None else total + logits
        assert total is not None
        return total / len(self._views)


_View: TypeAlias = tuple[tuple[int, ...], int]
"""Axes that are mirrored, then how many quarter turns."""

_FLIPS: tuple[_View, ...] = tuple((axes, 0) for axes in ((), (-1,), (-2,), (-2, -1)))
_VIEWS: dict[str, tuple[_View, ...]] = {
    "flips": _FLIPS,
    "dihedral": _FLIPS + tuple((axes, 1) for axes, _ in _FLIPS),
}


def _seen(image: Tensor, view: _View) -> Tensor:
    """An image as a view shows it."""
    axes, turns = view
    return torch.rot90(torch.flip(image, axes), turns, (-2, -1))


def _undone(logits: Tensor, view: _View) -> Tensor:
    """What was said of a view, where it belongs in the image."""
    axes, turns = view
    return torch.flip(torch.rot90(logits, -turns, (-2, -1)), axes)
