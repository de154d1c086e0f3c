"""What is pretrained: an encoder with both heads, asked for everything that the world knows."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from geocobot.models.architecture import HeadConfig
from geocobot.models.bases import BaseSpec
from geocobot.models.boxes import Boxes, BoxPromptedHead
from geocobot.models.checkpoint import Checkpoint
from geocobot.models.dense_head import DenseHead
from geocobot.models.encoder import SamEncoder
from geocobot.models.heads import head_config
from geocobot.models.segmenter import Segmenter
from geocobot.models.stem import PixelNorm
from geocobot.synthetic.world.canvas import Cover

CELLS_PER_TOKEN = 4
"""Along one side of a token: what its readers tell apart."""

_SHAPES = 3
_BANDS = 3
_READ_LEVELS = (-3, -2)


@dataclass(frozen=True)
class Planes:
    """Answers of the dense head, logits unless said otherwise.

    Attributes:
        cover: (B, len(Cover), H, W), one class per pixel.
        outline: (B, H, W), next to another object.
        shadow: (B, H, W), in the shadow.
        height: (B, H, W), logarithm of one plus metres above the ground.
        pixels: (B, 3, H, W), the normalized image, also where it was hidden.
        tokens: (B, len(Cover), H / 4, W / 4) each, the cover as the encoder alone knows it: its
            neck first, then two of its levels.
    """

    cover: Tensor
    outline: Tensor
    shadow: Tensor
    height: Tensor
    pixels: Tensor
    tokens: tuple[Tensor, ...]

    def __getitem__(self, images: slice) -> Planes:
        """The planes of some of the images."""
        return Planes(
            self.cover[images],
            self.outline[images],
            self.shadow[images],
            self.height[images],
            self.pixels[images],
            tuple(tokens[images] for tokens in self.tokens),
        )


class _TokenReader(nn.Module):
    """Reads the cover off tokens, in cells of a quarter of their side.

    What the dense head sees of the image itself is easier to learn from than tokens that know
    nothing yet; asked through it alone, the encoder soon says the same of every place, and its
    gradient is gone.

    Args:
        channels: of a token.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            PixelNorm(channels),
            nn.Conv2d(channels, len(Cover) * CELLS_PER_TOKEN**2, kernel_size=1),
            nn.PixelShuffle(CELLS_PER_TOKEN),
        )

    def forward(self, tokens: Tensor) -> Tensor:
        """Map (B, channels, h, w) to logits (B, len(Cover), 4 h, 4 w)."""
        logits: Tensor = self.layers(tokens)
        return logits


class PretrainedParts(nn.Module):
    """An encoder, the dense head and the mask decoder, at random.

    Args:
        spec: the base.
    """

    def __init__(self, spec: BaseSpec) -> None:
        super().__init__()
        self.spec = spec
        # A segmenter for its normalization of pixels, and the only owner of encoder and head:
        # what two modules own, `torch.func.functional_call` does not put back as it was.
        self.segmenter = Segmenter(SamEncoder(spec), DenseHead(dense_config(spec)))
        self.token_readers = nn.ModuleList(
            [_TokenReader(spec.out_channels), *(_TokenReader(spec.width) for _ in _READ_LEVELS)]
        )
        self.decoder = BoxPromptedHead(decoder_config(spec))

    def forward(self, image: Tensor, boxes: Boxes | None = None) -> tuple[Planes, Tensor | None]:
        """Answer everything about images, and about boxes in them.

        Args:
            image: (B, 3, H, W) as `Segmenter` takes it.
            boxes: N boxes, or None.

        Returns:
            The planes, and the masks (N, H, W) of the boxes, if there are any.
        """
        features, normalized = self.segmenter.encode(image)
        read = (features.neck, *(features.levels[k] for k in _READ_LEVELS))
        tokens = tuple(
            reader(part).float() for reader, part in zip(self.token_readers, read, strict=True)
        )
        planes = split(self.dense(features, normalized), tokens)
        masks = None if boxes is None else self.decoder(features, normalized, boxes)
        return planes, masks

    def start_from(self, weights: Checkpoint) -> None:
        """Take over what there is of the encoder and both heads; all readers stay as they are."""
        self.encoder.load_state_dict(weights.encoder_state())
        weights.start_head(self.dense)
        weights.start_head(self.decoder)

    @property
    def encoder(self) -> SamEncoder:
        """The encoder."""
        assert isinstance(self.segmenter.encoder, SamEncoder)
        return self.segmenter.encoder

    @property
    def dense(self) -> DenseHead:
        """The dense head with all its planes."""
        assert isinstance(self.segmenter.head, DenseHead)
        return self.segmenter.head


def dense_config(spec: BaseSpec) -> HeadConfig:
    """Shape of the dense head with all its planes."""
    return head_config(spec, len(Cover) + _SHAPES + _BANDS, "dense", "random")


def decoder_config(spec: BaseSpec) -> HeadConfig:
    """Shape of the mask decoder."""
    return head_config(spec, 1, "mask-decoder", "random", prompt="boxes")


def split(logits: Tensor, tokens: tuple[Tensor, ...]) -> Planes:
    """Sort the dense head's planes, (B, K, H, W), by what they answer; tokens as in `Planes`."""
    cover, shapes, pixels = torch.split(logits.float(), [len(Cover), _SHAPES, _BANDS], dim=1)
    outline, shadow, height = shapes.unbind(1)
    return Planes(cover, outline, shadow, height, pixels, tokens)
