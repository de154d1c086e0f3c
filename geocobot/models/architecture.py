"""What a segmenter is made of, as plain values for the model file. Free of torch."""

from __future__ import annotations

from dataclasses import dataclass

from geocobot.adapters.config import AdapterConfig
from geocobot.config.values import HeadKind, PromptName


@dataclass(frozen=True)
class HeadConfig:
    """Shape of a head.

    Attributes:
        n_classes: planes of logits that stand for classes.
        image_stem: mask decoder: join features of the image itself, down to half of its
            resolution, for encoders that cannot carry fine detail through their tokens.
        width: channels of the encoder's neck, and of the mask decoder's tokens.
        depth: mask decoder: two-way attention blocks.
        heads: mask decoder: attention heads.
        mlp_width: mask decoder: hidden width of the tokens' MLPs.
        prompt: mask decoder: "none" for planes of whole classes; "boxes" for masks of single
            objects, one box given for each.
        kind: which head it is.
        level_widths: dense head: channels of each of the encoder's levels.
        fused_width: dense head: channels of the levels together; a multiple of 4.
        separate: whether there is one more plane, the last one: of the insides of single objects,
            which keep from each other where the objects touch.
    """

    n_classes: int
    image_stem: bool = False
    width: int = 256
    depth: int = 2
    heads: int = 8
    mlp_width: int = 2048
    prompt: PromptName = "none"
    kind: HeadKind = "mask-decoder"
    level_widths: tuple[int, ...] = ()
    fused_width: int = 128
    separate: bool = False

    @property
    def n_planes(self) -> int:
        """Planes of logits, K."""
        return self.n_classes + self.separate


@dataclass(frozen=True)
class SegmenterConfig:
    """Everything needed to build a segmenter again.

    Attributes:
        base: name of the backbone.
        base_sha256: checksum of the pretrained weights' file, or None where the encoder started
            at random.
        adapter: the adapters in it.
        head: the head on it.
        encoder_trained: whether the encoder's own weights were trained too.
        n_bands: of the images; more than three are projected to three.
    """

    base: str
    base_sha256: str | None
    adapter: AdapterConfig
    head: HeadConfig
    encoder_trained: bool
    n_bands: int = 3

    @property
    def holds_encoder(self) -> bool:
        """Whether the model file holds the encoder, because no other file could give it back."""
        return self.encoder_trained or self.base_sha256 is None
