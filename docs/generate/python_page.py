"""The page of the Python API, written from signatures and docstrings as they are at run time.

At run time, because the options' help is filled into the docstrings when the package is imported,
and public names are imported when they are first asked for: who reads the source text, as
mkdocstrings does, sees neither. Griffe, which mkdocstrings stands on, reads the docstrings here.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Iterator
from typing import Any

from griffe import Docstring, DocstringSectionKind

import geocobot
import geocobot.errors

INTRODUCTION = """# Python

```python
import geocobot

print(geocobot.check(raster="scene.tif", labels="roads.shp").summary())
trained = geocobot.train(raster="scene.tif", labels="roads.shp", line_width=8)
mapped = geocobot.predict(raster="big.tif", model=trained.model)
```

The functions do what the commands of the same name do and take the same options, by keyword.
They return results with typed attributes, print nothing, say what they notice through `logging`
(loggers below `geocobot`), and raise a [`GeocobotError`](#errors) where something can be mended.
"""


def python_page() -> str:
    """All public names as Markdown."""
    names = [name for name in geocobot.__all__ if not name.startswith("__")]
    public = {name: getattr(geocobot, name) for name in names}
    functions = {n: v for n, v in public.items() if inspect.isfunction(v)}
    options = {n: v for n, v in public.items() if hasattr(v, "COMMAND")}
    results = {n: v for n, v in public.items() if dataclasses.is_dataclass(v) and n not in options}
    lines = [INTRODUCTION, "## Functions", ""]
    for name, function in functions.items():
        lines += _function(name, function)
    lines += ["## Results", ""]
    for name, kind in results.items():
        lines += _class(name, kind)
    lines += ["## Options", ""]
    lines += ["What the functions make of their keywords, and the workflows take.", ""]
    lines += [_options(name, kind) for name, kind in options.items()]
    return "\n".join([*lines, "", *_errors()])


def _function(name: str, function: Any) -> Iterator[str]:
    """A function with its parameters, results and errors."""
    signature = inspect.signature(function)
    yield f"### geocobot.{name} {{ #{name} }}"
    yield ""
    yield from _code(f"geocobot.{name}({_short(signature)}) -> {signature.return_annotation}")
    for section in _sections(function):
        if section.kind is DocstringSectionKind.text:
            yield f"{_plain(section.value)}\n"
        elif section.kind is DocstringSectionKind.parameters:
            yield f'??? info "{len(section.value)} keywords"\n'
            for item in section.value:
                described = _describe(signature.parameters[item.name], item.description)
                yield f"    - {described}"
            yield ""
        elif section.kind in {DocstringSectionKind.returns, DocstringSectionKind.raises}:
            for item in section.value:
                said = item.annotation or signature.return_annotation
                head = f"**{section.kind.value.capitalize()}** `{said}`"
                yield f"{head}: {_plain(item.description)}\n"


def _class(name: str, kind: Any) -> Iterator[str]:
    """A result with its attributes and methods."""
    yield f"### geocobot.{name} {{ #{name} }}"
    yield ""
    types = {f.name: f.type for f in dataclasses.fields(kind)}
    for section in _sections(kind):
        if section.kind is DocstringSectionKind.text:
            yield f"{_plain(section.value)}\n"
        elif section.kind is DocstringSectionKind.attributes:
            for item in section.value:
                head = f"- `{item.name}` (`{types.get(item.name, '')}`)"
                yield f"{head}: {_plain(item.description)}"
            yield ""
    for member, value in vars(kind).items():
        documented = inspect.getdoc(value)
        if member.startswith("_") or member in types or not documented:
            continue
        call = "()" if inspect.isfunction(value) else ""
        yield f"- `{member}{call}`: {_plain(documented.splitlines()[0])}"
    yield ""


def _options(name: str, kind: Any) -> str:
    """An options dataclass, by the page of its command."""
    page = f"{kind.COMMAND.replace(' ', '-')}.md"
    return f"- `geocobot.{name}`: those of [`geocobot {kind.COMMAND}`]({page})"


def _errors() -> Iterator[str]:
    """Every kind of error that a user can mend."""
    base = geocobot.GeocobotError
    yield "## Errors { #errors }"
    yield ""
    yield "[Errors and remedies](../bad-input.md) says which input leads to which message. All are"
    yield "subclasses of `geocobot.GeocobotError`, from `geocobot.errors`, with the attributes"
    yield "`subject`, `found`, `needed` and `remedy`, the four parts of the message."
    yield ""
    for name, kind in vars(geocobot.errors).items():
        if inspect.isclass(kind) and issubclass(kind, base) and kind is not base:
            yield f"- `{name}`: {_plain(inspect.getdoc(kind) or '')}"


def _sections(documented: Any) -> list[Any]:
    """The parts of a Google-style docstring."""
    return Docstring(inspect.getdoc(documented) or "", parser="google").parse(warnings=False)


def _short(signature: inspect.Signature) -> str:
    """The parameters that have to be given, and that there are more, if there are."""
    parameters = signature.parameters.values()
    needed = [p.name for p in parameters if p.default is p.empty]
    keywords = ["*"] if any(p.kind is p.KEYWORD_ONLY for p in parameters) else []
    more = ["..."] if len(needed) < len(parameters) else []
    return ", ".join([*keywords, *needed, *more])


def _code(text: str) -> list[str]:
    """Text as a block of Python."""
    return ["```python", text, "```", ""]


def _describe(parameter: inspect.Parameter, description: str) -> str:
    """A keyword with its type, default and meaning."""
    default = "required" if parameter.default is parameter.empty else f"`{parameter.default!r}`"
    annotation = str(parameter.annotation)
    return f"`{parameter.name}` (`{annotation}`, {default}): {_plain(description)}"


def _plain(text: str) -> str:
    """Text of a docstring as one line of Markdown, in which names of placeholders stay."""
    return " ".join(text.split()).replace("*.", r"\*.").replace("<", r"\<")
