"""What somebody sets the options to: built, checked, read from YAML and written back."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, Field, asdict, fields
from typing import Any, TypeAlias, TypeVar

from geocobot.config import (
    CheckOptions,
    DemoOptions,
    EvaluateOptions,
    PredictOptions,
    PretrainOptions,
    ShowOptions,
    TrainOptions,
    VectorizeOptions,
)
from geocobot.config.option import takes_several_in_a_text
from geocobot.errors import ConfigError
from geocobot.secrecy import values_without_secrets, without_secrets
from geocobot.yaml_file import dump_yaml

Options = TypeVar(
    "Options",
    TrainOptions,
    PredictOptions,
    CheckOptions,
    DemoOptions,
    EvaluateOptions,
    ShowOptions,
    PretrainOptions,
    VectorizeOptions,
)

AnyOptions: TypeAlias = (
    TrainOptions
    | PredictOptions
    | CheckOptions
    | DemoOptions
    | EvaluateOptions
    | ShowOptions
    | PretrainOptions
    | VectorizeOptions
)

_HAIR = 1e-6
_CONSENTS = {"overwrite", "resume"}


def make_options(kind: type[Options], values: Mapping[str, Any], source: str) -> Options:
    """Build and check options.

    Args:
        kind: the dataclass.
        values: option names and values; a single value stands for a list of one.
        source: where they come from, for messages.

    Raises:
        ConfigError: an unknown name, a missing required option, an empty text or a value of the
            wrong type.
    """
    from pydantic import TypeAdapter, ValidationError

    known = {f.name: f for f in fields(kind)}
    for name in values:
        if name not in known:
            raise ConfigError(
                source,
                f"has the option {name!r}, which {kind.COMMAND} does not know",
                f"Known are {', '.join(known)}",
                f"Correct the name, or see geocobot {kind.COMMAND} --help",
            )
    missing = [n for n, f in known.items() if f.default is MISSING and not values.get(n)]
    if missing:
        raise ConfigError(
            source,
            f"does not say {' and '.join(missing)}",
            f"{kind.COMMAND} needs it",
            _way_to_say(known[missing[0]], kind.COMMAND),
        )
    listed = {n: _as_list(known[n], v) for n, v in values.items()}
    for name, value in listed.items():
        _refuse_slips(name, value, str(known[name].type), source)
    try:
        return TypeAdapter(kind).validate_python(listed)
    except ValidationError as error:
        first = error.errors()[0]
        raise ConfigError(
            source,
            f"sets {'.'.join(str(p) for p in first['loc'])} to {first['input']!r}",
            first["msg"],
            f"See geocobot {kind.COMMAND} --help",
        ) from None


def _way_to_say(entry: Field[Any], command: str) -> str:
    """How somebody gives a required option."""
    if entry.metadata["positional"]:
        return f"Write geocobot {command} {entry.name.upper()}"
    return f"Add --{entry.name}"


def _refuse_slips(name: str, value: Any, annotation: str, source: str) -> None:
    """Refuse what pydantic would let pass: nothing at all, and YAML's yes and no as numbers."""
    parts = value if isinstance(value, list | tuple) else [value]
    if not parts:
        raise ConfigError(
            source,
            f"sets {name} to an empty list",
            "An option is set to something or left out",
            f"Leave out {name}",
        )
    if "" in parts:
        raise ConfigError(
            source,
            f"sets {name} to an empty text",
            "An option is set to something or left out",
            f"Leave out {name}, or see whether a variable in the command is empty",
        )
    if "bool" not in annotation and any(isinstance(part, bool) for part in parts):
        raise ConfigError(
            source,
            f"sets {name} to yes or no",
            "YAML takes yes, no, on, off, true and false for truth values",
            f"Set {name} to what it is, in quotes if it is a word",
        )


def check_limits(options: AnyOptions) -> None:
    """Refuse numbers that make no sense.

    Raises:
        ConfigError: one is below or above its limit.
    """
    for entry, value in _single_values(options):
        needed = None if value is None else _missed_limit(value, entry.metadata)
        if needed is not None:
            raise ConfigError(
                f"--{entry.name.replace('_', '-')}",
                f"is {value:g}",
                f"It has to {needed}",
                f"See geocobot {options.COMMAND} --help",
            )


def _single_values(options: AnyOptions) -> Iterator[tuple[Field[Any], Any]]:
    """Every option with its value, one that takes several with each of them."""
    for entry in fields(options):
        found = getattr(options, entry.name)
        yield from ((entry, value) for value in (found if isinstance(found, tuple) else (found,)))


def _missed_limit(value: Any, limits: Mapping[str, Any]) -> str | None:
    """What a value would have to be or do, or None where it is as it should be."""
    least, most, step = limits["least"], limits["most"], limits["step"]
    if least is None and most is None:
        return None
    if not ((least is None or value >= least) and (most is None or value <= most)):
        # The least length or time is a hair above 0, which reads better in words.
        if 0 < least < _HAIR:
            return "be above 0" if most is None else f"be above 0 and at most {most}"
        return f"be at least {least}" if most is None else f"lie from {least} to {most}"
    if math.isinf(value):
        return "be finite"
    return f"be a multiple of {step}" if step is not None and value % step else None


def to_yaml(options: AnyOptions) -> str:
    """Write options so that `read_yaml` and `make_options` give them back.

    Without consent to replace or to resume, which holds for one call and not for its repetition,
    and without passwords in addresses: the file goes along with results.
    """
    plain = {n: values_without_secrets(v) for n, v in asdict(options).items()}
    return dump_yaml({n: v for n, v in plain.items() if n not in _CONSENTS})


def to_flags(options: AnyOptions) -> list[str]:
    """Write what differs from the defaults as words of a command line, required options first.

    Without consent to replace or to resume and without passwords, as for `to_yaml`.
    """
    words: list[str] = []
    for entry in fields(options):
        value = getattr(options, entry.name)
        if value == entry.default or value is None or entry.name in _CONSENTS:
            continue
        flag = f"--{entry.name.replace('_', '-')}"
        if isinstance(value, bool):
            words.append(flag if value else f"--no-{flag[2:]}")
        elif not isinstance(value, tuple):
            words += [flag, _as_word(value)]
        elif entry.metadata["names"]:
            words += [flag, ",".join(map(_as_word, value))]
        else:
            words += [word for item in value for word in (flag, _as_word(item))]
    return words


def _as_word(value: Any) -> str:
    """A value as one types it, and as it is read again."""
    if not isinstance(value, float):
        return without_secrets(str(value))
    short = f"{value:g}"
    return short if float(short) == value else repr(value)


def _as_list(entry: Field[Any], value: Any) -> Any:
    """Let one value stand for a list of one where the option takes several.

    Commas separate numbers and names in a text, as on the command line, and numbers are names
    where names are asked for.
    """
    annotation, names = str(entry.type), entry.metadata["names"]
    if "tuple" not in annotation or value is None:
        return value
    if isinstance(value, str) and takes_several_in_a_text(entry):
        value = [part.strip() for part in value.split(",")]
    elif not isinstance(value, list | tuple):
        value = [value]
    if not names or "int" in annotation:
        return value
    return [str(v) if isinstance(v, int) and not isinstance(v, bool) else v for v in value]
