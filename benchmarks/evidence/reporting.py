"""What a table says: spread and power while it grows, tables and figures once it is whole."""

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
from evidence.table import Table, frame_of, missing
from evidence.variants import PRIMARY, VARIANTS


def show_power(table: Table, setting: Setting, seeds: int) -> str:
    """Spread and power, of the seeds that all arms have on all scenes."""
    rows, trials = table.rows(), trials_of("main", table, setting, seeds)
    broken = {trial.seed for trial in missing(rows, trials)}
    whole = [trial for trial in trials if trial.seed not in broken]
    if not whole:
        raise SystemExit("no seed has all of its runs of the stage main yet")
    frame = frame_of(rows, whole, "evidence")
    found = list(declared_comparisons(frame))
    values = {(f.arm, f.reference): paired_values(frame, f.arm, f.reference) for f in found}
    return power_table(found, values)


def report(table: Table, setting: Setting, seeds: int, out: Path) -> str:
    """Write tables and figures of the whole grid; refuses as long as a run is missing.

    Those of the stability stage, which says nothing of the questions, may be missing.
    """
    rows = table.rows()
    frames: dict[str, pd.DataFrame] = {}
    scope = scope_of(setting.base)
    stages = scope.stages
    for stage in (stage for stage in stages if stage not in TUNE_STAGES):
        trials = trials_of(stage, table, setting, seeds)
        try:
            frames[stage] = frame_of(rows, trials, "evidence")
        except ValueError as error:
            if stage != STABILITY:
                raise SystemExit(f"nothing is shown before it is whole: {stage}: {error}") from None
    out.mkdir(parents=True, exist_ok=True)
    gains = list(declared_comparisons(frames["main"]))
    plot_gains(gains, out / "gains.svg")
    plot_scenes(frames["main"], out / "scenes.svg")
    plot_health(frames["main"], out / "health.svg")
    sections = {
        "The question": "\n\n".join(verdict(one) for one in gains[: len(PRIMARY)]),
        "Paired differences": gain_table(gains),
        "Arms": arm_table(frames["main"]),
    }
    if "ranks" in frames:
        widths = by_width(frames["ranks"])
        plot_sweep(widths, "rank", out / "widths.svg")
        sections["Widths"] = gain_table(widths)
    if "labels" in frames:
        labels = by_patches(frames["labels"], frames["main"])
        plot_sweep(labels, "patches", out / "labels.svg")
        sections["Labelled patches"] = gain_table(labels)
    if STABILITY in frames:
        sections["Stability"] = stability_table(frames["main"], frames[STABILITY])
    cells = tuple(dict.fromkeys(c for s in stages if s in TUNE_STAGES for c in cells_of(s, scope)))
    tuning = tuning_frame(rows, setting, cells)
    sections["Learning rates"] = rate_table(tuning, cells)
    found = {VARIANTS[c.arm].title: by_rate(tuning, c).tolist() for c in cells if c in OWN}
    plot_rates(found, out / "rates.svg")
    text = "\n\n".join(f"## {title}\n\n{body}" for title, body in sections.items())
    (out / "report.md").write_text(text + "\n", encoding="utf-8")
    return text


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
