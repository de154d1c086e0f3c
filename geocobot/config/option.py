"""How an option is declared."""

from __future__ import annotations

from dataclasses import MISSING, Field, field, fields
from typing import Any


def option(
    help: str,  # noqa: A002
    default: Any = MISSING,
    *,
    flag: str = "",
    short: str = "",
    group: str = "",
    least: float | None = None,
    most: float | None = None,
    step: int | None = None,
    positional: bool = False,
    names: str = "",
) -> Any:
    """Declare one option of a dataclass.

    Args:
        help: one sentence for `--help`, with the unit.
        default: what holds when nobody says anything; without it the option is required.
        flag: the long flag, where it is not the name with dashes; "--cobot/--no-cobot" for both.
        short: a one-letter flag such as "-o".
        group: the heading it stands under in `--help`.
        least: smallest number that makes sense.
        most: largest number that makes sense.
        step: whole number that it has to be a multiple of.
        positional: stands without a flag on the command line.
        names: what an option looks like that takes several names, which a comma may separate on
            the command line, such as "NAME,NAME"; texts are files otherwise.
    """
    metadata = {
        "help": help,
        "flag": flag,
        "short": short,
        "group": group,
        "least": least,
        "most": most,
        "step": step,
        "positional": positional,
        "names": names,
    }
    if default is MISSING:
        return field(metadata=metadata)
    return field(default=default, metadata=metadata)


def takes_several_in_a_text(entry: Field[Any]) -> bool:
    """Whether an option takes several numbers or names, which a comma may separate."""
    annotation = str(entry.type)
    is_list = annotation.startswith("tuple")
    return is_list and ("str" not in annotation or bool(entry.metadata["names"]))


def repeated(kind: type[Any], name: str) -> Any:
    """Declare an option as another command has it: same default, same help, same limits.

    Args:
        kind: the other command's options.
        name: of the option.
    """
    declared = next(f for f in fields(kind) if f.name == name)
    return field(default=declared.default, metadata=declared.metadata)
