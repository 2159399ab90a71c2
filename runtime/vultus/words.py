"""Words that messages and tables share."""

from __future__ import annotations

__all__ = ["counted"]


def counted(number: int, noun: str) -> str:
    """Return `1 face`, `2 faces`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"
