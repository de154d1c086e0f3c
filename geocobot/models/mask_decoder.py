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


class TokenDecoder(nn.Module):
    """The parts of SAM's mask decoder: tokens attend to an image and read planes from it.

    Kirillov et al., "Segment Anything", arXiv 2304.02643, appendix A. Parts keep the names and
    shapes of segment-anything, so that its weights fit. The head that predicts IoU is left out:
    it ranks SAM's hypotheses about one object, and there is one plane per question here and
    nothing to be ranked against.

    Args:
        config: shape of the head.

    Attributes:
        needs_levels: whether it looks at `Features.levels`.
    """

    needs_levels = False

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
        self.mask_tokens = nn.Embedding(config.n_planes, width)
        self.output_upscaling = nn.Sequential(
            nn.ConvTranspose2d(width, width // 4, kernel_size=2, stride=2),
            LayerNorm2d(width // 4),
            nn.GELU(),
            nn.ConvTranspose2d(width // 4, width // 8, kernel_size=2, stride=2),
            nn.GELU(),
        )
        self.output_hypernetworks_mlps = nn.ModuleList(
            MLP(width, width, width // 8, 3) for _ in range(config.n_planes)
        )
        self.image_stem = ImageStem(width) if config.image_stem else None

    def attend(self, neck: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Let tokens and image look at each other, without a dense prompt.

        Args:
            neck: (B, width, h, w) features.
            tokens: (B, T, width).

        Returns:
            Tokens (B, T, width) and features (B, width, h, w) afterwards.
        """
        batch, width, height, columns = neck.shape
        source = neck + self.no_mask_embed.weight.reshape(1, -1, 1, 1)
        positions = self._positions(height, columns).to(source.dtype)
        tokens, source = self.transformer(source, positions.expand(batch, -1, -1, -1), tokens)
        return tokens, source.transpose(1, 2).reshape(batch, width, height, columns)

    def _positions(self, height: int, columns: int) -> Tensor:
        """SAM's positional encoding of the feature grid, (1, width, height, columns) float32.

        Outside autocast: in bfloat16 the phases of neighbouring tokens would blur.
        """
        device = self.mask_tokens.weight.device
        with torch.autocast(device.type, enabled=False):
            encoding: Tensor = self.pe_layer((height, columns))
        return encoding.unsqueeze(0)


class MaskDecoderHead(TokenDecoder):
    """SAM's mask decoder without prompts: features in, one plane of logits per class out.

    Each class has a learned mask token in place of SAM's four mask hypotheses; SAM's "no mask"
    embedding stands for the dense prompt, and there are no sparse prompts. The IoU token is left
    out with its head.

    Args:
        config: shape of the head.
    """

    def forward(self, features: Features, image: Tensor) -> Tensor:
        """Turn features into logits.

        Args:
            features: the encoder's output; its neck has `width` channels, and levels do not count.
            image: (B, 3, H, W), the encoder's input.

        Returns:
            (B, K, H, W) logits at the image's resolution.
        """
        tokens = self.mask_tokens.weight.expand(len(image), -1, -1)
        tokens, source = self.attend(features.neck, tokens)
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
