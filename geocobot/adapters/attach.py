"""Put adapters into a model by site, and take their tensors out again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from torch import Tensor, nn

from geocobot.adapters.adaptformer import AdaptFormer, AdaptFormerMlp
from geocobot.adapters.cobot import CobotSite, Relation
from geocobot.adapters.config import AdapterConfig
from geocobot.adapters.lora import AdaptedLinear, DoraLinear, DoraPart, LoraLinear, LowRank
from geocobot.adapters.merge import is_merged
from geocobot.adapters.part import AdapterPart
from geocobot.adapters.sites import Site, find_sites, mlp_width, replace_module
from geocobot.errors import ConfigError

_RELATION_NAME = "relation"


def attach(
    model: nn.Module, config: AdapterConfig, sites: Sequence[Site] | None = None
) -> tuple[Site, ...]:
    """Freeze a model and put trainable adapters into it, replacing modules by site.

    With the default initialisation the model's output stays the same bit for bit. With COBOT the
    first site's module also gets the child `relation`, which holds C and S for all sites. With the
    method "full" nothing is put in and everything is trained.

    Args:
        model: any transformer; changed in place. Its forward must call its linear layers and MLPs
            as attributes, not read their weights.
        config: which adapter.
        sites: where, for models whose layers have unusual names; sites of one module stand
            together. None finds them by name.

    Returns:
        The sites; C and S have their columns in this order.

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
    chosen = find_sites(model, config) if sites is None else tuple(sites)
    model.requires_grad_(requires_grad=config.method == "full")
    if not config.has_sites:
        return ()
    relation = None
    if config.cobot:
        relation = Relation(config.shape.rank, len(chosen), config.relation)
    for name, group in groupby(enumerate(chosen), key=lambda pair: pair[1].module):
        base = model.get_submodule(name)
        replace_module(model, name, _adapted(base, list(group), config, relation))
    if relation is not None:
        # Not to the model itself, which may be a sequence that runs through its children.
        model.get_submodule(chosen[0].module).add_module(_RELATION_NAME, relation)
    return chosen


def adapter_state(model: nn.Module) -> dict[str, Tensor]:
    """The tensors of all adapters by their names in the model; C and S once.

    Raises:
        ConfigError: the adapters are merged.
    """
    if any(is_merged(module) for module in model.modules()):
        raise ConfigError(
            "adapters",
            f"are merged into the weights of {type(model).__name__}",
            "Merged adapters have no tensors of their own",
            "Call unmerge(model) first",
        )
    return dict(_adapter_parameters(model))


@dataclass(frozen=True)
class AdapterCounts:
    """How many parameters the adapters of a model have.

    Attributes:
        adapter: of the base method.
        cobot: what COBOT adds: C and S once, gamma and W of every site.
    """

    adapter: int
    cobot: int


def count_parameters(model: nn.Module) -> AdapterCounts:
    """Count the adapters' parameters, frozen controls included."""
    total = sum(tensor.numel() for tensor in adapter_state(model).values())
    parts = [m for m in model.modules() if isinstance(m, Relation | CobotSite)]
    cobot = sum(p.numel() for part in parts for p in part.parameters())
    return AdapterCounts(total - cobot, cobot)


def _adapter_parameters(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Names and parameters inside adapter parts."""
    for name, module in model.named_modules():
        if isinstance(module, AdapterPart):
            yield from module.named_parameters(prefix=name)


def _adapted(
    base: nn.Module,
    sites: Sequence[tuple[int, Site]],
    config: AdapterConfig,
    relation: Relation | None,
) -> nn.Module:
    """The module that replaces `base`, with its sites and their columns."""
    cobots = {
        site.part: CobotSite(relation, column, config) if relation is not None else None
        for column, site in sites
    }
    if config.method == "adaptformer":
        width = mlp_width(base)
        if width is None:
            raise _misfit(sites[0][1], "an MLP whose output is as wide as its input")
        return AdaptFormerMlp(base, AdaptFormer(width, config.shape, cobots[sites[0][1].part]))
    if not isinstance(base, nn.Linear):
        raise _misfit(sites[0][1], "a linear layer")
    kind: type[AdaptedLinear] = DoraLinear if config.method == "dora" else LoraLinear
    low_rank: type[LowRank] = DoraPart if config.method == "dora" else LowRank
    rows = {site.part: site.rows for _, site in sites}
    parts = {
        part: low_rank(base.in_features, _width(base, taken), config.shape, config.init, cobot)
        for (part, taken), cobot in zip(rows.items(), cobots.values(), strict=True)
    }
    return kind(base, parts, rows, config.shape.dropout)


def _width(base: nn.Linear, rows: tuple[range, ...]) -> int:
    """Number of outputs that a site adapts."""
    return sum(len(r) for r in rows) if rows else base.out_features


def _misfit(site: Site, needed: str) -> ConfigError:
    """The error for a site that holds something else."""
    return ConfigError(
        f"adapter site {site.module}",
        "holds something else",
        f"This adapter needs {needed} there",
        "Name another site",
    )
