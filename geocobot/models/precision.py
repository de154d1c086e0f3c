"""Where bfloat16 pays."""

from __future__ import annotations

from typing import Any

import torch


def has_bfloat16(device: torch.device) -> bool:
    """Whether a device has instructions for products of bfloat16, and not only an emulation.

    On CPUs these are AVX512-BF16 and AMX; PyTorch releases that cannot tell count as without.
    """
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    capabilities: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))
