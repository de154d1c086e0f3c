"""The backbones: their shape, and where their pretrained weights come from. Free of torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from geocobot.errors import ConfigError

PATCH_PX = 16
"""Side of the square that becomes one token, in pixels, in every base."""


@dataclass(frozen=True)
class WeightsSource:
    """Where pretrained weights are published.

    Attributes:
        url: the official address.
        file_name: name of the file there and in the cache.
        sha256: checksum of the whole file, lower-case hexadecimal.
        size_bytes: its size.
    """

    url: str
    file_name: str
    sha256: str
    size_bytes: int


@dataclass(frozen=True)
class BaseSpec:
    """Shape of a SAM image encoder.

    Attributes:
        name: what `--base` calls it.
        width: channels of a token.
        depth: transformer blocks.
        heads: attention heads per block.
        global_blocks: blocks with attention over the whole image; the others attend in windows.
        window_tokens: side of those windows, in tokens.
        image_px: side of the image that the positional tables are made for.
        out_channels: channels of the features that the head gets.
        conv_stem: cut tokens by small convolutions; SAM's own bases do it by one large one.
        weights: SAM's official weights, or None where there are none.
        bundled: name of the base file that comes with the package, or None where none does.
    """

    name: str
    width: int
    depth: int
    heads: int
    global_blocks: tuple[int, ...]
    window_tokens: int = 14
    image_px: int = 1024
    out_channels: int = 256
    conv_stem: bool = False
    weights: WeightsSource | None = None
    bundled: str | None = None

    @property
    def has_weights(self) -> bool:
        """Whether there are pretrained weights for it, in the package or to be downloaded."""
        return self.weights is not None or self.bundled is not None


def _official(file_name: str, sha256: str, size_bytes: int) -> WeightsSource:
    """A file of the segment-anything release."""
    url = f"https://dl.fbaipublicfiles.com/segment_anything/{file_name}"
    return WeightsSource(url, file_name, sha256, size_bytes)


# Shapes as in segment_anything.build_sam; checksums as published by micro-sam and 3D Slicer, which
# check the same files.
BASES: Mapping[str, BaseSpec] = {
    "vit_b": BaseSpec(
        name="vit_b",
        width=768,
        depth=12,
        heads=12,
        global_blocks=(2, 5, 8, 11),
        weights=_official(
            "sam_vit_b_01ec64.pth",
            "ec2df62732614e57411cdcf32a23ffdf28910380d03139ee0f4fcbe91eb8c912",
            375_042_383,
        ),
    ),
    "vit_l": BaseSpec(
        name="vit_l",
        width=1024,
        depth=24,
        heads=16,
        global_blocks=(5, 11, 17, 23),
        weights=_official(
            "sam_vit_l_0b3195.pth",
            "3adcc4315b642a4d2101128f611684e8734c41232a17c648ed1693702a49a622",
            1_249_524_607,
        ),
    ),
    "vit_h": BaseSpec(
        name="vit_h",
        width=1280,
        depth=32,
        heads=16,
        global_blocks=(7, 15, 23, 31),
        weights=_official(
            "sam_vit_h_4b8939.pth",
            "a7bf3b02f3ebf1267aba913ff637d9a2d5c33d3173bb679e46d9f338c26f262e",
            2_564_550_879,
        ),
    ),
    # Windows of 4 tokens divide every multiple of 64 px, so that no padding is computed.
    "tiny": BaseSpec(
        name="tiny",
        width=192,
        depth=12,
        heads=3,
        global_blocks=(2, 5, 8, 11),
        window_tokens=4,
        image_px=512,
        conv_stem=True,
        bundled="tiny.safetensors",
    ),
}


def find_base(name: str) -> BaseSpec:
    """The base of that name.

    Raises:
        ConfigError: there is no such base.
    """
    if name not in BASES:
        raise ConfigError(
            f"--base {name}",
            "is not known",
            f"Known bases are {', '.join(BASES)}",
            "Choose one of them; geocobot models list shows what they cost",
        )
    return BASES[name]
