"""Logits and scores in whole steps, so that their sums do not depend on any order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from geocobot.classes import BACKGROUND, IGNORE, ClassSpec

LOGIT_STEPS = 1024
"""Steps of a logit of 1. A step moves a score by a 4,000th at most, a 16th of its own step."""

SCORE_SCALE = 254
"""A score of 1 in a file; what lies in the file divided by it is the score."""

NODATA = IGNORE
"""Value of scores and classes without data in a file."""

LOGIT_NODATA = int(np.iinfo(np.int16).min)
"""Value of logits in steps where there is no data."""

_MOST = 31.9  # beyond it all scores are 0 or 1, to far more digits than they have


def sigmoid(logits: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.float32]:
    """Scores of logits of any shape, without overflow at either end."""
    scores: npt.NDArray[np.float32] = (0.5 + 0.5 * np.tanh(0.5 * logits)).astype(np.float32)
    return scores


def as_steps(
    logits: npt.NDArray[np.float32], valid: npt.NDArray[np.bool_]
) -> npt.NDArray[np.int16]:
    """Logits in steps.

    Args:
        logits: (K, h, w).
        valid: (h, w), True where there is data.

    Returns:
        (K, h, w) int16, `LOGIT_NODATA` where not valid.
    """
    steps = np.rint(np.clip(logits, -_MOST, _MOST) * np.float32(LOGIT_STEPS)).astype(np.int16)
    return np.where(valid, steps, np.int16(LOGIT_NODATA))


def score_steps(logits: npt.NDArray[np.int16]) -> npt.NDArray[np.uint8]:
    """Scores of logits in steps, as they are written; `NODATA` for `LOGIT_NODATA`."""
    return _SCORES[logits.view(np.uint16)]


def exact_scores(logits: npt.NDArray[np.int16]) -> npt.NDArray[np.float32]:
    """Scores, 0 to 1, of logits in steps, with all their digits; NaN for `LOGIT_NODATA`."""
    return _EXACT[logits.view(np.uint16)]


def scores_of(steps: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """Scores, 0 to 1, of scores as they are written; 0 for `NODATA`."""
    return _VALUES[steps]


def classify_steps(
    steps: npt.NDArray[np.uint8], classes: Sequence[ClassSpec]
) -> npt.NDArray[np.uint8]:
    """Give every pixel one class, as `geocobot.classes.classify` does with scores.

    Args:
        steps: (K, H, W) scores as they are written, in the order of `classes`.
        classes: K classes with their thresholds.

    Returns:
        (H, W) class numbers; `BACKGROUND` where no class wins, `IGNORE` for `NODATA`.
    """
    codes, label_of = _class_codes(classes)
    if len(classes) == 1:
        return _classify_one(steps[0], label_of[codes[0]], classes[0].number)
    labels = np.empty(steps.shape[1:], dtype=np.uint8)
    best = np.zeros(labels.shape, dtype=codes.dtype)
    for code, plane in zip(codes, steps, strict=True):
        np.maximum(best, code.take(plane, mode="clip"), out=best)
    label_of.take(best, out=labels, mode="clip")
    return labels


def _classify_one(
    steps: npt.NDArray[np.uint8], label_of: npt.NDArray[np.uint8], number: int
) -> npt.NDArray[np.uint8]:
    """Labels (H, W) of one class's scores; the higher a score, the sooner it is of the class."""
    n_below = int((label_of[:NODATA] == BACKGROUND).sum())
    labels = (steps >= n_below).view(np.uint8)
    labels *= np.uint8(number)
    without_data = steps == NODATA
    if without_data.any():
        labels[without_data] = IGNORE
    return labels


def _class_codes(
    classes: Sequence[ClassSpec],
) -> tuple[npt.NDArray[np.unsignedinteger[Any]], npt.NDArray[np.uint8]]:
    """Whole numbers whose largest one names the class that wins.

    Returns:
        (K, 256) the number of each class and written score: the larger, the further the score is
        above the threshold, of equal ones that of the first class; and the label of each number.
    """
    thresholds = np.array([spec.threshold for spec in classes], dtype=np.float32)
    margins = _VALUES - thresholds[:, None]
    _, ranks = np.unique(margins, return_inverse=True)
    n_classes = len(classes)
    places = np.arange(n_classes, 0, -1)[:, None]
    codes = ranks.reshape(margins.shape) * n_classes + places
    codes[:, NODATA] = 0
    labels = np.zeros(codes.max() + 1, dtype=np.uint8)
    for spec, own, margin in zip(classes, codes, margins, strict=True):
        labels[own] = np.where(margin > 0, np.uint8(spec.number), np.uint8(BACKGROUND))
    labels[0] = IGNORE
    return codes.astype(np.min_scalar_type(codes.max())), labels


def encode_scores(
    scores: npt.NDArray[np.float32], valid: npt.NDArray[np.bool_]
) -> npt.NDArray[np.uint8]:
    """Scores as whole numbers of the raster.

    Args:
        scores: (K, h, W), 0 to 1.
        valid: (h, W), True where there is data.

    Returns:
        (K, h, W) uint8, 0 to 254; 255 where not valid.
    """
    steps = np.rint(scores * np.float32(SCORE_SCALE)).astype(np.uint8)
    return np.where(valid, steps, np.uint8(NODATA))


def _exact_table() -> npt.NDArray[np.float32]:
    """The score of every logit in steps, by its bits as an unsigned number."""
    logits = np.arange(2**16, dtype=np.uint16).view(np.int16)
    return np.where(logits == LOGIT_NODATA, np.float32(np.nan), sigmoid(logits / LOGIT_STEPS))


def _score_table(exact: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
    """The same as it is written."""
    has_data = np.isfinite(exact)
    return encode_scores(np.where(has_data, exact, 0), has_data)


def _value_table() -> npt.NDArray[np.float32]:
    """The score of every number that a file holds."""
    values = np.arange(256, dtype=np.float32) / np.float32(SCORE_SCALE)
    values[NODATA] = 0
    return values


_EXACT = _exact_table()
_SCORES = _score_table(_EXACT)
_VALUES = _value_table()
