"""Where adapters go: the linear layers and MLPs of a transformer, found by their usual names."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from torch import nn

from geocobot.adapters.config import AdapterConfig
from geocobot.errors import ConfigError

# How transformers call their projections: segment-anything, SAM 2, timm and TorchGeo fuse q, k and
# v; Hugging Face and most others keep them apart.
_FUSED = ("qkv", "Wqkv", "in_proj")
_SEPARATE = (
    ("q_proj", "k_proj", "v_proj"),
    ("query", "key", "value"),
    ("to_q", "to_k", "to_v"),
    ("wq", "wk", "wv"),
    ("q", "k", "v"),
)
_PROJ = ("proj", "out_proj", "o_proj", "to_out", "wo")
_MLP = ("mlp", "ffn", "feed_forward")


@dataclass(frozen=True)
class Site:
    """One place where an adapter is attached: one column of C and S.

    Attributes:
        module: dotted name of the module that is replaced: a linear layer, or an MLP.
        part: what it is there: "q", "k" or "v" of a projection, "proj" or "mlp".
        rows: which of a linear layer's outputs are this part, in order; empty for all of them.
    """

    module: str
    part: str
    rows: tuple[range, ...] = ()


def find_sites(model: nn.Module, config: AdapterConfig) -> tuple[Site, ...]:
    """The sites of a model, in the order of its blocks.

    Found are attention modules with a fused `qkv` or with separate q, k and v, their output
    projection, and modules named `mlp`. Widths may differ from block to block. Attention that
    hands bare parameters to a function, as `nn.MultiheadAttention` does, has no sites.

    Args:
        model: any transformer.
        config: method and targets.

    Raises:
        ConfigError: the model lacks one of the targets.
    """
    if not config.has_sites:
        return ()
    found = tuple(
        site
        for name, module in model.named_modules()
        for site in (*_attention_sites(name, module), *_mlp_sites(name, module, config.method))
        if site.part in config.chosen_targets
    )
    missing = set(config.chosen_targets) - {site.part for site in found}
    if missing:
        raise ConfigError(
            f"adapter {config.method}",
            f"finds no place for {', '.join(sorted(missing))} in {type(model).__name__}",
            "LoRA and DoRA need linear layers named qkv, or q_proj, k_proj and v_proj or the like, "
            "AdaptFormer modules named mlp",
            "Name the sites yourself: attach(model, config, sites)",
        )
    return found


def replace_module(model: nn.Module, name: str, module: nn.Module) -> None:
    """Put a module in the place of another.

    Args:
        model: what it is part of.
        name: dotted name of the place.
        module: what stands there from now on.
    """
    parent, _, child = name.rpartition(".")
    setattr(model.get_submodule(parent), child, module)


def mlp_width(mlp: nn.Module) -> int | None:
    """The width of what goes into an MLP, where the same width comes out; None otherwise."""
    linears = [m for m in mlp.modules() if isinstance(m, nn.Linear)]
    if not linears or linears[0].in_features != linears[-1].out_features:
        return None
    return linears[0].in_features


def _attention_sites(name: str, module: nn.Module) -> Iterator[Site]:
    """Projections of q, k, v and of the output, if a module is an attention."""
    linears = {n: m for n, m in module.named_children() if isinstance(m, nn.Linear)}
    fused = next((n for n in _FUSED if n in linears), None)
    separate = next((names for names in _SEPARATE if all(n in linears for n in names)), None)
    if fused is not None:
        rows = _fused_rows(module, linears[fused].out_features)
        yield from (Site(_join(name, fused), part, rows[part]) for part in rows)
    elif separate is not None:
        for part, child in zip("qkv", separate, strict=True):
            yield Site(_join(name, child), part)
    if fused is not None or separate is not None:
        yield from (Site(_join(name, n), "proj") for n in _PROJ if n in linears)


def _fused_rows(attention: nn.Module, n_rows: int) -> dict[str, tuple[range, ...]]:
    """Which outputs of a fused projection are q, k and v.

    LeViT's descendants, TinyViT among them, order them by head: q, k and v of the first head, of
    the second, and so on; all others in three blocks.
    """
    key_width, heads = getattr(attention, "key_dim", None), getattr(attention, "num_heads", None)
    if isinstance(key_width, int) and isinstance(heads, int):
        step = n_rows // heads
        cuts = {"q": (0, key_width), "k": (key_width, 2 * key_width), "v": (2 * key_width, step)}
        return {
            part: tuple(range(h * step + first, h * step + last) for h in range(heads))
            for part, (first, last) in cuts.items()
        }
    third = n_rows // 3
    return {part: (range(i * third, (i + 1) * third),) for i, part in enumerate("qkv")}


def _mlp_sites(name: str, module: nn.Module, method: str) -> Iterator[Site]:
    """The MLP itself for AdaptFormer, its linear layers for the others."""
    if name.rpartition(".")[2] not in _MLP:
        return
    if method == "adaptformer":
        if mlp_width(module) is not None:
            yield Site(name, "mlp")
        return
    for child, layer in module.named_modules():
        if isinstance(layer, nn.Linear) and child:
            yield Site(_join(name, child), "mlp")


def _join(parent: str, child: str) -> str:
    """The dotted name of a child."""
    return f"{parent}.{child}" if parent else child
