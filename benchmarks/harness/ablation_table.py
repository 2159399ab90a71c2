"""The table of an ablation: every variant on the validation and test rows, and against the first."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from harness.markdown import interval, number, table

__all__ = ["ablation_table"]

HEAD = ("figure", "variant", "what it is", "val", "test", "95 % interval", "against the first", "size")


def ablation_table(name: str, result: dict[str, Any] | None) -> str:
    """Return one row for each figure and variant, or how to measure them."""
    if result is None:
        command = f"python benchmarks/ablations.py {name} --data DATA --runs RUNS"
        return f"Not measured yet: run `{command}`.\n"
    return table(HEAD, _rows(result)) + "\n" + _words(result)


def _rows(result: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    for figure, test in result["splits"]["test"].items():
        val = result["splits"]["val"].get(figure, {})
        for name, entry in test.items():
            variant = result["variants"][name]
            shown = f"**{name}**" if name == result["chosen"] else name
            yield (
                f"`{figure}`",
                shown,
                variant["words"],
                number(val[name]["value"]) if name in val else "-",
                number(entry["value"]),
                interval(entry["ci95"]),
                _against(entry.get("against_first")),
                _size(variant["models"]),
            )


def _against(entry: dict[str, Any] | None) -> str:
    return f"{entry['value']:+.3f} ({interval(entry['ci95'])})" if entry else ""


def _size(models: list[dict[str, Any]]) -> str:
    parameters, macs = (sum(model[key] for model in models) / 1e6 for key in ("parameters", "macs"))
    return f"{parameters:.2f} M, {macs:.0f} M MAC"


def _words(result: dict[str, Any]) -> str:
    """Return how it was measured, in a few sentences."""
    counts = {
        figure: next(iter(entries.values()))["n"] for figure, entries in result["splits"]["test"].items()
    }
    pictures = ", ".join(f"`{figure.rpartition('.')[0]}` {count}" for figure, count in counts.items())
    detector = f" Faces found by {result['detector']['name']}." if result["detector"] else ""
    return (
        f"{result['question']} Bold: best on val by `{result['judge']}`. Pictures of split test: "
        f"{', '.join(dict.fromkeys(pictures.split(', ')))}. Seed {result['seed']}, equal data and steps; intervals by "
        f"{result['bootstrap']['draws']} bootstrap draws, differences on the same draws.{detector} "
        f"vultus {result['vultus']}, commit {(result['commit'] or 'unknown')[:12]}.\n"
    )
