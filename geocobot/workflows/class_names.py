"""Classes that an option names."""

from __future__ import annotations

from collections.abc import Sequence

from geocobot.classes import ClassSpec
from geocobot.errors import ConfigError


def class_numbers(
    flag: str, names: Sequence[str] | None, classes: Sequence[ClassSpec]
) -> frozenset[int]:
    """Numbers of the classes named, or of all.

    Args:
        flag: of the option, for the message.
        names: what it names; None for all.
        classes: that there are.

    Raises:
        ConfigError: a class is not there.
    """
    numbers = {spec.name: spec.number for spec in classes}
    if names is None:
        return frozenset(numbers.values())
    unknown = [name for name in names if name not in numbers]
    if unknown:
        raise ConfigError(
            flag,
            f"names {', '.join(unknown)}",
            f"The classes are {', '.join(numbers)}",
            "Correct the name, or leave it out for all",
        )
    return frozenset(numbers[name] for name in names)
