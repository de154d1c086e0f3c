"""What `geocobot train` leaves behind, as its caller gets it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from geocobot.classes import ClassSpec
from geocobot.config.values import PromptName
from geocobot.evaluation.pixels import PixelScores


@dataclass(frozen=True)
class TrainResult:
    """What a training run left behind.

    Attributes:
        folder: of the run.
        model: the model file.
        config: the resolved options.
        metrics: scores on the validation blocks and how training went, as JSON.
        split: vector layer of training and validation areas.
        preview: image, label and prediction of validation blocks side by side.
        report: page that says how good the model is; None where it was left out.
        classes: the classes with their tuned thresholds.
        scores: of the validation blocks.
        base: the base that was trained, "auto" resolved.
        prompt: what the model was asked with, in validation too; scores with boxes, which come
            from the labels, are not to be compared with those without.
        seconds: wall time of the whole run.
    """

    folder: Path
    model: Path
    config: Path
    metrics: Path
    split: Path
    preview: Path
    report: Path | None
    classes: tuple[ClassSpec, ...]
    scores: PixelScores
    base: str
    prompt: PromptName
    seconds: float

    def summary(self) -> str:
        """What was written, where, how good it is and how long it took."""
        rows = [
            f"  {c.name}: IoU {_percent(c.iou)}, F1 {_percent(c.f1)}" for c in self.scores.classes
        ]
        judged = "Validation blocks:"
        following = f"Next:    geocobot predict --raster other_scene.tif --model {self.model}"
        if self.prompt == "boxes":
            judged = "Validation blocks, with a box around every object given:"
            following = "It cannot map scenes without labels, which have no boxes: see --prompt."
        return "\n".join(
            [
                f"Trained {self.base} in {self.seconds / 60:.1f} minutes. {judged}",
                *rows,
                f"Model:   {self.model}",
                f"Report:  {self.report}" if self.report else f"Preview: {self.preview}",
                following,
            ]
        )


def _percent(share: float | None) -> str:
    """A share for people, or a dash where there is none."""
    return "-" if share is None else f"{share:.3f}"
