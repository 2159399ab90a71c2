"""The table that a measurement prints."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rich.console import Console
from rich.table import Table

__all__ = ["concerns", "leaves", "parts", "print_figures", "size_of"]

GROUPS = (
    "detector",
    "points5",
    "landmarks68",
    "age",
    "gender",
    "ethnicity",
    "expression",
    "smile",
    "eyeglasses",
    "facial_hair",
    "attractiveness",
    "pose",
    "quality",
)
OF_DETECTOR = ("detector", "points5")


def leaves(result: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield (path, entry) of every figure of a result, such as ("age.utkface", {"mae": ...})."""
    for group in GROUPS:
        for leaf, entry in result.get(group, {}).items():
            yield f"{group}.{leaf}", entry


def concerns(task: str, path: str) -> bool:
    """Return whether a figure such as "age.utkface" is one of the models of a task, detector or face."""
    return (path.partition(".")[0] in OF_DETECTOR) == (task == "detector")


def parts(path: str, entry: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield an entry and, where it has one, its calibration, which is held in the same way."""
    yield path, entry
    if "calibration" in entry:
        yield f"{path}.calibration", entry["calibration"]


def size_of(entry: dict[str, Any], key: str) -> int:
    """Return how many faces or boxes a figure of an entry is over."""
    own = "n" + key.removeprefix("accuracy")
    shipped = "n_shipped" if key.endswith("_shipped") else own
    return int(entry.get(shipped, entry["n"]))


def print_figures(result: dict[str, Any]) -> None:
    """Print a result as a table on standard output."""
    names = ", ".join(f"{model['name']} {model['version']}" for model in result["models"])
    table = Table(title=f"{names} ({result['precision']})", title_justify="left")
    for column, side in (("figure", "left"), ("value", "right"), ("95 % interval", "right"), ("n", "right")):
        table.add_column(column, justify=side, overflow="fold")  # type: ignore[arg-type]
    for leaf in leaves(result):
        for path, entry in parts(*leaf):
            for row in _rows(path, entry):
                table.add_row(*row)
    console = Console()
    console.print(table)
    console.print(f"found: {_shares(result['found'])}; taken whole: {_shares(result['taken_whole'])}")


def _rows(path: str, entry: dict[str, Any]) -> Iterator[tuple[str, str, str, str]]:
    note = entry.get("note", "")
    if "ci95" not in entry:
        yield path, "-", note, "0"
        return
    for key, interval in entry["ci95"].items():
        value = entry[key]
        sides = f"{interval[0]:.4g} - {interval[1]:.4g}" if interval else ""
        yield f"{path}.{key}", "-" if value is None else f"{value:.4g}", sides, str(size_of(entry, key))


def _shares(shares: dict[str, float]) -> str:
    return ", ".join(f"{name} {share:.1%}" for name, share in shares.items()) or "nothing measured"
