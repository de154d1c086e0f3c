"""Which class of a map is which of the labels."""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from geocobot.classes import BACKGROUND, IGNORE, ClassSpec
from geocobot.errors import FieldError
from geocobot.io.misplaced import in_words

_LOG = logging.getLogger("geocobot.workflows")


@dataclass(frozen=True)
class Matching:
    """Classes of labels, each with the one of the map that is meant by it.

    Attributes:
        classes: of the labels, with their numbers there and the thresholds of the map.
        number_of: (256,) the label's number of each number of the map; `BACKGROUND` for classes
            that the labels do not have, `IGNORE` stays.
        planes: position among the map's classes of each class; None where the map has none of it.
    """

    classes: tuple[ClassSpec, ...]
    number_of: npt.NDArray[np.uint8]
    planes: tuple[int | None, ...]


def match_classes(
    mapped: Sequence[ClassSpec],
    true: Sequence[ClassSpec],
    *,
    map_name: str,
    labels_name: str,
    knows_all: bool,
    elsewhere: Collection[str] = (),
) -> Matching:
    """Match classes by their names; where there is one on either side, it is the same.

    Args:
        mapped: classes of the map.
        true: classes of the labels.
        map_name: for messages.
        labels_name: for messages.
        knows_all: whether the map names all its classes, not just those that it found.
        elsewhere: names of the classes of other maps that are judged together with it.

    Raises:
        FieldError: no class has the same name, or the map does not know one of the labels'.
    """
    position = {spec.name: k for k, spec in enumerate(mapped)}
    known = {*position, *elsewhere}
    if len(known) == len(mapped) == len(true) == 1 and mapped[0].name != true[0].name:
        _LOG.info(
            "%s: its only class, %s, is compared with that of %s, %s.",
            map_name,
            mapped[0].name,
            labels_name,
            true[0].name,
        )
        position = {true[0].name: 0}
    planes = tuple(position.get(spec.name) for spec in true)
    missing = [spec.name for spec, plane in zip(true, planes, strict=True) if plane is None]
    if missing and mapped:  # a map in which nothing was found has missed all of them
        if knows_all or (known.isdisjoint(missing) and len(missing) == len(true)):
            raise _strangers(missing, mapped, map_name, labels_name)
        _LOG.warning(
            "%s has nothing of %s, which %s has: all of it counts as missed.",
            map_name,
            in_words(missing),
            labels_name,
        )
    _tell_of_others(mapped, planes, map_name, labels_name)
    number_of = np.full(256, BACKGROUND, dtype=np.uint8)
    number_of[IGNORE] = IGNORE
    classes = []
    for spec, plane in zip(true, planes, strict=True):
        if plane is not None:
            number_of[mapped[plane].number] = spec.number
            spec = replace(spec, threshold=mapped[plane].threshold)  # noqa: PLW2901
        classes.append(spec)
    return Matching(tuple(classes), number_of, planes)


def _strangers(
    missing: Sequence[str], mapped: Sequence[ClassSpec], map_name: str, labels_name: str
) -> FieldError:
    """What to say of classes that the map cannot have found."""
    names = [spec.name for spec in mapped]
    return FieldError(
        map_name,
        f"has no class {in_words(missing)}, which {labels_name} has",
        f"Classes are compared by name, and those of the map are {in_words(names, most=12)}",
        "Say with --class-field which attribute names the classes of the labels, with "
        "--pred-class-field that of polygons, or list those to judge with --classes",
    )


def _tell_of_others(
    mapped: Sequence[ClassSpec],
    planes: Sequence[int | None],
    map_name: str,
    labels_name: str,
) -> None:
    """Say which classes of the map are not judged."""
    others = [spec.name for k, spec in enumerate(mapped) if k not in planes]
    if others:
        _LOG.warning(
            "%s has %s, which %s has not: they count as background.",
            map_name,
            in_words(others),
            labels_name,
        )
