"""What a self-test found: one line a check, and all of it as JSON."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from vultus import __version__

__all__ = ["Check", "Report", "checked"]

SCHEMA = 1

Status = Literal["ok", "failed", "skipped"]


@dataclass(frozen=True)
class Check:
    """One check. part: "kernels", "pipeline", "models" or "frames". figures: what was measured, by name."""

    part: str
    name: str
    status: Status
    detail: str = ""
    figures: dict[str, float] = field(default_factory=dict)


@dataclass
class Report:
    """All checks of one run on one device."""

    device: str
    checks: list[Check] = field(default_factory=list)
    vultus: str = __version__
    schema: int = SCHEMA

    @property
    def passed(self) -> bool:
        """Whether something was checked and nothing failed."""
        states = [check.status for check in self.checks]
        return "ok" in states and "failed" not in states

    def values(self) -> dict[str, Any]:
        """Return the report as plain values for JSON."""
        return {**asdict(self), "passed": self.passed}


@contextmanager
def checked(checks: list[Check], part: str, name: str) -> Iterator[dict[str, float]]:
    """Add one check to the list: ok when the body ends, failed when it raises; the body fills its figures.

    Only errors are taken as an answer; a request to end goes through.
    """
    figures: dict[str, float] = {}
    try:
        yield figures
    except Exception as error:
        said = str(error) if isinstance(error, AssertionError) else f"{type(error).__name__}: {error}"
        checks.append(Check(part, name, "failed", said, figures))
    else:
        checks.append(Check(part, name, "ok", "", figures))
