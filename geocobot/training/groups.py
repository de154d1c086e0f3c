"""Who learns how fast: the trained parameters sorted into groups of their own rate and decay."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from torch import nn

from geocobot.adapters.cobot import HamiltonLinear, PlainLinear, Relation
from geocobot.adapters.part import AdapterPart
from geocobot.config.values import DEFAULT_PROJECTION_RATE, DEFAULT_WEIGHT_DECAY
from geocobot.models.projection import BandProjection

GroupName: TypeAlias = Literal["head", "encoder", "adapter", "relation", "projection"]

FROM_SCRATCH_RATE = 1e-3
"""Peak learning rate where the encoder starts at random and is trained."""

FINE_TUNING_RATE = 2e-4
"""Peak learning rate where adapters and head are trained on a pretrained encoder."""

PRETRAINED_SHARE = 0.1
"""Share of that rate for the pretrained weights themselves, where they are trained as well."""

_MATRICES = (nn.Linear, nn.Conv2d, nn.ConvTranspose2d)
_ENCODER = "encoder"


@dataclass(frozen=True, kw_only=True)
class GroupSettings:
    """Peak learning rate and weight decay of every group.

    Groups are the head, the encoder's own weights, its adapters, the projection of many bands, and
    the relation: COBOT's C, S and W, which the authors' medical code trains a hundred times faster
    than the rest.

    Attributes:
        learning_rate: of every group that has no rate of its own.
        encoder_rate: of the encoder's own weights, where they are trained; None as the rest.
        head_rate: of the head; None as the rest.
        adapter_rate: of the adapters; None as the rest.
        relation_rate: of the relation; None as the adapters.
        projection_rate: of the projection, which has a few dozen weights that matter where they
            are as large as 1, and does not decay; None for the default.
        weight_decay: of matrices and kernels of head and encoder.
        adapter_decay: of the adapters' matrices; their coefficients gamma rest at 1 and not at 0.
        relation_decay: of the relation.
    """

    learning_rate: float
    encoder_rate: float | None = None
    head_rate: float | None = None
    adapter_rate: float | None = None
    relation_rate: float | None = None
    projection_rate: float | None = None
    weight_decay: float = DEFAULT_WEIGHT_DECAY
    adapter_decay: float = 0.0
    relation_decay: float = 0.0

    def rate(self, group: GroupName) -> float:
        """Peak learning rate of a group."""
        rates: dict[GroupName, tuple[float | None, ...]] = {
            "head": (self.head_rate,),
            "encoder": (self.encoder_rate,),
            "adapter": (self.adapter_rate,),
            "relation": (self.relation_rate, self.adapter_rate),
            "projection": (self.projection_rate, DEFAULT_PROJECTION_RATE),
        }
        return next((r for r in rates[group] if r is not None), self.learning_rate)

    def decay(self, group: GroupName) -> float:
        """Weight decay of a group's matrices."""
        own = {"adapter": self.adapter_decay, "relation": self.relation_decay}
        return own.get(group, self.weight_decay)


def default_groups(segmenter: nn.Module, learning_rate: float | None = None) -> GroupSettings:
    """Learning rates and weight decays by what is trained.

    Args:
        segmenter: tells by `starts_at_random`; one that does not is taken for such.
        learning_rate: in place of `FROM_SCRATCH_RATE` or `FINE_TUNING_RATE`.
    """
    if bool(getattr(segmenter, "starts_at_random", True)):
        return GroupSettings(learning_rate=learning_rate or FROM_SCRATCH_RATE)
    rate = learning_rate or FINE_TUNING_RATE
    return GroupSettings(learning_rate=rate, encoder_rate=rate * PRETRAINED_SHARE)


def parameter_groups(model: nn.Module, settings: GroupSettings) -> list[dict[str, Any]]:
    """Sort the trained parameters by what they belong to and by whether they decay.

    Matrices of linear layers and kernels of convolutions decay. Biases, norms, tokens and
    positions do not.

    Args:
        model: what is trained; its part `encoder`, if it has one, makes the group "encoder".
            Parameters without `requires_grad` are left out.
        settings: rates and decays.

    Returns:
        Groups for an optimizer, named in "name"; none is empty.
    """
    decays = set(_decaying(model))
    places = {id(p): place for place, p in _places(model)}
    sorted_: dict[tuple[GroupName, bool], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            own: GroupName = "encoder" if _ENCODER in name.split(".") else "head"
            key = (places.get(id(parameter), own), id(parameter) in decays)
            sorted_.setdefault(key, []).append(parameter)
    return [
        {
            "params": parameters,
            "name": group if matrices else f"{group}, no decay",
            "lr": settings.rate(group),
            "weight_decay": settings.decay(group) if matrices else 0.0,
        }
        for (group, matrices), parameters in sorted_.items()
    ]


def _decaying(model: nn.Module) -> Iterator[int]:
    """Identities of the parameters that may decay."""
    for module in model.modules():
        if isinstance(module, _MATRICES):
            yield id(module.weight)
        elif isinstance(module, AdapterPart | HamiltonLinear | PlainLinear):
            yield from (id(p) for p in module.parameters(recurse=False) if p.dim() > 1)


def _places(model: nn.Module) -> Iterator[tuple[GroupName, nn.Parameter]]:
    """The parameters of projection and adapters, those of the relation last."""
    for module in model.modules():
        if isinstance(module, BandProjection):
            yield from (("projection", p) for p in module.parameters())
        if isinstance(module, AdapterPart):
            yield from (("adapter", p) for p in module.parameters())
    for module in model.modules():
        if isinstance(module, Relation | HamiltonLinear | PlainLinear):
            yield from (("relation", p) for p in module.parameters())
