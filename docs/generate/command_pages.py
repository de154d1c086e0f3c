"""Pages of the command line, written from the commands themselves, so that they cannot differ."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import MISSING, Field, dataclass, fields
from typing import Any, Literal, get_args, get_origin, get_type_hints

import typer

import geocobot.config
from geocobot.cli.app import app

FIRST_GROUP = "Main options"

OVERVIEW = """# Commands

These pages are written by the program itself: what they say of an option is what `--help` says of
it.

| Command | What it does |
| --- | --- |
{rows}

Every option can be said on the command line (`--line-width 8`), in a YAML file that `-c` names
(`line-width: 8`) and in Python (`line_width=8`); the command line wins over the file. Lengths are
in metres on the ground and areas in square metres, whatever the CRS counts in.

| Exit code | What it means |
| --- | --- |
| 0 | done |
| 1 | a bug, to be reported; of `geocobot check`: training would be pointless |
| 2 | something that you can mend: the message says what and how |
| 3 | some of several scenes could not be mapped, the others are there |
| 130, 143 | interrupted by Ctrl-C, or asked to end by the system |
"""


@dataclass(frozen=True)
class Command:
    """A command of the command line.

    Attributes:
        path: what is typed after `geocobot`, such as "models show".
        parsed: the command as typer parses it, with its parameters.
        options: the dataclass that declares its options; None where it has only the terminal's.
    """

    path: str
    parsed: Any
    options: type[Any] | None

    @property
    def page(self) -> str:
        """Where its page lies in the documentation."""
        return f"reference/{self.path.replace(' ', '-')}.md"

    @property
    def summary(self) -> str:
        """Its help in one sentence."""
        return str(self.parsed.help)


def all_commands() -> tuple[Command, ...]:
    """Every command, subcommands included, in the order of `geocobot --help`."""
    kinds = [getattr(geocobot.config, name) for name in geocobot.config.__all__]
    by_command = {kind.COMMAND: kind for kind in kinds}
    found = _leaves(typer.main.get_command(app), "")
    return tuple(Command(path, parsed, by_command.get(path)) for path, parsed in found)


def overview(commands: tuple[Command, ...]) -> str:
    """The page that lists all commands, as Markdown."""
    rows = [
        f"| [`geocobot {c.path}`]({c.page.removeprefix('reference/')}) | {_cell(c.summary)} |"
        for c in commands
    ]
    return OVERVIEW.format(rows="\n".join(rows))


def command_page(command: Command) -> str:
    """The page of one command, as Markdown."""
    declared = {f.name: f for f in fields(command.options)} if command.options else {}
    hints = get_type_hints(command.options) if command.options else {}
    groups: dict[str, list[str]] = {}
    for parameter in command.parsed.params:
        if parameter.name == "help":
            continue
        field = declared.get(parameter.name)
        entry = _entry(parameter, field, hints.get(parameter.name))
        groups.setdefault(_group(parameter), []).append(entry)
    lines = [f"# geocobot {command.path}", "", command.summary, ""]
    lines += ["```bash", _usage(command, declared), "```", ""]
    for title, entries in groups.items():
        lines += [f"## {title}", "", *entries]
    return "\n".join(lines)


def _leaves(group: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Commands below a group with their paths."""
    for name, parsed in group.commands.items():
        whole = f"{path} {name}".strip()
        if hasattr(parsed, "commands"):
            yield from _leaves(parsed, whole)
        else:
            yield whole, parsed


def _group(parameter: Any) -> str:
    """The heading that a parameter stands under in `--help`."""
    panel = getattr(parameter, "rich_help_panel", None)
    return panel if isinstance(panel, str) else FIRST_GROUP


def _usage(command: Command, declared: dict[str, Field[Any]]) -> str:
    """The shortest command line that is complete."""
    words = ["geocobot", command.path]
    for name, field in declared.items():
        if field.metadata["positional"]:
            words.append(name.upper())
        elif field.default is MISSING:
            words.append(f"--{name.replace('_', '-')} FILE")
    return " ".join([*words, "[options]"])


def _entry(parameter: Any, field: Field[Any] | None, hint: Any) -> str:
    """One option: how it is said, what it does, and the small print."""
    facts = [_choices(hint), _limits(field), _other_names(field)]
    notes = " ".join(fact for fact in facts if fact)
    anchor = parameter.name.replace("_", "-")
    lines = [f"### {_spelling(parameter)} {{ #{anchor} }}", "", _escape(parameter.help), ""]
    if notes:
        lines += [notes, "{ .facts }", ""]
    return "\n".join(lines)


def _spelling(parameter: Any) -> str:
    """Flags with the kind of value, as code."""
    if parameter.param_type_name == "argument":
        return f"`{parameter.name.upper()}`"
    flags = ", ".join([*parameter.opts, *parameter.secondary_opts])
    return f"`{flags} {parameter.metavar or ''}".rstrip() + "`"


def _choices(hint: Any) -> str:
    """The names to choose from, where an option has such."""
    for kind in _parts(hint):
        if get_origin(kind) is Literal:
            return "One of " + ", ".join(f"`{choice}`" for choice in get_args(kind)) + "."
    return ""


def _parts(hint: Any) -> Iterator[Any]:
    """A type with all that it is made of."""
    yield hint
    if get_origin(hint) is not Literal:
        for part in get_args(hint):
            yield from _parts(part)


def _limits(field: Field[Any] | None) -> str:
    """Which numbers make sense."""
    if field is None:
        return ""
    least, most, step = (field.metadata[name] for name in ("least", "most", "step"))
    said = []
    if least is not None:
        said.append("above 0" if 0 < least < 1e-6 else f"at least {least:,g}")
    if most is not None:
        said.append(f"at most {most:,.10g}")
    if step is not None:
        said.append(f"a multiple of {step}")
    return f"{', '.join(said).capitalize()}." if said else ""


def _other_names(field: Field[Any] | None) -> str:
    """What the option is called in YAML and in Python."""
    if field is None or field.metadata["positional"]:
        return ""
    return f"In YAML `{field.name.replace('_', '-')}`, in Python `{field.name}`."


def _cell(text: str) -> str:
    """Text in a cell of a table."""
    return _escape(text).replace("|", r"\|")


def _escape(text: str) -> str:
    """Text of a terminal as Markdown that shows the same."""
    for character in "\\*_<[":
        text = text.replace(character, f"\\{character}")
    return text
