"""The model file: adapter and head as safetensors, and the card as JSON in its metadata."""

from __future__ import annotations

import re
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from geocobot.adapters.attach import adapter_state
from geocobot.config.values import DtypeName
from geocobot.errors import ModelFileError
from geocobot.models.bases import find_base
from geocobot.models.card import ModelCard, read_card
from geocobot.models.checkpoint import Checkpoint, load_checkpoint
from geocobot.models.segmenter import Segmenter, assemble
from geocobot.models.tensor_file import is_large, write_tensors
from geocobot.progress import Progress, SilentProgress

_OF_COBOT = re.compile(r"\b(relation|cobot)\.")

__all__ = ["ModelCard", "load_model", "model_state", "read_card", "save_model"]


def model_state(segmenter: Segmenter) -> dict[str, Tensor]:
    """The tensors that a model file holds, by name.

    Head, adapters, C and S once, and the projection of many bands; the whole encoder where it was
    trained or started at random, because then no other file could give it back.
    """
    config = segmenter.config
    holds_encoder = config is not None and config.holds_encoder
    encoder = segmenter.encoder.state_dict() if holds_encoder else adapter_state(segmenter.encoder)
    parts = {"encoder": encoder, "head": segmenter.head.state_dict()}
    if segmenter.projection is not None:
        parts["projection"] = segmenter.projection.state_dict()
    return {
        f"{part}.{name}": tensor.detach()
        for part, state in parts.items()
        for name, tensor in state.items()
    }


def save_model(
    path: str | Path, segmenter: Segmenter, card: ModelCard, dtype: DtypeName = "float32"
) -> None:
    """Write a model file, whole or not at all; an existing one is replaced.

    Args:
        path: the file; its folder exists.
        segmenter: what was trained.
        card: what it was trained on; its `segmenter` is the segmenter's own configuration.
        dtype: of the large matrices; "bfloat16" halves the file. What is small, COBOT's
            coefficients, norms and biases, stays float32.

    Raises:
        OutputError: the folder is missing or not writable.
        ValueError: the card describes another segmenter.
    """
    if card.segmenter != segmenter.config:
        raise ValueError(
            f"the card describes {card.segmenter}, the segmenter is {segmenter.config}"
        )
    tensors = {n: _stored(n, t, dtype) for n, t in model_state(segmenter).items()}
    write_tensors(Path(path), tensors, card.to_json())


def load_model(
    path: str | Path,
    *,
    checkpoint: str | Path | None = None,
    progress: Progress | None = None,
) -> tuple[Segmenter, ModelCard]:
    """Read a model file and build its segmenter, in evaluation mode, on the CPU.

    Args:
        path: the model file.
        checkpoint: file with the base's weights, where they are neither those that come with the
            package nor the cached official ones.
        progress: shows the download of the base.

    Raises:
        MissingFileError: there is no such file.
        ModelFileError: it is truncated, foreign, of a newer geocobot or another base, or lacks
            tensors.
        CheckpointError: the base's weights cannot be had.
    """
    path = Path(path)
    card = read_card(path)
    weights = None
    if not card.segmenter.holds_encoder:
        weights = _base_weights(path, card, checkpoint, progress or SilentProgress())
    segmenter = assemble(card.segmenter, weights)
    _fill(segmenter, load_file(path), path)
    return segmenter.eval(), card


def _base_weights(
    path: Path, card: ModelCard, checkpoint: str | Path | None, progress: Progress
) -> Checkpoint:
    """The weights that a model file was trained on."""
    config = card.segmenter
    spec = find_base(config.base)
    found = "there are none for it"
    if checkpoint is not None or spec.has_weights:
        weights = load_checkpoint(spec, checkpoint, progress)
        if weights.sha256 == config.base_sha256:
            return weights
        found = f"these have {weights.sha256[:12]}..."
    remedy = "Name the file it was trained with: --checkpoint FILE"
    if spec.bundled is not None:
        remedy += f", or install geocobot {card.geocobot_version}, whose own it may be"
    raise ModelFileError(
        path,
        f"was trained on {config.base} weights with the SHA-256 "
        f"{str(config.base_sha256)[:12]}..., and {found}",
        "Adapters fit only the weights that they were trained on",
        remedy,
    )


def _stored(name: str, tensor: Tensor, dtype: DtypeName) -> Tensor:
    """A tensor as the file holds it; COBOT's coefficients, however many, whole."""
    is_half = dtype == "bfloat16" and is_large(tensor) and not _OF_COBOT.search(name)
    return tensor.to(torch.bfloat16) if is_half else tensor


def _fill(segmenter: Segmenter, tensors: dict[str, Tensor], path: Path) -> None:
    """Copy the file's tensors into the segmenter, none missing and none left over."""
    expected = {name: tuple(t.shape) for name, t in model_state(segmenter).items()}
    found = {name: tuple(t.shape) for name, t in tensors.items()}
    odd = sorted(n for n in expected.keys() | found.keys() if expected.get(n) != found.get(n))
    if odd:
        raise ModelFileError(
            path,
            f"does not fit its own card: {len(odd)} tensors differ, such as {odd[0]} "
            f"({found.get(odd[0], 'missing')} in the file, "
            f"{expected.get(odd[0], 'unknown')} by the card)",
            "geocobot needs the file as training wrote it",
            "Copy it again from the training run, or train again",
        )
    segmenter.load_state_dict(tensors, strict=False)
