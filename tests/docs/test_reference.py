from __future__ import annotations

import inspect
import re
from dataclasses import fields
from types import ModuleType
from typing import Any

import typer

import geocobot
import geocobot.config
import geocobot.errors
from geocobot.cli.app import app


def plain(page: str) -> str:
    """Markdown as it is read: without escapes."""
    return re.sub(r"\\([\\*_<\[])", r"\1", page)


def names_of_leaves(group: Any, path: str = "") -> set[str]:
    """What can be typed after `geocobot`."""
    found = set()
    for name, command in group.commands.items():
        whole = f"{path} {name}".strip()
        below = hasattr(command, "commands")
        found |= names_of_leaves(command, whole) if below else {whole}
    return found


def test_every_command_has_a_page(command_pages: ModuleType) -> None:
    commands = command_pages.all_commands()
    assert {c.path for c in commands} == names_of_leaves(typer.main.get_command(app))
    listed = command_pages.overview(commands)
    for command in commands:
        assert f"[`geocobot {command.path}`]({command.page.removeprefix('reference/')})" in listed


def test_every_options_class_belongs_to_a_command(command_pages: ModuleType) -> None:
    kinds = {getattr(geocobot.config, name) for name in geocobot.config.__all__}
    assert {c.options for c in command_pages.all_commands()} - {None} == kinds


def test_every_option_is_on_the_page_of_its_command(command_pages: ModuleType) -> None:
    for command in command_pages.all_commands():
        page = plain(command_pages.command_page(command))
        assert page.startswith(f"# geocobot {command.path}\n")
        for field in fields(command.options) if command.options else ():
            dashed = field.name.replace("_", "-")
            positional = field.metadata["positional"]
            shown = f"`{field.name.upper()}`" if positional else f"--{dashed}"
            assert re.search(
                rf"^### `?.*{re.escape(shown)}.*{{ #{dashed} }}$", page, re.MULTILINE
            ), dashed
            assert field.metadata["help"].removesuffix(".") in page
            if not positional:
                assert f"In YAML `{dashed}`, in Python `{field.name}`." in page


def test_flags_of_the_terminal_are_on_every_page(command_pages: ModuleType) -> None:
    for command in command_pages.all_commands():
        page = command_pages.command_page(command)
        for flag in ("--json", "--verbose, -v", "--quiet, -q", "--debug"):
            assert f"### `{flag}`" in page


def test_choices_and_limits_are_said(command_pages: ModuleType) -> None:
    train = next(c for c in command_pages.all_commands() if c.path == "train")
    page = command_pages.command_page(train)
    assert "One of `lora`, `dora`, `adaptformer`, `none`, `full`." in page
    assert "Above 0, at most 10,000. In YAML `line-width`, in Python `line_width`." in page
    assert "`--cobot, --no-cobot`" in page
    assert "geocobot train --raster FILE --labels FILE [options]" in page


def test_every_public_name_is_on_the_python_page(python_page: ModuleType) -> None:
    page = python_page.python_page()
    for name in geocobot.__all__:
        assert name.startswith("__") or f"`geocobot.{name}" in page or f"geocobot.{name} {{" in page
    for name, kind in vars(geocobot.errors).items():
        if inspect.isclass(kind) and issubclass(kind, geocobot.GeocobotError):
            assert f"`{name}`" in page


def test_functions_show_their_keywords_with_help(python_page: ModuleType) -> None:
    page = plain(python_page.python_page())
    for field in fields(geocobot.PredictOptions):
        assert f"`{field.name}` (`{field.type}`" in page
        assert " ".join(field.metadata["help"].split()) in page
    assert "**Raises** `GeocobotError`: an option, a file or the machine" in page
    assert "- `n_polygons`" in page
