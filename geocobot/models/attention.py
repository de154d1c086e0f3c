"""SAM's attention with relative positions, by the kernel that suits the device."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal, TypeAlias

import torch
from torch import Tensor, nn

from geocobot.models.blocked import blocked_attention, key_positions

AttentionKernel: TypeAlias = Literal["dense", "blocked", "sdpa", "flex"]
"""How attention is computed, always with the same result:

- dense: all scores at once, for small images.
- blocked: a few scores at a time within the CPU's cache.
- sdpa: torch's fused attention; the relative positions are further channels of queries and keys.
- flex: FlexAttention (torch 2.5); the relative positions are added to the scores as they are made.
"""

# Up to here `tiny` is as fast or faster with all scores at once, forward and backward.
_MOST_DENSE_SCORES = 2**22
# Flash kernels take widths that are multiples of 8.
_CHANNEL_STEP = 8


def attend(
    qkv: Tensor,
    pad: Tensor,
    table_h: Tensor,
    table_w: Tensor,
    kernel: AttentionKernel | None = None,
) -> Tensor:
    """Attend within windows of an image, or within the whole of it.

    The score of a key is q k / sqrt(D) + q Rh + q Rw, with Rh and Rw for how many rows and columns
    it is away (Li et al., arXiv 2112.01526, section 4.1; SAM).

    Args:
        qkv: (B, H, W, 3, heads, D) queries, keys and values of all tokens.
        pad: (3, heads, D), the same of the tokens with which windows are filled up at the right
            and lower edge. They are attended to.
        table_h: (h, h, D), Rh by row of the query and of the key; h is the windows' height.
        table_w: (w, w, D), Rw by column; w is the windows' width.
        kernel: how to compute it; None chooses by device and size.

    Returns:
        (B, H, W, heads, D), dtype of `qkv`.
    """
    table_h, table_w, pad = (x.to(qkv.dtype) for x in (table_h, table_w, pad))
    span = len(table_h), len(table_w)
    kernel = kernel or choose_kernel(qkv, span)
    if kernel == "blocked":
        return blocked_attention(qkv, pad, table_h, table_w)
    windows = _cut(qkv, pad, span)
    attended = _WINDOW_KERNELS[kernel](*windows.unbind(), table_h, table_w)
    return _join(attended, qkv.shape[:3], span)


def choose_kernel(qkv: Tensor, span: tuple[int, int]) -> AttentionKernel:
    """The kernel for tokens (B, H, W, 3, heads, D) in windows of `span` (height, width)."""
    if qkv.device.type != "cpu":
        return "sdpa"
    batch, height, width, _, heads, _ = qkv.shape
    windows = batch * -(-height // span[0]) * -(-width // span[1])
    scores = windows * heads * (span[0] * span[1]) ** 2
    return "dense" if scores <= _MOST_DENSE_SCORES else "blocked"


def relative_table(table: Tensor, span: int) -> Tensor:
    """SAM's relative positions of queries and keys along one axis.

    Args:
        table: (2 n - 1, D), made for n tokens; linearly interpolated where `span` is not n.
        span: tokens along the axis.

    Returns:
        (span, span, D), by query and key.
    """
    if len(table) != 2 * span - 1:
        rows = nn.functional.interpolate(table.T[None], size=2 * span - 1, mode="linear")
        table = rows[0].T
    place = torch.arange(span, device=table.device)
    return table[place[:, None] - place + span - 1]


def _dense(q: Tensor, k: Tensor, v: Tensor, table_h: Tensor, table_w: Tensor) -> Tensor:
    """Attention of (n, heads, N, D) by two matrix products."""
    queries, keys = _join_positions(q * q.shape[-1] ** -0.5, q, k, table_h, table_w)
    return (queries @ keys.mT).softmax(dim=-1) @ v


def _sdpa(q: Tensor, k: Tensor, v: Tensor, table_h: Tensor, table_w: Tensor) -> Tensor:
    """Attention of (n, heads, N, D) by torch's fused kernels."""
    width = q.shape[-1]
    queries, keys = _join_positions(q * width**-0.5, q, k, table_h, table_w)
    fill = -queries.shape[-1] % _CHANNEL_STEP
    queries, keys = (nn.functional.pad(x, (0, fill)) for x in (queries, keys))
    values = nn.functional.pad(v, (0, queries.shape[-1] - width))
    attended = nn.functional.scaled_dot_product_attention(queries, keys, values, scale=1.0)
    return attended[..., :width]


def _join_positions(
    scaled: Tensor, q: Tensor, k: Tensor, table_h: Tensor, table_w: Tensor
) -> tuple[Tensor, Tensor]:
    """Queries and keys whose product holds the relative positions too.

    They are (q / sqrt(D), q Rh, q Rw) and (k, 1 at its row, 1 at its column).
    """
    positions = key_positions(len(table_h), len(table_w), k).expand(*k.shape[:2], -1, -1)
    queries = torch.cat([scaled, *_offsets(q, table_h, table_w)], dim=-1)
    return queries, torch.cat([k, positions], dim=-1)


def _flex(q: Tensor, k: Tensor, v: Tensor, table_h: Tensor, table_w: Tensor) -> Tensor:
    """Attention of (n, heads, N, D) by FlexAttention, compiled on CUDA and eager elsewhere."""
    from torch.nn.attention.flex_attention import flex_attention

    above, aside = _offsets(q, table_h, table_w)
    columns = len(table_w)

    def add_positions(score: Tensor, n: Tensor, head: Tensor, query: Tensor, key: Tensor) -> Tensor:
        row, column = key // columns, key % columns
        return score + above[n, head, query, row] + aside[n, head, query, column]

    compute = torch.compile(flex_attention, dynamic=False) if q.is_cuda else flex_attention
    attended: Tensor = compute(q, k, v, score_mod=add_positions)
    return attended


def _offsets(q: Tensor, table_h: Tensor, table_w: Tensor) -> tuple[Tensor, Tensor]:
    """The products q Rh and q Rw, by query and row (n, heads, N, h) and column (n, heads, N, w)."""
    grid = torch.unflatten(q, 2, (len(table_h), len(table_w)))
    above = torch.einsum("nayxc,ykc->nayxk", grid, table_h)
    aside = torch.einsum("nayxc,xkc->nayxk", grid, table_w)
    return above.flatten(2, 3), aside.flatten(2, 3)


def _cut(qkv: Tensor, pad: Tensor, span: tuple[int, int]) -> Tensor:
    """Cut (B, H, W, 3, heads, D) into windows (3, n, heads, N, D), filled up with `pad`."""
    for axis, size in enumerate(span, start=1):
        missing = -qkv.shape[axis] % size
        if missing:
            shape = list(qkv.shape)
            shape[axis] = missing
            qkv = torch.cat([qkv, pad.expand(shape)], dim=axis)
    grid = torch.unflatten(torch.unflatten(qkv, 2, (-1, span[1])), 1, (-1, span[0]))
    return grid.permute(5, 0, 1, 3, 6, 2, 4, 7).flatten(5, 6).flatten(1, 3)


def _join(windows: Tensor, shape: torch.Size, span: tuple[int, int]) -> Tensor:
    """Put windows (n, heads, N, D) together as (B, H, W, heads, D), the filling left out."""
    batch, height, width = shape
    counts = -(-height // span[0]), -(-width // span[1])
    grid = torch.unflatten(torch.unflatten(windows, 2, span), 0, (batch, *counts))
    tokens = grid.permute(0, 1, 4, 2, 5, 3, 6).flatten(3, 4).flatten(1, 2)
    return tokens[:, :height, :width]


_WINDOW_KERNELS: Mapping[str, Callable[..., Tensor]] = {
    "dense": _dense,
    "sdpa": _sdpa,
    "flex": _flex,
}
