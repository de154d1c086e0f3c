"""YAML files of options: read strictly, written plainly."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from geocobot.errors import ConfigError, MissingFileError

# A folded path is harder to find and to copy.
_ONE_LINE = 1_000_000


def read_yaml(path: str | Path) -> dict[str, Any]:
    """Read option names and values from a YAML file; dashes in names count as underscores.

    Raises:
        MissingFileError: there is no such file.
        ConfigError: the file is not a YAML mapping, or says something twice.
    """
    import yaml

    if not os.path.isfile(path):
        raise MissingFileError(
            path,
            "is a folder" if os.path.isdir(path) else "does not exist",
            "--config names a YAML file",
            "Check the path",
        )
    try:
        with Path(path).open(encoding="utf-8") as opened:
            content = yaml.load(opened, _loader())  # noqa: S506 # a safe one
    except OSError as error:
        raise ConfigError(
            path,
            f"cannot be read ({error.strerror})",
            "--config names a YAML file that you may read",
            "Change its permissions",
        ) from None
    # Dates and numbers that there are not, bytes that are no text, lists of lists of lists.
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ConfigError(
            path,
            f"is not valid YAML ({' '.join(str(error).split())})",
            "Options are name: value lines",
            "Mend the file",
        ) from None
    if not isinstance(content, dict):
        raise ConfigError(
            path, "is not a mapping", "Options are name: value lines", "Mend the file"
        )
    values: dict[str, Any] = {}
    for given, value in content.items():
        name = str(given).replace("-", "_")
        if name in values:
            raise _said_twice(path, name)
        values[name] = value
    return values


def _said_twice(path: str | Path, name: str) -> ConfigError:
    """The refusal to choose between two values."""
    return ConfigError(
        path, f"says {name} twice", "An option has one value", "Leave one of them out"
    )


@cache
def _loader() -> Any:
    """YAML as people write it: nothing is said twice, and 1:30 is a text and not 90."""
    import yaml

    class Loader(yaml.SafeLoader):
        """Safe, and stricter."""

        def construct_mapping(self, node: Any, deep: bool = False) -> Any:
            names = [self.construct_object(key, deep=True) for key, _ in node.value]
            for name in names:
                if names.count(name) > 1:
                    raise _said_twice(node.start_mark.name, str(name))
            return super().construct_mapping(node, deep=deep)

        def construct_number(self, node: Any) -> Any:
            if ":" in node.value:
                return self.construct_scalar(node)
            is_whole = node.tag.endswith("int")
            return self.construct_yaml_int(node) if is_whole else self.construct_yaml_float(node)

    for kind in ("int", "float"):
        Loader.add_constructor(f"tag:yaml.org,2002:{kind}", Loader.construct_number)
    return Loader


def dump_yaml(plain: Mapping[str, Any]) -> str:
    """Write names and plain values as YAML, in their order and one line each."""
    import yaml

    return yaml.safe_dump(dict(plain), sort_keys=False, allow_unicode=True, width=_ONE_LINE)
