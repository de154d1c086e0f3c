"""Does COBOT help? Runs of a declared grid, their table, and what it says.

Usage: python benchmarks/evidence run | power | report | pilot | pretrain
       [--stages tune main labels tune-ranks ranks bfloat16] [--seeds N] [--limit N]
       [--out build/evidence] [--table FILE.csv] [--base tiny] [--checkpoint FILE]
       [--precision float32] [--steps 100]

The protocol is docs/evidence.md. `run` makes what is missing, a row per run, and may be started
several times at once on one machine: the processes share the work, and what is interrupted is made
again. `power` shows how the paired differences spread and how many pairs a gain of one point needs,
and no mean. `report` writes tables and figures of the stages that have all of their runs, `main`
among them. `pilot` makes four short runs into a table of its own and reports on nothing. `--base
timm_vit` compares fewer arms on another backbone; `pretrain` is how its weights were made.

A run counts steps, not minutes, and computes on one thread (or a GPU): how busy the machine is does
not change what comes of it.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from evidence import backbones, timm_vit
from evidence.declared import trials_of
from evidence.grid import (
    STABILITY,
    STAGES,
    STEPS,
    Setting,
    Trial,
    pilot_trials,
    scope_of,
)
from evidence.reporting import report, show_power
from evidence.table import MissingRunsError, Table, missing
from evidence.work import make_apart, make_missing
from geocobot.models.weights import sha256_of
from geocobot.workflows.device import choose_compute

TABLE = Path(__file__).parents[1] / "runs" / "evidence.csv"
_WEIGHTS_DIGITS = 12


def main(words: Sequence[str] | None = None) -> None:
    """The command line."""
    given = parse(words)
    try:
        carry_out(given)
    except MissingRunsError as error:
        raise SystemExit(str(error)) from None


def carry_out(given: argparse.Namespace) -> None:
    """Do what is asked for."""
    if given.task == "pretrain":
        timm_vit.pretrain(given.checkpoint or timm_vit.WEIGHTS, print)
        return
    setting = make_setting(given)
    path = given.out / "pilot.csv" if given.task == "pilot" else given.table
    table = Table(path, given.out / "locks")
    if given.task in ("run", "pilot"):
        failed = run(given, setting, table)
        if failed:
            raise SystemExit(f"{len(failed)} runs failed; start again to make them")
    elif given.task == "power":
        print(show_power(table, setting))
    else:
        print(report(table, setting, given.out))


def parse(words: Sequence[str] | None) -> argparse.Namespace:
    """What is asked for."""
    parser = argparse.ArgumentParser(
        prog="evidence", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("task", choices=["run", "power", "report", "pilot", "pretrain"])
    parser.add_argument("--stages", nargs="+", choices=STAGES, default=list(STAGES))
    parser.add_argument("--seeds", type=int, help="to run of main; default all")
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
    path = given.checkpoint or backbones.weights_of(given.base)
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
    stages = scope_of(setting.base).stages
    for stage in (stage for stage in given.stages if stage in stages):
        if stage == STABILITY and choose_compute("auto", "auto").precision != STABILITY:
            print(f"{stage}: left out, this processor does not compute so", flush=True)
            continue
        trials = trials_of(stage, table, setting, given.seeds)
        failed += make_missing(table, missing(table.rows(), trials)[: given.limit], make)
        if failed:
            break  # the stages to come need the search whole
    return failed
