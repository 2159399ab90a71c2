"""Tables of results as Markdown, and their places between markers in a text."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from harness.report import leaves, parts, size_of

__all__ = [
    "NOT_MEASURED",
    "cross_tables",
    "figure_rows",
    "full_table",
    "interval",
    "number",
    "replace_tables",
    "short_table",
    "table",
]

NOT_MEASURED = (
    "Not measured yet: run "
    "`python benchmarks/accuracy.py --data DATA --json benchmarks/results/accuracy.json`."
)

MARKED = re.compile(r"(<!-- table:([\w-]+) -->\n).*?(<!-- /table:\2 -->)", re.DOTALL)
OPENED = re.compile(r"<!-- table:([\w-]+) -->")

SHORT = (
    ("faces found in crowds, AP at IoU .5 / .4", "detector.crowds", ("ap50", "ap40")),
    ("recall in crowds at 10 false alarms on `scenes`", "detector.crowds", ("recall_10fp",)),
    ("five points, error in % of the eye distance", "points5.mtfl", ("nme_eye",)),
    ("68 landmarks, error in % of the outer eye distance", "landmarks68.all", ("nme_outer",)),
    ("age, mean error in years", "age.utkface", ("mae",)),
    ("gender, all / aged 10 and over", "gender.utkface", ("accuracy", "accuracy_10plus")),
    ("ethnicity, accuracy / balanced", "ethnicity.utkface", ("accuracy", "balanced_accuracy")),
    ("expression, accuracy / macro recall", "expression.fer2013", ("accuracy", "macro_recall")),
    ("smile", "smile.celeba", ("accuracy",)),
    ("eyeglasses, balanced", "eyeglasses.celeba", ("balanced_accuracy",)),
    ("beard or none", "facial_hair.celeba", ("no_beard_accuracy",)),
    ("mustache / goatee, AUC", "facial_hair.celeba", ("mustache_auc", "goatee_auc")),
    ("attractiveness, correlation with raters", "attractiveness.mebeauty", ("pearson",)),
    ("head pose in five classes", "pose.mtfl", ("accuracy",)),
    ("age error, all / without the fifth of lowest quality", "quality.utkface", ("mae", "mae_best80")),
)
"""Rows of the short table: what it is in words, where it stands in the result, which keys."""


MEANINGS = {
    "mae": "mean age error in years",
    "error": "share of faces with the other gender",
    "recall": "share of faces found",
}
"""What the cells of a cross hold, in words."""


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join("| " + " | ".join(cells) + " |\n" for cells in lines)


def number(value: float | None) -> str:
    """Return a figure with as many digits as its interval deserves: three decimals below 2, else two."""
    if value is None:
        return "-"
    if abs(value) >= 2 and float(value).is_integer():
        return str(int(value))  # a count
    return f"{value:.3f}" if abs(value) < 2 else f"{value:.2f}"


def interval(sides: Sequence[float] | None) -> str:
    """Return a 95 % interval as low - high."""
    return f"{number(sides[0])} - {number(sides[1])}" if sides else "-"


def short_table(result: dict[str, Any] | None) -> str:
    """Return the README's table of a result: one row a system, with intervals."""
    if result is None:
        return f"{NOT_MEASURED}\n"
    entries = dict(leaves(result))
    rows = []
    for words, path, keys in SHORT:
        entry = entries[path]
        values = " / ".join(number(entry[key]) for key in keys)
        sides = " / ".join(interval(entry.get("ci95", {}).get(key)) for key in keys)
        rows.append((words, path.split(".")[1].replace("all", "landmarks68"), values, sides, str(entry["n"])))
    return table(("what", "set", "figure", "95 % interval", "n"), rows) + "\n" + provenance(result)


def full_table(result: dict[str, Any] | None) -> str:
    """Return every figure of a result and the shares of faces found."""
    if result is None:
        return f"{NOT_MEASURED}\n"
    rows = [row for path, entry in leaves(result) for row in figure_rows(path, entry)]
    found = [
        (name, f"{share:.1%}", f"{result['taken_whole'][name]:.1%}")
        for name, share in result["found"].items()
    ]
    shares = table(("set", "face found", "picture taken whole"), found)
    figures = table(("figure", "value", "95 % interval", "n"), rows)
    return "\n".join([figures, *cross_tables(leaves(result)), shares, provenance(result)])


def figure_rows(path: str, entry: dict[str, Any]) -> Iterator[tuple[str, str, str, str]]:
    """Yield the rows of one entry: its figures, then those of its groups."""
    if "ci95" not in entry:
        yield f"`{path}`", "-", entry.get("note", ""), "0"
        return
    for place, part in parts(path, entry):
        for key, sides in part["ci95"].items():
            yield f"`{place}.{key}`", number(part[key]), interval(sides), str(size_of(part, key))
    for key, groups in entry.items():
        if isinstance(groups, dict) and key not in ("ci95", "calibration") and "cells" not in groups:
            yield from _group_rows(f"{path}.{key}", groups)


def _group_rows(path: str, groups: dict[str, dict[str, Any]]) -> Iterator[tuple[str, str, str, str]]:
    for name, group in groups.items():
        value = next(value for key, value in group.items() if key not in ("n", "ci95"))
        sides = interval(group["ci95"]) if group.get("ci95") else ""
        yield f"`{path}` {name}", number(value), sides, str(group["n"])


def cross_tables(entries: Iterable[tuple[str, dict[str, Any]]]) -> list[str]:
    """Return a table with a caption for each cross of groups: the last axis across, the others down."""
    return [
        _cross_table(f"{path}.{key}", cross)
        for path, entry in entries
        for key, cross in entry.items()
        if isinstance(cross, dict) and "cells" in cross
    ]


def _cross_table(path: str, cross: dict[str, Any]) -> str:
    *down, across = cross["axes"]
    rows = list(_cross_rows(cross["cells"], len(down)))
    columns = list(rows[0][1])
    lines = [(*names, *(_cell(cells[column]) for column in columns)) for names, cells in rows]
    measured = {key for _, cells in rows for cell in cells.values() for key in cell} - {"n", "ci95"}
    what = MEANINGS.get("".join(measured), "-")
    groups = f"by {', '.join(down)} and {across}"
    caption = f"`{path}`: {what}, {groups}; in brackets n, alone where it is below {cross['least']}."
    return f"{caption}\n\n{table((*down, *columns), lines)}"


def _cross_rows(cells: dict[str, Any], depth: int) -> Iterator[tuple[tuple[str, ...], dict[str, Any]]]:
    """Yield the names of each row of a cross and its cells by column."""
    if not depth:
        yield (), cells
        return
    for name, within in cells.items():
        for names, row in _cross_rows(within, depth - 1):
            yield (name, *names), row


def _cell(cell: dict[str, Any]) -> str:
    figures = [number(value) for key, value in cell.items() if key not in ("n", "ci95")]
    return " ".join([*figures, f"({cell['n']})"])


def provenance(result: dict[str, Any]) -> str:
    """Return one sentence on what was measured."""
    models = ", ".join(f"{model['name']} {model['version']}" for model in result["models"])
    ran_on = ", ".join(dict.fromkeys(result["ran_on"].values()))
    commit = (result["commit"] or "unknown")[:12]
    return f"{models}; {result['precision']}; vultus {result['vultus']}, commit {commit}; ran on {ran_on}.\n"


def replace_tables(text: str, tables: dict[str, Callable[[], str]], where: str) -> str:
    """Return a text with everything between its table markers made anew.

    Raises ValueError when a marker names no known table or is not closed.
    """
    closed = {match[2] for match in MARKED.finditer(text)}
    for name in OPENED.findall(text):
        if name not in tables:
            raise ValueError(f"{where} asks for the table {name!r}; known: {', '.join(sorted(tables))}")
        if name not in closed:
            raise ValueError(
                f"{where} opens the table {name!r} and does not close it with <!-- /table:{name} -->"
            )
    return MARKED.sub(lambda match: f"{match[1]}{tables[match[2]]()}{match[3]}", text)
