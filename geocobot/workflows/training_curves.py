"""How training went, as a part of a page: curves of loss and IoU."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from geocobot.classes import ClassSpec
from geocobot.report.charts import Mark, Series, line_chart
from geocobot.report.page import charts, figure, paragraph
from geocobot.training.fit import FitResult

_MOST_LINES = 6
_STOPPED = {
    "epochs": "all epochs were done",
    "time": "the time was up",
    "patience": "it got no better for as long as --patience says",
}


def training_curves(fitted: FitResult, classes: Sequence[ClassSpec]) -> str:
    """Curves of loss and IoU, and how it ended."""
    rows = _read_log(fitted.log)
    learned = _by_epoch(rows, "train_loss")
    judged = _by_epoch(rows, "val_loss")
    loss = line_chart(
        [_series("training", learned), _series("validation", judged)],
        x_title="epoch",
        y_title="loss",
        whole_x=True,
    )
    iou = {"mean": _by_epoch(rows, "val_iou")}
    if 1 < len(classes) <= _MOST_LINES:
        iou |= {spec.name: _by_epoch(rows, f"val_iou_{spec.number}") for spec in classes}
    kept = fitted.kept_epoch
    mark = (
        [Mark(kept, iou["mean"][kept], f"kept, {iou['mean'][kept]:.3f}")]
        if kept in iou["mean"]
        else []
    )
    colors: dict[str, str] = {spec.name: spec.color for spec in classes}
    lines = [_series(name, values, colors.get(name)) for name, values in iou.items()]
    validation = line_chart(
        lines, x_title="epoch", y_title="validation IoU", marks=mark, whole_x=True
    )
    figures = [
        figure(loss, "Loss, mean of each epoch.") if loss else "",
        figure(validation, "IoU on the validation blocks after each epoch.") if validation else "",
    ]
    ended = (
        f"{fitted.steps:,} steps in {fitted.epochs} epochs, "
        f"{fitted.seconds / 60:.1f} minutes; {_STOPPED[fitted.stopped_by]}. "
        f"Kept: the weights after epoch {kept}."
    )
    return charts([f for f in figures if f]) + paragraph(ended)


def _read_log(path: Path) -> list[dict[str, float]]:
    """The numbers of a run's log, row by row."""
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return [
            {name: float(value) for name, value in row.items() if value}
            for row in csv.DictReader(file)
        ]


def _by_epoch(rows: Sequence[Mapping[str, float]], name: str) -> dict[int, float]:
    """Mean of a column in each epoch, from 1."""
    found: dict[int, list[float]] = defaultdict(list)
    for row in rows:
        if name in row:
            found[int(row["epoch"]) + 1].append(row[name])
    return {epoch: sum(values) / len(values) for epoch, values in found.items()}


def _series(name: str, values: Mapping[int, float], color: str | None = None) -> Series:
    """Values by epoch as a line."""
    return Series(name, [float(epoch) for epoch in values], list(values.values()), color)
