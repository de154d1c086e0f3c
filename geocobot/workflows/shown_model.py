"""What a base, its adapters and a head on it cost, without building them in memory."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from geocobot.adapters.attach import attach, count_parameters
from geocobot.adapters.config import AdapterConfig
from geocobot.config import ShowOptions
from geocobot.models.bases import find_base
from geocobot.models.cost import encoder_flop, encoder_parameters
from geocobot.models.encoder import SamEncoder
from geocobot.models.heads import head_config, make_head, resolve_head
from geocobot.models.provenance import Provenance, read_provenance
from geocobot.models.weights import fetch_weights, resolve_start
from geocobot.settings import check_limits


@dataclass(frozen=True)
class ShownModel:
    """A base with adapters and a head.

    Attributes:
        base: its name.
        adapter: how it is adapted, every value filled in.
        adapter_parameters: of the base method, LoRA say, at all sites.
        cobot_parameters: what COBOT adds to them: C, S, and gamma and W of every site.
        head_parameters: of the head, its fixed positional encoding left out.
        base_parameters: weights of the image encoder, frozen unless it is trained in full.
        sites: places that are adapted.
        tflop_per_tile: cost of one tile of 1024 px through the encoder, in 10^12 floating-point
            operations.
        provenance: how the weights that come with the package were made; None where none do.
    """

    base: str
    adapter: AdapterConfig
    adapter_parameters: int
    cobot_parameters: int
    head_parameters: int
    base_parameters: int
    sites: int
    tflop_per_tile: float
    provenance: Provenance | None

    def summary(self) -> str:
        """Lay the figures out one per line."""
        rows = [
            ("adapter", self._adapter()),
            ("adapter parameters", f"{self.adapter_parameters:,}"),
            ("COBOT parameters", f"{self.cobot_parameters:,}"),
            ("head parameters", f"{self.head_parameters:,}"),
            ("base parameters", f"{self.base_parameters:,}"),
            ("TFLOP per 1024 px tile", f"{self.tflop_per_tile:.2f}"),
            *(_made(self.provenance) if self.provenance is not None else ()),
        ]
        width = max(len(name) for name, _ in rows)
        return "\n".join([self.base, *(f"  {name:<{width}}  {value}" for name, value in rows)])

    def _adapter(self) -> str:
        """The adapter in words."""
        config = self.adapter
        if not config.has_sites:
            return config.method
        name = f"{config.method} + COBOT" if config.cobot else config.method
        targets = ",".join(config.chosen_targets)
        return f"{name}, rank {config.rank}, at {self.sites} sites ({targets})"


def show_model(options: ShowOptions) -> ShownModel:
    """Count what a base, its adapters and a head consist of.

    Raises:
        ConfigError: there is no such base or adapter.
        GeocobotError: the weights that come with the package are lost or damaged.
    """
    check_limits(options)
    spec = find_base(options.base)
    config = AdapterConfig(
        method=options.adapter,
        cobot=options.cobot,
        rank=options.rank,
        targets=options.targets,
        mixing=options.mixing,
    )
    start = resolve_start(spec, "pretrained", None)
    kind = resolve_head(options.head, spec, start)
    head_shape = head_config(spec, options.classes, kind, start)
    own = fetch_weights(spec) if spec.bundled is not None else None
    with torch.device("meta"):
        encoder, head = SamEncoder(spec), make_head(head_shape)
        sites = attach(encoder, config)
        counts = count_parameters(encoder)
    return ShownModel(
        base=spec.name,
        adapter=config,
        adapter_parameters=counts.adapter,
        cobot_parameters=counts.cobot,
        head_parameters=sum(p.numel() for p in head.parameters()),
        base_parameters=encoder_parameters(spec),
        sites=len(sites),
        tflop_per_tile=encoder_flop(spec, 1024) / 1e12,
        provenance=read_provenance(own) if own is not None else None,
    )


def _made(provenance: Provenance) -> list[tuple[str, str]]:
    """How the package's own weights were made, as rows of the table."""
    rows = [("weights", f"in the package, {provenance.license}, of {provenance.created}")]
    for number, run in enumerate(provenance.runs):
        begun = "then" if number else "pretrained"
        where = f"{run.hours:.1f} hours on {run.device}"
        rows += [
            (f"{begun} on", ", ".join(run.data)),
            (f"{begun} by", f"commit {run.commit}, seed {run.seed}"),
            (f"{begun} for", f"{run.steps:,} steps, {where}"),
        ]
    return rows
