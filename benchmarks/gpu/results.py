"""The JSON of a check: one file a device, into which every part puts its entry with its own provenance."""

from __future__ import annotations

import json
import os
import platform
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gpu.session import Session
from harness.latency import processor
from harness.provenance import REPOSITORY, commit_of
from vultus import __version__
from vultus.cuda.driver import DeviceInfo
from vultus.errors import SinkError
from vultus_export.metrics.identity import model_entry

__all__ = [
    "SCHEMA",
    "device_entry",
    "merged",
    "networks_entry",
    "part_entry",
    "parts_from",
    "refuse_untrue",
    "result_file",
]

SCHEMA = 1
RESULTS = REPOSITORY / "benchmarks" / "results"
WITHOUT_NETWORKS = ("kernels", "sanitizer")


def result_file(session: Session, asked: Path | None) -> Path:
    """Return the file to write: the one asked for, or gpu-DEVICE.json among the results.

    A quick run goes to out/ by default, for its figures mean nothing. Raises SinkError as `refuse_untrue` does.
    """
    name = re.sub(r"[^a-z0-9]+", "-", session.driver.info.name.lower()).strip("-")
    folder = REPOSITORY / "out" if session.asked.quick else RESULTS
    path = asked or folder / f"gpu-{name}.json"
    refuse_untrue(session, path)
    return path


def refuse_untrue(session: Session, path: Path) -> None:
    """Raise SinkError when something that is no measurement of a GPU would be written among the results."""
    if RESULTS not in path.resolve().parents:
        return
    why = "it ran on the tests' stand-in for a GPU" if session.fake else "a quick run measures nothing"
    if session.fake or session.asked.quick:
        raise SinkError(f"{path} is not written: {why}; name another file with --json")


def device_entry(info: DeviceInfo, package: str, fake: bool) -> dict[str, Any]:
    """Return what was measured on."""
    return {
        "name": info.name,
        "fake": fake,
        "compute_capability": ".".join(map(str, info.compute_capability)),
        "memory": info.memory,
        "integrated": info.integrated,
        "multiprocessors": info.multiprocessors,
        "cuda": info.driver,
        "package": package,
        "host": {
            "processor": processor(),
            "python": platform.python_version(),
            "machine": platform.machine(),
        },
    }


def networks_entry(session: Session, part: str) -> dict[str, Any]:
    """Return which networks a part used and what ran them."""
    if part in WITHOUT_NETWORKS:
        return {}
    found = session.networks
    return {
        "engine": found.kind,
        "ran_on": [found.detector.device, found.face.device],
        "refused_engines": found.refused,
        "models": [model_entry(path) for path in found.files],
    }


def merged(path: Path, device: dict[str, Any], entries: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Return the content of the file with these entries in place of older ones.

    entries: by part, then by precision. Raises SinkError when the file is of another device.
    """
    content: dict[str, Any] = {"schema": SCHEMA, "device": device, "parts": {}}
    if path.is_file() and path.stat().st_size:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["device"]["name"] != device["name"]:
            raise SinkError(
                f"{path} is of {content['device']['name']}, not of {device['name']}; name another file"
            )
        content["device"] = device
    for part, by_precision in entries.items():
        content["parts"].setdefault(part, {}).update(by_precision)
    return content


def part_entry(session: Session, part: str, found: dict[str, Any], seconds: float) -> dict[str, Any]:
    """Return one part's entry with where it comes from."""
    return {
        "vultus": __version__,
        # A copy without its .git cannot tell, so whoever made the copy may.
        "commit": commit_of() or os.environ.get("VULTUS_COMMIT"),
        "quick": session.asked.quick,
        "seconds": round(seconds, 1),
        **networks_entry(session, part),
        **found,
    }


def parts_from(text: str, known: Sequence[str]) -> list[str]:
    """Return the parts that a list such as "a,b" or "kernels,timings" names; raises ValueError for others."""
    letters = {chr(ord("a") + number): name for number, name in enumerate(known)}
    asked = [letters.get(word.strip(), word.strip()) for word in text.split(",")]
    unknown = [name for name in asked if name not in known]
    if unknown:
        raise ValueError(f"no part {', '.join(map(repr, unknown))}; parts: {', '.join(known)}, or a to f")
    return [name for name in known if name in asked]
