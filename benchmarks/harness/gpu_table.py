"""The table of what was measured on GPUs, one group of rows for each device and precision."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from harness.markdown import table

__all__ = ["GPU_NOT_MEASURED", "gpu_table"]

GPU_NOT_MEASURED = "Not measured yet: run `scripts/gpu-check` on a machine with a GPU."

HEAD = (
    "device",
    "networks",
    "NV12 frame",
    "host to records, p50 / p99",
    "GPU time (x networks alone)",
    "frames a second",
    "x the usual way",
)


def gpu_table(results: Sequence[dict[str, Any]]) -> str:
    """Return the table of all devices' results, then what was checked on each."""
    rows = [row for result in results for row in _rows(result)]
    words = [_words(result) for result in results]
    if not words:
        return f"{GPU_NOT_MEASURED}\n"
    return "\n".join([*([table(HEAD, rows)] if rows else []), *words])


def _rows(result: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    for precision, entry in result["parts"].get("timings", {}).items():
        usual = entry.get("usual", {})
        for name, found in entry.get("pipeline", {}).items():
            wall, over = found["wall"], found["over_networks"]
            faster = usual.get(name, {}).get("times_faster")
            yield (
                result["device"]["name"],
                f"{precision}, {entry['engine']}",
                name,
                f"{wall['p50']:.2f} / {'-' if wall['p99'] is None else format(wall['p99'], '.2f')} ms",
                f"{found['device']:.2f} ms ({'-' if over is None else f'{over:.2f}'})",
                f"{found['frames_a_second']:.0f}",
                "-" if faster is None else f"{faster:.1f}",
            )


def _words(result: dict[str, Any]) -> str:
    device = result["device"]
    said = [f"{part} {_state(entries)}" for part, entries in result["parts"].items()]
    commits = sorted({(entry["commit"] or "unknown")[:12] for entry in _entries(result)})
    floors = "".join(f"; {line}" for line in _floors(result))
    where = f"compute capability {device['compute_capability']}, CUDA {device['cuda']}, {device['package']}"
    return f"{device['name']} ({where}): {', '.join(said)}{floors}. Commit {', '.join(commits)}.\n"


def _entries(result: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for part in result["parts"].values():
        yield from part.values()


def _state(entries: dict[str, dict[str, Any]]) -> str:
    states = {entry["passed"] for entry in entries.values()}
    told = "**failed**" if False in states else "passed" if True in states else "skipped"
    counts = [entry.get("checks") or entry.get("pictures") for entry in entries.values()]
    frames = [int(entry["frames"]) for entry in entries.values() if "frames" in entry]
    of = f" ({max(frames)} frames)" if frames else f" ({max(filter(None, counts))})" if any(counts) else ""
    return f"{told}{of}"


def _floors(result: dict[str, Any]) -> Iterator[str]:
    """Yield how far the preprocessing kernels are from the time that their bytes take."""
    for entry in result["parts"].get("timings", {}).values():
        for format, kernels in entry.get("kernels", {}).get("formats", {}).items():
            found = {name: one["over_floor"] for name, one in kernels.items() if one["over_floor"]}
            words = ", ".join(f"{name.removeprefix('vultus_')} {value:.1f}" for name, value in found.items())
            yield f"{format} 1080p, times the memory floor: {words}"
