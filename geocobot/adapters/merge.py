"""Fold adapters into the weights they adapt, and take them out again."""

from __future__ import annotations

import torch
from torch import nn

from geocobot.adapters.adaptformer import AdaptFormer
from geocobot.adapters.lora import AdaptedLinear
from geocobot.adapters.sites import replace_module
from geocobot.errors import ConfigError


class MergedLinear(nn.Linear):
    """A plain linear layer that remembers what was merged into it.

    Args:
        adapted: the layer with its adapters.
        keep: whether to keep it for `unmerge`.
    """

    def __init__(self, adapted: AdaptedLinear, *, keep: bool) -> None:
        base = adapted.base
        with torch.device("meta"):
            super().__init__(base.in_features, base.out_features, bias=base.bias is not None)
        weight = adapted.merged_weight().to(base.weight.dtype)
        self.weight = nn.Parameter(weight, requires_grad=False)
        self.bias = base.bias
        # In a tuple it is no submodule, so that the layer has the names of a plain one.
        self._adapted = (adapted,) if keep else ()

    @property
    def adapted(self) -> AdaptedLinear | None:
        """The layer before merging, its weights untouched; None where it was not kept."""
        return self._adapted[0] if self._adapted else None


def merge(model: nn.Module, *, keep: bool = True) -> int:
    """Fold LoRA and DoRA, with or without COBOT, into the frozen weights.

    The merged model gives the same outputs (1e-5 in float32) at the cost of the frozen one, and
    has its parameter names. It is for inference: adapters cannot be trained while merged.

    Args:
        model: with adapters attached; changed in place.
        keep: keep originals and adapters for `unmerge`; without it their memory is freed.

    Returns:
        Number of layers merged.

    Raises:
        ConfigError: the adapters are no linear maps (AdaptFormer).
    """
    if any(isinstance(module, AdaptFormer) for module in model.modules()):
        raise ConfigError(
            "merge",
            f"finds AdaptFormer in {type(model).__name__}",
            "Only linear adapters fold into a weight; AdaptFormer has a norm and a ReLU of its own",
            "Use it unmerged, or train LoRA or DoRA",
        )
    adapted = [(n, m) for n, m in model.named_modules() if isinstance(m, AdaptedLinear)]
    for name, module in adapted:
        replace_module(model, name, MergedLinear(module, keep=keep))
    return len(adapted)


def unmerge(model: nn.Module) -> int:
    """Undo `merge`: the originals come back bit for bit, and their adapters beside them.

    Returns:
        Number of layers restored.

    Raises:
        ConfigError: the originals were not kept.
    """
    merged = [(n, m) for n, m in model.named_modules() if isinstance(m, MergedLinear)]
    for name, module in merged:
        if module.adapted is None:
            raise ConfigError(
                "unmerge",
                f"finds no original for {name}",
                "merge(model, keep=False) lets them go",
                "Load the model again, or merge with keep=True",
            )
    for name, module in merged:
        if module.adapted is not None:
            # Where the model went meanwhile, what was kept did not go along.
            replace_module(model, name, module.adapted.to(module.weight.device))
    return len(merged)
