"""What an encoder costs, counted from its shape. Free of torch."""

from __future__ import annotations

from itertools import pairwise

from geocobot.models.bases import PATCH_PX, BaseSpec

_PIXEL_VALUES = 3 * PATCH_PX**2


def encoder_parameters(spec: BaseSpec) -> int:
    """Number of weights of a base's image encoder."""
    d, out = spec.width, spec.out_channels
    side = spec.image_px // PATCH_PX
    patch_embed = _PIXEL_VALUES * d + d
    if spec.conv_stem:
        # Convolutions without bias, their norms, and the last layer.
        patch_embed = sum(9 * i * o + 2 * o for i, o in _stem_steps(d)) + d**2 + d
    positions = side**2 * d
    # Per block: two norms; qkv, proj and the two layers of the MLP, with biases.
    blocks = spec.depth * (4 * d + 12 * d**2 + 9 * d)
    tables = 0
    for index in range(spec.depth):
        span = side if index in spec.global_blocks else spec.window_tokens
        tables += 2 * (2 * span - 1) * (d // spec.heads)
    neck = d * out + 9 * out**2 + 4 * out
    return patch_embed + positions + blocks + tables + neck


def encoder_flop(spec: BaseSpec, tile_px: int = 1024) -> int:
    """Floating-point operations of one tile through a base's image encoder, as SAM defines it.

    Matrix products and convolutions of segment-anything's own code, a multiplication and an
    addition as two; what it computes on the padding of windows included. The measure of how fast
    any implementation is: ours leaves the padding out and adds channels to some products.

    Args:
        spec: the base.
        tile_px: side of the tile, a multiple of 16.
    """
    d, out = spec.width, spec.out_channels
    side = tile_px // PATCH_PX
    tokens = side**2
    per_token = _PIXEL_VALUES * d
    if spec.conv_stem:
        # Each step halves the resolution; the last works at that of the tokens.
        steps = enumerate(reversed(_stem_steps(d)))
        per_token = d**2 + sum(9 * i * o * 4**halvings for halvings, (i, o) in steps)
    total = 2 * tokens * (per_token + d * out + 9 * out**2)
    for index in range(spec.depth):
        span = side if index in spec.global_blocks else spec.window_tokens
        attended = (-(-side // span) * span) ** 2
        total += 2 * tokens * 8 * d**2 + 2 * attended * 4 * d**2
        # q k and attention times v, then the two decomposed relative positions.
        total += 4 * attended * span**2 * d + 4 * attended * span * d
    return total


def _stem_steps(width: int) -> list[tuple[int, int]]:
    """Channels into and out of each convolution of `stem.ConvPatchEmbed`."""
    return list(pairwise((3, width // 8, width // 4, width // 2, width)))
