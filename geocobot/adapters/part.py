"""What tells an adapter's parameters from the model's own."""

from __future__ import annotations

from torch import nn


class AdapterPart(nn.Module):
    """Base of every module whose parameters all belong to an adapter."""
