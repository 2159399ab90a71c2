"""The guard's comparing, its baseline and its work; what it counts is shown by test_guard_counts.py."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

import guard
from harness.guard_baseline import (
    BASELINE,
    Baseline,
    checkout_of,
    load_baseline,
    networks_of,
    work_digest,
    written,
)
from harness.guard_compare import LIMIT, compare_networks, compare_regions, faults, shown
from harness.guard_count import CannotCount, count
from harness.guard_recording import FACES, read_recording
from harness.guard_work import regions
from harness.provenance import REPOSITORY, write_json

KEY = {"python": "3.11", "numpy": "2"}


@pytest.mark.parametrize(
    ("now", "said"),
    [
        (100.0, []),
        (100.0 * LIMIT, []),
        (10.0, []),
        (
            111.0,
            ["a: 1.11 times the instructions of the baseline (111 instead of 100); 1.10 are allowed"],
        ),
        (250.0, ["a: 2.50 times the instructions of the baseline (250 instead of 100); 1.10 are allowed"]),
    ],
)
def test_a_region_fails_beyond_the_limit_and_is_named(now: float, said: list[str]) -> None:
    rows = compare_regions({"a": now, "b": 7.0}, {"a": 100.0, "b": 7.0}, {})
    assert faults(rows) == said
    assert f"{now / 100:.3f}" in shown(rows)


def test_a_region_that_cannot_be_compared_is_a_fault() -> None:
    rows = compare_regions(
        {"new": 5.0, "late": 5.0}, {}, {"gone": "ImportError: no"}, {"late": "TypeError: x"}
    )
    assert faults(rows) == [
        "gone: cannot be done any more: ImportError: no",
        "new: there is no baseline for it; give it one with --update REASON",
        "late: there is no baseline for it (its commit fails: TypeError: x); give it one with --update REASON",
    ]


def test_a_network_fails_by_products_and_by_nodes() -> None:
    before = {"net": {"macs": 1000, "nodes": 10}, "gone": {"macs": 1, "nodes": 1}}
    assert faults(list(compare_networks({"net": {"macs": 1100, "nodes": 11}}, before))) == []
    heavier = faults(list(compare_networks({"net": {"macs": 1200, "nodes": 12}}, before)))
    assert [fault.split(" of the")[0] for fault in heavier] == [
        "net macs: 1.20 times the macs",
        "net nodes: 1.20 times the nodes",
    ]
    assert len(faults(list(compare_networks({"other": {"macs": 1, "nodes": 1}}, before)))) == 2


def baseline(**changes: Any) -> Baseline:
    counts = ({"key": KEY, "regions": {"a": 1.0}},)
    content = {"commit": "0" * 40, "reason": "why", "work": work_digest(), "counts": counts, "networks": {}}
    return Baseline(**content | changes)


@pytest.mark.parametrize(
    ("key", "changes", "found"),
    [
        (KEY, {}, {"a": 1.0}),
        (KEY | {"numpy": "3"}, {}, None),
        (KEY, {"work": "of another recording"}, None),
    ],
)
def test_counts_hold_for_their_environment_and_work_alone(
    key: Mapping[str, str], changes: dict[str, Any], found: object
) -> None:
    assert baseline(**changes).regions(key) == found


def test_a_baseline_comes_back_from_its_file(tmp_path: Path) -> None:
    file = tmp_path / "guard.json"
    write_json(file, written(baseline()))
    assert load_baseline(file) == baseline()
    file.write_text(json.dumps({"schema": 0}))
    with pytest.raises(ValueError, match=r"guard\.json is of schema 0, not 1; make it with --update"):
        load_baseline(file)


def git(folder: Path, *words: str) -> str:
    who = ["-c", "user.name=test", "-c", "user.email=test@localhost", "-c", "commit.gpgsign=false"]
    command = ["git", "-C", str(folder), *who, *words]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def test_a_commit_is_lent_as_it_was(tmp_path: Path) -> None:
    source = tmp_path / "runtime" / "vultus" / "__init__.py"
    source.parent.mkdir(parents=True)
    source.write_text("old = 1\n")
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--quiet", "--message", "old")
    source.write_text("new = 1\n")
    with checkout_of(git(tmp_path, "rev-parse", "HEAD"), tmp_path) as folder:
        assert (folder / "runtime" / "vultus" / "__init__.py").read_text() == "old = 1\n"
    assert not folder.exists()
    assert source.read_text() == "new = 1\n"
    with (
        pytest.raises(CannotCount, match="commit 000000000000 is not in this clone's history"),
        checkout_of("0" * 40, tmp_path),
    ):
        pass


def test_without_valgrind_it_is_skipped_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    file = tmp_path / "guard.json"
    write_json(file, written(baseline()))
    assert guard.main(["--baseline", str(file), "--tree", str(tmp_path)]) == 0
    assert capsys.readouterr().err == "guard: skipped: valgrind is not installed\n"


def test_a_heavier_network_fails_without_valgrind_too(
    tmp_path: Path,
    tiny_detector: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    zoo = tmp_path / "runtime" / "vultus" / "zoo"
    zoo.mkdir(parents=True)
    (zoo / "net.onnx").write_bytes(tiny_detector.read_bytes())
    now = networks_of(tmp_path)["net"]
    file = tmp_path / "guard.json"
    write_json(file, written(baseline(networks={"net": now | {"macs": now["macs"] // 2}})))
    assert guard.main(["--baseline", str(file), "--tree", str(tmp_path)]) == 1
    assert "net macs: 2.00 times the macs" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--update", " "], "--update takes the reason"),
        (["--update", "why", "--only", "crops"], "a baseline holds every region"),
        (["--only", "hair"], "there is no region 'hair'; there are: letterbox, "),
    ],
)
def test_usage(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        guard.main(words)
    assert message in capsys.readouterr().err


def test_a_package_that_cannot_be_run_is_said_in_its_words(tmp_path: Path) -> None:
    package = tmp_path / "runtime" / "vultus"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise RuntimeError('broken here')\n")
    with pytest.raises((ValueError, CannotCount), match=r"broken here|valgrind is not installed"):
        count(tmp_path)


def test_the_work_is_that_of_eight_faces() -> None:
    recorded = read_recording()
    calls = {name: ready() for name, ready in regions(recorded).items()}
    given: dict[str, Any] = {name: call() for name, call in calls.items()}
    assert len(recorded.values) > 2 * FACES, "suppression has work to do"
    assert len(given["anchors decode"]) == FACES
    assert len(given["similarity"]) == FACES
    assert 20 < len(given["suppression"]) <= 50
    assert len(given["pipeline"].faces) == FACES
    assert len(json.loads(given["records"])["faces"]) == FACES


def test_the_committed_baseline_holds_all_that_is_guarded() -> None:
    committed = load_baseline(BASELINE)
    assert committed.reason.strip()
    assert {len(entry["regions"]) for entry in committed.counts} == {len(regions(read_recording()))}
    assert faults(list(compare_networks(networks_of(REPOSITORY), committed.networks))) == []
