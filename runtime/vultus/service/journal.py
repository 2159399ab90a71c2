"""Lines for the journal: standard error, with the level in front where systemd reads it (sd-daemon(3))."""

from __future__ import annotations

import os
import sys
from typing import Literal

__all__ = ["say"]

LEVELS = {"error": "<3>", "warning": "<4>", "notice": "<5>", "info": "<6>"}


def say(text: str, level: Literal["error", "warning", "notice", "info"] = "info") -> None:
    """Write each line of a text in one piece; threads may call it."""
    mark = LEVELS[level] if "JOURNAL_STREAM" in os.environ else ""
    sys.stderr.write("".join(f"{mark}vultus: {line}\n" for line in text.splitlines()))
    sys.stderr.flush()
