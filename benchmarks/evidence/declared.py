"""Which runs a stage has; most stages take the learning rates that earlier ones have found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from evidence.grid import (
    TUNE_STAGES,
    Cell,
    Setting,
    Stage,
    Trial,
    cells_of,
    scope_of,
    stage_trials,
    tuning_trials,
)
from evidence.summary import chosen_rates, tuning_frame
from evidence.table import MissingRunsError, Table


def trials_of(
    stage: Stage, table: Table, setting: Setting, seeds: int | None = None
) -> list[Trial]:
    """The runs of a stage.

    Args:
        stage: one of the setting's base.
        table: of all runs.
        setting: common to all runs.
        seeds: how many of the stage "main"; None for those declared.

    Raises:
        MissingRunsError: the search for its learning rates is not finished.
    """
    cells = cells_of(stage, scope_of(setting.base))
    if stage in TUNE_STAGES:
        return list(tuning_trials(setting, cells))
    rates = rates_of(table, setting, cells)
    return list(stage_trials(stage, setting, rates, None if seeds is None else range(seeds)))


def rates_of(table: Table, setting: Setting, cells: Sequence[Cell]) -> Mapping[Cell, float]:
    """The chosen learning rates; a MissingRunsError where the search is not finished."""
    try:
        return chosen_rates(tuning_frame(table.rows(), setting, cells), cells)
    except MissingRunsError as error:
        raise MissingRunsError(
            f"learning rates are not chosen yet: {error}; run --stages tune tune-ranks"
        ) from None
