"""Check and measure everything that only a GPU can show."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gpu.engines import KINDS
from gpu.parts import PARTS
from gpu.results import device_entry, merged, part_entry, parts_from, result_file
from gpu.session import Asked, Session
from harness.provenance import write_json
from vultus.errors import DeviceError, VultusError

__all__ = ["main"]

NO_DEVICE = 4


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the parts, write the JSON after each, print one line a part; return the exit code.

    0: all passed; 1: something differs or cannot be written; 2: usage; 4: no GPU or no engine.
    """
    asked = _parser().parse_args(arguments)
    try:
        parts = parts_from(asked.parts, list(PARTS))
    except ValueError as error:
        print(f"gpu-check: {error}", file=sys.stderr)
        return 2
    try:
        with Session(_asked(asked)) as session:
            return _run(session, parts, asked.json)
    except DeviceError as error:
        print(f"gpu-check: {error}", file=sys.stderr)
        return NO_DEVICE
    except (VultusError, OSError) as error:
        print(f"gpu-check: {error}", file=sys.stderr)
        return 1


def _run(session: Session, parts: Sequence[str], asked: Path | None) -> int:
    path = result_file(session, asked)
    device = device_entry(session.driver.info, session.driver.package, session.fake)
    print(f"{device['name']}, CUDA {device['cuda']}, {device['package']}; kernels: {session.kernels.origin}")
    passed = True
    for part in parts:
        began = time.perf_counter()
        found = _found(session, part)
        entry = part_entry(session, part, found, time.perf_counter() - began)
        passed = passed and entry["passed"] is not False
        if path != Path(os.devnull):
            write_json(path, merged(path, device, {part: {_key(session, part): entry}}))
        print(f"{part}: {_line(entry)}", flush=True)
    print(f"written: {path}")
    return int(not passed)


def _found(session: Session, part: str) -> dict[str, Any]:
    """Run one part; what it raises is its answer, so that the other parts still run."""
    try:
        with session.driver.current():
            return PARTS[part](session)
    except DeviceError:
        raise
    except Exception as error:
        traceback.print_exc()
        return {"passed": False, "failed": {part: f"{type(error).__name__}: {error}"}}


def _key(session: Session, part: str) -> str:
    """Return under which key a part's entry stands: the networks' precision, where it uses any."""
    if part in ("kernels", "sanitizer"):
        return "any"
    return session.networks.detector.spec.precision


def _line(entry: dict[str, Any]) -> str:
    state = {True: "passed", False: "FAILED", None: "skipped"}[entry["passed"]]
    told = {
        name: entry[name]
        for name in (
            "skipped",
            "engine",
            "checks",
            "pictures",
            "failed",
            "differing",
            "frames_a_second",
            "worst",
        )
        if entry.get(name)
    }
    return f"{state} in {entry['seconds']} s{': ' if told else ''}{json.dumps(told) if told else ''}"


def _asked(asked: argparse.Namespace) -> Asked:
    return Asked(
        quick=asked.quick,
        engines=KINDS if asked.engine == "auto" else (asked.engine,),
        precision=asked.precision,
        models=tuple(asked.models),
        pictures=asked.pictures,
        frames=asked.frames if asked.frames is not None else 50 if asked.quick else 100_000,
        seconds=asked.seconds,
        device=asked.device,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="gpu-check", description=__doc__, epilog="What each part shows: docs/gpu-check.md"
    )
    parser.add_argument("--parts", default=",".join(PARTS), help=f"out of {', '.join(PARTS)}, or a to f")
    parser.add_argument("--quick", action="store_true", help="as little as shows that everything works")
    parser.add_argument("--engine", choices=("auto", *KINDS), default="auto", help="what runs the networks")
    parser.add_argument("--precision", default="fp16", help="of the installed models: fp32, fp16 or int8")
    parser.add_argument("--models", type=Path, nargs="+", default=[], help="ONNX files instead")
    parser.add_argument("--pictures", type=Path, help="folder of pictures to compare with the CPU on")
    parser.add_argument("--frames", type=int, help="frames of the endurance run; 100000 by default")
    parser.add_argument("--seconds", type=float, help="end the endurance run after so many seconds")
    parser.add_argument("--device", type=int, default=0, help="index of the GPU")
    parser.add_argument("--json", type=Path, help="file; benchmarks/results/gpu-DEVICE.json by default")
    return parser
