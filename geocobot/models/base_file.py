"""The base file: pretrained encoder and heads of a base that geocobot pretrained itself.

Tensors have segment-anything's official names where it has them: `image_encoder.*`, and
`mask_decoder.*` and `prompt_encoder.*` for what `BoxPromptedHead` holds of SAM. Beside them are
`image_stem.*` of that head and `dense_head.*`, the dense head without what depends on the classes.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from geocobot.errors import CheckpointError
from geocobot.models.bases import BaseSpec
from geocobot.models.boxes import SAM_CORNERS, BoxPromptedHead
from geocobot.models.dense_head import DenseHead
from geocobot.models.encoder import SamEncoder
from geocobot.models.heads import head_config, make_head
from geocobot.models.provenance import Provenance, read_provenance
from geocobot.models.tensor_file import is_large, write_tensors

_DECODER_PREFIXES = ("mask_decoder.", "prompt_encoder.", "image_stem.")
_DENSE_PREFIX = "dense_head."
_READERS = "readers."


def write_base(
    path: str | Path,
    spec: BaseSpec,
    encoder: nn.Module,
    *,
    dense_head: DenseHead | None,
    mask_head: BoxPromptedHead | None,
    provenance: Provenance,
) -> None:
    """Write a base file, whole or not at all; an existing one is replaced.

    Matrices are stored as float16, or as bfloat16 where a value is too large for that; what is
    small stays float32.

    Args:
        path: the file; its folder exists.
        spec: the base.
        encoder: of the base, without adapters.
        dense_head: of any number of classes, whose readers are left out; None stores none.
        mask_head: with box prompts and one class; None stores none.
        provenance: how all this was pretrained.

    Raises:
        OutputError: the folder is missing or not writable.
        ValueError: a part does not fit the base, or has values that are not finite.
    """
    if provenance.base != spec.name:
        raise ValueError(f"the provenance is of {provenance.base}, the weights are of {spec.name}")
    tensors = {f"image_encoder.{n}": t for n, t in encoder.state_dict().items()}
    if dense_head is not None:
        tensors |= _dense_tensors(dense_head)
    if mask_head is not None:
        tensors |= _decoder_tensors(mask_head)
    found, expected = _shapes(tensors), _expected(spec, tensors)
    odd = _odd(found, expected)
    if odd:
        raise ValueError(
            f"{len(odd)} tensors do not fit {spec.name}, such as {odd[0]}: it is "
            f"{found.get(odd[0], 'missing')}, needed is {expected.get(odd[0], 'none')}"
        )
    endless = [name for name, tensor in tensors.items() if not tensor.isfinite().all()]
    if endless:
        raise ValueError(f"{len(endless)} tensors are not finite, such as {endless[0]}")
    stored = {name: _stored(tensor) for name, tensor in tensors.items()}
    write_tensors(Path(path), stored, provenance.to_json())


def read_base(path: str | Path, spec: BaseSpec) -> dict[str, Tensor]:
    """Read the tensors of a base file, float32 and on the CPU, all names and shapes checked.

    Args:
        path: the file.
        spec: the base that it shall be of.

    Raises:
        MissingFileError: there is no such file.
        CheckpointError: it is no base file, truncated, of another base or a newer geocobot, or
            its tensors do not fit the base.
    """
    path = Path(path)
    provenance = read_provenance(path)
    if provenance.base != spec.name:
        raise CheckpointError(
            path,
            f"holds the weights of {provenance.base}",
            f"--base {spec.name} needs its own",
            f"Pass --base {provenance.base}, or weights of {spec.name}",
        )
    tensors = load_file(path)
    found, expected = _shapes(tensors), _expected(spec, tensors)
    odd = _odd(found, expected) or [n for n, t in tensors.items() if not t.is_floating_point()]
    if odd:
        first = odd[0]
        kind = f" {tensors[first].dtype}" if first in tensors else ""
        raise CheckpointError(
            path,
            f"has {len(odd)} tensors that do not fit {spec.name}, such as {first}: "
            f"{found.get(first, 'missing')}{kind}",
            f"There it is {expected.get(first, 'unknown')} of floating-point numbers",
            "Copy the file again, or install the geocobot that wrote it, "
            f"{provenance.geocobot_version}",
        )
    return {name: tensor.float() for name, tensor in tensors.items()}


def _dense_tensors(head: DenseHead) -> dict[str, Tensor]:
    """A dense head's tensors by their names in the file, the readers left out."""
    state = head.state_dict().items()
    return {f"{_DENSE_PREFIX}{n}": t for n, t in state if not n.startswith(_READERS)}


def _decoder_tensors(head: BoxPromptedHead) -> dict[str, Tensor]:
    """A mask decoder's tensors by their names in the file; what SAM has more is left out.

    The inverse of how `Checkpoint.start_head` starts a head with box prompts and one class.
    """
    if not isinstance(head, BoxPromptedHead) or head.config.n_classes != 1:
        raise ValueError("the mask decoder of a base file has box prompts and one class")
    state = head.state_dict()
    iou, companions = state.pop("companion_tokens.weight").split([1, 3])
    tensors = {
        "mask_decoder.iou_token.weight": iou,
        "mask_decoder.mask_tokens.weight": torch.cat([state.pop("mask_tokens.weight"), companions]),
    }
    corners = state.pop("corner_embeddings.weight").split(1)
    for index, corner in zip(SAM_CORNERS, corners, strict=True):
        tensors[f"prompt_encoder.point_embeddings.{index}.weight"] = corner
    for name, tensor in state.items():
        if name.startswith(("pe_layer.", "no_mask_embed.")):
            tensors[f"prompt_encoder.{name}"] = tensor
        elif name.startswith("image_stem."):
            tensors[name] = tensor
        else:
            tensors[f"mask_decoder.{name}"] = tensor
    return tensors


def _expected(spec: BaseSpec, like: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    """Names and shapes of a base's tensors, with the heads that some tensors belong to."""
    with torch.device("meta"):
        state = {f"image_encoder.{n}": t for n, t in SamEncoder(spec).state_dict().items()}
        if any(name.startswith(_DENSE_PREFIX) for name in like):
            head = make_head(head_config(spec, 1, "dense", "pretrained"))
            assert isinstance(head, DenseHead)
            state |= _dense_tensors(head)
        if any(name.startswith(_DECODER_PREFIXES) for name in like):
            shape = head_config(spec, 1, "mask-decoder", "pretrained", prompt="boxes")
            head = make_head(shape)
            assert isinstance(head, BoxPromptedHead)
            state |= _decoder_tensors(head)
    return _shapes(state)


def _shapes(tensors: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    """Shapes by name."""
    return {name: tuple(tensor.shape) for name, tensor in tensors.items()}


def _odd(
    found: Mapping[str, tuple[int, ...]], expected: Mapping[str, tuple[int, ...]]
) -> list[str]:
    """Names of what is missing, unknown or misshapen."""
    return sorted(n for n in expected.keys() | found.keys() if expected.get(n) != found.get(n))


def _stored(tensor: Tensor) -> Tensor:
    """A tensor as the file holds it."""
    if not is_large(tensor):
        return tensor.float()
    half = tensor.half()
    return half if half.isfinite().all() else tensor.bfloat16()
