"""The declared grid: which runs there are. Nothing here changes once the first run is made."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias, get_args

from evidence import backbones
from evidence.variants import CORE, RAISED, VARIANTS, WIDE, own_rank

Purpose: TypeAlias = Literal["evidence", "tuning", "pilot"]
Stage: TypeAlias = Literal["tune", "main", "labels", "tune-ranks", "ranks", "bfloat16"]

REPORTED = (
    "vegas_roads",
    "vegas_multiclass",
    "kampala_buildings",
    "rio_buildings",
    "flanders_fields",
)
TUNING = ("atlanta_buildings", "made_up_roads")
"""Scenes that decide the learning rates and are not reported: a real one and a made-up one."""

RATES = (6e-5, 2e-4, 6e-4, 2e-3)
"""Peak learning rates to choose from, half a decade apart; `geocobot train` takes 2e-4."""

SEEDS = tuple(range(10))
RAISED_SEEDS = tuple(range(18))
"""Of the question whose differences spread so that ten would not show a gain of one point."""

EXPLAINING_SEEDS = SEEDS[:5]
"""Of the arms that no question is about, and that are no part of one's answer."""

SWEEP_SEEDS = SEEDS[:3]
STABILITY_SEEDS = SEEDS[:1]
TUNING_SEEDS = (100, 101)
WIDTH_TUNING_SEEDS = TUNING_SEEDS[:1]
RANKS = (4, 8, 16, 32)
PATCHES = (1, 2, 4)
STEPS = 100
"""Of eight crops each."""

CROP_PX = 128
"""Half of what `geocobot train` takes on a CPU, a quarter of the pixels."""

EPOCH_STEPS = 20
MAX_VIEWS = 600
STAGES: tuple[Stage, ...] = get_args(Stage)
TUNE_STAGES: tuple[Stage, ...] = ("tune", "tune-ranks")
"""Those that look for learning rates."""

STABILITY: Stage = "bfloat16"
"""Says nothing of the questions; called by the precision of its runs, which few CPUs have."""


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One run; what it is asked is its name in the table.

    Attributes:
        purpose: rows of different purposes are never put together.
        base: name of the backbone.
        weights: first digits of the checksum of its pretrained weights.
        arm: name among `VARIANTS`.
        rank: width of the adapters; None where there are none.
        scene: name of the place.
        seed: of everything random.
        patches: how many patches are labelled; None for all of the part.
        rate: peak learning rate.
        steps: of training.
        precision: "float32" or "bfloat16".
    """

    purpose: Purpose
    base: str
    weights: str
    arm: str
    rank: int | None
    scene: str
    seed: int
    patches: int | None
    rate: float
    steps: int
    precision: str

    @property
    def key(self) -> dict[str, str]:
        """Every attribute as the table has it."""
        return {name: as_text(value) for name, value in vars(self).items()}

    @property
    def name(self) -> str:
        """A name for files."""
        said = "|".join(self.key.values())
        digest = hashlib.sha256(said.encode()).hexdigest()[:12]
        return f"{self.scene}_{self.arm}_seed{self.seed}_{digest}"


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What all runs of a grid have in common, as `Trial` has it."""

    base: str
    weights: str
    steps: int
    precision: str


@dataclass(frozen=True)
class Cell:
    """An arm at a width: what has a learning rate of its own."""

    arm: str
    rank: int | None


def as_text(value: object) -> str:
    """A value as it stands in the table; None as nothing, numbers so that they come back."""
    return "" if value is None else str(value)


@dataclass(frozen=True)
class Scope:
    """What is compared on a backbone.

    Attributes:
        arms: at their own width.
        scenes: reported.
        seeds: of the stage "main".
        stages: which there are.
    """

    arms: tuple[str, ...] = tuple(VARIANTS)
    scenes: tuple[str, ...] = REPORTED
    seeds: tuple[int, ...] = RAISED_SEEDS
    stages: tuple[Stage, ...] = STAGES


WHOLE = Scope()
SECOND = Scope(CORE, ("vegas_roads", "kampala_buildings"), SEEDS, ("tune", "main"))
"""Of a backbone that is there to see whether another one says the same."""


def scope_of(base: str) -> Scope:
    """What is compared on a backbone."""
    return SECOND if base == backbones.SECOND else WHOLE


OWN = tuple(Cell(arm, own_rank(arm)) for arm in VARIANTS)
"""All arms at their own width."""

SWEPT = tuple(Cell(arm, rank) for arm in WIDE for rank in RANKS)
"""The arms of the sweep at all of its widths."""


def cells_of(stage: Stage, scope: Scope = WHOLE) -> tuple[Cell, ...]:
    """The cells that a stage runs."""
    own = tuple(cell for cell in OWN if cell.arm in scope.arms)
    by_stage = {
        "tune": own,
        "main": own,
        "labels": tuple(cell for cell in OWN if cell.arm in CORE),
        "tune-ranks": tuple(cell for cell in SWEPT if cell not in OWN),
        "ranks": SWEPT,
        "bfloat16": own,
    }
    return by_stage[stage]


def tuning_trials(setting: Setting, cells: Sequence[Cell]) -> Iterator[Trial]:
    """The search for every arm and width: all rates, on the scenes for it.

    It is the same for all arms at their own width, and for all arms at another one.
    """
    for seed in TUNING_SEEDS:
        searched = [c for c in cells if c in OWN or seed in WIDTH_TUNING_SEEDS]
        for scene in TUNING:
            for cell in searched:
                for rate in RATES:
                    yield _trial("tuning", setting, cell, scene=scene, seed=seed, rate=rate)


def stage_trials(
    stage: Stage,
    setting: Setting,
    rates: Mapping[Cell, float],
    seeds: Sequence[int] | None = None,
) -> Iterator[Trial]:
    """The runs of a stage, seeds outermost: what is interrupted has all arms of whole seeds.

    Args:
        stage: one that does not search for learning rates.
        setting: common to all runs.
        rates: the learning rate of every cell.
        seeds: of the stage "main"; None for those declared. Other stages take the first few.
    """
    scope = scope_of(setting.base)
    patches: tuple[int | None, ...] = PATCHES if stage == "labels" else (None,)
    if stage == STABILITY:
        setting = replace(setting, precision=STABILITY)
    for seed in scope.seeds if seeds is None else seeds:
        for scene in scope.scenes:
            for number in patches:
                for cell in cells_of(stage, scope):
                    if _has_seed(stage, cell.arm, seed):
                        yield _trial(
                            "evidence", setting, cell,
                            scene=scene, seed=seed, patches=number, rate=rates[cell],
                        )  # fmt: skip


def pilot_trials(setting: Setting) -> Iterator[Trial]:
    """Two arms, two seeds, one scene: shows that the command works, and nothing else."""
    quick = replace(setting, steps=min(setting.steps, EPOCH_STEPS))
    for seed in (0, 1):
        for arm in ("lora", "lora-cobot"):
            cell = Cell(arm, own_rank(arm))
            yield _trial("pilot", quick, cell, scene="vegas_multiclass", seed=seed, rate=RATES[1])


def _has_seed(stage: Stage, arm: str, seed: int) -> bool:
    """Whether an arm has runs with a seed in a stage."""
    if stage == "main":
        return arm in RAISED or (arm in CORE and seed in SEEDS) or seed in EXPLAINING_SEEDS
    return seed in (STABILITY_SEEDS if stage == STABILITY else SWEEP_SEEDS)


def _trial(
    purpose: Purpose,
    setting: Setting,
    cell: Cell,
    *,
    scene: str,
    seed: int,
    rate: float,
    patches: int | None = None,
) -> Trial:
    """One run of a grid."""
    return Trial(
        purpose=purpose,
        **vars(setting),
        **vars(cell),
        scene=scene,
        seed=seed,
        patches=patches,
        rate=rate,
    )
