"""Real pixels without labels, in memory, and crops of them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 # PyTorch's own name for it

_OCTAVES = 1.5  # from the smallest to the largest part of a scene that becomes a crop


class ImageBank:
    """Windows of scenes to draw crops from.

    Args:
        windows: (3, H, W) uint8 each, normalized 0..1 as 0..255; at least one.
    """

    def __init__(self, windows: Sequence[Tensor]) -> None:
        if not windows:
            raise ValueError("there is nothing to draw from")
        self.windows = [w.contiguous() for w in windows]
        # The root keeps one large scene from being all that is ever seen.
        areas = torch.tensor([float(w.shape[1] * w.shape[2]) for w in windows])
        self.weights = areas.sqrt()

    def draw(
        self, generator: torch.Generator, n: int, side_px: int, device: torch.device
    ) -> Tensor:
        """Draw crops, turned and zoomed.

        Args:
            generator: on the CPU.
            n: crops.
            side_px: their side.
            device: where they are wanted.

        Returns:
            (n, 3, side_px, side_px) float32, 0..1.
        """
        picked = torch.multinomial(self.weights, n, replacement=True, generator=generator)
        if self.windows[0].device != device:
            # Once: hundreds of crops per step are cut much faster where they are wanted.
            self.windows = [window.to(device) for window in self.windows]
        crops = [self._crop(self.windows[k], generator, side_px) for k in picked.tolist()]
        return torch.stack(crops)

    def _crop(self, window: Tensor, generator: torch.Generator, side_px: int) -> Tensor:
        """One crop."""
        zoom = 2.0 ** (_OCTAVES * (float(torch.rand((), generator=generator)) - 0.5))
        side = min(round(side_px * zoom), *window.shape[1:])
        row, col = (
            int(torch.randint(size - side + 1, (), generator=generator))
            for size in window.shape[1:]
        )
        crop = window[:, row : row + side, col : col + side].float().unsqueeze(0) / 255
        crop = F.interpolate(
            crop, size=(side_px, side_px), mode="bilinear", align_corners=False, antialias=True
        )[0]
        return dihedral(crop, int(torch.randint(8, (), generator=generator)))


def dihedral(tensor: Tensor, turn: int) -> Tensor:
    """One of the eight ways to lay a square on itself.

    Args:
        tensor: (..., S, S).
        turn: 0 to 7: quarter turns in the lower two bits, a flip before them in the third.
    """
    flipped = tensor.flip(-1) if turn & 4 else tensor
    return torch.rot90(flipped, turn & 3, dims=(-2, -1)).contiguous()
