"""The table of what vultus takes on a Jetson, beside what it may take."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from harness.markdown import table

__all__ = ["LIMITS", "exceeded", "jetson_table"]

RESULT = "benchmarks/results/jetson-footprint.json"
NOT_MEASURED = f"Not measured yet: run `python benchmarks/footprint_jetson.py --json {RESULT}`."
HEAD = ("what", "where", "measured", "may be")
LIMITS = {
    "install": ("whole installation with the default models", 300e6),
    "compiled": ("the same after the first boot compiled it", 300e6),
    "overlay": ("overlay of the root file system, compressed", 150e6),
    "rss": ("memory of a process that analyses, on the CPU, peak", 250e6),
    "service": ("memory of the service, on the CPU, peak", 250e6),
    "first": ("start of a process to its first result, the best", 1.0),
    "started": ("start of the service to its first line, the best", 1.0),
}
"""What is measured, in words, and its limit in bytes or seconds."""


def jetson_table(result: dict[str, Any] | None) -> str:
    """Return the table, and a sentence on what was measured where."""
    if result is None:
        return f"{NOT_MEASURED}\n"
    rows = [
        (LIMITS[key][0], where, _shown(key, value), _shown(key, LIMITS[key][1]))
        for key, where, value in _entries(result)
    ]
    largest = next(iter(result["platforms"].values()))["largest"]
    parts = ", ".join(f"{name} {size / 1e6:.0f} MB" for name, size in list(largest.items())[:5])
    where = f"vultus {result['vultus']}, commit {(result['commit'] or 'unknown')[:12]}"
    return (
        f"{table(HEAD, rows)}\nMB are 10^6 bytes; files count in blocks of 4 KiB. Largest parts: {parts}. Bytecode was "
        f"compiled by Python {result['machine']['python']}. Processes ran on {result['machine']['processor']} with "
        f"onnxruntime {result['machine']['onnxruntime']}, not on a Jetson; with the files in the page "
        f"cache; {result['process']['attempts']} starts each. {where}.\n"
    )


def exceeded(result: dict[str, Any]) -> list[str]:
    """Name every figure above its limit."""
    return [
        f"{LIMITS[key][0]} ({where}): {_shown(key, value)}, may be {_shown(key, LIMITS[key][1])}"
        for key, where, value in _entries(result)
        if value > LIMITS[key][1]
    ]


def _entries(result: dict[str, Any]) -> Iterator[tuple[str, str, float]]:
    """Yield the key of LIMITS, where it was measured, and the figure."""
    platforms = result["platforms"]
    for name, found in platforms.items():
        yield "install", f"{name}, aarch64", found["install_bytes"]
    for name, found in platforms.items():
        yield "compiled", f"{name}, aarch64", found["install_bytes"] + found["bytecode_bytes"]
    for name, found in platforms.items():
        yield "overlay", f"{name}, aarch64", found["overlay_bytes"]
    here = result["machine"]["architecture"]
    yield "rss", here, result["process"]["rss_peak"]
    yield "service", here, result["service"]["rss_peak"]
    yield "first", here, result["process"]["first_result_s"]
    yield "started", here, result["service"]["first_result_s"]


def _shown(key: str, value: float) -> str:
    return f"{value:.2f} s" if key in ("first", "started") else f"{value / 1e6:.1f} MB"
