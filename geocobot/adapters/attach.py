"""Put adapters into a model by site, and take their tensors out again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from torch import Tensor, nn

from geocobot.adapters.adaptformer import AdaptFormer, AdaptFormerMlp
from geocobot.adapters.cobot import CobotSite, Relation
from geocobot.adapters.config import AdapterConfig
from geocobot.adapters.lora import FusedQkvLora, LoraDelta
from geocobot.adapters.part import AdapterPart
from geocobot.errors import ConfigError

__all__ = ["AdapterConfig", "Site", "adapter_state", "attach", "find_sites"]

_RELATION_NAME = "cobot_relation"
_SITES_PER_MODULE = {"lora": ("q", "v"), "adaptformer": ("mlp",)}


@dataclass(frozen=True)
class Site:
    """One place where an adapter is attached.

    Attributes:
        index: its column in C and S, from 0.
        module: dotted name of the module that is replaced.
        part: which part of it: "q" or "v" of a fused projection, or "mlp".
    """

    index: int
    module: str
    part: str


def find_sites(model: nn.Module, config: AdapterConfig) -> tuple[Site, ...]:
    """The sites of a model, in the order of its blocks.

    LoRA takes every linear layer named `qkv` that maps d to 3 d; AdaptFormer every module named
    `mlp`.

    Raises:
        ConfigError: the model has no such place.
    """
    if config.method == "none":
        return ()
    fits = _is_fused_qkv if config.method == "lora" else _is_mlp
    names = [name for name, module in model.named_modules() if fits(name, module)]
    if not names:
        raise ConfigError(
            f"adapter {config.method}",
            f"finds no place in {type(model).__name__}",
            "LoRA needs fused linear layers named qkv, AdaptFormer modules named mlp",
            "Attach it to a vision transformer of that layout, or choose another adapter",
        )
    places = [(name, part) for name in names for part in _SITES_PER_MODULE[config.method]]
    return tuple(Site(i, name, part) for i, (name, part) in enumerate(places))


def attach(model: nn.Module, config: AdapterConfig) -> tuple[Site, ...]:
    """Freeze a model and put trainable adapters into it, replacing modules by site.

    With the default initialisation the model's output stays the same bit for bit. With COBOT the
    model gets one more child, `cobot_relation`, which holds C and S for all sites.

    Args:
        model: a transformer; changed in place. Its forward must reach its qkv and mlp modules as
            attributes.
        config: which adapter.

    Returns:
        The sites, in the order of the columns of C and S.

    Raises:
        ConfigError: the model has no place for this adapter, or has adapters already.
    """
    if any(isinstance(module, AdapterPart) for module in model.modules()):
        raise ConfigError(
            f"adapter {config.method}",
            f"finds adapters in {type(model).__name__} already",
            "A model takes one kind of adapter",
            "Attach it to a fresh copy of the model",
        )
    sites = find_sites(model, config)
    model.requires_grad_(requires_grad=False)
    if not sites:
        return sites
    relation = None
    if config.cobot:
        relation = Relation(config.shape.rank, len(sites))
        model.add_module(_RELATION_NAME, relation)
    step = len(_SITES_PER_MODULE[config.method])
    for first in sites[::step]:
        parent_name, _, child = first.module.rpartition(".")
        parent = model.get_submodule(parent_name)
        base = getattr(parent, child)
        setattr(parent, child, _adapted(base, first.index, config, relation))
    return sites


def adapter_state(model: nn.Module) -> dict[str, Tensor]:
    """The tensors of all adapters by their names in the model; C and S once."""
    return dict(_adapter_parameters(model))


def _adapter_parameters(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Names and parameters inside adapter parts."""
    for name, module in model.named_modules():
        if isinstance(module, AdapterPart):
            yield from module.named_parameters(prefix=name)


def _adapted(
    base: nn.Module, first_site: int, config: AdapterConfig, relation: Relation | None
) -> nn.Module:
    """The module that replaces `base`."""

    def cobot(site: int) -> CobotSite | None:
        return CobotSite(relation, site, config.init) if relation is not None else None

    if isinstance(base, nn.Linear):
        width = base.in_features
        q, v = (
            LoraDelta(width, width, config.shape, config.init, cobot(first_site + i))
            for i in range(2)
        )
        return FusedQkvLora(base, q, v)
    return AdaptFormerMlp(base, AdaptFormer(_mlp_width(base), config.shape, cobot(first_site)))


def _is_fused_qkv(name: str, module: nn.Module) -> bool:
    """Whether a module is a linear layer that makes q, k and v at once."""
    is_named = name.rpartition(".")[2] == "qkv"
    return (
        is_named and isinstance(module, nn.Linear) and module.out_features == 3 * module.in_features
    )


def _is_mlp(name: str, module: nn.Module) -> bool:
    """Whether a module is a block's MLP."""
    return name.rpartition(".")[2] == "mlp" and _first_linear(module) is not None


def _first_linear(module: nn.Module) -> nn.Linear | None:
    """The first linear layer inside a module."""
    return next((m for m in module.modules() if isinstance(m, nn.Linear)), None)


def _mlp_width(mlp: nn.Module) -> int:
    """The width of what goes into an MLP."""
    first = _first_linear(mlp)
    if first is None:
        raise AssertionError("find_sites takes only modules with a linear layer")
    return first.in_features
