"""Many bands for an encoder that takes three."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from geocobot.bands import NO_DATA_FILL

N_COLORS = 3
"""Bands that SAM's encoders take: red, green and blue."""


class BandProjection(nn.Module):
    """Adds to the first three bands what all bands say about them, pixel by pixel.

    It starts at zero, so that the network begins with the three bands as they are, bit by bit.
    Mid-gray in all bands, which stands for no data, stays mid-gray.

    Args:
        n_bands: C, of the images.
    """

    def __init__(self, n_bands: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(N_COLORS, n_bands))

    def forward(self, image: Tensor) -> Tensor:
        """Map (B, C, H, W), 0..1, to (B, 3, H, W)."""
        # In full precision: bfloat16 has fewer steps than the bands of most images.
        with torch.autocast(image.device.type, enabled=False):
            added = nn.functional.conv2d(image - NO_DATA_FILL, self.weight[:, :, None, None])
        return image[:, :N_COLORS] + added
