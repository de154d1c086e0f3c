"""Flags made from the option dataclasses, so that every option is written once."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, fields
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import typer

from geocobot.cli.terminal import Terminal, perform
from geocobot.config import CheckOptions, TrainOptions
from geocobot.config.check import PAGE_ENDINGS
from geocobot.config.option import takes_several_in_a_text
from geocobot.errors import ConfigError
from geocobot.progress import Progress
from geocobot.settings import Options, make_options
from geocobot.yaml_file import read_yaml


def command(job: Callable[[Progress], Any]) -> Callable[..., None]:
    """Make a typer command of a job that takes only the terminal's options."""

    def run(**flags: Any) -> None:
        terminal = _take_terminal(flags)
        perform(job, terminal)

    return _with_signature(run, _terminal_parameters())


def command_with_options(
    kind: type[Options], job: Callable[[Options, Progress], Any]
) -> Callable[..., None]:
    """Make a typer command of a job that takes options.

    Args:
        kind: the option dataclass; each field becomes a flag, next to `--config`.
        job: what to do with the options.
    """

    def run(**flags: Any) -> None:
        terminal = _take_terminal(flags)
        perform(lambda progress: job(gather(kind, flags), progress), terminal)

    own: list[inspect.Parameter] = [_parameter(f, t) for f, t in _typed_fields(kind)]
    return _with_signature(run, [*own, _config_parameter(), *_terminal_parameters()])


def gather(kind: type[Options], flags: Mapping[str, Any]) -> Options:
    """Build the options from the configuration file and the flags that override it.

    Args:
        kind: the option dataclass.
        flags: every flag by the name of its option, None where it was not given, and `config`.

    Raises:
        ConfigError: an option is unknown, missing, empty or of the wrong type.
        MissingFileError: the configuration file does not exist.
    """
    config = flags.get("config")
    said: dict[str, Any] = {}
    for field in fields(kind):
        value = flags.get(field.name)
        if value is None or value == []:
            continue
        if takes_several_in_a_text(field):
            value = ",".join(value)
        said[field.name] = value
    if config == "":
        raise ConfigError(
            "--config",
            "is an empty text",
            "It names a YAML file",
            "Leave it out, or see whether a variable in the command is empty",
        )
    from_file = {} if config is None else _of_kind(kind, read_yaml(config))
    return make_options(kind, {**from_file, **said}, config or "The command line")


def _of_kind(kind: type[Options], values: dict[str, Any]) -> dict[str, Any]:
    """Options of a file; a check passes over those of the training that it is made for."""
    if kind is not CheckOptions:
        return values
    own, training = ({f.name for f in fields(k)} for k in (CheckOptions, TrainOptions))
    kept = {name: v for name, v in values.items() if name in own or name not in training}
    is_page = str(kept.get("out", "")).lower().endswith(PAGE_ENDINGS)
    return kept if is_page else {name: v for name, v in kept.items() if name != "out"}


def _typed_fields(kind: type[Any]) -> list[tuple[Field[Any], Any]]:
    """Fields of an option dataclass beside their types, None left out."""
    hints = get_type_hints(kind)
    return [(f, _without_none(hints[f.name])) for f in fields(kind)]


def _without_none(annotation: Any) -> Any:
    """Turn `T | None` into T."""
    rest = [a for a in get_args(annotation) if a is not type(None)]
    return rest[0] if type(None) in get_args(annotation) else annotation


def _parameter(field: Field[Any], annotation: Any) -> inspect.Parameter:
    """Make a flag that is None unless given, so that it can override a file."""
    several = get_origin(annotation) is tuple
    if field.metadata["positional"]:
        return _keyword(
            field.name, annotation | None, typer.Argument(help=_help(field), show_default=False)
        )
    option = typer.Option(
        *_flags(field, annotation is bool),
        help=_help(field),
        rich_help_panel=field.metadata.get("group") or None,
        metavar=_metavar(field, annotation),
    )
    kind = list[str] if several else annotation
    return _keyword(field.name, kind | None, option)


def _help(field: Field[Any]) -> str:
    """The option's sentence with its default, where the sentence does not tell it."""
    text: str = field.metadata["help"]
    if field.default is MISSING:
        return f"{text} Required."
    if field.default is None or field.default is False:
        return text
    shown = "on" if field.default is True else field.default
    if isinstance(shown, tuple):
        shown = ",".join(map(str, shown))
    number = f"{shown:g}" if isinstance(shown, float) else str(shown)
    return f"{text.removesuffix('.')}; default {number}."


def _metavar(field: Field[Any], annotation: Any) -> str | None:
    """The kind of value, as help shows it; choices show themselves."""
    if get_origin(annotation) is tuple:
        listed = takes_several_in_a_text(field)
        return _listed_metavar(field, get_args(annotation)[0]) if listed else "FILE"
    return {bool: "", int: "N", float: "NUMBER", str: "TEXT"}.get(annotation)


def _listed_metavar(field: Field[Any], item: Any) -> str:
    """What a list of numbers or names looks like."""
    if get_origin(item) is Literal:
        return ",".join(get_args(item))
    return str(field.metadata["names"] or "N,N,N")


def _flags(field: Field[Any], switch: bool) -> list[str]:
    """Long and short spellings of a field's flag."""
    dashed = field.name.replace("_", "-")
    long = field.metadata.get("flag") or (f"--{dashed}/--no-{dashed}" if switch else f"--{dashed}")
    short = field.metadata.get("short")
    return [long, short] if short else [long]


def _config_parameter() -> inspect.Parameter:
    """Make `--config`."""
    option = typer.Option(
        "--config", "-c", help="YAML file with options; flags override it.", metavar="FILE"
    )
    return _keyword("config", str | None, option)


def _terminal_parameters() -> list[inspect.Parameter]:
    """Make the flags that every command has."""
    flags = {
        "json": (
            ["--json"],
            "Print the result as JSON on standard output, and progress as JSON on standard error.",
        ),
        "verbose": (["--verbose", "-v"], "Say more."),
        "quiet": (["--quiet", "-q"], "Say only what needs attention."),
        "debug": (["--debug"], "Show where in the code an error came from."),
    }
    return [
        _keyword(
            name,
            bool,
            typer.Option(*spellings, help=text, metavar="", rich_help_panel="Terminal"),
            False,
        )
        for name, (spellings, text) in flags.items()
    ]


def _take_terminal(flags: dict[str, Any]) -> Terminal:
    """Take the terminal's flags out of all flags."""
    return Terminal(**{name: flags.pop(name) for name in ("json", "verbose", "quiet", "debug")})


def _keyword(name: str, annotation: Any, option: Any, default: Any = None) -> inspect.Parameter:
    """Make a keyword parameter in the form that typer reads."""
    return inspect.Parameter(
        name,
        inspect.Parameter.KEYWORD_ONLY,
        default=default,
        annotation=Annotated[annotation, option],
    )


def _with_signature(
    run: Callable[..., None], parameters: list[inspect.Parameter]
) -> Callable[..., None]:
    """Give a function that takes anything the signature that typer shall see."""
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {}
    return run
