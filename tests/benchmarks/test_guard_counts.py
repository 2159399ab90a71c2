"""The guard counts for real: an unchanged package passes, slower ones fail by name, beside counts and commits."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import NamedTuple

import pytest

import guard
from harness.guard_baseline import Baseline, work_digest, written
from harness.guard_count import Counted, count
from harness.provenance import REPOSITORY, write_json

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("valgrind") is None, reason="valgrind is not installed"),
]

ONLY = ("suppression", "similarity", "heads decode")
TWICE = """

_once = suppress


def suppress(boxes, scores, iou, most=None):
    _once(boxes, scores, iou, most)
    return _once(boxes, scores, iou, most)
"""
ONE_BY_ONE = """

_all = decode_into


def decode_into(outputs, spec, affines, faces, attributes):
    for i in range(len(faces)):
        part = slice(i, i + 1)
        one = {name: values[part] for name, values in outputs.items()}
        _all(one, spec, affines[part], faces[part], attributes)
"""


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a clone whose only commit is the package as it lies here, without the models."""
    place = tmp_path_factory.mktemp("clone")
    left_out = shutil.ignore_patterns("*.onnx", "__pycache__")
    shutil.copytree(REPOSITORY / "runtime" / "vultus", place / "runtime" / "vultus", ignore=left_out)
    who = ["-c", "user.name=test", "-c", "user.email=test@localhost", "-c", "commit.gpgsign=false"]
    for words in (["init", "--quiet"], ["add", "."], ["commit", "--quiet", "--message", "as it is"]):
        subprocess.run(["git", "-C", str(place), *who, *words], check=True, capture_output=True)
    return place


def baseline(folder: Path, clone: Path, key: Mapping[str, str], regions: Mapping[str, float]) -> list[str]:
    """Write a baseline that is the clone's commit and return the words that name it."""
    command = ["git", "-C", str(clone), "rev-parse", "HEAD"]
    head = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    entry = {"key": dict(key), "regions": dict(regions)}
    write_json(folder / "guard.json", written(Baseline(head, "test", work_digest(), (entry,), {})))
    return ["--baseline", str(folder / "guard.json"), "--tree", str(clone), "--only", ",".join(ONLY)]


class Guarded(NamedTuple):
    """What the guard said of a slower package, and what it counted: that package, then its commit."""

    code: int
    out: str
    err: str
    counted: Sequence[Counted]


@pytest.fixture(scope="module")
def slower(clone: Path, tmp_path_factory: pytest.TempPathFactory) -> Guarded:
    """Guard a slower package beside a baseline of another environment; its commit's counts serve the other test."""
    changed = {"nms": TWICE, "heads": ONE_BY_ONE}
    files = {clone / "runtime" / "vultus" / "decode" / f"{name}.py": more for name, more in changed.items()}
    before = {file: file.read_text() for file in files}
    out, err, kept = StringIO(), StringIO(), list[Counted]()

    def counting(tree: Path, only: Sequence[str] = ()) -> Counted:
        kept.append(count(tree, only))
        return kept[-1]

    words = baseline(tmp_path_factory.mktemp("slower"), clone, {"numpy": "0.1"}, {})
    try:
        for file, more in files.items():
            file.write_text(before[file] + more)
        with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
            patch.setattr(guard, "count", counting)
            code = guard.main(words)
    finally:
        for file, text in before.items():
            file.write_text(text)
    return Guarded(code, out.getvalue(), err.getvalue(), kept)


def test_an_unchanged_package_passes_with_equal_counts(
    clone: Path, slower: Guarded, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, counted = slower.counted
    assert counted.absent == {}
    assert min(counted.regions.values()) > 10_000
    assert guard.main(baseline(tmp_path, clone, counted.key, counted.regions)) == 0
    said = capsys.readouterr().out
    assert "beside the committed counts" in said
    factors = [float(found) for found in re.findall(r"(\d\.\d{3})$", said, re.MULTILINE)]
    assert len(factors) == len(ONLY)
    assert factors == pytest.approx([1.0] * len(ONLY), abs=0.01)


def test_a_slower_package_fails_beside_its_commit_and_what_is_slower_is_named(slower: Guarded) -> None:
    assert slower.code == 1
    assert "counted here and now" in slower.out
    faults = dict(re.findall(r"^guard: (.+): (\d+\.\d+) times the instructions", slower.err, re.MULTILINE))
    assert set(faults) == {"suppression", "heads decode"}
    assert float(faults["suppression"]) == pytest.approx(2, abs=0.1)
    assert float(faults["heads decode"]) > 2
