"""Files that appear whole or not at all (what `io.output` is for maps; models know no io)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Hand out a temporary path in the same folder; it replaces `path` if all goes well.

    After an error, an interrupt included, `path` is as it was and the temporary file is gone.

    Args:
        path: the file to write; its folder exists.

    Yields:
        The path to write to; nothing is there yet.
    """
    temporary = path.with_name(f".{path.name}.{uuid4().hex}.part")
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
