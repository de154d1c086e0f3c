"""The prompt-free head: SAM's mask decoder with one learned token per class."""

from __future__ import annotations

import torch
from segment_anything.modeling import TwoWayTransformer
from segment_anything.modeling.common import LayerNorm2d
from segment_anything.modeling.mask_decoder import MLP
from segment_anything.modeling.prompt_encoder import PositionEmbeddingRandom
from torch import Tensor, nn

from geocobot.models.architecture import HeadConfig
from geocobot.models.encoder import Features
from geocobot.models.stem import ImageStem


class MaskDecoderHead(nn.Module):
    """SAM's mask decoder without prompts: features in, one plane of logits per class out.

    Each class has a learned mask token in place of SAM's four mask hypotheses; SAM's "no mask"
    embedding stands for the dense prompt, and there are no sparse prompts. The IoU token and its
    head are left out: they rank SAM's hypotheses about one prompted object, and here every class
    has exactly one plane and nothing to be ranked against.

    Kirillov et al., "Segment Anything", arXiv 2304.02643, appendix A. Parts keep the names and
    shapes of segment-anything, so that its weights fit.

    Args:
        config: shape of the head.
    """

    def __init__(self, config: HeadConfig) -> None:
        super().__init__()
        self.config = config
        width = config.width
        self.transformer = TwoWayTransformer(
            depth=config.depth,
            embedding_dim=width,
            num_heads=config.heads,
            mlp_dim=config.mlp_width,
        )
        self.pe_layer = PositionEmbeddingRandom(width // 2)
        self.no_mask_embed = nn.Embedding(1, width)
        self.mask_tokens = nn.Embedding(config.n_classes, width)
        self.output_upscaling = nn.Sequential(
            nn.ConvTranspose2d(width, width // 4, kernel_size=2, stride=2),
            LayerNorm2d(width // 4),
            nn.GELU(),
            nn.ConvTranspose2d(width // 4, width // 8, kernel_size=2, stride=2),
            nn.GELU(),
        )
        self.output_hypernetworks_mlps = nn.ModuleList(
            MLP(width, width, width // 8, 3) for _ in range(config.n_classes)
        )
        self.image_stem = ImageStem(width) if config.image_stem else None

    def forward(self, features: Features, image: Tensor) -> Tensor:
        """Turn features into logits.

        Args:
            features: the encoder's output; its neck has `width` channels, and levels do not count.
            image: (B, 3, H, W), the encoder's input.

        Returns:
            (B, K, H, W) logits at the image's resolution.
        """
        batch, width, height, columns = features.neck.shape
        source = features.neck + self.no_mask_embed.weight.reshape(1, -1, 1, 1)
        positions = self._positions(height, columns).to(source.dtype)
        tokens = self.mask_tokens.weight.expand(batch, -1, -1)
        tokens, source = self.transformer(source, positions.expand(batch, -1, -1, -1), tokens)
        source = source.transpose(1, 2).reshape(batch, width, height, columns)
        if self.image_stem is None:
            fine = self.output_upscaling(source)
        else:
            fine = self.image_stem(image, source, self.output_upscaling)
        kernels = torch.stack(
            [mlp(tokens[:, k]) for k, mlp in enumerate(self.output_hypernetworks_mlps)], dim=1
        )
        logits = torch.einsum("bkc,bchw->bkhw", kernels, fine)
        return nn.functional.interpolate(
            logits, size=image.shape[-2:], mode="bilinear", align_corners=False
        )

    def _positions(self, height: int, columns: int) -> Tensor:
        """SAM's positional encoding of the feature grid, (1, width, height, columns) float32.

        Outside autocast: in bfloat16 the phases of neighbouring tokens would blur.
        """
        device = self.mask_tokens.weight.device
        with torch.autocast(device.type, enabled=False):
            encoding: Tensor = self.pe_layer((height, columns))
        return encoding.unsqueeze(0)
