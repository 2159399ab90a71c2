"""What must be the same in two results before their figures may be set against each other."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vultus.bench.record import Record

__all__ = ["Difference", "Kind", "differences", "remarks", "unreliable"]

WHY = re.compile(r" \(chosen because .*\)$", re.DOTALL)
MACHINE = ("cpu", "architecture", "cores", "pinned", "quota", "memory", "gpus", "compute_capability")
NONE = "unknown"


class Kind(str, Enum):
    """What a difference is in; what `--although` takes."""

    models = "models"
    precision = "precision"
    scenario = "scenario"
    length = "length"
    input = "input"
    power_mode = "power-mode"
    device = "device"
    engine = "engine"
    invalid = "invalid"


@dataclass(frozen=True)
class Difference:
    """One thing that differs, in words."""

    kind: Kind
    text: str


def differences(first: Record, second: Record) -> list[Difference]:
    """Return everything that makes two results unlike, in the order of `Kind`."""
    found = []
    for kind, told in TOLD.items():
        one, other = told(first), told(second)
        # A model that only one of them has is told once, not again by its precision and engine.
        for name in {**one, **other} if kind is Kind.models else [name for name in one if name in other]:
            a, b = one.get(name, "none"), other.get(name, "none")
            if a != b:
                found.append(Difference(kind, f"{name} is {a} in the first, {b} in the second"))
    return found


def unreliable(records: Mapping[str, Record]) -> list[Difference]:
    """Return every reason why results, by the names that people know them by, may not be quoted."""
    return [
        Difference(Kind.invalid, f"{name}: {reason}")
        for name, record in records.items()
        if not record.verdict.valid
        for reason in record.verdict.reasons or ("no reason is given",)
    ]


def remarks(first: Record, second: Record) -> Iterator[str]:
    """Yield what differs and does not forbid to compare: it may be what is compared."""
    for name, a, b in (
        ("vultus", _version(first), _version(second)),
        *_packages(first, second),
        ("frames dropped", _dropped(first), _dropped(second)),
    ):
        if a != b:
            yield f"{name}: {a} in the first, {b} in the second"
    alike = first.input.sha256 == second.input.sha256
    if alike and first.golden.before != second.golden.before:
        yield "the same frames gave other FACE records: the results differ, not only the time that they took"


def _models(record: Record) -> dict[str, str]:
    return {task: f"{model.name} {model.sha256[:12]}" for task, model in _by_task(record)}


def _precision(record: Record) -> dict[str, str]:
    return {f"precision of the {task}": model.precision for task, model in _by_task(record)}


def _by_task(record: Record) -> Iterator[tuple[str, Any]]:
    """Yield models by task; the networks of a cascade share theirs and are told apart by their place."""
    tasks = [model.task for model in record.models]
    for number, model in enumerate(record.models):
        place = tasks[: number + 1].count(model.task)
        yield model.task + (f" {place}" if tasks.count(model.task) > 1 else ""), model


def _scenario(record: Record) -> dict[str, str]:
    scenario = record.scenario
    rate = "none" if scenario.rate is None else f"{scenario.rate:g}/s"
    return {"scenario": scenario.name, "frame rate": rate, "number of streams": str(scenario.streams)}


def _length(record: Record) -> dict[str, str]:
    return {"length": f"{record.scenario.seconds:g} s"}


def _input(record: Record) -> dict[str, str]:
    given = record.input
    return {
        "size": f"{given.width}x{given.height}",
        "format": given.format,
        "content": f"{given.name} ({given.sha256[:12]})",
    }


def _power_mode(record: Record) -> dict[str, str]:
    board = record.fingerprint.get("board") or {}
    mode = board.get("mode") or {}
    governors = {str(clock["governor"]) for clock in _clocks(record) if clock.get("governor")}
    name = mode.get("name") or mode.get("id")
    return {
        "power mode": NONE if name is None else str(name),
        "governor": ", ".join(sorted(governors)) or NONE,
    }


def _clocks(record: Record) -> list[dict[str, Any]]:
    return [clock for clock in record.fingerprint.get("clocks") or () if isinstance(clock, dict)]


def _device(record: Record) -> dict[str, str]:
    told = {name: record.fingerprint.get(name) for name in MACHINE}
    board = record.fingerprint.get("board") or {}
    told |= {"board": board.get("model"), "part number": board.get("part_number")}
    return {name: NONE if value in (None, [], {}) else str(value) for name, value in told.items()}


def _engine(record: Record) -> dict[str, str]:
    """Return what ran the models; why it was chosen does not matter."""
    engines = {f"engine of the {task}": WHY.sub("", model.ran_on) for task, model in _by_task(record)}
    keys = {f"engine key of the {task}": str(model.engine_key) for task, model in _by_task(record)}
    return {**engines, **keys}


def _version(record: Record) -> str:
    version = record.version
    commit = f" at {version.commit[:12]}" if version.commit else ""
    return f"{version.vultus}{commit}{' with changes' if version.dirty else ''}"


def _packages(first: Record, second: Record) -> Iterator[tuple[str, str, str]]:
    one, other = (dict(record.fingerprint.get("versions") or {}) for record in (first, second))
    for name in sorted({*one, *other} - {"vultus"}):
        yield name, one.get(name) or "absent", other.get(name) or "absent"


def _dropped(record: Record) -> str:
    offered, dropped = record.counts.offered, record.counts.dropped
    return f"{dropped / offered:.1%}" if offered and dropped is not None else "none"


TOLD: dict[Kind, Callable[[Record], dict[str, str]]] = {
    Kind.models: _models,
    Kind.precision: _precision,
    Kind.scenario: _scenario,
    Kind.length: _length,
    Kind.input: _input,
    Kind.power_mode: _power_mode,
    Kind.device: _device,
    Kind.engine: _engine,
}
