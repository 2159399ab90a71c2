"""What vultus takes on a CPU: the line through faces, the tables, and results that may not be shown."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bench_records
import cpu
from harness.cpu_cost import costs, line
from harness.cpu_plot import cpu_plot
from harness.cpu_table import CPU_NOT_MEASURED, Cpu, cost_table, cpu_results, cpu_table
from harness.network_size import models_measured
from vultus.bench.files import save_record
from vultus.bench.record import Scenario, Verdict
from vultus.zoo import default_models
from vultus_export.metrics.identity import sha256_of


@pytest.mark.parametrize("noise", [0.0, 0.2])
def test_the_line_through_faces_is_found(noise: float) -> None:
    faces = (0, 1, 2, 8, 16, 32)
    error = np.random.default_rng(3).normal(0, noise, (len(faces), 200))
    found = line(faces, (10.0 + 1.5 * np.array(faces))[:, None] + error)
    assert found["face_ms"] == pytest.approx(1.5, abs=0.01)
    assert found["frame_ms"] == pytest.approx(10.0, abs=0.05)
    assert found["ci95"][0] <= 0.15 <= found["ci95"][1]
    assert found["r2"] > 0.999


def test_what_bends_is_not_explained_by_a_line() -> None:
    faces = np.array([0.0, 1, 2, 8, 16, 32])
    assert line((0, 1, 2, 8, 16, 32), np.repeat((10 + faces**2)[:, None], 5, axis=1))["r2"] < 0.95


def test_frames_are_timed_in_terms_of_the_usual_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.cpu_cost.FACES", (0, 2))
    monkeypatch.setattr("harness.cpu_cost.SIZES", ((320, 240),))
    found = costs(rounds=3)
    sizes = [(case["width"], case["height"], case["faces"]) for case in found["cases"]]
    assert sizes == [(640, 480, 6), (640, 480, 0), (640, 480, 2), (320, 240, 6)]
    assert found["cases"][0]["ratio"] == 1.0
    assert all(case["median_ms"] > 0 for case in found["cases"])


def test_a_frame_whose_faces_are_not_found_is_no_case(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.cpu_cost.USUAL", (6, 60, 40))
    with pytest.raises(ValueError, match=r"60x40, 6 faces: \d faces were found"):
        costs(rounds=1)


def test_costs_alone_keep_the_scenarios_that_are_there(
    results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.cpu_cost.FACES", (0, 2))
    monkeypatch.setattr("harness.cpu_cost.SIZES", ())
    monkeypatch.setattr("cpu.SCENARIOS", {"single": [], "stream": []})
    before = {path.name: path.read_bytes() for path in results.iterdir() if path.name != "cpu-cost.json"}
    assert cpu.main(["--cost-alone", "--quick", "--out", str(results)]) == 0
    assert {name: (results / name).read_bytes() for name in before} == before
    cost = json.loads((results / "cpu-cost.json").read_text())
    assert [case["faces"] for case in cost["cases"]] == [6, 0, 2]
    assert _read(results, quick=False).scenarios.keys() == {"single", "stream"}


def test_costs_alone_take_scenarios_that_are_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cpu.main(["--cost-alone", "--quick", "--out", str(tmp_path)]) == 1
    assert "cpu-single.json" in capsys.readouterr().err
    assert not (tmp_path / "cpu-cost.json").exists()


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """Return a folder with the files of one run whose figures are made up."""
    single = replace(bench_records.record(), verdict=Verdict(True))
    stream = replace(single, scenario=Scenario("stream", "quick", 5.0, "p90", rate=30.0))
    stream = replace(
        stream,
        counts=replace(stream.counts, offered=150, dropped=3),
        verdict=Verdict(False, ("other load", "hot")),
    )
    for name, record in {"single": single, "stream": stream}.items():
        save_record(record, bench_records.samples(), tmp_path / f"cpu-{name}.json")
    (tmp_path / "cpu-cost.json").write_text(json.dumps(_cost(tmp_path)))
    return tmp_path


def _cost(folder: Path) -> dict[str, Any]:
    def case(faces: int, size: tuple[int, int], ratio: float) -> dict[str, Any]:
        ci95 = [ratio - 0.01, ratio + 0.01]
        place = {"faces": faces, "width": size[0], "height": size[1]}
        return {**place, "median_ms": 10 * ratio, "ratio": ratio, "ci95": ci95}

    return {
        "vultus": "0.1.0",
        "commit": "c" * 40,
        "quick": False,
        "processor": "a processor",
        "models": models_measured(),
        "scenarios": {name: sha256_of(folder / f"cpu-{name}.json") for name in ("single", "stream")},
        "usual": {"faces": 6, "width": 640, "height": 480},
        "threads": 1,
        "rounds": 9,
        "cases": [case(6, (640, 480), 1.0), case(0, (640, 480), 0.4), case(6, (3840, 2160), 1.25)],
        "line": {"frame_ms": 4.0, "face_ms": 1.0, "face_share": 0.25, "ci95": [0.24, 0.26], "r2": 0.9991},
    }


def _read(folder: Path, **changes: Any) -> Cpu:
    cost = {**json.loads((folder / "cpu-cost.json").read_text()), **changes}
    found = cpu_results(folder, cost, default_models())
    assert found is not None
    return found


def test_tables_show_what_was_measured(results: Path) -> None:
    found = _read(results)
    scenarios, cost = cpu_table(found), cost_table(found)
    assert "| single | 50.0 ms | 60.0 ms | - | 20.0 | - | yes |" in scenarios
    assert (
        "| stream, 30 frames a second | 50.0 ms | 60.0 ms | - | 20.0 | 3 of 150 | other load; hot |"
        in scenarios
    )
    assert "import 0.20 s" in scenarios
    assert "peak memory 191 MiB" in scenarios
    assert "| 3840x2160 | 6 | x 1.25 (1.24 - 1.26) |" in cost
    assert "A face adds 0.250 (0.240 - 0.260)" in cost
    assert "99.91%" in cost
    assert cpu_plot(found.cost).count("<circle") == 2


def test_without_results_the_tables_say_so() -> None:
    assert cpu_results(Path(), None, []) is None
    assert cpu_table(None) == cost_table(None) == f"{CPU_NOT_MEASURED}\n"
    assert "Not measured yet" in cpu_plot(None)


def test_weights_may_change_and_architectures_may_not(results: Path) -> None:
    models = json.loads((results / "cpu-cost.json").read_text())["models"]
    assert _read(results, models=[{**model, "sha256": "0" * 64} for model in models]).cost
    with pytest.raises(ValueError, match=r"multiply-accumulates, the package holds .* again"):
        _read(results, models=[{**models[0], "macs": 7}])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"quick": True}, "of a quick look"),
        ({"scenarios": {"single": "0" * 64}}, "cpu-single.json is not of the run of cpu-cost.json"),
    ],
)
def test_results_that_may_not_be_shown(changes: dict[str, Any], message: str, results: Path) -> None:
    with pytest.raises(ValueError, match=message):
        _read(results, **changes)


def test_a_scenario_that_fails_leaves_no_cost(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cpu, "SCENARIOS", {"single": ["--threads", "0"]})
    assert cpu.main(["--quick", "--out", str(tmp_path)]) == 1
    assert "returned non-zero exit status 2" in capsys.readouterr().err
    assert not list(tmp_path.glob("*.json"))
