"""The table of what FP16 and INT8 cost and bring."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from harness.markdown import interval, number, table
from vultus_export.gates.limits import LIMITS

__all__ = ["precision_table"]

NOT_MEASURED = (
    "Not measured yet: run "
    "`python benchmarks/precision.py --data DATA --json benchmarks/results/precision.json`."
)

HEAD = (
    "model",
    "precision",
    "file",
    "CPU time",
    "figures",
    "largest loss (limit)",
    "worst group (limit)",
    "gate",
)

FIGURES = {
    "detector": (
        ("AP", "ap50.crowds"),
        ("recall", "recall50.crowds"),
        ("points", "points.mtfl.nme_eye"),
        ("flips", "boxes.flips"),
    ),
    "face": (
        ("landmarks", "landmarks.landmarks68.nme_outer"),
        ("age", "age.utkface.mae"),
        ("gender", "gender.utkface.accuracy"),
        ("expression", "expression.fer2013.accuracy"),
        ("gender flips", "gender.flips"),
        ("expression flips", "expression.flips"),
    ),
}
"""The figures that the table shows of each task, by the names that the gate gives them."""


def precision_table(result: dict[str, Any] | None) -> str:
    """Return one row for each model at each precision; what is not measured is a dash."""
    if result is None:
        return f"{NOT_MEASURED}\n"
    rows = [row for name, model in result["models"].items() for row in _rows(name, model)]
    return table(HEAD, rows) + "\n" + _words(result)


def _rows(name: str, model: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    for precision, entry in model["precisions"].items():
        figures = ", ".join(_figures(model["task"], entry))
        start = (name, precision, f"{entry['bytes'] / 1e6:.2f} MB", _time(entry["latency"]), figures)
        if "worst" not in entry:
            yield (*start, "", "", "master")
        else:
            worst = entry["worst"]
            gate = "passed" if entry["passed"] else "**failed**"
            yield (*start, _loss(worst["metric"]), _loss(worst["group"]), gate)


def _figures(task: str, entry: dict[str, Any]) -> Iterator[str]:
    for words, name in FIGURES[task]:
        found = entry["metrics"].get(name)
        value = found["candidate"] if isinstance(found, dict) else found
        if value is not None:
            yield f"{words} {f'{value:.1%}' if name.endswith('.flips') else number(value)}"


def _time(latency: dict[str, Any]) -> str:
    shape = " x ".join(map(str, latency["input"]))
    if latency["ratio"] == 1:
        return f"{latency['median_ms']:.2f} ms ({shape})"
    return f"x {number(latency['ratio'])} ({interval(latency['ci95'])})"


def _loss(entry: dict[str, Any] | None) -> str:
    """Return a change beside its limit; shares in percent, the others in their own unit."""
    if entry is None:
        return "-"
    kind = LIMITS[entry["kind"]]
    group = f"{entry['group']}: " if entry["group"] else ""
    aside = f", {entry['status']}" if entry["status"] != "ok" else ""
    return (
        f"{group}`{entry['name']}` {kind.shown(entry['change'], '+')} ({kind.shown(entry['limit'])}){aside}"
    )


def _words(result: dict[str, Any]) -> str:
    """Return what was measured, in two sentences."""
    sources = {name: about for model in result["models"].values() for name, about in model["sources"].items()}
    pictures = sum(about["pictures"] for about in sources.values())
    commit = (result["commit"] or "unknown")[:12]
    plural = "s" if result["threads"] != 1 else ""
    return (
        f"Figures on {pictures} pictures of split {result['split']}; losses stand beside their limits, and those "
        "`within noise` are no larger than the choice of pictures makes them. CPU time: "
        f"{result['threads']} thread{plural} of {result['processor']}, models in turn, median of the ratios to fp32 "
        f"with its 95 % interval; vultus {result['vultus']}, commit {commit}.\n"
    )
