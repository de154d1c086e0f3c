"""What the table says: chosen learning rates, paired differences, spread and power."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from evidence.grid import RATES, Cell, Setting, tuning_trials
from evidence.paired import (
    GAIN,
    POWER,
    Difference,
    Interval,
    difference,
    least_gain,
    pairs_needed,
    spread_at_most,
    t_interval,
)
from evidence.table import Row, frame_of
from evidence.variants import PRIMARY, VARIANTS

_PAIR = ["scene", "seed"]


@dataclass(frozen=True)
class Compared:
    """An arm beside another one, at one width and number of labelled patches.

    Attributes:
        arm: the arm.
        reference: what is subtracted.
        rank: width of the arm; None for its own.
        patches: labelled ones; None for all.
        gain: paired differences of mean IoU.
    """

    arm: str
    reference: str
    rank: int | None
    patches: int | None
    gain: Difference


def tuning_frame(rows: Sequence[Row], setting: Setting, cells: Sequence[Cell]) -> pd.DataFrame:
    """The rows of the search for learning rates; a MissingRunsError where some are missing."""
    return frame_of(rows, list(tuning_trials(setting, cells)), "tuning")


def chosen_rates(tuning: pd.DataFrame, cells: Sequence[Cell]) -> Mapping[Cell, float]:
    """The rate with the best mean IoU over scenes and seeds of the search, the lower of equals."""
    return {cell: float(by_rate(tuning, cell).idxmax()) for cell in cells}


def compare(
    frame: pd.DataFrame,
    arm: str,
    reference: str,
    *,
    ranks: tuple[int | None, int | None] = (None, None),
    patches: int | None = None,
) -> Compared:
    """Pair two arms by scene and seed.

    Args:
        frame: runs of a stage.
        arm: the arm.
        reference: what is subtracted.
        ranks: widths of both; None where there is only one in the frame.
        patches: labelled ones; None for all.

    Raises:
        ValueError: runs of both have no partner; one of them may have more seeds.
    """
    gains = _gains(frame, arm, reference, ranks, patches)
    scenes = gains.index.get_level_values("scene").to_numpy(dtype=str)
    values = gains.to_numpy(dtype=np.float64)
    return Compared(arm, reference, ranks[0], patches, difference(values, scenes))


def declared_comparisons(frame: pd.DataFrame) -> Iterator[Compared]:
    """The primary differences, then every arm there is beside its reference, as declared."""
    yield from (compare(frame, arm, reference) for arm, reference in PRIMARY)
    yield compare(frame, "lora-cobot", "lora-alpha2")
    there = set(frame["arm"])
    for arm, variant in VARIANTS.items():
        if arm in there and variant.reference and (arm, variant.reference) not in PRIMARY:
            yield compare(frame, arm, variant.reference)


def gain_table(found: Sequence[Compared]) -> str:
    """Paired differences in IoU points, as Markdown."""
    head = ["Arm", "minus", "Labels", "Width", "Pairs", "Mean", "95 %, t", "95 %, bootstrap",
            "95 %, t over scenes", "p", "Better", "Pairs for 1 point"]  # fmt: skip
    lines = _head(head)
    for one in found:
        gain = one.gain
        mark = "**" if (one.arm, one.reference) in PRIMARY else ""
        cells = [
            f"{mark}{VARIANTS[one.arm].title}{mark}",
            VARIANTS[one.reference].title,
            "all" if one.patches is None else str(one.patches),
            "own" if one.rank is None else str(one.rank),
            str(gain.pairs),
            f"{mark}{100 * gain.mean:+.2f}{mark}",
            *map(_points, (gain.by_t, gain.by_bootstrap, gain.over_scenes)),
            f"{gain.p:.3f}",
            f"{100 * gain.better:.0f} %",
            str(pairs_needed(gain.spread)),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def arm_table(frame: pd.DataFrame) -> str:
    """Mean IoU of every arm on every scene, and what an arm trains, as Markdown."""
    scenes = list(dict.fromkeys(frame["scene"]))
    head = ["Arm", "Runs", *(f"`{s}`" for s in scenes), "Mean", "Trained", "COBOT adds", "Steps",
            "S", "W", "Spikes"]  # fmt: skip
    lines = _head(head)
    everywhere = [frame.loc[frame["scene"] == s, "everywhere_iou"].median() for s in scenes]
    shown = [f"{value:.3f}" for value in [*everywhere, np.mean(everywhere)]]
    lines.append(f"| classes everywhere | | {' | '.join(shown)} | | | | | | |")
    for arm in dict.fromkeys(frame["arm"]):
        here = frame[frame["arm"] == arm]
        means = [here.loc[here["scene"] == s, "mean_iou"].mean() for s in scenes]
        cells = [
            str(len(here)),
            *(f"{value:.3f}" for value in [*means, np.mean(means)]),
            f"{here['trained_parameters'].median():,.0f}",
            f"{here['cobot_parameters'].astype(int).median():,.0f}",
            f"{here['steps_made'].median():.0f}",
            *(_worst(here[name]) for name in ("condition_s_max", "condition_w_max")),
            f"{here['loss_spikes'].sum():.0f}",
        ]
        lines.append(f"| {VARIANTS[arm].title} | {' | '.join(cells)} |")
    note = "S, W: worst condition number of any epoch and run; spikes: in all runs together."
    return "\n".join([*lines, "", note])


def stability_table(exact: pd.DataFrame, coarse: pd.DataFrame) -> str:
    """Float32 beside bfloat16: IoU, spikes of the loss and condition numbers, as Markdown.

    Args:
        exact: runs in float32; those that have a partner are taken.
        coarse: the same runs in bfloat16.
    """
    lines = _head(["Arm", "Runs", "bfloat16 minus float32", "95 %, t", "Spikes", "in bfloat16",
                   "S", "in bfloat16", "W", "in bfloat16"])  # fmt: skip
    paired = exact.merge(coarse, on=["arm", *_PAIR], suffixes=("", "_coarse"))
    for arm in dict.fromkeys(paired["arm"]):
        here = paired[paired["arm"] == arm]
        values = (here["mean_iou_coarse"] - here["mean_iou"]).to_numpy(dtype=np.float64)
        cells = [
            str(len(here)),
            f"{100 * values.mean():+.2f}",
            _points(t_interval(values)),
            *(f"{here[name].sum():.0f}" for name in ("loss_spikes", "loss_spikes_coarse")),
            *(
                _worst(here[f"condition_{which}_max{end}"])
                for which in "sw"
                for end in ("", "_coarse")
            ),
        ]
        lines.append(f"| {VARIANTS[arm].title} | {' | '.join(cells)} |")
    return "\n".join(lines)


def rate_table(tuning: pd.DataFrame, cells: Sequence[Cell]) -> str:
    """IoU of every rate in the search, the chosen one bold, edges of the search named."""
    lines = _head(["Arm", "Width", *(f"{rate:g}" for rate in RATES), ""])
    for cell, chosen in chosen_rates(tuning, cells).items():
        means = by_rate(tuning, cell)
        shown = [f"**{v:.3f}**" if r == chosen else f"{v:.3f}" for r, v in means.items()]
        edge = "at the edge" if chosen in (RATES[0], RATES[-1]) else ""
        width = "" if cell.rank is None else str(cell.rank)
        title = VARIANTS[cell.arm].title
        lines.append(f"| {title} | {width} | {' | '.join(shown)} | {edge} |")
    return "\n".join(lines)


def power_table(found: Sequence[Compared], values: Mapping[tuple[str, str], np.ndarray]) -> str:
    """Spread of the differences and pairs that a gain needs; no mean, so that nobody peeks."""
    needed = f"Pairs for {100 * GAIN:g} point at {100 * POWER:.0f} %"
    head = ["Arm", "minus", "Pairs", "Spread, points", needed, "if the spread is larger (80 %)",
            "Least gain seen, points"]  # fmt: skip
    lines = _head(head)
    for one in found:
        gain, careful = one.gain, spread_at_most(values[one.arm, one.reference])
        cells = [
            VARIANTS[one.arm].title,
            VARIANTS[one.reference].title,
            str(gain.pairs),
            f"{100 * gain.spread:.2f}",
            str(pairs_needed(gain.spread)),
            str(pairs_needed(careful)),
            f"{100 * least_gain(gain.pairs, gain.spread):.2f}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def paired_values(frame: pd.DataFrame, arm: str, reference: str) -> np.ndarray:
    """The differences themselves, (N,), by scene and seed."""
    return _gains(frame, arm, reference, (None, None), None).to_numpy(dtype=np.float64)


def verdict(one: Compared) -> str:
    """What the protocol makes of a primary difference, in one sentence."""
    gain, name = one.gain, f"{VARIANTS[one.arm].title} beside {VARIANTS[one.reference].title}"
    said = f"{100 * gain.mean:+.2f} IoU points, {_points(gain.by_t)}, {gain.pairs} pairs"
    if gain.p < (1 - 0.95) / len(PRIMARY):
        kind = "a gain" if gain.mean > 0 else "a loss"
        worth = "worth having" if abs(gain.mean) >= GAIN else "below one point"
        return f"{name}: {kind}, {worth} ({said})."
    if max(abs(v) for v in gain.by_t) < GAIN:
        return f"{name}: no difference that matters; one point is excluded ({said})."
    return f"{name}: not decided ({said})."


def _gains(
    frame: pd.DataFrame,
    arm: str,
    reference: str,
    ranks: tuple[int | None, int | None],
    patches: int | None,
) -> pd.Series:
    """Differences by scene and seed, up to the last seed that both arms have; as `compare`."""
    ours = _ious(frame, arm, ranks[0], patches)
    theirs = _ious(frame, reference, ranks[1], patches)
    last = min(ious.index.get_level_values("seed").max() for ious in (ours, theirs))
    ours, theirs = (i[i.index.get_level_values("seed") <= last] for i in (ours, theirs))
    if not ours.index.equals(theirs.index):
        raise ValueError(f"runs of {arm} and {reference} do not pair up")
    return ours - theirs


def _ious(frame: pd.DataFrame, arm: str, rank: int | None, patches: int | None) -> pd.Series:
    """Mean IoU of an arm's runs by scene and seed."""
    chosen = frame["arm"] == arm
    chosen &= frame["patches"].isna() if patches is None else frame["patches"] == patches
    if rank is not None:
        chosen &= frame["rank"] == rank
    ious = frame[chosen].set_index(_PAIR)["mean_iou"].sort_index()
    if ious.index.has_duplicates:
        raise ValueError(f"several runs of {arm} for one scene and seed")
    return ious


def by_rate(tuning: pd.DataFrame, cell: Cell) -> pd.Series:
    """Mean IoU of a cell by learning rate, lowest first."""
    here = tuning[tuning["arm"] == cell.arm]
    if cell.rank is not None:
        here = here[here["rank"] == cell.rank]
    return here.groupby("rate")["mean_iou"].mean().sort_index()


def _head(names: Sequence[str]) -> list[str]:
    """The first two lines of a table in Markdown."""
    return [f"| {' | '.join(names)} |", "| --- " * len(names) + "|"]


def _points(interval: Interval) -> str:
    """An interval in IoU points."""
    return f"{100 * interval[0]:+.2f} to {100 * interval[1]:+.2f}"


def _worst(values: pd.Series) -> str:
    """The largest of the numbers, or a dash where there is none."""
    return "-" if values.isna().all() else f"{values.max():.3g}"
