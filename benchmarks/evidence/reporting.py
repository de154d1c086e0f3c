"""What a table says: spread and power while it grows, tables and figures of whole stages."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from evidence.declared import trials_of
from evidence.grid import (
    OWN,
    PATCHES,
    RANKS,
    STABILITY,
    TUNE_STAGES,
    Setting,
    Stage,
    cells_of,
    scope_of,
)
from evidence.plots import plot_gains, plot_health, plot_rates, plot_scenes, plot_sweep
from evidence.summary import (
    Compared,
    arm_table,
    by_rate,
    compare,
    declared_comparisons,
    gain_table,
    paired_values,
    power_table,
    rate_table,
    stability_table,
    tuning_frame,
    verdict,
)
from evidence.table import MissingRunsError, Table, frame_of, missing
from evidence.variants import PRIMARY, VARIANTS


def show_power(table: Table, setting: Setting) -> str:
    """Spread and power, of the seeds all of whose declared runs are made.

    Raises:
        MissingRunsError: there is no such seed, or learning rates are not chosen.
    """
    rows, trials = table.rows(), trials_of("main", table, setting)
    broken = {trial.seed for trial in missing(rows, trials)}
    whole = [trial for trial in trials if trial.seed not in broken]
    if not whole:
        raise MissingRunsError("no seed has all of its runs of the stage main yet")
    frame = frame_of(rows, whole, "evidence")
    found = list(declared_comparisons(frame))
    values = {(f.arm, f.reference): paired_values(frame, f.arm, f.reference) for f in found}
    return power_table(found, values)


def report(table: Table, setting: Setting, out: Path) -> str:
    """Write tables and figures of every stage that is whole; those that are not are named.

    Raises:
        MissingRunsError: the stage "main" is not whole, which answers the questions.
    """
    frames, waiting = whole_stages(table, setting)
    if "main" not in frames:
        raise MissingRunsError(f"nothing is shown before it is whole: main: {waiting['main']}")
    out.mkdir(parents=True, exist_ok=True)
    main = frames["main"]
    gains = list(declared_comparisons(main))
    plot_gains(gains, out / "gains.svg")
    plot_scenes(main, out / "scenes.svg")
    plot_health(main, out / "health.svg")
    sections = {
        "The question": "\n\n".join(verdict(one) for one in gains[: len(PRIMARY)]),
        "Paired differences": gain_table(gains),
        "Arms": arm_table(main),
    }
    if "ranks" in frames:
        widths = by_width(frames["ranks"])
        plot_sweep(widths, "rank", out / "widths.svg")
        sections["Widths"] = gain_table(widths)
    if "labels" in frames:
        labels = by_patches(frames["labels"], main)
        plot_sweep(labels, "patches", out / "labels.svg")
        sections["Labelled patches"] = gain_table(labels)
    if STABILITY in frames:
        sections["Stability"] = stability_table(main, frames[STABILITY])
    sections["Learning rates"] = searched(table, setting, "ranks" in frames, out)
    if waiting:
        sections["Not made yet"] = "\n".join(f"- {s}: {said}" for s, said in waiting.items())
    text = "\n\n".join(f"## {title}\n\n{body}" for title, body in sections.items())
    (out / "report.md").write_text(text + "\n", encoding="utf-8")
    return text


def whole_stages(
    table: Table, setting: Setting
) -> tuple[dict[Stage, pd.DataFrame], dict[Stage, str]]:
    """The runs of every stage that has all of its own, and what the others wait for.

    Stages that look for learning rates are not among them.
    """
    rows = table.rows()
    frames: dict[Stage, pd.DataFrame] = {}
    waiting: dict[Stage, str] = {}
    for stage in scope_of(setting.base).stages:
        if stage not in TUNE_STAGES:
            try:
                frames[stage] = frame_of(rows, trials_of(stage, table, setting), "evidence")
            except MissingRunsError as error:
                waiting[stage] = str(error)
    return frames, waiting


def searched(table: Table, setting: Setting, at_all_widths: bool, out: Path) -> str:
    """The table of the search for learning rates, and its figure."""
    scope = scope_of(setting.base)
    cells = cells_of("tune", scope)
    if at_all_widths:
        cells = (*cells, *cells_of("tune-ranks", scope))
    tuning = tuning_frame(table.rows(), setting, cells)
    found = {VARIANTS[c.arm].title: by_rate(tuning, c).tolist() for c in cells if c in OWN}
    plot_rates(found, out / "rates.svg")
    return rate_table(tuning, cells)


def by_width(ranks: pd.DataFrame) -> list[Compared]:
    """The primary differences by width."""
    return [
        compare(ranks, arm, reference, ranks=(rank, rank))
        for arm, reference in PRIMARY
        for rank in RANKS
    ]


def by_patches(labels: pd.DataFrame, main: pd.DataFrame) -> list[Compared]:
    """The primary differences by labelled patches, all of them last."""
    few = [
        compare(labels, arm, reference, patches=patches)
        for arm, reference in PRIMARY
        for patches in PATCHES
    ]
    return [*few, *(compare(main, arm, reference) for arm, reference in PRIMARY)]
