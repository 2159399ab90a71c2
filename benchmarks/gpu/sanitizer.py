"""compute-sanitizer over the kernels: reads and writes outside of memory, and races between threads."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gpu.session import Session
from harness.provenance import REPOSITORY

__all__ = ["TOOLS", "sanitize", "summary_of"]

TOOLS = ("memcheck", "racecheck")
SUMMARY = re.compile(r"(?:ERROR|RACECHECK) SUMMARY: (\d+) (?:error|hazard)")
USUAL = "/usr/local/cuda/bin"
FAILED = 9
LIMIT = 240
"""Seconds for one tool."""


def sanitize(session: Session) -> dict[str, Any]:
    """Run the kernels' cases in a process of their own under each tool; return what each found.

    The cases are the self-test's: every kernel, odd sizes, padding, counts below capacity.
    """
    program = shutil.which("compute-sanitizer") or shutil.which("compute-sanitizer", path=USUAL)
    if program is None:
        return {"passed": None, "skipped": "compute-sanitizer is not on the PATH"}
    command = [sys.executable, "-m", "gpu", "--parts", "kernels", "--quick", "--json", os.devnull]
    found = {tool: _under(program, tool, command) for tool in TOOLS}
    return {"passed": all(entry["errors"] == 0 for entry in found.values()), **found}


def _under(program: str, tool: str, command: Sequence[str]) -> dict[str, Any]:
    given = [program, "--tool", tool, "--error-exitcode", str(FAILED), *command]
    try:
        done = subprocess.run(
            given,
            capture_output=True,
            text=True,
            timeout=LIMIT,
            check=False,
            cwd=REPOSITORY,
            env=_environment(),
        )
    except subprocess.TimeoutExpired:
        return {"errors": None, "said": f"not done after {LIMIT} s"}
    text = done.stdout + done.stderr
    errors = summary_of(text)
    if errors is None or (done.returncode and not errors):
        return {"errors": None, "said": text.strip()[-2000:], "exit": done.returncode}
    return {"errors": errors, **({"said": text.strip()[-2000:]} if errors else {})}


def summary_of(text: str) -> int | None:
    """Return the number of errors or hazards that a tool's last line names; None where it names none."""
    found = SUMMARY.findall(text)
    return int(found[-1]) if found else None


def _environment() -> dict[str, str]:
    paths = [str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
