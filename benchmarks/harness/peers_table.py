"""The tables of vultus beside its peers, from benchmarks/results/peers.json."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from harness.markdown import interval, number, table

__all__ = ["full_peers_table", "peers_table"]

NOT_MEASURED = (
    "Not measured yet: run `python benchmarks/peers.py --prepare`, then "
    "`python benchmarks/peers.py --data DATA --weights WEIGHTS`."
)

Cells = dict[str, str]


def peers_table(result: dict[str, Any] | None) -> str:
    """Return the columns by which packages are chosen; raises ValueError for a trial run."""
    return _table(
        result, ("package", "gives", "faces", "1 thread", "ratio", "memory", "AP .4", "age", "gender")
    )


def full_peers_table(result: dict[str, Any] | None) -> str:
    """Return everything that was measured and how each package was used; raises ValueError for a trial run."""
    figures = (
        "package",
        "faces",
        "1 thread",
        "p90",
        "ratio",
        "2 threads",
        "ratio at 2",
        "CPU time",
        "memory",
    )
    starts = (
        "package",
        "import",
        "open",
        "first",
        "installed",
        "AP .4",
        "AP .5",
        "age",
        "gender",
        "crops found",
    )
    told = ("package", "licence", "computes", "how it is used")
    if result is None:
        return f"{NOT_MEASURED}\n"
    return "\n".join([_table(result, figures, ""), _table(result, starts, ""), _table(result, told)])


def _table(result: dict[str, Any] | None, columns: Sequence[str], words: str | None = None) -> str:
    if result is None:
        return f"{NOT_MEASURED}\n"
    if result["quick"]:
        raise ValueError(
            "peers.json is of a quick run, which is no measurement; run benchmarks/peers.py again"
        )
    names = dict.fromkeys(row["name"] for row in result["rows"])
    rows = [_cells([row for row in result["rows"] if row["name"] == name]) for name in names]
    titles = {"faces": f"faces of {result['picture']['faces']}", "ratio": f"times {result['reference']}"}
    head = [titles.get(column, UNITS.get(column, column)) for column in columns]
    body = table(head, [[row.get(column, "") for column in columns] for row in rows])
    return body + "\n" + (_words(result) if words is None else words)


UNITS = {
    "age": "age error",
    "crops found": "faces found in crops",
    "1 thread": "1 thread p50",
    "2 threads": "2 threads p50",
}
"""What a column is called where its key is too short to say it."""


def _cells(rows: list[dict[str, Any]]) -> Cells:
    """Return the cells of one package by column; the words of one that could not run stand in its place."""
    by_threads = {row["threads"]: row for row in rows}
    one, two = by_threads.get(1, rows[0]), by_threads.get(2, {})
    title = f"**{one['name']}**" if one["name"].startswith("vultus") else one["name"]
    told = {"package": f"{title} {one['version']}", "licence": one["licence"], "computes": one["computes"]}
    told |= {"how it is used": one["handling"], "gives": one["task"]}
    if one["p50_ms"] is None:
        return {**told, "faces": f"not run: {one['reason']}", "import": f"not run: {one['reason']}"}
    return {**told, **_times(one, two), **_accuracy(one)}


def _times(one: dict[str, Any], two: dict[str, Any]) -> Cells:
    return {
        "faces": str(one["faces"]),
        "1 thread": f"{_figure(one['p50_ms'])} ms",
        "p90": f"{_figure(one['p90_ms'])} ms",
        "ratio": _ratio(one),
        "2 threads": f"{_figure(two.get('p50_ms'))} ms",
        "ratio at 2": _ratio(two) if two.get("ratio") else "-",
        "CPU time": f"{_figure(one['cpu_ms'])} ms",
        "memory": f"{one['rss_mib']:.0f} MiB",
        "import": f"{one['import_s']:.2f} s",
        "open": f"{one['open_s']:.2f} s",
        "first": f"{one['first_ms']:.0f} ms",
        "installed": f"{one['installed_mb']:.0f} MB",
    }


def _ratio(row: dict[str, Any]) -> str:
    return f"{number(row['ratio'])} ({interval(row['ratio_ci95'])})"


def _accuracy(row: dict[str, Any]) -> Cells:
    keys = {
        "AP .4": "ap40",
        "AP .5": "ap50",
        "age": "age_mae",
        "gender": "gender_accuracy",
        "crops found": "found_utkface",
    }
    return {column: number(row.get(key)) for column, key in keys.items()}


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"


def _words(result: dict[str, Any]) -> str:
    picture, commit = result["picture"], (result["commit"] or "unknown")[:12]
    return (
        f"{picture['width']}x{picture['height']}, {picture['of']}; {result['rounds']} rounds in turn on "
        f"{result['processor']}, load {result['load_before']:.1f} before. Times are of a call; the ratio is the median "
        f"over rounds with its 95 % interval; memory is the peak. AP on `crowds`, age error in years and gender on "
        f"`utkface`, split test. vultus {result['vultus']}, commit {commit}; {_engines(result['rows'])}.\n"
    )


def _engines(rows: Iterable[dict[str, Any]]) -> str:
    own: Cells = next((row["engines"] for row in rows if row["name"] == "vultus"), {})
    return ", ".join(f"{name} {version}" for name, version in own.items()) or "engines unknown"
