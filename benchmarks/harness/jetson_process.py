"""What the running service takes on this machine's CPU: memory, and the time until it has analysed a frame."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from vultus.bench.load import peak_resident
from vultus.errors import DeviceError

__all__ = ["measured_service"]

PATIENCE = 60.0
CONFIG = """schema = 1
[source]
path = {picture}
loop = true
[models]
precision = "fp32"
[run]
device = "cpu"
[[output]]
kind = "jsonlines"
path = {output}
"""


def measured_service(
    picture: Path, attempts: int = 3, frames: int = 60, patience: float = PATIENCE
) -> dict[str, Any]:
    """Start `vultus service` on one picture over and over; return the most memory and the least time to a first line.

    Times are the least because other work only ever adds to them. Raises DeviceError when the service ends, or
    analyses no `frames` within `patience` seconds.
    """
    runs = [_service(picture, frames, patience) for _ in range(attempts)]
    return {
        "attempts": attempts,
        "frames": frames,
        "first_result_s": min(first for first, _ in runs),
        "rss_peak": max(peak for _, peak in runs),
    }


def _service(picture: Path, frames: int, patience: float) -> tuple[float, int]:
    """Return the seconds to the first line and the bytes of memory at their highest, of one service."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        config = place / "vultus.toml"
        output = place / "state" / "faces.jsonl"
        output.parent.mkdir()
        config.write_text(CONFIG.format(picture=json.dumps(str(picture)), output=json.dumps(str(output))))
        places = {"STATE_DIRECTORY": str(output.parent), "RUNTIME_DIRECTORY": str(place)}
        began = time.monotonic()
        command = [sys.executable, "-m", "vultus", "service", "--config", str(config)]
        child = subprocess.Popen(
            command, env=os.environ | places, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        try:
            first = _waited(child, output, 1, began, patience) - began
            _waited(child, output, frames, began, patience)
            peak = peak_resident(child.pid)
            if peak is None:
                raise DeviceError(
                    f"/proc/{child.pid}/status tells no VmHWM; the system must be a Linux that does"
                )
            return first, peak
        finally:
            child.send_signal(signal.SIGTERM)
            child.communicate(timeout=PATIENCE)


def _waited(child: subprocess.Popen[str], output: Path, lines: int, began: float, patience: float) -> float:
    """Return the time at which an output has so many lines."""
    while not output.exists() or output.read_bytes().count(b"\n") < lines:
        if child.poll() is not None:
            said = (child.stderr.read() if child.stderr else "").strip().splitlines()
            raise DeviceError(
                f"vultus service ended with {child.returncode}: {said[-1] if said else 'silence'}"
            )
        if time.monotonic() > began + patience:
            raise DeviceError(f"vultus service wrote less than {lines} lines in {patience:.0f} s")
        time.sleep(0.005)
    return time.monotonic()
