"""The model file: adapter and head as safetensors, and the card as JSON in its metadata."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from geocobot.adapters.attach import adapter_state
from geocobot.config.values import DtypeName
from geocobot.errors import ModelFileError, OutputError
from geocobot.models.atomic import replacing
from geocobot.models.bases import find_base
from geocobot.models.card import METADATA_KEY, ModelCard, read_card
from geocobot.models.checkpoint import load_checkpoint
from geocobot.models.segmenter import Segmenter, assemble
from geocobot.progress import Progress, SilentProgress

__all__ = ["ModelCard", "load_model", "model_state", "read_card", "save_model"]


_LARGE = 2048  # values; smaller tensors are no weight in the file


def model_state(segmenter: Segmenter) -> dict[str, Tensor]:
    """The tensors that a model file holds, by name.

    Head and adapters, C and S once; the whole encoder where it was trained, because then no
    official file could give it back.
    """
    encoder = (
        segmenter.encoder.state_dict()
        if segmenter.encoder_trained
        else adapter_state(segmenter.encoder)
    )
    parts = {"encoder": encoder, "head": segmenter.head.state_dict()}
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
    path = Path(path)
    if card.segmenter != segmenter.config:
        raise ValueError(
            f"the card describes {card.segmenter}, the segmenter is {segmenter.config}"
        )
    tensors = {n: _stored(t, dtype) for n, t in model_state(segmenter).items()}
    try:
        with replacing(path) as temporary:
            save_file(tensors, temporary, metadata={METADATA_KEY: card.to_json()})
            # safetensors lets its owner alone read; a model may be read by whoever may enter.
            temporary.chmod(path.parent.stat().st_mode & 0o666)
    except (OSError, SafetensorError) as error:
        raise OutputError(
            path,
            f"cannot be written ({error})",
            "geocobot needs an existing folder with write permission and free space",
            "Choose another folder with --out",
        ) from error


def load_model(
    path: str | Path,
    *,
    checkpoint: str | Path | None = None,
    progress: Progress | None = None,
) -> tuple[Segmenter, ModelCard]:
    """Read a model file and build its segmenter, in evaluation mode, on the CPU.

    Args:
        path: the model file.
        checkpoint: file with the base's weights, where they are not the cached official ones.
        progress: shows the download of the base.

    Raises:
        MissingFileError: there is no such file.
        ModelFileError: it is truncated, foreign, of a newer geocobot or another base, or lacks
            tensors.
        CheckpointError: the base's weights cannot be had.
    """
    path = Path(path)
    card = read_card(path)
    config = card.segmenter
    weights = None
    if not config.encoder_trained:
        weights = load_checkpoint(find_base(config.base), checkpoint, progress or SilentProgress())
        if weights.sha256 != config.base_sha256:
            raise ModelFileError(
                path,
                f"was trained on {config.base} weights with the SHA-256 "
                f"{str(config.base_sha256)[:12]}..., and these have {weights.sha256[:12]}...",
                "Adapters fit only the weights that they were trained on",
                "Name the file it was trained with: --checkpoint FILE",
            )
    segmenter = assemble(config, weights)
    _fill(segmenter, load_file(path), path)
    return segmenter.eval(), card


def _stored(tensor: Tensor, dtype: DtypeName) -> Tensor:
    """A tensor as the file holds it."""
    is_large = tensor.dim() > 1 and tensor.numel() >= _LARGE
    stored = tensor.to(torch.bfloat16) if dtype == "bfloat16" and is_large else tensor
    return stored.cpu().contiguous()


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
