"""Scores of a trained model made probabilities, as far as its validation blocks can tell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from geocobot.classes import ClassSpec
from geocobot.config import TrainOptions
from geocobot.data.module import SceneDataModule
from geocobot.evaluation.scaling_fit import ScalingFit, put_in_force
from geocobot.models.precision import Compute
from geocobot.models.segmenter import Segmenter
from geocobot.scaling import UNSCALED, Scaling
from geocobot.workflows.validation import fit_blocks


@dataclass(frozen=True)
class Calibrated:
    """The classes of a model, and how their logits become scores.

    Attributes:
        classes: thresholds are of the scaled scores.
        fits: what was found for each class; none where nobody looked.
    """

    classes: tuple[ClassSpec, ...]
    fits: tuple[ScalingFit, ...] = ()

    @property
    def scaling(self) -> tuple[Scaling, ...]:
        """One per class, or none where no class is scaled."""
        scaling = tuple(fit.scaling for fit in self.fits)
        return scaling if any(scaled != UNSCALED for scaled in scaling) else ()

    def in_words(self) -> str:
        """What was done to each class, for a report."""
        return "; ".join(_in_words(fit) for fit in self.fits) or "none"


def calibrate(
    options: TrainOptions,
    segmenter: Segmenter,
    datamodule: SceneDataModule,
    classes: Sequence[ClassSpec],
    compute: Compute,
) -> Calibrated:
    """Fit the scaling of each class to the validation blocks, and move the thresholds along.

    A model with box prompts maps no scene, and is not scaled. Neither are scores of the insides of
    objects, which have no truth of their own: they are compared with what the network's threshold
    was (`InsideRule`), so that objects are cut where they were.

    Args:
        options: whether it is wanted.
        segmenter: the trained model.
        datamodule: has the blocks.
        classes: with the thresholds that were tuned on unscaled scores.
        compute: where, and how exactly.
    """
    if not options.calibrate or options.prompt == "boxes":
        return Calibrated(tuple(classes))
    fits = fit_blocks(segmenter, datamodule, classes, compute)
    found = [put_in_force(spec, fit) for spec, fit in zip(classes, fits, strict=True)]
    return Calibrated(tuple(spec for spec, _ in found), tuple(fit for _, fit in found))


def _in_words(fit: ScalingFit) -> str:
    """What was found for a class."""
    if fit.method == "none":
        return f"{fit.name} none ({fit.reason})"
    return (
        f"{fit.name} {fit.scaling.in_words()}: expected calibration error "
        f"{fit.error_before:.3f}, after it {fit.error_after:.3f} on blocks left out of the fit"
    )
