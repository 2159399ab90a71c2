"""Instruction counts of the guard's work by callgrind."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from harness.guard_recording import RECORDING
from harness.guard_work import MARKS, WORK, repetitions

__all__ = ["CannotCount", "Counted", "count"]

STEADY = {
    "PYTHONHASHSEED": "0",
    "PYTHONNOUSERSITE": "1",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "LC_ALL": "C",
}
"""All that the child sees of the environment beside its paths: the count must not hang on what the shell exports."""

TOTAL = re.compile(rb"^totals: (\d+)$", re.MULTILINE)
SECONDS = 900
"""More than any count takes; a child that hangs ends."""


class CannotCount(Exception):
    """There is no count to be had here; the message says why."""


@dataclass(frozen=True)
class Counted:
    """What one package costs: instructions a repetition by region, and the regions that it cannot do, with why."""

    key: Mapping[str, str]
    regions: Mapping[str, float]
    absent: Mapping[str, str]


def count(tree: Path, only: Sequence[str] = ()) -> Counted:
    """Count the work, or some of its regions, with the package of a checkout, on the interpreter that runs this.

    Raises CannotCount where there is no callgrind or it fails, ValueError when the package cannot be run.
    """
    valgrind = shutil.which("valgrind")
    if valgrind is None:
        raise CannotCount("valgrind is not installed")
    _child([], tree, only)  # compiles the bytecode, and shows a broken package quickly and with its own words
    with TemporaryDirectory(prefix="vultus-guard-") as folder:
        out = Path(folder, "counts")
        tool = [valgrind, "-q", "--tool=callgrind", "--dump-before=getsid", f"--callgrind-out-file={out}"]
        try:
            told = _child(tool, tree, only)
        except ValueError as error:
            raise CannotCount(f"callgrind cannot run this Python: {error}") from error
        totals = [_total(out.with_name(f"counts.{n + 1}")) for n in range(MARKS * len(told["regions"]))]
    return Counted(
        told["key"] | {"valgrind": _version(valgrind)}, _costs(told["regions"], totals), told["absent"]
    )


def _costs(names: Sequence[str], totals: Sequence[int]) -> dict[str, float]:
    """Return instructions a repetition: those of all repetitions less those of none."""
    return {
        name: round((totals[MARKS * n + 2] - totals[MARKS * n + 1]) / repetitions(name), 1)
        for n, name in enumerate(names)
    }


def _child(tool: Sequence[str], tree: Path, only: Sequence[str]) -> dict[str, Any]:
    benchmarks = Path(__file__).resolve().parents[1]
    package = tree.resolve() / "runtime"
    kept = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH", "TMPDIR") if name in os.environ}
    paths = {"PYTHONPATH": os.pathsep.join(map(str, (package, benchmarks)))}
    done = subprocess.run(
        [*tool, sys.executable, str(WORK[0]), str(RECORDING), *only],
        env={**kept, **STEADY, **paths},
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS,
    )
    if done.returncode:
        said = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise ValueError(f"the work failed with the package below {tree}: {said[-1]}")
    told = dict(json.loads(done.stdout))
    if not Path(told["package"]).is_relative_to(package):
        raise ValueError(f"another vultus than that below {tree} was imported; is there {package}/vultus?")
    return told


def _total(path: Path) -> int:
    """Return the instructions of one cut; the file ends with them."""
    found = TOTAL.findall(path.read_bytes()) if path.exists() else []
    if not found:
        raise CannotCount(
            f"callgrind wrote no {path.name}: it does not see getsid, or its output has changed"
        )
    return int(found[-1])


def _version(valgrind: str) -> str:
    told = subprocess.run([valgrind, "--version"], capture_output=True, text=True, check=False)
    return told.stdout.strip()
