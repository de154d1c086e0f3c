"""Average precision, as COCO defines it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

_RECALLS = np.linspace(0.0, 1.0, 101)


def average_precision(
    scores: npt.NDArray[np.float64], is_found: npt.NDArray[np.bool_], n_truth: int
) -> float | None:
    """Mean precision at 101 recalls from 0 to 1, each the best that is had at that recall or more.

    Args:
        scores: (P,) of the mapped objects.
        is_found: (P,) which of them are labelled ones.
        n_truth: labelled objects.

    Returns:
        0 to 1; None where no object is labelled.
    """
    if not n_truth:
        return None
    # Of the same score those that are wrong come first, so that order is no way to a better value.
    order = np.lexsort((is_found, -scores))
    found = np.cumsum(is_found[order])
    precision = found / np.arange(1, len(found) + 1)
    best = np.maximum.accumulate(precision[::-1])[::-1]
    at = np.searchsorted(found / n_truth, _RECALLS, side="left")
    return float(np.append(best, 0.0)[np.minimum(at, len(best))].mean())
