"""Convolutions where a transformer that starts at random would need far more labels."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn


class PixelNorm(nn.LayerNorm):
    """Normalize the channels of every pixel by themselves.

    The arithmetic of segment-anything's `LayerNorm2d` through torch's own kernel. Group norm,
    which also counts what lies beside a pixel, let its features depend on where a tile was cut.
    """

    def forward(self, features: Tensor) -> Tensor:
        """Normalize (B, C, H, W) over C."""
        return super().forward(features.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class ImageStem(nn.Module):
    """Fine detail for the mask decoder, straight from the image.

    A convolutional pyramid at 1/2, 1/4 and 1/8 of the image's resolution joins the decoder's
    upscaling step by step and takes it one step further, to 1/2. After the detail capture of
    ViTMatte (Yao et al., arXiv 2305.15272). Without it a random start leaves everything finer
    than a token to a decoder that sees tokens only.

    Args:
        width: channels of the decoder's features; the pyramid's follow from it.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        half, quarter, eighth = width // 8, width // 4, width * 3 // 8
        self.to_half = halving(3, half)
        self.to_quarter = halving(half, quarter)
        self.to_eighth = halving(quarter, eighth)
        self.at_eighth = convolution(width // 4 + eighth, width // 4)
        self.at_quarter = convolution(width // 8 + quarter, width // 8)
        self.at_half = nn.Sequential(
            convolution(width // 8 + half, width // 8),
            # Sums of products with the classes' kernels need both signs.
            nn.Conv2d(width // 8, width // 8, kernel_size=1),
        )

    def forward(self, image: Tensor, coarse: Tensor, upscaling: nn.Sequential) -> Tensor:
        """Upscale features along the image.

        Args:
            image: (B, 3, H, W) normalized.
            coarse: (B, width, H / 16, W / 16) features.
            upscaling: SAM's `output_upscaling`: three layers to 1/8, two to 1/4.

        Returns:
            (B, width / 8, H / 2, W / 2).
        """
        return self.upscale(self.pyramid(image), coarse, upscaling)

    def pyramid(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """What (B, 3, H, W) normalized images show at 1/2, 1/4 and 1/8 of their resolution."""
        half = self.to_half(image)
        quarter = self.to_quarter(half)
        return half, quarter, self.to_eighth(quarter)

    def upscale(
        self, pyramid: tuple[Tensor, Tensor, Tensor], coarse: Tensor, upscaling: nn.Sequential
    ) -> Tensor:
        """Do what `forward` does, along a pyramid that is there already."""
        half, quarter, eighth = pyramid
        fine = self.at_eighth(torch.cat([upscaling[:3](coarse), eighth], dim=1))
        fine = self.at_quarter(torch.cat([upscaling[3:](fine), quarter], dim=1))
        fine = nn.functional.interpolate(fine, scale_factor=2, mode="bilinear", align_corners=False)
        merged: Tensor = self.at_half(torch.cat([fine, half], dim=1))
        return merged


class ConvPatchEmbed(nn.Module):
    """Image to tokens by four small steps in place of one large one.

    Xiao et al., "Early convolutions help transformers see better", arXiv 2106.14881: from a random
    start it learns faster. Takes the place of segment-anything's `PatchEmbed`.

    Args:
        width: channels of a token.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        widths = (3, width // 8, width // 4, width // 2, width)
        self.layers = nn.Sequential(
            *(convolution(i, o, stride=2) for i, o in pairwise(widths)),
            nn.Conv2d(width, width, kernel_size=1),
        )

    def forward(self, image: Tensor) -> Tensor:
        """Map (B, 3, H, W) to (B, H / 16, W / 16, width)."""
        tokens: Tensor = self.layers(image)
        return tokens.permute(0, 2, 3, 1)


def halving(channels_in: int, channels_out: int) -> nn.Sequential:
    """Halve the resolution, then look around once more."""
    return nn.Sequential(
        convolution(channels_in, channels_out, stride=2), convolution(channels_out, channels_out)
    )


def convolution(channels_in: int, channels_out: int, *, stride: int = 1) -> nn.Sequential:
    """A 3 x 3 convolution with norm and activation."""
    return nn.Sequential(
        nn.Conv2d(channels_in, channels_out, kernel_size=3, stride=stride, padding=1, bias=False),
        PixelNorm(channels_out),
        nn.GELU(),
    )
