"""Figures of the evidence: small SVG files, and the same as PNG to look at."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from evidence.grid import RATES
from evidence.paired import GAIN
from evidence.summary import Compared
from evidence.variants import PRIMARY, VARIANTS

# Colors that stay apart for color-blind readers (after Okabe and Ito, 2008), and a marker each.
_LOOK = {
    "decoder": ("#777777", "x"),
    "lora": ("#0072b2", "o"),
    "lora-alpha2": ("#56b4e9", "D"),
    "lora-cobot": ("#d55e00", "s"),
    "adaptformer": ("#009e73", "^"),
    "adaptformer-cobot": ("#cc79a7", "v"),
}
_DARK = "#222222"
_DECADE = 10


def plot_gains(found: Sequence[Compared], path: Path) -> None:
    """Paired differences with their intervals, one line each, the primary ones in color."""
    with _style():
        figure, axes = plt.subplots(figsize=(8.5, 1.2 + 0.36 * len(found)))
        for row, one in enumerate(reversed(found)):
            primary = (one.arm, one.reference) in PRIMARY
            color = "#d55e00" if primary else _DARK
            low, high = (100 * v for v in one.gain.by_t)
            axes.plot([low, high], [row, row], color=color, lw=2.5 if primary else 1.5)
            axes.plot(100 * one.gain.mean, row, "o", color=color)
        axes.axvline(0, color="#777777", lw=1)
        for side in (-1, 1):
            axes.axvline(100 * side * GAIN, color="#777777", lw=1, ls=":")
        names = [f"{VARIANTS[f.arm].title} - {VARIANTS[f.reference].title}" for f in found]
        axes.set_yticks(range(len(found)), names[::-1])
        axes.set_xlabel("IoU points, mean and 95 % interval (t over scene x seed)")
        _finish(figure, [axes], path)


def plot_scenes(frame: pd.DataFrame, path: Path) -> None:
    """Mean IoU of every arm, a panel per scene; small dots are seeds."""
    arms, scenes = list(dict.fromkeys(frame["arm"])), list(dict.fromkeys(frame["scene"]))
    with _style():
        figure, panels = plt.subplots(
            1, len(scenes), figsize=(2.6 + 2 * len(scenes), 1 + 0.3 * len(arms)),
            squeeze=False, sharey=True,
        )  # fmt: skip
        for axes, scene in zip(panels[0], scenes, strict=True):
            for row, arm in enumerate(reversed(arms)):
                here = frame[(frame["scene"] == scene) & (frame["arm"] == arm)]["mean_iou"]
                color = _LOOK.get(arm, (_DARK, "o"))[0]
                axes.plot(here, [row] * len(here), ".", color=color, alpha=0.35, ms=5)
                axes.plot(here.mean(), row, "|", color=color, ms=13, mew=2.5)
            axes.set_title(scene.replace("_", " "), loc="left", fontsize=10)
            axes.set_xlabel("IoU")
        panels[0][0].set_yticks(range(len(arms)), [VARIANTS[a].title for a in reversed(arms)])
        _finish(figure, list(panels[0]), path)


def plot_sweep(found: Sequence[Compared], over: str, path: Path) -> None:
    """How a primary gain changes with width or labels.

    Args:
        found: of the primary arms; `over` is what they differ in.
        over: "rank" or "patches".
        path: SVG to write.
    """
    with _style():
        figure, axes = plt.subplots(figsize=(6, 3.6))
        steps = list(dict.fromkeys(getattr(one, over) for one in found))
        for shift, (arm, reference) in zip((-0.05, 0.05), PRIMARY, strict=True):
            color, marker = _LOOK[arm]
            line = {getattr(o, over): o.gain for o in found if (o.arm, o.reference) ==
                    (arm, reference)}  # fmt: skip
            places = [steps.index(step) + shift for step in line]
            means = 100 * np.array([gain.mean for gain in line.values()])
            ends = 100 * np.array([gain.by_t for gain in line.values()])
            spans = np.abs(ends.T - means)
            axes.errorbar(
                places, means, spans, color=color, marker=marker, capsize=3,
                label=f"{VARIANTS[arm].title} - {VARIANTS[reference].title}",
            )  # fmt: skip
        axes.axhline(0, color="#777777", lw=1)
        axes.set_xticks(range(len(steps)), ["all" if s is None else f"{s:g}" for s in steps])
        axes.set_xlabel("width (rank)" if over == "rank" else "labelled patches")
        axes.set_ylabel("IoU points, 95 % interval")
        axes.legend(frameon=False, fontsize=9)
        _finish(figure, [axes], path)


def plot_health(frame: pd.DataFrame, path: Path) -> None:
    """Condition numbers of S and W over the epochs: median of all runs, and the worst of them."""
    told = frame[frame["condition_s_by_epoch"] != ""]
    with _style():
        figure, panels = plt.subplots(1, 2, figsize=(9, 3.6))
        named = {"S, between blocks": "condition_s_by_epoch", "W, worst": "condition_w_by_epoch"}
        for axes, (title, column) in zip(panels, named.items(), strict=True):
            for number, arm in enumerate(dict.fromkeys(told["arm"])):
                runs = [json.loads(text) for text in told.loc[told["arm"] == arm, column] if text]
                if not runs:
                    continue
                # Runs that have seen their area often enough have fewer epochs.
                curves = np.full((len(runs), max(map(len, runs))), np.nan)
                for row, run in zip(curves, runs, strict=True):
                    row[: len(run)] = run
                epochs = np.arange(1, curves.shape[1] + 1)
                color = _LOOK[arm][0] if arm in _LOOK else f"C{number}"
                median = np.nanmedian(curves, axis=0)
                axes.plot(epochs, median, color=color, label=VARIANTS[arm].title)
                axes.plot(epochs, np.nanmax(curves, axis=0), color=color, lw=1, ls=":")
            if axes.get_ylim()[1] > _DECADE * max(1.0, axes.get_ylim()[0]):
                axes.set_yscale("log")
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
            axes.set_title(title, loc="left", fontsize=10)
            axes.set_xlabel("epoch")
        panels[0].set_ylabel("condition number (dotted: worst run)")
        panels[1].legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
        _finish(figure, list(panels), path)


def plot_rates(curves: Mapping[str, Sequence[float]], path: Path) -> None:
    """IoU over the learning rate in the search.

    Args:
        curves: title to the mean IoU at every one of `grid.RATES`.
        path: SVG to write.
    """
    with _style():
        figure, axes = plt.subplots(figsize=(6, 4))
        colors = plt.get_cmap("viridis")(np.linspace(0, 0.9, len(curves)))
        for (title, means), color in zip(curves.items(), colors, strict=True):
            axes.plot(RATES, means, color=color, marker="o", ms=4, label=title)
        axes.set_xscale("log")
        axes.set_xlabel("peak learning rate")
        axes.set_ylabel("IoU on the scenes of the search")
        axes.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
        _finish(figure, [axes], path)


def _style() -> mpl.rc_context:
    """Text stays text, and the same rows make the same file."""
    return mpl.rc_context(
        {"svg.fonttype": "none", "svg.hashsalt": "evidence", "font.size": 10, "savefig.dpi": 110}
    )


def _finish(figure: Figure, panels: Sequence[Axes], path: Path) -> None:
    """Take away what says nothing, and write both files."""
    for axes in panels:
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(axis="x", color="#e5e5e5", lw=0.8)
        axes.set_axisbelow(True)
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Date": None})
    figure.savefig(path.with_suffix(".png"))
    plt.close(figure)
