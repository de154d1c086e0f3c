"""Full-width rows of a scene, classified, and perhaps cut into objects."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from geocobot.tracing.components import Labels


@dataclass(frozen=True)
class Block:
    """Full-width rows, with the rows that border on them.

    Attributes:
        row_off: first row, in pixels of the scene.
        classes: (h, W) uint8 class numbers, 0 where there is none.
        steps: (h, W) uint8 score of each pixel's own class, in steps, of no meaning where there is
            none; None where no scores are known.
        above: (W,) uint8 classes of the row above, 0 at the top of the scene.
        below: (W,) uint8 classes of the row below, 0 at the bottom of the scene.
        planes: (K, h, W) uint8 scores of all classes in steps, `NODATA` where there is no data;
            None where no scores are known.
        interior: (h, W) uint8 scores, in steps, of being inside a single object; None where
            objects are not told apart.
        objects: which pixels are one object; None where all that touch and are of one class are.
    """

    row_off: int
    classes: npt.NDArray[np.uint8]
    steps: npt.NDArray[np.uint8] | None
    above: npt.NDArray[np.uint8]
    below: npt.NDArray[np.uint8]
    planes: npt.NDArray[np.uint8] | None = None
    interior: npt.NDArray[np.uint8] | None = None
    objects: Objects | None = None

    @property
    def drawn(self) -> tuple[Labels, Labels, Labels]:
        """What is traced, 0 where there is none: the row above, the block's own, the row below."""
        if self.objects is not None:
            return self.objects.above, self.objects.labels, self.objects.below
        return self.above, self.classes, self.below

    @property
    def joined_above(self) -> npt.NDArray[np.bool_]:
        """(W,) which pixels of the first row are one with the pixel above, or both nothing."""
        if self.objects is not None:
            return self.objects.joined_above
        return np.asarray(self.above == self.classes[0])

    @property
    def joined_below(self) -> npt.NDArray[np.bool_]:
        """(W,) the same of the last row and the pixel below."""
        if self.objects is not None:
            return self.objects.joined_below
        return np.asarray(self.below == self.classes[-1])


@dataclass(frozen=True)
class Objects:
    """The objects of a block, 0 where there is none; only equal or not has a meaning.

    Attributes:
        labels: (h, W) uint32; what touches and is equal is one object.
        above: (W,) uint32 of the row above.
        below: (W,) uint32 of the row below.
        joined_above: (W,) which pixels of the first row are one with the pixel above.
        joined_below: (W,) the same of the last row and the pixel below.
    """

    labels: npt.NDArray[np.uint32]
    above: npt.NDArray[np.uint32]
    below: npt.NDArray[np.uint32]
    joined_above: npt.NDArray[np.bool_]
    joined_below: npt.NDArray[np.bool_]
