"""What of a training can be watched while it goes on: where figures go, and pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from geocobot.classes import ClassSpec
from geocobot.config import TrainOptions
from geocobot.secrecy import values_without_secrets
from geocobot.steps import as_steps, classify_steps, score_steps
from geocobot.training.samples import Sample, Sampling
from geocobot.training.trackers import Tracking
from geocobot.workflows.picture import Row, draw_rows

# Many of them are looked at one after the other: small, and in few colors, about 150 kB each.
_SIDE_PX = 192
_COLORS = 64


def choose_tracking(options: TrainOptions) -> Tracking:
    """Where the figures of a run go beside the CSV file.

    Args:
        options: filled in; they go along, without passwords.
    """
    assert options.out is not None
    asked = {name: values_without_secrets(value) for name, value in asdict(options).items()}
    return Tracking(options.logger, Path(options.out).name, asked)


def choose_samples(options: TrainOptions, classes: tuple[ClassSpec, ...]) -> Sampling | None:
    """Which validation patches are drawn after epochs; None draws none.

    Args:
        options: say how many.
        classes: of the labels.
    """
    count = options.sample_patches
    return Sampling(count, SampleDrawing(classes)) if count else None


@dataclass(frozen=True)
class SampleDrawing:
    """Draws image, label and prediction of patches, as the preview of the finished run does.

    Attributes:
        classes: of the labels.
    """

    classes: tuple[ClassSpec, ...]

    def __call__(self, samples: Sequence[Sample], thresholds: Sequence[float], path: Path) -> None:
        """Write one PNG.

        Args:
            samples: at least one.
            thresholds: of the classes.
            path: of the file.

        Raises:
            OutputError: it cannot be written.
        """
        classes = [
            replace(spec, threshold=threshold)
            for spec, threshold in zip(self.classes, thresholds, strict=True)
        ]
        rows = [
            Row(
                sample.image,
                sample.truth,
                classify_steps(score_steps(as_steps(sample.logits, sample.valid)), classes),
            )
            for sample in samples
        ]
        draw_rows(rows, classes, path, most_px=_SIDE_PX, colors=_COLORS)
