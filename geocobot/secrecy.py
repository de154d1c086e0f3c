"""Passwords and tokens in addresses, which must not appear in messages, logs or files."""

from __future__ import annotations

import re
from typing import Any

_HIDDEN = "***"
# A path has made one slash of two; a single letter before the colon is a drive of Windows.
_USER = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]+:/{1,2})(?P<user>[^/\s'\"@]+)@", re.IGNORECASE)
_QUERY = re.compile(
    r"(?P<name>[?&;](?:[^=&;\s'\"]*(?:token|key|secret|signature|credential|password|passwd|pwd)"
    r"[^=&;\s'\"]*|sig|sas|auth)=)[^&;\s'\",)]+",
    re.IGNORECASE,
)


def without_secrets(text: str) -> str:
    """Write *** in place of passwords, user names before a host, and tokens in queries.

    A password that holds an @ or a / by itself, which no address may, is not told from the rest.
    """
    text = _USER.sub(rf"\g<scheme>{_HIDDEN}@", text)
    return _QUERY.sub(rf"\g<name>{_HIDDEN}", text)


def values_without_secrets(value: Any) -> Any:
    """A value with what `without_secrets` makes of each text in it; tuples become lists."""
    if isinstance(value, str):
        return without_secrets(value)
    if isinstance(value, list | tuple):
        return [values_without_secrets(item) for item in value]
    return value
