"""The head with box prompts: SAM's mask decoder as published, one mask per box."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from geocobot.models.architecture import HeadConfig
from geocobot.models.encoder import Features
from geocobot.models.mask_decoder import TokenDecoder

# Tokens that SAM's decoder has beside the one of a single mask: the IoU token and three masks.
_N_COMPANIONS = 4

SAM_CORNERS = (2, 3)
"""Which of SAM's point embeddings are the first and the last corner of a box."""


@dataclass(frozen=True)
class Boxes:
    """Boxes around single objects in a batch of images.

    Attributes:
        corners: (N, 4) float32, first column, first row, last column and last row inside the box,
            in pixels; pixel 0 is the first one.
        image: (N,) int64, position of each box's image in the batch.
        plane: (N,) int64, class of each box's object, from 0.
    """

    corners: Tensor
    image: Tensor
    plane: Tensor

    def __len__(self) -> int:
        """Number of boxes."""
        return len(self.corners)

    def __getitem__(self, index: Tensor | slice) -> Boxes:
        """Take some of the boxes."""
        return Boxes(self.corners[index], self.image[index], self.plane[index])

    def to(self, device: torch.device) -> Boxes:
        """Move the boxes."""
        return Boxes(self.corners.to(device), self.image.to(device), self.plane.to(device))


class BoxPromptedHead(TokenDecoder):
    """SAM's mask decoder with a box prompt: one mask per box.

    With the official weights and one class it gives exactly SAM's own mask of a box: the class's
    token starts as SAM's token of the single mask, and the IoU token and those of the three other
    masks stay beside it, because SAM's weights expect that company. Only their answers are left
    out. Every class has a token of its own, and the mask of a box comes from the token of its
    class.

    A box is two tokens, one for each corner: Fourier features of the place and a learned
    embedding. Kirillov et al., "Segment Anything", arXiv 2304.02643, appendix A.

    Args:
        config: shape of the head.
    """

    def __init__(self, config: HeadConfig) -> None:
        super().__init__(config)
        self.companion_tokens = nn.Embedding(_N_COMPANIONS, config.width)
        self.corner_embeddings = nn.Embedding(2, config.width)

    def forward(self, features: Features, image: Tensor, boxes: Boxes) -> Tensor:
        """Draw the object in every box.

        Args:
            features: the encoder's output; its neck has `width` channels, and levels do not count.
            image: (B, 3, H, W), the encoder's input.
            boxes: N boxes in these images.

        Returns:
            (N, H, W) logits at the image's resolution.
        """
        masks = self.coarse_masks(features, image, boxes).unsqueeze(1)
        return nn.functional.interpolate(
            masks, size=image.shape[-2:], mode="bilinear", align_corners=False
        ).squeeze(1)

    def coarse_masks(self, features: Features, image: Tensor, boxes: Boxes) -> Tensor:
        """Draw the object in every box at the decoder's own resolution.

        Returns:
            (N, H / 4, W / 4) logits; with an image stem (N, H / 2, W / 2).
        """
        tokens = torch.cat(
            [
                self.mask_tokens(boxes.plane).unsqueeze(1),
                self.companion_tokens.weight.expand(len(boxes), -1, -1),
                self._corner_tokens(boxes.corners, image.shape[-2:]),
            ],
            dim=1,
        )
        tokens, source = self.attend(features.neck[boxes.image], tokens)
        if self.image_stem is None:
            fine = self.output_upscaling(source)
        else:
            half, quarter, eighth = (level[boxes.image] for level in self.image_stem.pyramid(image))
            fine = self.image_stem.upscale((half, quarter, eighth), source, self.output_upscaling)
        kernels = torch.stack([mlp(tokens[:, 0]) for mlp in self.output_hypernetworks_mlps])
        own = kernels[boxes.plane, torch.arange(len(boxes), device=boxes.plane.device)]
        return torch.einsum("nc,nchw->nhw", own, fine)

    def _corner_tokens(self, corners: Tensor, shape_hw: torch.Size) -> Tensor:
        """The two tokens (N, 2, width) of every box, exact under autocast."""
        with torch.autocast(corners.device.type, enabled=False):
            # SAM places a corner in the middle of its pixel.
            points = corners.float().reshape(-1, 2, 2) + 0.5
            places: Tensor = self.pe_layer.forward_with_coords(points, tuple(shape_hw))
        return places + self.corner_embeddings.weight
