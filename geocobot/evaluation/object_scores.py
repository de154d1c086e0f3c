"""How well objects were found, in numbers."""

from __future__ import annotations

from dataclasses import dataclass

from geocobot.evaluation.ratios import ratio


@dataclass(frozen=True)
class DetectionScore:
    """How many objects were found, at one overlap.

    Attributes:
        iou: overlap from which an object counts as found.
        found: mapped objects that are labelled ones.
        false: mapped objects that are none.
        missed: labelled objects that were not mapped.
        average_precision: area under the curve of precision over recall, as COCO has it; None
            without scores or without labelled objects.
    """

    iou: float
    found: int
    false: int
    missed: int
    average_precision: float | None = None

    @property
    def precision(self) -> float | None:
        """Share of the mapped objects that are labelled ones; None where none was mapped."""
        return ratio(self.found, self.found + self.false)

    @property
    def recall(self) -> float | None:
        """Share of the labelled objects that were mapped; None where none is labelled."""
        return ratio(self.found, self.found + self.missed)

    @property
    def f1(self) -> float | None:
        """Harmonic mean of both; None where there is no object at all."""
        return ratio(2 * self.found, 2 * self.found + self.false + self.missed)


@dataclass(frozen=True)
class PanopticScore:
    """Panoptic quality (Kirillov et al. 2019) of objects that overlap by more than a half.

    Attributes:
        sq: segmentation quality: mean overlap of the found objects; None where none was found.
        rq: recognition quality: F1; None where there is no object at all.
        pq: their product, 0 where none was found; None where `rq` is.
    """

    sq: float | None
    rq: float | None
    pq: float | None


@dataclass(frozen=True)
class SizeScore:
    """Objects of one size class; each object belongs to the class of its own area.

    Attributes:
        low_m2: smallest area of the class, in it.
        high_m2: where the next class begins.
        truth: labelled objects.
        predicted: mapped objects.
        truth_m2: their areas together.
        predicted_m2: their areas together.
        missed: labelled objects that were not mapped, at an overlap of a half.
        false: mapped objects that are no labelled ones.
    """

    low_m2: float
    high_m2: float
    truth: int
    predicted: int
    truth_m2: float
    predicted_m2: float
    missed: int
    false: int

    @property
    def count_error(self) -> int:
        """Mapped objects too many; negative for too few."""
        return self.predicted - self.truth

    @property
    def area_error_m2(self) -> float:
        """Mapped area too much; negative for too little."""
        return self.predicted_m2 - self.truth_m2


@dataclass(frozen=True)
class ObjectClassScores:
    """How well the objects of a class were found.

    Attributes:
        name: the class.
        by_iou: one score per overlap, that of one half first.
        panoptic: overlap and recognition in one.
        sizes: by size class, smallest first.
    """

    name: str
    by_iou: tuple[DetectionScore, ...]
    panoptic: PanopticScore
    sizes: tuple[SizeScore, ...]


@dataclass(frozen=True)
class ObjectScores:
    """How well objects were found.

    Attributes:
        classes: in the order of the classes.
        mean_f1: mean F1 at an overlap of a half, of the classes that have one.
        mean_f1_by_iou: likewise of the means over all overlaps.
        mean_pq: mean panoptic quality, of the classes that have one.
        truth_left_out: labelled objects that were not judged, because less than half of each lies
            in the judged area.
        predicted_left_out: mapped objects, likewise.
    """

    classes: tuple[ObjectClassScores, ...]
    mean_f1: float | None
    mean_f1_by_iou: float | None
    mean_pq: float | None
    truth_left_out: int
    predicted_left_out: int
