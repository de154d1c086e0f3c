"""What files say of when they were made."""

from __future__ import annotations

import os
from datetime import UTC, datetime


def moment_now() -> datetime:
    """The time, or what SOURCE_DATE_EPOCH says (https://reproducible-builds.org)."""
    said = os.environ.get("SOURCE_DATE_EPOCH", "")
    return datetime.fromtimestamp(int(said), UTC) if said.isdigit() else datetime.now(UTC)
