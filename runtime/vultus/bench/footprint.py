"""What vultus takes: time to import and to the first frame, memory, disk. Each in processes started afresh."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from vultus.bench.record import Footprint, Package
from vultus.errors import DeviceError

__all__ = ["ATTEMPTS", "footprint", "installed_packages"]

CHILD = Path(__file__).with_name("child.py")
ATTEMPTS = 3
PATIENCE = 600.0
ENGINES = ("onnxruntime", "onnxruntime-gpu")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def footprint(
    device: str, models: Sequence[Path] | None, threads: int | None, attempts: int = ATTEMPTS
) -> Footprint:
    """Start processes that import vultus and analyse one frame; return the best times and the middle memory.

    Times are the best because other work only ever adds to them. Raises DeviceError when such a process fails.
    """
    asked = {"device": device, "models": [str(path) for path in models or ()] or None, "threads": threads}
    runs = [_fresh(asked) for _ in range(attempts)]
    middle = sorted(runs, key=lambda run: run["rss_peak"] or 0)[attempts // 2]
    return Footprint(
        import_s=min(run["import_s"] for run in runs),
        first_frame_s=min(run["first_frame_s"] for run in runs),
        rss_steady=middle["rss_steady"],
        rss_peak=middle["rss_peak"],
        gpu_bytes=middle["gpu_bytes"],
        packages=tuple(installed_packages()),
    )


def _fresh(asked: dict[str, Any]) -> dict[str, Any]:
    # Given as text, since a script's own folder would come first on its import path.
    command = [sys.executable, "-c", CHILD.read_text(encoding="utf-8"), json.dumps(asked)]
    began = time.perf_counter_ns()
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
        found: dict[str, Any] = json.loads(done.stdout)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise DeviceError(f"a fresh process that analyses one frame cannot be timed: {error}") from error
    except ValueError as error:
        said = done.stderr.strip().splitlines()
        raise DeviceError(
            f"a fresh process that analyses one frame ended with {done.returncode}: {said[-1] if said else 'silence'}"
        ) from error
    # perf_counter is one clock for all processes of a machine.
    return {**found, "first_frame_s": (found["first_at"] - began) / 1e9}


def installed_packages() -> Iterator[Package]:
    """Yield vultus and every installed package that it needs to run, with its size on disk."""
    waiting, seen = ["vultus", *ENGINES], set[str]()
    while waiting:
        name = re.sub(r"[-_.]+", "-", waiting.pop(0)).lower()
        if name in seen:
            continue
        seen.add(name)
        try:
            found = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            continue
        yield Package(name, found.version, _size(name, found))
        waiting += [_NAME.match(line)[0] for line in found.requires or () if _counts(line)]  # type: ignore[index]


def _counts(requirement: str) -> bool:
    """Tell whether a requirement is not one of an extra; markers of platforms settle by what is installed."""
    return not re.search(r"\bextra\s*==", requirement)


def _size(name: str, found: metadata.Distribution) -> int:
    if name == "vultus":  # in a clone its files are not those of the installed record
        files = (path for path in Path(__file__).parents[1].rglob("*") if "__pycache__" not in path.parts)
        return sum(path.stat().st_size for path in files if path.is_file())
    listed = (Path(str(file.locate())) for file in found.files or () if "__pycache__" not in file.parts)
    return sum(path.stat().st_size for path in listed if path.is_file())
