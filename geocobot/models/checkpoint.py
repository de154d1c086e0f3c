"""Pretrained weights of a base: read, checked key by key, and handed to encoder and head."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import torch
from segment_anything.modeling import MaskDecoder, PromptEncoder, TwoWayTransformer
from torch import Tensor, nn

from geocobot.config.values import HeadKind
from geocobot.errors import CheckpointError, MissingFileError
from geocobot.models.base_file import read_base
from geocobot.models.bases import BASES, PATCH_PX, BaseSpec
from geocobot.models.boxes import SAM_CORNERS, BoxPromptedHead
from geocobot.models.dense_head import DenseHead
from geocobot.models.encoder import SamEncoder
from geocobot.models.mask_decoder import TokenDecoder
from geocobot.models.weights import fetch_weights, sha256_of
from geocobot.progress import Progress

_log = logging.getLogger("geocobot.models")

_HYPERNETWORKS = "output_hypernetworks_mlps."
_SHARED_WITH_HEAD = ("transformer.", "output_upscaling.")


@dataclass(frozen=True)
class Checkpoint:
    """The tensors of a base's pretrained weights, all keys and shapes checked.

    Attributes:
        tensors: by their official names (`image_encoder.*`, `prompt_encoder.*`, `mask_decoder.*`);
            from a base file also `image_stem.*` and `dense_head.*`, see `base_file`.
        sha256: checksum of the file they came from.
    """

    tensors: dict[str, Tensor]
    sha256: str

    def encoder_state(self) -> dict[str, Tensor]:
        """The image encoder's tensors, by their names in `SamEncoder`."""
        return self._part("image_encoder.")

    def has_head(self, kind: HeadKind) -> bool:
        """Whether there are weights that a head of that kind can start from."""
        prefix = "dense_head." if kind == "dense" else "mask_decoder."
        return any(name.startswith(prefix) for name in self.tensors)

    def start_head(self, head: nn.Module) -> None:
        """Copy what there is of a head into one for the same base; the rest stays as it is.

        Of a dense head that is all but the readers of its classes. In a mask decoder without
        prompts class k starts from mask token k and its hypernetwork, counted modulo those that
        were trained: four by SAM, one in a base file. With boxes every class starts from token 0,
        which is the one for unambiguous prompts. SAM's own weights have no image stem.
        """
        if isinstance(head, DenseHead) and self.has_head("dense"):
            head.load_state_dict(head.state_dict() | self._part("dense_head."))
        elif isinstance(head, TokenDecoder) and self.has_head("mask-decoder"):
            head.load_state_dict(head.state_dict() | self._decoder_state(head))

    def _decoder_state(self, head: TokenDecoder) -> dict[str, Tensor]:
        """What a mask decoder starts from, by its names there."""
        decoder = self._part("mask_decoder.")
        prompt = self._part("prompt_encoder.")
        state = {
            name: decoder[name] for name in head.state_dict() if name.startswith(_SHARED_WITH_HEAD)
        }
        for name in ("pe_layer.positional_encoding_gaussian_matrix", "no_mask_embed.weight"):
            state[name] = prompt[name]
        trained = sum(n.startswith(_HYPERNETWORKS) and n.endswith(".0.weight") for n in decoder)
        tokens = [k % trained for k in range(head.config.n_planes)]
        if isinstance(head, BoxPromptedHead):
            tokens = [0] * head.config.n_planes
            state |= self._box_prompts()
        state["mask_tokens.weight"] = decoder["mask_tokens.weight"][tokens]
        for k, token in enumerate(tokens):
            source = f"{_HYPERNETWORKS}{token}."
            for name in decoder:
                if name.startswith(source):
                    own = name.replace(source, f"{_HYPERNETWORKS}{k}.", 1)
                    state[own] = decoder[name]
        if head.image_stem is not None:
            state |= {n: t for n, t in self.tensors.items() if n.startswith("image_stem.")}
        return state

    def _box_prompts(self) -> dict[str, Tensor]:
        """What a head with box prompts has beside the others, by its names there."""
        tokens = ("mask_decoder.iou_token.weight", "mask_decoder.mask_tokens.weight")
        iou, masks = (self.tensors[name] for name in tokens)
        corners = [self.tensors[f"prompt_encoder.point_embeddings.{i}.weight"] for i in SAM_CORNERS]
        return {
            "companion_tokens.weight": torch.cat([iou, masks[1:]]),
            "corner_embeddings.weight": torch.cat(corners),
        }

    def _part(self, prefix: str) -> dict[str, Tensor]:
        """The tensors under a prefix, without it."""
        return {n.removeprefix(prefix): t for n, t in self.tensors.items() if n.startswith(prefix)}


def load_checkpoint(spec: BaseSpec, path: str | Path | None, progress: Progress) -> Checkpoint:
    """Read a base's pretrained weights.

    Args:
        spec: the base.
        path: a base file, or a file in the official format; None takes the package's own, or the
            cache's, or downloads.
        progress: shows the download.

    Raises:
        CheckpointError: the weights cannot be had, or are not this base's.
        ConfigError: `path` is None, and the base has no pretrained weights.
        MissingFileError: there is no file at `path`.
    """
    if path is None:
        file = fetch_weights(spec, progress)
    else:
        file = Path(path)
        if not os.path.isfile(file):
            raise MissingFileError(
                file,
                "does not exist",
                f"--checkpoint names a file with the weights of {spec.name}",
                "Check the path, or leave --checkpoint out",
            )
    if spec.weights is None or _is_safetensors(file):
        tensors = read_base(file, spec)
    else:
        tensors = _read(file, spec)
        _check(tensors, file, spec)
    sha256 = sha256_of(file)
    if spec.weights is not None and sha256 != spec.weights.sha256:
        _log.warning("%s is not the official file of %s: its own checksum is kept", file, spec.name)
    return Checkpoint(tensors, sha256)


def _is_safetensors(file: Path) -> bool:
    """Whether a file begins as safetensors do: eight bytes of length, then JSON."""
    with file.open("rb") as opened:
        return opened.read(9)[8:] == b"{"


def _read(file: Path, spec: BaseSpec) -> dict[str, Tensor]:
    """Unpickle tensors and nothing else."""
    try:
        content = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # bytes of another kind fail as anything, KeyError to struct.error
        raise CheckpointError(
            file,
            f"cannot be read as PyTorch weights ({type(error).__name__})",
            f"geocobot needs the official checkpoint of {spec.name}, whole",
            f"The file may be truncated: delete {file} and download it again",
        ) from error
    if not isinstance(content, dict) or not all(isinstance(t, Tensor) for t in content.values()):
        raise CheckpointError(
            file,
            "holds something else than named tensors",
            f"geocobot needs the official checkpoint of {spec.name}",
            "Save the state_dict() of a segment-anything model",
        )
    return {name: tensor.detach().float() for name, tensor in content.items()}


def _check(tensors: dict[str, Tensor], file: Path, spec: BaseSpec) -> None:
    """Refuse missing, unknown and misshapen tensors."""
    expected = official_shapes(spec)
    found = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    if found == expected:
        return
    other = next((b.name for b in BASES.values() if official_shapes(b) == found), None)
    if other is not None:
        raise CheckpointError(
            file,
            f"holds the weights of {other}",
            f"--base {spec.name} needs its own",
            f"Pass --base {other}, or the checkpoint of {spec.name}",
        )
    odd = sorted(n for n in expected.keys() | found.keys() if expected.get(n) != found.get(n))
    first = odd[0]
    raise CheckpointError(
        file,
        f"has {len(odd)} tensors that do not fit {spec.name}, such as {first}: "
        f"{found.get(first, 'missing')}",
        f"There it is {expected.get(first, 'unknown')}, in the format of segment-anything",
        "Use the official checkpoint, or one trained from it with the same names",
    )


@lru_cache(maxsize=8)
def official_shapes(spec: BaseSpec) -> dict[str, tuple[int, ...]]:
    """Names and shapes of all tensors in a base's official checkpoint."""
    side = spec.image_px // PATCH_PX
    with torch.device("meta"):
        sam = nn.ModuleDict(
            {
                "image_encoder": SamEncoder(spec),
                "prompt_encoder": PromptEncoder(
                    embed_dim=spec.out_channels,
                    image_embedding_size=(side, side),
                    input_image_size=(spec.image_px, spec.image_px),
                    mask_in_chans=16,
                ),
                "mask_decoder": MaskDecoder(
                    transformer_dim=spec.out_channels,
                    transformer=TwoWayTransformer(
                        depth=2, embedding_dim=spec.out_channels, num_heads=8, mlp_dim=2048
                    ),
                ),
            }
        )
    return {name: tuple(tensor.shape) for name, tensor in sam.state_dict().items()}
