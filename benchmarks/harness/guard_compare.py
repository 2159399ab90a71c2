"""What became dearer than the baseline, and by what factor."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

__all__ = ["LIMIT", "Row", "compare_networks", "compare_regions", "faults", "shown"]

LIMIT = 1.10
"""How much of the baseline a region may cost. Counts of one tree differ by far less than a hundredth of this."""


@dataclass(frozen=True)
class Row:
    """One thing that is guarded. unit: what is counted. why: what keeps it from being compared, if anything."""

    name: str
    unit: str
    now: float | None
    before: float | None
    why: str = ""

    @property
    def factor(self) -> float | None:
        """What it costs as a multiple of the baseline; None where either is unknown."""
        if self.now is None or self.before is None:
            return None
        return self.now / self.before if self.before else (1.0 if not self.now else float("inf"))

    @property
    def fault(self) -> str:
        """What is wrong with it, or an empty string."""
        if self.now is None:
            return f"{self.name}: cannot be done any more: {self.why}"
        if self.factor is None:
            return f"{self.name}: there is no baseline for it{self.why}; give it one with --update REASON"
        if self.factor > LIMIT:
            return (
                f"{self.name}: {self.factor:.2f} times the {self.unit} of the baseline ({self.now:,.0f} "
                f"instead of {self.before:,.0f}); {LIMIT:.2f} are allowed"
            )
        return ""


def compare_regions(
    now: Mapping[str, float],
    before: Mapping[str, float],
    broken: Mapping[str, str],
    older: Mapping[str, str] | None = None,
) -> list[Row]:
    """Return a row for each region; broken and older: regions that today's and the baseline's package cannot do."""
    rows = [Row(name, "instructions", None, before.get(name), why) for name, why in broken.items()]
    for name, cost in now.items():
        why = f" (its commit fails: {older[name]})" if older and name in older else ""
        rows.append(Row(name, "instructions", cost, before.get(name), why))
    return rows


def compare_networks(
    now: Mapping[str, Mapping[str, int]], before: Mapping[str, Mapping[str, int]]
) -> Iterator[Row]:
    """Yield a row for each figure of each model of today; what is no longer shipped costs nothing."""
    for name, figures in now.items():
        for unit in ("macs", "nodes"):
            yield Row(f"{name} {unit}", unit, figures[unit], before.get(name, {}).get(unit))


def faults(rows: list[Row]) -> list[str]:
    """Return what is wrong, one sentence each."""
    return [row.fault for row in rows if row.fault]


def shown(rows: list[Row]) -> str:
    """Return a table of what was compared, in plain text."""
    lines = [f"{'':<24} {'now':>14} {'baseline':>14} {'factor':>7}"]
    for row in rows:
        now, before = ("-" if value is None else f"{value:,.0f}" for value in (row.now, row.before))
        factor = "-" if row.factor is None else f"{row.factor:.3f}"
        lines.append(f"{row.name:<24} {now:>14} {before:>14} {factor:>7}")
    return "\n".join(lines)
