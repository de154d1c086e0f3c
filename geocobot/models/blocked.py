"""Attention with relative positions on the CPU, a few scores at a time.

All scores of a global block of ViT-B at 1024 px are 805 MB in float32, and SAM's own form goes over
them five times. Here some of them are made, used and forgotten within the processor's cache, and
made again for the gradients. Windows are cut out of the image and padded on the way.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple, TypeAlias

import torch
from torch import Tensor

from geocobot.models.linear import token_linear

# 8 MB in float32. On Zen 5 (32 MB of L3) twice as many are as fast and four times as many half as
# fast; with half as many the matrix products starve.
_SCORES_AT_A_TIME = 2**21
# Shorter rows of keys are added slowly, one short vector each: there the relative positions join
# the matrix product as further channels (windows of 14, bfloat16: 12 ms instead of 42 per block).
_LEAST_ADDED_KEYS = 32

_Place: TypeAlias = tuple[int, slice]


class _Span(NamedTuple):
    """Height and width of a window, in tokens; of the whole image for global attention."""

    height: int
    width: int


class _Group(NamedTuple):
    """Windows of a row of windows, and heads, that are computed together."""

    windows: slice
    heads: slice


class _Scores:
    """The scores of a group's queries for the keys of their windows.

    Args:
        q: (g, N, D) queries.
        k: (g, N, D) keys.
        table_h: (height, height, D) relative positions by row of the query and of the key.
        table_w: (width, width, D), by column.
    """

    def __init__(self, q: Tensor, k: Tensor, table_h: Tensor, table_w: Tensor) -> None:
        self.span = _Span(len(table_h), len(table_w))
        self.grid = q.view(len(q), *self.span, -1)
        self.tables = table_h, table_w
        self.scale = q.shape[-1] ** -0.5
        self.joined = self.span.width < _LEAST_ADDED_KEYS
        above = torch.einsum("gyxc,ykc->gyxk", self.grid, table_h).flatten(1, 2)
        aside = torch.einsum("gyxc,xkc->gyxk", self.grid, table_w).flatten(1, 2)
        self.queries, self.keys, self.offsets = q * self.scale, k, (above, aside)
        if self.joined:
            onehot = key_positions(*self.span, k).expand(len(k), -1, -1)
            self.queries = torch.cat([self.queries, above, aside], dim=-1)
            self.keys = torch.cat([k, onehot], dim=-1)

    def softmax(self, rows: slice) -> Tensor:
        """Weights (g, R, N) of the keys for some of the queries."""
        scores = _product(self.queries[:, rows], self.keys)
        if not self.joined:
            grid = torch.unflatten(scores, -1, self.span)
            grid += self.offsets[0][:, rows, :, None]
            grid += self.offsets[1][:, rows, None, :]
        return scores.softmax(dim=-1)

    def query_gradient(self, gradient: Tensor) -> Tensor:
        """From the gradient (g, R, N) of some scores to that of what made them.

        Returns:
            (g, R, D + height + width): of the scaled queries, then of both relative positions.
        """
        of_queries = gradient @ self.keys if self.joined else _product(gradient, self.keys.mT)
        if self.joined:
            return of_queries
        grid = torch.unflatten(gradient, -1, self.span)
        return torch.cat([of_queries, grid.sum(dim=-1), grid.sum(dim=-2)], dim=-1)

    def finish(self, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """From what `query_gradient` gave for all queries to the gradients of q and the tables."""
        grid = gradient.view(*self.grid.shape[:3], -1)
        scaled, above, aside = torch.split(grid, [self.grid.shape[-1], *self.span], dim=-1)
        of_q = scaled * self.scale
        of_q = of_q + torch.einsum("gyxk,ykc->gyxc", above, self.tables[0])
        of_q = of_q + torch.einsum("gyxk,xkc->gyxc", aside, self.tables[1])
        of_h = torch.einsum("gyxk,gyxc->ykc", above, self.grid)
        of_w = torch.einsum("gyxk,gyxc->xkc", aside, self.grid)
        return of_q.flatten(1, 2), of_h, of_w


def key_positions(height: int, width: int, like: Tensor) -> Tensor:
    """The row and the column of every key of a window, as zeros and a one each.

    Returns:
        (height * width, height + width), dtype and device of `like`.
    """
    rows, columns = (torch.eye(n, dtype=like.dtype, device=like.device) for n in (height, width))
    return torch.cat([rows.repeat_interleave(width, dim=0), columns.repeat(height, 1)], dim=1)


def blocked_attention(qkv: Tensor, pad: Tensor, table_h: Tensor, table_w: Tensor) -> Tensor:
    """Attention within windows; see `geocobot.models.attention.attend` for the arguments.

    A custom operator, so that `torch.compile` takes it as a whole.
    """
    attended: Tensor = torch.ops.geocobot.blocked_attention(qkv, pad, table_h, table_w)
    return attended


@torch.library.custom_op("geocobot::blocked_attention", mutates_args=())
def _forward(qkv: Tensor, pad: Tensor, table_h: Tensor, table_w: Tensor) -> Tensor:
    """Attention of every window, written where its tokens are."""
    span = _Span(len(table_h), len(table_w))
    out = qkv.new_empty(qkv.shape[:3] + qkv.shape[4:])
    with torch.autocast("cpu", enabled=False):
        for place in _strips(qkv, span):
            strip = _padded(qkv[place], pad, span)
            result = strip.new_empty(strip.shape[:2] + strip.shape[3:])
            for group in _groups(strip, span):
                q, k, v = (_take(part, span, group) for part in strip.unbind(dim=2))
                scores = _Scores(q, k, table_h, table_w)
                attended = torch.empty_like(q)
                for rows in _row_blocks(q):
                    attended[:, rows] = _product(scores.softmax(rows), v.mT)
                _put(result, span, group, attended)
            out[place] = result[: out[place].shape[0], : out.shape[2]]
    return out


@torch.library.custom_op("geocobot::blocked_attention_backward", mutates_args=())
def _backward(
    gradient: Tensor, qkv: Tensor, pad: Tensor, table_h: Tensor, table_w: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The gradients of `_forward`'s arguments."""
    span = _Span(len(table_h), len(table_w))
    of_qkv = torch.empty_like(qkv)
    of_pad, of_h, of_w = (_zeros_to_add_to(x) for x in (pad, table_h, table_w))
    with torch.autocast("cpu", enabled=False):
        for place in _strips(qkv, span):
            strip = _padded(qkv[place], pad, span)
            outer = _padded(gradient[place], torch.zeros_like(pad[0]), span)
            result = torch.empty_like(strip)
            for group in _groups(strip, span):
                q, k, v = (_take(part, span, group) for part in strip.unbind(dim=2))
                scores = _Scores(q, k, table_h, table_w)
                *parts, group_h, group_w = _group_backward(scores, v, _take(outer, span, group))
                for whole, part in zip(result.unbind(dim=2), parts, strict=True):
                    _put(whole, span, group, part)
                of_h += group_h
                of_w += group_w
            height, width = of_qkv[place].shape[:2]
            of_qkv[place] = result[:height, :width]
            of_pad += result[:, width:].sum(dim=(0, 1)) + result[height:, :width].sum(dim=(0, 1))
    return of_qkv, of_pad.to(pad.dtype), of_h.to(table_h.dtype), of_w.to(table_w.dtype)


def _group_backward(scores: _Scores, v: Tensor, outer: Tensor) -> tuple[Tensor, ...]:
    """Gradients of q, k, v and both tables from that of what a group attended to."""
    of_k, of_v = _zeros_to_add_to(v), _zeros_to_add_to(v)
    of_queries = []
    for rows in _row_blocks(v):
        weights = scores.softmax(rows)
        of_v += _transposed_product(weights, outer[:, rows])
        of_weights = _product(outer[:, rows], v)
        of_scores = torch.ops.aten._softmax_backward_data(  # noqa: SLF001 # fused, and no other name
            of_weights, weights, -1, weights.dtype
        )
        of_k += _transposed_product(of_scores, scores.queries[:, rows, : v.shape[-1]])
        of_queries.append(scores.query_gradient(of_scores))
    of_q, of_h, of_w = scores.finish(torch.cat(of_queries, dim=1))
    return of_q, of_k, of_v, of_h, of_w


@_forward.register_fake
def _(qkv: Tensor, *others: Tensor) -> Tensor:  # noqa: ARG001 # torch's
    return qkv.new_empty(qkv.shape[:3] + qkv.shape[4:])


@_backward.register_fake
def _(gradient: Tensor, *inputs: Tensor) -> tuple[Tensor, ...]:  # noqa: ARG001 # torch's
    return tuple(torch.empty_like(x) for x in inputs)


def _setup_context(ctx: Any, inputs: tuple[Tensor, ...], output: Tensor) -> None:  # noqa: ARG001
    """Keep the arguments, and none of the scores, for the gradients."""
    ctx.save_for_backward(*inputs)


def _differentiate(ctx: Any, gradient: Tensor) -> tuple[Tensor, ...]:
    """The gradients as torch asks for them."""
    gradients: tuple[Tensor, ...] = torch.ops.geocobot.blocked_attention_backward(
        gradient.contiguous(), *ctx.saved_tensors
    )
    return gradients


_forward.register_autograd(_differentiate, setup_context=_setup_context)


def _strips(qkv: Tensor, span: _Span) -> Iterator[_Place]:
    """Every row of windows of every image: number of the image and rows of tokens."""
    for image in range(qkv.shape[0]):
        for top in range(0, qkv.shape[1], span.height):
            yield image, slice(top, top + span.height)


def _groups(strip: Tensor, span: _Span) -> Iterator[_Group]:
    """What of a row of windows is computed at once: windows with all heads, or heads of one."""
    n_windows, n_heads = strip.shape[1] // span.width, strip.shape[-2]
    at_a_time = max(1, _SCORES_AT_A_TIME // (span.height * span.width) ** 2)
    windows, heads = max(1, at_a_time // n_heads), min(at_a_time, n_heads)
    for first in range(0, n_windows, windows):
        for head in range(0, n_heads, heads):
            yield _Group(slice(first, first + windows), slice(head, head + heads))


def _row_blocks(q: Tensor) -> Iterator[slice]:
    """Queries (g, N, D) whose scores are computed at once."""
    g, n, _ = q.shape
    step = max(1, _SCORES_AT_A_TIME // (g * n))
    return (slice(first, first + step) for first in range(0, n, step))


def _padded(strip: Tensor, pad: Tensor, span: _Span) -> Tensor:
    """A row of windows (h, w, ...), filled up to whole windows with `pad` (...) where it ends."""
    height, width = strip.shape[:2]
    whole = -(-width // span.width) * span.width
    if (height, width) == (span.height, whole):
        return strip
    filled = pad.expand(span.height, whole, *pad.shape).clone()
    filled[:height, :width] = strip
    return filled


def _by_window(strip: Tensor, span: _Span) -> Tensor:
    """View (height, n * width, heads, D) as (n, heads, height, width, D)."""
    return torch.unflatten(strip, 1, (-1, span.width)).permute(1, 3, 0, 2, 4)


def _take(strip: Tensor, span: _Span, group: _Group) -> Tensor:
    """The tokens of a group as (g, N, D)."""
    return _by_window(strip, span)[group].flatten(2, 3).flatten(0, 1).contiguous()


def _put(strip: Tensor, span: _Span, group: _Group, values: Tensor) -> None:
    """Write (g, N, D) where `_take` takes it from."""
    target = _by_window(strip, span)[group]
    target.copy_(values.view(target.shape))


def _product(a: Tensor, b: Tensor) -> Tensor:
    """The matrix products (g, R, M) of (g, R, C) and the transposes of (g, M, C)."""
    return token_linear(a[0], b[0])[None] if len(a) == 1 else a @ b.mT


def _transposed_product(a: Tensor, b: Tensor) -> Tensor:
    """The matrix products (g, M, C) of the transposes of (g, R, M) and (g, R, C)."""
    # A batch of one bfloat16 product with a transposed side is seven times as slow as no batch.
    return (a[0].T @ b[0])[None] if len(a) == 1 else a.mT @ b


def _zeros_to_add_to(like: Tensor) -> Tensor:
    """Zeros of a tensor's shape, in float32 at least: sums of many parts."""
    return torch.zeros_like(like, dtype=torch.promote_types(like.dtype, torch.float32))
