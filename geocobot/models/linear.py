"""Linear layers on the fastest kernel that torch has for the processor at hand."""

from __future__ import annotations

import torch
from torch import Tensor, nn

# torch hands float32 products to MKL, which keeps to AVX2 on processors that are not Intel's.
# oneDNN's convolutions use AVX-512 wherever there is any: 380 to 500 GFLOP/s instead of 195 to 225
# for ViT-B's layers on two cores of Zen 5, backward as well.
_CONVOLUTION_PAYS = bool(
    torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    and torch.backends.cpu.get_cpu_capability() == "AVX512"
)
# With fewer rows the convolution's set-up costs more than it wins.
_LEAST_ROWS = 128
# torch keeps convolutions of one pixel from oneDNN where there is one thread and a smaller batch.
_LEAST_BATCH = 16


class TokenLinear(nn.Linear):
    """`nn.Linear` for many rows at once: same parameters, same result, its own kernel."""

    def forward(self, x: Tensor) -> Tensor:
        """Map (..., in_features) to (..., out_features)."""
        return token_linear(x, self.weight, self.bias)


def token_linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """What `torch.nn.functional.linear` computes.

    Args:
        x: (..., d_in).
        weight: (d_out, d_in).
        bias: (d_out,).

    Returns:
        (..., d_out).
    """
    if not _convolves(x, weight):
        return nn.functional.linear(x, weight, bias)
    # Tokens are images of one line whose channels come last already: nothing is copied.
    lines = x.reshape(_LEAST_BATCH, 1, -1, x.shape[-1]).permute(0, 3, 1, 2)
    mapped = nn.functional.conv2d(lines, weight[:, :, None, None], bias)
    return mapped.permute(0, 2, 3, 1).reshape(*x.shape[:-1], weight.shape[0])


def _convolves(x: Tensor, weight: Tensor) -> bool:
    """Whether a convolution of one pixel does it faster."""
    return (
        _CONVOLUTION_PAYS
        and x.device.type == "cpu"
        and x.dtype == weight.dtype == torch.float32
        and (rows := x.numel() // x.shape[-1]) >= _LEAST_ROWS
        and rows % _LEAST_BATCH == 0
        and not torch.is_autocast_enabled("cpu")
    )
