"""Fold adapters into the weights they adapt, and take them out again."""

from __future__ import annotations

from copy import deepcopy

from torch import nn

from geocobot.adapters.adaptformer import AdaptFormer
from geocobot.adapters.lora import AdaptedLinear
from geocobot.adapters.sites import replace_module
from geocobot.errors import ConfigError

_SOURCE = "_merged_from"


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
        replace_module(model, name, _merged(module, keep=keep))
    return len(adapted)


def unmerge(model: nn.Module) -> int:
    """Undo `merge`: the originals come back bit for bit, and their adapters beside them.

    Returns:
        Number of layers restored.

    Raises:
        ConfigError: the originals were not kept.
    """
    merged = [(n, m, getattr(m, _SOURCE)) for n, m in model.named_modules() if is_merged(m)]
    for name, _, source in merged:
        if not source:
            raise ConfigError(
                "unmerge",
                f"finds no original for {name}",
                "merge(model, keep=False) lets them go",
                "Load the model again, or merge with keep=True",
            )
    for name, layer, (adapted,) in merged:
        # Where the model went meanwhile, what was kept did not go along.
        replace_module(model, name, adapted.to(layer.weight.device))
    return len(merged)


def is_merged(module: nn.Module) -> bool:
    """Whether a module is a layer with adapters in its weight."""
    return hasattr(module, _SOURCE)


def _merged(adapted: AdaptedLinear, *, keep: bool) -> nn.Module:
    """A layer of the same class as the adapted one, with the adapters in its weight."""
    base = adapted.base
    weight = adapted.merged_weight().to(base.weight.dtype)
    # Copied but for the parameters: one is replaced, and the other is shared.
    stand_ins = {id(base.weight): nn.Parameter(weight, requires_grad=False)}
    if base.bias is not None:
        stand_ins[id(base.bias)] = base.bias
    layer = deepcopy(base, stand_ins)
    # In a tuple it is no submodule, so that the layer has the names of a plain one.
    setattr(layer, _SOURCE, (adapted,) if keep else ())
    return layer
