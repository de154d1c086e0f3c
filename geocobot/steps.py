"""Logits and scores in whole steps, so that their sums do not depend on any order."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from geocobot.classes import IGNORE

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
