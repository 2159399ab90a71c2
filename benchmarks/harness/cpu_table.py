"""The tables of what vultus takes on a CPU: every scenario of `vultus bench`, and the cost of faces and pixels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.markdown import table
from harness.network_size import network_size, same_work
from vultus.bench.files import load_record
from vultus.bench.record import Record
from vultus.onnxfile import spec_from_onnx
from vultus_export.metrics.identity import sha256_of

__all__ = ["CPU_NOT_MEASURED", "Cpu", "cost_table", "cpu_results", "cpu_table"]

CPU_NOT_MEASURED = "Not measured yet: run `python benchmarks/cpu.py`."

HEAD = ("scenario", "p50", "p90", "p99", "frames a second", "dropped", "to be quoted")


@dataclass(frozen=True)
class Cpu:
    """What benchmarks/cpu.py left: what faces and pixels cost, and the scenarios that were run with it."""

    cost: dict[str, Any]
    scenarios: dict[str, Record]


def cpu_results(folder: Path, cost: dict[str, Any] | None, models: Sequence[Path]) -> Cpu | None:
    """Return the results of one run of benchmarks/cpu.py, None where there is none.

    Weights do not change what a network takes, so newer ones of the same architecture leave the figures standing;
    the tables name the commit. Raises ValueError for a quick look, for files of several runs, and for results of
    networks that the package does not hold.
    """
    if cost is None:
        return None
    if cost["quick"]:
        raise ValueError("cpu-cost.json is of a quick look: run benchmarks/cpu.py again without --quick")
    sizes = {_variant(path): network_size(path).macs for path in models}
    for model in cost["models"]:
        found = sizes.get((model["name"], model["precision"]))
        if found is None or not same_work(found, model["macs"]):
            raise ValueError(
                f"cpu-cost.json was measured with a {model['name']} of {model['macs']} multiply-accumulates, "
                f"the package holds {found or 'none'}: run benchmarks/cpu.py again"
            )
    for name, digest in cost["scenarios"].items():
        if sha256_of(folder / f"cpu-{name}.json") != digest:
            raise ValueError(
                f"cpu-{name}.json is not of the run of cpu-cost.json: run benchmarks/cpu.py again"
            )
    return Cpu(cost, {name: load_record(folder / f"cpu-{name}.json") for name in cost["scenarios"]})


def _variant(path: Path) -> tuple[str, str]:
    spec = spec_from_onnx(path)
    return spec.name, spec.precision


def cpu_table(found: Cpu | None) -> str:
    """Return one row a scenario, then what vultus takes to be installed and started."""
    if found is None:
        return f"{CPU_NOT_MEASURED}\n"
    rows = [_scenario(record) for record in found.scenarios.values()]
    return "\n".join([table(HEAD, rows), _footprint(found)])


def _scenario(record: Record) -> tuple[str, ...]:
    latency, counts = record.latency, record.counts
    shares = [latency.at(share) if latency else None for share in (0.5, 0.9, 0.99)]
    said = "yes" if record.verdict.valid else "; ".join(record.verdict.reasons)
    dropped = "-" if counts.dropped is None else f"{counts.dropped} of {counts.offered}"
    return (_words(record), *map(_milliseconds, shares), f"{record.throughput:.1f}", dropped, said)


def _words(record: Record) -> str:
    scenario = record.scenario
    if scenario.name == "stream":
        return f"stream, {scenario.rate:g} frames a second"
    return f"multistream, {scenario.streams}" if scenario.name == "multistream" else scenario.name


def _milliseconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f} ms"


def _footprint(found: Cpu) -> str:
    record = next(iter(found.scenarios.values()))
    taken = record.footprint
    figures = {
        "import": (taken.import_s, 1.0, "s"),
        "first frame after the start of the process": (taken.first_frame_s, 1.0, "s"),
        "peak memory": (taken.rss_peak, 2.0**20, "MiB"),
        "installed": (taken.installed or None, 1e6, "MB"),
    }
    known = (
        f"{name} {value / unit:.{2 if words == 's' else 0}f} {words}"
        for name, (value, unit, words) in figures.items()
        if value is not None
    )
    where = f"{record.models[0].ran_on}; {found.cost['processor']}"
    shown = f"{record.input.width}x{record.input.height} with {record.input.faces} faces, every attribute"
    return f"{shown}; {', '.join(known)}. {where}; {_commit(found.cost)}.\n"


def cost_table(found: Cpu | None) -> str:
    """Return what faces and pixels cost, by the time of the usual frame."""
    if found is None:
        return f"{CPU_NOT_MEASURED}\n"
    cost = found.cost
    rows = [(f"{case['width']}x{case['height']}", str(case["faces"]), _ratio(case)) for case in cost["cases"]]
    return "\n".join([table(("frame", "faces", "time"), rows), _line(cost)])


def _ratio(case: Mapping[str, Any]) -> str:
    sides = f" ({case['ci95'][0]:.2f} - {case['ci95'][1]:.2f})" if case["ci95"] else ""
    return f"x {case['ratio']:.2f}{sides}"


def _line(cost: dict[str, Any]) -> str:
    fitted, usual = cost["line"], cost["usual"]
    sides = " - ".join(f"{side:.3f}" for side in fitted["ci95"] or ())
    return (
        f"Times by that of {usual['width']}x{usual['height']} with {usual['faces']} faces, {cost['threads']} thread, "
        f"median of {cost['rounds']} rounds in turn, with 95 % intervals. A face adds {fitted['face_share']:.3f} "
        f"({sides}) of what a frame without faces takes; the line explains {fitted['r2']:.2%} of the spread over "
        f"0 to {max(case['faces'] for case in cost['cases'])} faces. {_commit(cost)}.\n"
    )


def _commit(cost: dict[str, Any]) -> str:
    return f"vultus {cost['vultus']}, commit {(cost['commit'] or 'unknown')[:12]}"
