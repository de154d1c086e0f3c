"""SAM's image encoder for images of any size."""

from __future__ import annotations

from typing import NamedTuple

import torch
from segment_anything.modeling.common import LayerNorm2d
from segment_anything.modeling.image_encoder import PatchEmbed
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from geocobot.models.attention import AttentionKernel, attend, relative_table
from geocobot.models.bases import PATCH_PX, BaseSpec
from geocobot.models.linear import TokenLinear
from geocobot.models.stem import ConvPatchEmbed

# Without gradients a CPU takes so many tokens at a time through an MLP. What is between the layers
# stays below 32 MB, which glibc does not fetch from the system anew each time (0.4 ms per MB).
_MLP_TOKENS = 2048


class Features(NamedTuple):
    """What an encoder hands to a head.

    Attributes:
        levels: (B, width, H / 16, W / 16) each, the tokens after every block that attends to the
            whole image, shallow first.
        neck: (B, out_channels, H / 16, W / 16), what SAM's own decoder gets.
    """

    levels: tuple[Tensor, ...]
    neck: Tensor


class SamEncoder(nn.Module):
    """segment-anything's encoder with its own arithmetic and other kernels.

    Parameters have the official names (`image_encoder.` apart), and tables keep their official
    size: the interpolation to the image at hand happens on the fly, and not at all at the size
    they were made for.

    Args:
        spec: shape of the encoder.
        recompute: see below.

    Attributes:
        recompute: forget what is inside the blocks and compute it again for the gradients, a
            block at a time (Chen et al., arXiv 1604.06174).
        kernel: how attention is computed; None chooses by device and size.
    """

    def __init__(self, spec: BaseSpec, *, recompute: bool = False) -> None:
        super().__init__()
        self.recompute = recompute
        self.kernel: AttentionKernel | None = None
        self.global_blocks = frozenset(spec.global_blocks)
        side = spec.image_px // PATCH_PX
        patch = (PATCH_PX, PATCH_PX)
        self.patch_embed = (
            ConvPatchEmbed(spec.width)
            if spec.conv_stem
            else PatchEmbed(kernel_size=patch, stride=patch, embed_dim=spec.width)
        )
        self.pos_embed = nn.Parameter(torch.zeros(1, side, side, spec.width))
        self.blocks = nn.ModuleList(
            Block(spec, None if i in self.global_blocks else spec.window_tokens)
            for i in range(spec.depth)
        )
        self.neck = make_neck(spec)

    def forward(self, x: Tensor) -> Features:
        """Encode normalized images.

        Args:
            x: (B, 3, H, W) float; H and W multiples of 16.
        """
        tokens = self.patch_embed(x)
        # Channels last from here on: as the convolution leaves them, every norm would copy them.
        tokens = tokens.contiguous() + resize_table(self.pos_embed, tokens.shape[1:3])
        levels = []
        for index, block in enumerate(self.blocks):
            if self.recompute and torch.is_grad_enabled():
                tokens = checkpoint(block, tokens, self.kernel, use_reentrant=False)
            else:
                tokens = block(tokens, self.kernel)
            if index in self.global_blocks:
                levels.append(tokens.permute(0, 3, 1, 2))
        return Features(tuple(levels), self.neck(tokens.permute(0, 3, 1, 2)))


def make_neck(spec: BaseSpec) -> nn.Sequential:
    """SAM's neck: tokens (B, width, h, w) to features (B, out_channels, h, w)."""
    return nn.Sequential(
        nn.Conv2d(spec.width, spec.out_channels, kernel_size=1, bias=False),
        LayerNorm2d(spec.out_channels),
        nn.Conv2d(spec.out_channels, spec.out_channels, kernel_size=3, padding=1, bias=False),
        LayerNorm2d(spec.out_channels),
    )


class Block(nn.Module):
    """A transformer block on a grid of tokens.

    Args:
        spec: shape of the encoder.
        window: side of the windows that it attends in, in tokens; None attends to everything.
    """

    def __init__(self, spec: BaseSpec, window: int | None) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(spec.width, eps=1e-6)
        self.attn = Attention(spec, window)
        self.norm2 = nn.LayerNorm(spec.width, eps=1e-6)
        self.mlp = Mlp(spec.width)

    def forward(self, tokens: Tensor, kernel: AttentionKernel | None = None) -> Tensor:
        """Map (B, H, W, width) to the same shape."""
        tokens = tokens + self.attn(self.norm1(tokens), kernel)
        mapped: Tensor = tokens + self.mlp(self.norm2(tokens))
        return mapped


class Attention(nn.Module):
    """Attention with relative positions, in windows or over the whole grid.

    Args:
        spec: shape of the encoder.
        window: side of the windows, in tokens; None attends to everything.
    """

    def __init__(self, spec: BaseSpec, window: int | None) -> None:
        super().__init__()
        self.heads = spec.heads
        self.window = window
        self.qkv = TokenLinear(spec.width, 3 * spec.width)
        self.proj = TokenLinear(spec.width, spec.width)
        span = window or spec.image_px // PATCH_PX
        self.rel_pos_h = nn.Parameter(torch.zeros(2 * span - 1, spec.width // spec.heads))
        self.rel_pos_w = nn.Parameter(torch.zeros(2 * span - 1, spec.width // spec.heads))

    def forward(self, x: Tensor, kernel: AttentionKernel | None = None) -> Tensor:
        """Map (B, H, W, width) to the same shape."""
        height, width = x.shape[1:3]
        qkv = torch.unflatten(self.qkv(x), -1, (3, self.heads, -1))
        pad = qkv.new_zeros(qkv.shape[3:])
        if self.window and (height % self.window or width % self.window):
            # SAM fills windows up with tokens of zeros, and attends to what qkv makes of them.
            pad = self.qkv(x.new_zeros(x.shape[-1])).view(pad.shape)
        attended = attend(
            qkv,
            pad,
            relative_table(self.rel_pos_h, self.window or height),
            relative_table(self.rel_pos_w, self.window or width),
            kernel,
        )
        projected: Tensor = self.proj(attended.flatten(3))
        return projected


class Mlp(nn.Module):
    """Two linear layers with a GELU between them, token by token.

    Args:
        width: channels in and out; four times as many between the layers.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.lin1 = TokenLinear(width, 4 * width)
        self.lin2 = TokenLinear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        """Map (..., width) to (..., width)."""
        if torch.is_grad_enabled() or x.device.type != "cpu":
            return self._map(x)
        bands = torch.split(x.flatten(0, -2), _MLP_TOKENS)
        return torch.cat([self._map(band) for band in bands]).view(x.shape)

    def _map(self, x: Tensor) -> Tensor:
        """Map tokens at once."""
        mapped: Tensor = self.lin2(nn.functional.gelu(self.lin1(x)))
        return mapped


def resize_table(table: Tensor, shape_hw: torch.Size) -> Tensor:
    """Interpolate absolute positions (1, h, w, d) to another (h, w), bilinearly.

    The table itself where the size is the same.
    """
    if table.shape[1:3] == shape_hw:
        return table
    resized = nn.functional.interpolate(
        table.permute(0, 3, 1, 2), size=tuple(shape_hw), mode="bilinear", align_corners=False
    )
    return resized.permute(0, 2, 3, 1)
