"""How a model is adapted: plain values, free of torch, fit for a model file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from geocobot.config import DEFAULT_RANKS
from geocobot.errors import ConfigError

AdapterMethod: TypeAlias = Literal["lora", "adaptformer", "none"]
AdapterInit: TypeAlias = Literal["orthogonal", "published"]

# A LoRA site adds its delta as it is (COBOT.md's formula); AdaptFormer's authors scale by 0.1 and
# drop 10 % (Chen et al. 2022, section 4.1).
_DEFAULT_ALPHAS = {"lora": 1.0, "adaptformer": 0.1, "none": 1.0}
_DEFAULT_DROPOUTS = {"lora": 0.0, "adaptformer": 0.1, "none": 0.0}


@dataclass(frozen=True)
class AdapterConfig:
    """Which adapter, how wide, and how it starts.

    Attributes:
        method: "lora" on the q and v projections, "adaptformer" beside the MLPs, or "none".
        cobot: let the coefficient sets of all sites communicate (COBOT).
        rank: bottleneck width r; a multiple of 4 with COBOT. None takes the published width:
            4 for LoRA, 16 for AdaptFormer.
        alpha: factor of the adapter's output. It multiplies as it is, it is not divided by the
            rank. None takes the method's own: 1 for LoRA, 0.1 for AdaptFormer.
        init: "orthogonal" starts at the frozen model with an orthogonal W; "published" starts as
            the authors' code does.
        dropout: share of bottleneck activations dropped in training, 0 to 1. None takes the
            method's own: 0 for LoRA, 0.1 for AdaptFormer.

    After construction no value is None.

    Raises:
        ConfigError: a value that no adapter can have.
    """

    method: AdapterMethod = "lora"
    cobot: bool = True
    rank: int | None = None
    alpha: float | None = None
    init: AdapterInit = "orthogonal"
    dropout: float | None = None

    def __post_init__(self) -> None:
        """Fill in the method's own values and refuse what no adapter can have."""
        if self.method not in _DEFAULT_ALPHAS:
            raise _refusal("method", self.method, f"Known are {', '.join(_DEFAULT_ALPHAS)}")
        if self.init not in ("orthogonal", "published"):
            raise _refusal("init", self.init, "Known are orthogonal, published")
        for name, defaults in (
            ("rank", DEFAULT_RANKS),
            ("alpha", _DEFAULT_ALPHAS),
            ("dropout", _DEFAULT_DROPOUTS),
        ):
            if getattr(self, name) is None:
                object.__setattr__(self, name, defaults[self.method])
        if self.shape.rank < 1:
            raise _refusal("rank", self.rank, "The rank is at least 1")
        if self.cobot and self.shape.rank % 4:
            raise ConfigError(
                "adapter rank",
                f"is {self.rank}",
                "COBOT mixes directions by quaternions: a multiple of 4",
                "Choose another --rank, such as 4, 8 or 16, or --no-cobot",
            )
        if not 0 <= self.shape.dropout < 1:
            raise _refusal("dropout", self.dropout, "Dropout is a share from 0 to below 1")

    @property
    def shape(self) -> AdapterShape:
        """The numbers that one site needs, none of them None."""
        if self.rank is None or self.alpha is None or self.dropout is None:
            raise AssertionError("filled in by __post_init__")
        return AdapterShape(self.rank, self.alpha, self.dropout)


@dataclass(frozen=True)
class AdapterShape:
    """Rank, output factor and dropout of a site."""

    rank: int
    alpha: float
    dropout: float


def _refusal(name: str, value: object, needed: str) -> ConfigError:
    """The error for one value."""
    return ConfigError(f"adapter {name}", f"is {value!r}", needed, f"Choose another {name}")
