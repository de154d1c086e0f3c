"""Which score makes a pixel one of a class: as the model says, or the options."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from geocobot.classes import ClassSpec
from geocobot.config import EvaluateOptions, PredictOptions, VectorizeOptions
from geocobot.errors import ConfigError


def with_thresholds(
    classes: Sequence[ClassSpec], options: PredictOptions | VectorizeOptions | EvaluateOptions
) -> tuple[ClassSpec, ...]:
    """The classes with the thresholds in force.

    Args:
        classes: with their own.
        options: one for all, which those of single classes go before.

    Raises:
        ConfigError: a class is not there, comes twice, or has no number from 0 to 1.
    """
    own = _parse(options.class_thresholds or (), [spec.name for spec in classes])
    common = options.threshold
    return tuple(
        replace(s, threshold=own.get(s.name, s.threshold if common is None else common))
        for s in classes
    )


def _parse(texts: Sequence[str], names: Sequence[str]) -> dict[str, float]:
    """Thresholds by class, of texts such as "road=0.4"."""
    found: dict[str, float] = {}
    for text in texts:
        name, _, number = text.rpartition("=")
        name = name.strip()
        if name not in names or name in found:
            raise ConfigError(
                "--class-thresholds",
                f"names {name or text} twice" if name in found else f"names {name or text}",
                f"The classes are {', '.join(names)}, each once",
                f"Write {names[0]}=0.5",
            )
        try:
            found[name] = float(number)
        except ValueError:
            found[name] = math.nan
        if not 0 <= found[name] <= 1:
            raise ConfigError(
                "--class-thresholds",
                f"gives {name} the threshold {number.strip() or 'nothing'}",
                "Thresholds are numbers from 0 to 1",
                f"Write {name}=0.5",
            )
    return found
