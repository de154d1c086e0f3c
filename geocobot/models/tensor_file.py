"""Safetensors files as geocobot writes them: whole or not at all, with one key of metadata."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from geocobot.errors import OutputError
from geocobot.models.atomic import replacing
from geocobot.models.cards import METADATA_KEY

_LARGE = 2048  # values; smaller tensors are no weight in a file


def is_large(tensor: Tensor) -> bool:
    """Whether a tensor is a matrix or kernel that is worth fewer bits; norms and biases are not."""
    return tensor.dim() > 1 and tensor.numel() >= _LARGE


def write_tensors(path: Path, tensors: Mapping[str, Tensor], text: str) -> None:
    """Write a file, whole or not at all; an existing one is replaced.

    Args:
        path: the file; its folder exists.
        tensors: by name, in the dtypes that the file shall have.
        text: JSON for the metadata.

    Raises:
        OutputError: the folder is missing or not writable.
    """
    stored = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    try:
        with replacing(path) as temporary:
            save_file(stored, temporary, metadata={METADATA_KEY: text})
            # safetensors lets its owner alone read; a model may be read by whoever may enter.
            temporary.chmod(path.parent.stat().st_mode & 0o666)
    except (OSError, SafetensorError) as error:
        raise OutputError(
            path,
            f"cannot be written ({error})",
            "geocobot needs an existing folder with write permission and free space",
            "Choose another folder with --out",
        ) from error
