"""The guard's committed baseline: what a named commit costs, in the environments where it was counted."""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import onnx

from harness.guard_count import CannotCount
from harness.guard_recording import RECORDING
from harness.guard_work import WORK
from harness.network_size import network_size

__all__ = [
    "BASELINE",
    "SCHEMA",
    "Baseline",
    "checkout_of",
    "load_baseline",
    "networks_of",
    "work_digest",
    "written",
]

SCHEMA = 1
BASELINE = Path(__file__).resolve().parents[1] / "results" / "guard.json"

Networks = dict[str, dict[str, int]]


@dataclass(frozen=True)
class Baseline:
    """commit: what was counted, and why it became the baseline. work: hash of the work that was counted.

    counts: each the environment's key and the instructions a repetition of its regions. networks: by model,
    multiply-accumulates, parameters and nodes.
    """

    commit: str
    reason: str
    work: str
    counts: tuple[dict[str, Any], ...]
    networks: Networks

    def regions(self, key: Mapping[str, str]) -> dict[str, float] | None:
        """Return the counts of today's work in an environment, None where there are none."""
        if self.work != work_digest():
            return None
        return next((dict(entry["regions"]) for entry in self.counts if entry["key"] == key), None)


def load_baseline(path: Path = BASELINE) -> Baseline:
    """Read a baseline; raises ValueError for one of another schema, OSError where there is none."""
    content = json.loads(path.read_text("utf-8"))
    if content.get("schema") != SCHEMA:
        raise ValueError(
            f"{path.name} is of schema {content.get('schema')}, not {SCHEMA}; make it with --update"
        )
    del content["schema"]
    return Baseline(**content | {"counts": tuple(content["counts"])})


def written(baseline: Baseline) -> dict[str, Any]:
    """Return what the baseline's file holds."""
    return {"schema": SCHEMA, **asdict(baseline)}


def work_digest() -> str:
    """Return the hash of the work: its code and its recording. Counts of other work say nothing of this one."""
    digest = hashlib.sha256()
    for path in (*WORK, RECORDING):
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


@contextmanager
def checkout_of(commit: str, repository: Path) -> Iterator[Path]:
    """Lend a temporary folder with the package as a commit holds it; the clone stays as it is.

    Raises CannotCount where the clone or its history is not there.
    """
    command = ["git", "-C", str(repository), "archive", "--format=tar", commit, "runtime"]
    try:
        done = subprocess.run(command, capture_output=True, check=False)
    except OSError as error:
        raise CannotCount(f"git cannot be run: {error}") from error
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines() or ["git gave no reason"]
        raise CannotCount(f"commit {commit[:12]} is not in this clone's history ({said[-1]})")
    with TemporaryDirectory(prefix="vultus-baseline-") as folder:
        with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
            archive.extraction_filter = getattr(tarfile, "data_filter", None)  # older Pythons have none
            archive.extractall(folder)
        yield Path(folder)


def networks_of(tree: Path) -> Networks:
    """Return multiply-accumulates, parameters and nodes of the models in a checkout's package, by file."""
    found = {}
    for path in sorted((tree / "runtime" / "vultus" / "zoo").glob("*.onnx")):
        size = network_size(path)
        nodes = len(onnx.load(path, load_external_data=False).graph.node)
        found[path.stem] = {"macs": size.macs, "parameters": size.parameters, "nodes": nodes}
    return found
