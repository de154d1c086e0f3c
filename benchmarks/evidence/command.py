"""Does COBOT help? Runs of a declared grid, their table, and what it says.

Usage: python benchmarks/evidence run | power | report | pilot
       [--stages tune main labels tune-ranks ranks] [--seeds 10] [--limit N]
       [--out build/evidence] [--table FILE.csv] [--base tiny] [--checkpoint FILE]
       [--precision float32] [--steps 100]

The protocol is docs/evidence.md. `run` makes what is missing, a row per run, and may be started
several times at once on one machine: the processes share the work, and what is interrupted is made
again. `power` shows how the paired differences spread and how many pairs a gain of one point needs,
and no mean. `report` writes tables and figures once all declared runs are there. `pilot` makes four
short runs into a table of its own and reports on nothing.

A run counts steps, not minutes, and computes on one thread (or a GPU): how busy the machine is does
not change what comes of it.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import pandas as pd

from evidence.grid import (
    OWN,
    PATCHES,
    RANKS,
    SEEDS,
    STAGES,
    STEPS,
    SWEPT,
    Cell,
    Setting,
    Stage,
    Trial,
    cells_of,
    pilot_trials,
    stage_trials,
    tuning_trials,
)
from evidence.plots import plot_gains, plot_rates, plot_scenes, plot_sweep
from evidence.summary import (
    Compared,
    arm_table,
    by_rate,
    chosen_rates,
    compare,
    declared_comparisons,
    gain_table,
    paired_values,
    power_table,
    rate_table,
    tuning_frame,
    verdict,
)
from evidence.table import Table, frame_of, missing
from evidence.variants import PRIMARY, VARIANTS
from evidence.work import make_apart, make_missing
from geocobot.models.bases import find_base
from geocobot.models.weights import fetch_weights, sha256_of

TABLE = Path(__file__).parents[1] / "runs" / "evidence.csv"
_WEIGHTS_DIGITS = 12


def main(words: Sequence[str] | None = None) -> None:
    """The command line."""
    given = parse(words)
    setting = make_setting(given)
    path = given.out / "pilot.csv" if given.task == "pilot" else given.table
    table = Table(path, given.out / "locks")
    if given.task in ("run", "pilot"):
        failed = run(given, setting, table)
        if failed:
            raise SystemExit(f"{len(failed)} runs failed; start again to make them")
    elif given.task == "power":
        print(show_power(table, setting, given.seeds))
    else:
        print(report(table, setting, given.seeds, given.out))


def parse(words: Sequence[str] | None) -> argparse.Namespace:
    """What is asked for."""
    parser = argparse.ArgumentParser(
        prog="evidence", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("task", choices=["run", "power", "report", "pilot"])
    parser.add_argument("--stages", nargs="+", choices=STAGES, default=list(STAGES))
    parser.add_argument("--seeds", type=int, default=len(SEEDS), help="of the stage main")
    parser.add_argument("--limit", type=int, help="look at so many missing runs of a stage only")
    parser.add_argument("--out", type=Path, default=Path("build/evidence"))
    parser.add_argument("--table", type=Path, default=TABLE)
    parser.add_argument("--base", default="tiny")
    parser.add_argument("--checkpoint", type=Path, help="file with the weights of the base")
    parser.add_argument("--precision", choices=["float32", "bfloat16"], default="float32")
    parser.add_argument("--steps", type=int, default=STEPS)
    return parser.parse_args(words)


def make_setting(given: argparse.Namespace) -> Setting:
    """What all runs have in common; weights are known by their checksum."""
    path = given.checkpoint or fetch_weights(find_base(given.base))
    return Setting(
        base=given.base,
        weights=sha256_of(path)[:_WEIGHTS_DIGITS],
        steps=given.steps,
        precision=given.precision,
    )


def run(given: argparse.Namespace, setting: Setting, table: Table) -> list[Trial]:
    """Make what is missing, stage by stage; those that failed."""
    make = partial(make_apart, checkpoint=given.checkpoint, folder=given.out)
    if given.task == "pilot":
        return make_missing(table, list(pilot_trials(setting)), make)
    failed: list[Trial] = []
    for stage in given.stages:
        trials = trials_of(stage, table, setting, given.seeds)
        failed += make_missing(table, missing(table.rows(), trials)[: given.limit], make)
        if failed:
            break  # the stages to come need the search whole
    return failed


def trials_of(stage: Stage, table: Table, setting: Setting, seeds: int) -> list[Trial]:
    """The runs of a stage, which may need those of others before."""
    cells = cells_of(stage)
    if stage in ("tune", "tune-ranks"):
        return list(tuning_trials(setting, cells))
    return list(stage_trials(stage, setting, rates_of(table, setting, cells), range(seeds)))


def rates_of(table: Table, setting: Setting, cells: Sequence[Cell]) -> Mapping[Cell, float]:
    """The chosen learning rates; ends the command where the search is not finished."""
    try:
        return chosen_rates(tuning_frame(table.rows(), setting, cells), cells)
    except ValueError as error:
        raise SystemExit(
            f"learning rates are not chosen yet: {error}; run --stages tune tune-ranks"
        ) from None


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
    """Write tables and figures of the whole grid; refuses as long as a run is missing."""
    rows = table.rows()
    frames: dict[str, pd.DataFrame] = {}
    reported: tuple[Stage, ...] = ("main", "labels", "ranks")
    for stage in reported:
        trials = trials_of(stage, table, setting, seeds)
        try:
            frames[stage] = frame_of(rows, trials, "evidence")
        except ValueError as error:
            raise SystemExit(f"nothing is shown before it is whole: {stage}: {error}") from None
    cells = tuple(dict.fromkeys([*OWN, *SWEPT]))
    tuning = tuning_frame(rows, setting, cells)
    gains = list(declared_comparisons(frames["main"]))
    widths, labels = sweeps(frames)
    sections = {
        "The question": "\n\n".join(verdict(one) for one in gains[: len(PRIMARY)]),
        "Paired differences": gain_table(gains),
        "Arms": arm_table(frames["main"]),
        "Widths": gain_table(widths),
        "Labelled patches": gain_table(labels),
        "Learning rates": rate_table(tuning, cells),
    }
    text = "\n\n".join(f"## {title}\n\n{body}" for title, body in sections.items())
    out.mkdir(parents=True, exist_ok=True)
    (out / "report.md").write_text(text + "\n", encoding="utf-8")
    plot_gains(gains, out / "gains.svg")
    plot_scenes(frames["main"], out / "scenes.svg")
    plot_sweep(widths, "rank", out / "widths.svg")
    plot_sweep(labels, "patches", out / "labels.svg")
    plot_rates({VARIANTS[c.arm].title: by_rate(tuning, c).tolist() for c in OWN}, out / "rates.svg")
    return text


def sweeps(frames: Mapping[str, pd.DataFrame]) -> tuple[list[Compared], list[Compared]]:
    """The primary differences by width and by labelled patches."""
    widths = [
        compare(frames["ranks"], arm, reference, ranks=(rank, rank))
        for arm, reference in PRIMARY
        for rank in RANKS
    ]
    labels = [
        compare(frames["labels"], arm, reference, patches=patches)
        for arm, reference in PRIMARY
        for patches in PATCHES
    ]
    whole = [compare(frames["main"], arm, reference) for arm, reference in PRIMARY]
    return widths, [*labels, *whole]
