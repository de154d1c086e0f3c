"""How a model is adapted: plain values, free of torch, fit for a model file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import get_args

from geocobot.config.values import (
    DEFAULT_ALPHAS,
    DEFAULT_DROPOUTS,
    DEFAULT_RANKS,
    AdapterInit,
    AdapterName,
    AdapterTarget,
    MixingName,
    RelationName,
)
from geocobot.errors import ConfigError

_CHOICES: Mapping[str, tuple[str, ...]] = {
    "method": get_args(AdapterName),
    "init": get_args(AdapterInit),
    "relation": get_args(RelationName),
    "mixing": get_args(MixingName),
}


@dataclass(frozen=True)
class AdapterConfig:
    """Which adapter, where, how wide, and how it starts.

    Attributes:
        method: "lora" or "dora" on linear layers, "adaptformer" beside the MLPs, "none" freezes
            the model, "full" trains all of it instead.
        cobot: let the coefficient sets of all sites communicate (COBOT); never without sites.
        rank: bottleneck width r; a multiple of 4 where COBOT mixes by quaternions. None takes the
            published width: 4 for LoRA and DoRA, 16 for AdaptFormer.
        alpha: factor of the adapter's output. It multiplies as it is, it is not divided by the
            rank. None takes the method's own: 0.1 for AdaptFormer, 1 for the others.
        init: "orthogonal" starts at the frozen model with an orthogonal W; "published" starts as
            the authors' code does.
        dropout: share of bottleneck activations dropped in training, 0 to 1. None takes the
            method's own: 0.1 for AdaptFormer, 0 for the others.
        targets: parts of a block that LoRA and DoRA adapt: q, k, v, proj, mlp. None takes the
            method's own: q and v; AdaptFormer stands beside the mlp always.
        relation: "learned" trains the relation matrix S; "identity" and "random" freeze it there,
            as controls.
        mixing: structure of W: "quaternion" as published, a plain "linear" map, or "none".

    After construction no value is None.

    Raises:
        ConfigError: a value that no adapter can have, or a control of COBOT without COBOT.
    """

    method: AdapterName = "lora"
    cobot: bool = True
    rank: int | None = None
    alpha: float | None = None
    init: AdapterInit = "orthogonal"
    dropout: float | None = None
    targets: tuple[AdapterTarget, ...] | None = None
    relation: RelationName = "learned"
    mixing: MixingName = "quaternion"

    def __post_init__(self) -> None:
        """Fill in the method's own values and refuse what no adapter can have."""
        for name, known in _CHOICES.items():
            if getattr(self, name) not in known:
                raise _refusal(name, getattr(self, name), f"Known are {', '.join(known)}")
        own = {
            "rank": DEFAULT_RANKS[self.method],
            "alpha": DEFAULT_ALPHAS[self.method],
            "dropout": DEFAULT_DROPOUTS[self.method],
            "targets": ("mlp",) if self.method == "adaptformer" else ("q", "v"),
        }
        for name, value in own.items():
            if getattr(self, name) is None:
                object.__setattr__(self, name, value)
        if not self.has_sites:
            object.__setattr__(self, "cobot", False)
        self._check_numbers()
        self._check_targets()
        self._check_controls()

    @property
    def has_sites(self) -> bool:
        """Whether the method puts anything into the model."""
        return self.method not in ("none", "full")

    @property
    def merges(self) -> bool:
        """Whether the adapters fold into the weights."""
        return self.method in ("lora", "dora")

    @property
    def shape(self) -> AdapterShape:
        """The numbers that one site needs, none of them None."""
        if self.rank is None or self.alpha is None or self.dropout is None:
            raise AssertionError("filled in by __post_init__")
        return AdapterShape(self.rank, self.alpha, self.dropout)

    @property
    def chosen_targets(self) -> tuple[AdapterTarget, ...]:
        """The adapted parts, never None."""
        if self.targets is None:
            raise AssertionError("filled in by __post_init__")
        return self.targets

    def _check_numbers(self) -> None:
        """Refuse impossible rank and dropout."""
        if self.shape.rank < 1:
            raise _refusal("rank", self.rank, "The rank is at least 1")
        if self.cobot and self.mixing == "quaternion" and self.shape.rank % 4:
            raise ConfigError(
                "adapter rank",
                f"is {self.rank}",
                "COBOT mixes directions by quaternions: a multiple of 4",
                "Choose another --rank, such as 4, 8 or 16, or --no-cobot",
            )
        if not 0 <= self.shape.dropout < 1:
            raise _refusal("dropout", self.dropout, "Dropout is a share from 0 to below 1")

    def _check_targets(self) -> None:
        """Refuse unknown, repeated and impossible targets."""
        targets = self.chosen_targets
        named = ",".join(targets)
        known = get_args(AdapterTarget)
        if not targets or set(targets) - set(known) or len(set(targets)) < len(targets):
            raise _refusal("targets", named, f"They are some of {', '.join(known)}")
        if self.method == "adaptformer" and targets != ("mlp",):
            raise ConfigError(
                "adapter targets",
                f"are {named}",
                "AdaptFormer stands beside whole MLPs",
                "Leave --targets out, or choose --adapter lora",
            )

    def _check_controls(self) -> None:
        """Refuse controls of a communication that does not take place."""
        for name, own in (("relation", self.relation), ("mixing", self.mixing)):
            if not self.cobot and own != getattr(type(self), name):
                raise ConfigError(
                    f"adapter {name}",
                    f"is {own!r}, but no sites communicate",
                    "It is a part of COBOT",
                    f"Leave --{name} out, or choose an adapter with --cobot",
                )


@dataclass(frozen=True)
class AdapterShape:
    """Rank, output factor and dropout of a site."""

    rank: int
    alpha: float
    dropout: float


def _refusal(name: str, value: object, needed: str) -> ConfigError:
    """The error for one value."""
    verb = "are" if name == "targets" else "is"
    return ConfigError(f"adapter {name}", f"{verb} {value!r}", needed, f"Choose another {name}")
