"""Lists of different lengths, one after the other in one array."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt


def offsets_of(lengths: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Where lists of these lengths (N,) begin and end: (N + 1,)."""
    return np.concatenate([[0], np.cumsum(lengths)])


def owners(offsets: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The list of every element, (offsets[-1],)."""
    return np.repeat(np.arange(offsets.size - 1), np.diff(offsets))


def places(offsets: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The place of every element in its list, (offsets[-1],)."""
    return np.arange(offsets[-1]) - np.repeat(offsets[:-1], np.diff(offsets))


def elements(
    offsets: npt.NDArray[np.int64], lists: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Indices of the elements of some lists, one after the other, and their own offsets."""
    own = offsets_of(np.diff(offsets)[lists])
    return np.repeat(offsets[lists], np.diff(own)) + places(own), own


def totals(
    values: npt.NDArray[Any], owner: npt.NDArray[np.int64], n: int
) -> npt.NDArray[np.float64]:
    """Sum of the values (M,) of each list (n,), always in their order."""
    return np.bincount(owner, weights=values, minlength=n).astype(np.float64, copy=False)
