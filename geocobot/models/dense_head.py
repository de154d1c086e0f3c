"""The dense head: several depths of the encoder and the image, joined down to every pixel."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, interpolate, pixel_shuffle, pixel_unshuffle

from geocobot.models.architecture import HeadConfig
from geocobot.models.encoder import Features
from geocobot.models.stem import PixelNorm, convolution, halving

_FULL = 8  # channels at the image's own resolution, where every one of them costs most


class DenseHead(nn.Module):
    """Features of several depths in, one plane of logits per class out, without prompts.

    The encoder's levels and its neck are brought to one width and added; a pyramid of convolutions
    on the image joins them at 1/8, 1/4 and 1/2 of its resolution, as in ViTMatte (Yao et al.,
    arXiv 2305.15272), and one more at its own. Logits are read at every resolution and added, the
    coarse ones to what is finer (Long et al., arXiv 1411.4038): read at the end alone, the encoder
    hardly gets a gradient. Every norm is over the channels of one pixel, so that nothing depends on
    where a tile was cut.

    Args:
        config: shape of the head.

    Attributes:
        needs_levels: whether it looks at `Features.levels`.
    """

    needs_levels = True

    def __init__(self, config: HeadConfig) -> None:
        super().__init__()
        self.config = config
        width = config.fused_width
        eighth, quarter, half = width // 2, width // 4, width // 4
        self.levels = nn.ModuleList(_projection(w, width) for w in config.level_widths)
        self.neck = _projection(config.width, width)
        self.fuse = nn.Sequential(PixelNorm(width), nn.GELU(), convolution(width, width))
        self.to_half = nn.Sequential(convolution(12, half), convolution(half, half))
        self.to_quarter = halving(half, quarter)
        self.to_eighth = halving(quarter, eighth)
        self.joins = nn.ModuleList(
            [_Join(width, eighth), _Join(eighth, quarter), _Join(quarter, half)]
        )
        self.full = _FullJoin(half, _FULL)
        self.readers = nn.ModuleList(
            nn.Conv2d(w, config.n_planes, kernel_size=1)
            for w in (width, eighth, quarter, half, _FULL)
        )

    def forward(self, features: Features, image: Tensor) -> Tensor:
        """Turn features into logits.

        Args:
            features: the encoder's output; its levels and neck are as wide as the config says.
            image: (B, 3, H, W), the encoder's input.

        Returns:
            (B, K, H, W) logits at the image's resolution.
        """
        scales = self.scales(features, image)
        logits: Tensor = self.readers[0](scales[0])
        for read, scale in zip(self.readers[1:], scales[1:], strict=True):
            coarse = interpolate(logits, scale_factor=2, mode="bilinear", align_corners=False)
            logits = coarse + read(scale)
        return logits

    def scales(self, features: Features, image: Tensor) -> list[Tensor]:
        """What the readers read, coarse first.

        Args:
            features: as for `forward`.
            image: as for `forward`.

        Returns:
            (B, C, H / 16, W / 16), and at every further scale twice as many rows and columns.
        """
        fused: Tensor = self.neck(features.neck)
        for project, level in zip(self.levels, features.levels, strict=True):
            fused = fused + project(level)
        cells = pixel_unshuffle(image, 2)
        half = self.to_half(cells)
        quarter = self.to_quarter(half)
        scales = [self.fuse(fused)]
        for join, detail in zip(self.joins, (self.to_eighth(quarter), quarter, half), strict=True):
            scales.append(join(scales[-1], detail))
        scales.append(self.full(scales[-1], cells))
        return scales


class _Join(nn.Module):
    """Twice the resolution, joined with what the pyramid sees there.

    Args:
        channels_in: of the coarse features.
        channels_out: of the pyramid's features and of the result.
    """

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.upscale = nn.ConvTranspose2d(channels_in, channels_out, kernel_size=2, stride=2)
        self.join = convolution(2 * channels_out, channels_out)

    def forward(self, coarse: Tensor, detail: Tensor) -> Tensor:
        """Join (B, channels_in, H, W) and (B, channels_out, 2 H, 2 W)."""
        joined: Tensor = self.join(torch.cat([self.upscale(coarse), detail], dim=1))
        return joined


class _FullJoin(nn.Module):
    """From half of the image's resolution to its own, joined with the image itself.

    Both sides are computed at half resolution, four pixels side by side in the channels (Shi et
    al., arXiv 1609.05158), because processors are slow at many pixels of few channels. Without the
    image's own way to here, lines of one pixel take several times as many steps to learn.

    Args:
        channels_in: of the features at half resolution.
        channels_out: of the result.
    """

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.upscale = nn.Conv2d(channels_in, 4 * channels_out, kernel_size=1)
        self.detail = nn.Conv2d(12, 4 * channels_out, kernel_size=3, padding=1)

    def forward(self, half: Tensor, cells: Tensor) -> Tensor:
        """Join (B, channels_in, H, W) features and (B, 12, H, W) cells of four pixels.

        Returns:
            (B, channels_out, 2 H, 2 W).
        """
        return pixel_shuffle(gelu(self.upscale(half) + self.detail(cells)), 2)


def _projection(channels_in: int, channels_out: int) -> nn.Sequential:
    """To a common width, whatever the scale that a level comes in."""
    return nn.Sequential(
        PixelNorm(channels_in), nn.Conv2d(channels_in, channels_out, kernel_size=1)
    )
