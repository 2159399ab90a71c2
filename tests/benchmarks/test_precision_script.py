"""The precision script end to end: lowered models with known answers, their JSON and their table."""

from __future__ import annotations

import json
import shutil
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import precision
import tables
import tiny
from harness.latency import compared, interleaved
from harness.precision_table import HEAD, NOT_MEASURED, precision_table
from picture_sets import write_all
from vultus.spec import ModelSpec
from vultus_export.metrics.identity import sha256_of


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, tiny_models: list[Path]) -> Path:
    """Return a folder of sets, of lowered models beside them; the INT8 face network has other weights."""
    place = tmp_path_factory.mktemp("precision")
    write_all(place)
    lowered = place / "lowered"
    lowered.mkdir()
    for name in ("fp16", "int8"):
        tiny.save_detector(lowered / f"tiny-detector-{name}.onnx", replace(tiny.DETECTOR, precision=name))
        spec = replace(tiny.FACE_NETWORK, precision=name, name=f"tiny-face-{name}")
        tiny.save_face_network(lowered / f"tiny-face-{name}.onnx", spec, seed=7 if name == "fp16" else 8)
    return place


def run(folder: Path, models: list[Path], out: Path, *more: str) -> int:
    words = [
        "--data",
        str(folder),
        "--json",
        str(out),
        "--lowered",
        str(folder / "lowered"),
        "--rounds",
        "30",
    ]
    return precision.main([*words, "--models", *map(str, models), *more])


@pytest.fixture(scope="module")
def result(folder: Path, tiny_models: list[Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    out = tmp_path_factory.mktemp("out") / "precision.json"
    assert run(folder, tiny_models, out) == 0
    return dict(json.loads(out.read_text()))


def test_every_model_is_there_at_every_precision(result: dict[str, Any], folder: Path) -> None:
    assert {name: list(model["precisions"]) for name, model in result["models"].items()} == {
        "tiny-detector": ["fp32", "fp16", "int8"],
        "tiny-face": ["fp32", "fp16", "int8"],
    }
    half = result["models"]["tiny-face"]["precisions"]["fp16"]
    file = folder / "lowered" / "tiny-face-fp16.onnx"
    assert (half["bytes"], half["sha256"]) == (file.stat().st_size, sha256_of(file))
    assert result["split"] == "test"
    assert result["models"]["tiny-face"]["ran_on"].startswith("ONNX Runtime")


def test_a_copy_passes_and_other_weights_fail(result: dict[str, Any]) -> None:
    face = result["models"]["tiny-face"]["precisions"]
    assert face["fp16"]["passed"]
    assert {entry["change"] for entry in face["fp16"]["metrics"].values()} <= {0.0, None}
    assert not face["int8"]["passed"]
    assert face["int8"]["verdict"].startswith("FAILED: tiny-face-int8 int8")
    assert face["int8"]["metrics"]["age.change"]["status"] == "failed"
    assert face["int8"]["metrics"]["gender.flips"]["kind"] == "flips"
    assert face["int8"]["worst"]["metric"]["status"] == "failed"


def test_the_masters_figures_are_its_own(result: dict[str, Any]) -> None:
    detector = result["models"]["tiny-detector"]["precisions"]
    assert detector["fp32"]["metrics"]["ap50.crowds"] == pytest.approx(4 / 9, abs=1e-5)
    assert "boxes.flips" not in detector["fp32"]["metrics"]
    assert detector["int8"]["metrics"]["ap50.crowds"]["candidate"] == pytest.approx(4 / 9, abs=1e-5)


def test_latency_stands_beside_that_of_the_master(result: dict[str, Any]) -> None:
    for model in result["models"].values():
        for name, entry in model["precisions"].items():
            assert entry["latency"]["median_ms"] > 0
            assert entry["latency"]["rounds"] == 30
            assert (entry["latency"]["ratio"] == 1.0) or name != "fp32"
    face = result["models"]["tiny-face"]["precisions"]["int8"]
    assert face["latency"]["input"] == [8, 3, 32, 32]
    assert face["latency"]["ci95"][0] <= face["latency"]["ratio"] <= face["latency"]["ci95"][1]


def test_times_are_measured_again_and_figures_stay(
    result: dict[str, Any], folder: Path, tiny_models: list[Path], tmp_path: Path
) -> None:
    out = tmp_path / "precision.json"
    out.write_text(json.dumps(result))
    assert run(folder, tiny_models, out, "--times", "--rounds", "20") == 0
    again = json.loads(out.read_text())
    for name, model in again["models"].items():
        for precision_, entry in model["precisions"].items():
            before = result["models"][name]["precisions"][precision_]
            assert entry.pop("latency")["rounds"] == 20
            assert entry == {key: value for key, value in before.items() if key != "latency"}
    assert again["timed_commit"]


@pytest.mark.parametrize(
    ("spoilt", "words"), [("sha256", "figures are not of tiny-"), ("name", "holds no tiny-face")]
)
def test_times_of_other_files_are_refused(
    spoilt: str,
    words: str,
    result: dict[str, Any],
    folder: Path,
    tiny_models: list[Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    models = json.loads(json.dumps(result["models"]))
    if spoilt == "name":
        del models["tiny-face"]
    else:
        models["tiny-face"]["precisions"]["int8"]["sha256"] = "0" * 64
    out = tmp_path / "precision.json"
    out.write_text(before := json.dumps({**result, "models": models}))
    assert run(folder, tiny_models, out, "--times") == 1
    assert words in capsys.readouterr().err
    assert out.read_text() == before


def test_the_table_has_a_row_for_each_and_says_who_failed(result: dict[str, Any]) -> None:
    text = precision_table(result)
    lines = text.splitlines()
    assert lines[0] == "| " + " | ".join(HEAD) + " |"
    rows = [line.split(" | ") for line in lines[2:8]]
    assert [row[0].removeprefix("| ") + " " + row[1] for row in rows] == [
        f"{name} {kind}" for name in ("tiny-detector", "tiny-face") for kind in ("fp32", "fp16", "int8")
    ]
    verdicts = [row[-1].removesuffix(" |") for row in rows]
    assert verdicts == ["master", "passed", "passed", "master", "passed", "**failed**"]
    assert "AP 0.444, recall 0.667" in rows[0][4]
    assert "flips" not in rows[0][4]
    assert "flips 0.0%" in rows[1][4]
    age = result["models"]["tiny-face"]["precisions"]["int8"]["metrics"]["age.utkface.mae"]["candidate"]
    assert f"age {age:.2f}" in rows[5][4]
    assert ", failed" in rows[5][6 - 1]
    assert "of split test" in text
    assert precision_table(None) == f"{NOT_MEASURED}\n"


def test_the_table_takes_its_place_and_a_stale_result_is_refused(
    result: dict[str, Any], tiny_models: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    zoo, results = tmp_path / "runtime/vultus/zoo", tmp_path / "benchmarks/results"
    zoo.mkdir(parents=True)
    results.mkdir(parents=True)
    (tmp_path / "README.md").write_text("<!-- table:precision -->\n<!-- /table:precision -->\n")
    assert tables.main(["--root", str(tmp_path)]) == 0
    assert NOT_MEASURED in (tmp_path / "README.md").read_text()
    (results / "precision.json").write_text(json.dumps(result))
    assert tables.main(["--root", str(tmp_path)]) == 0
    assert "| tiny-face | int8 |" in (tmp_path / "README.md").read_text()
    capsys.readouterr()
    shutil.copy(tiny_models[0], zoo)  # the same file: not stale, only without facts for its card
    assert tables.main(["--root", str(tmp_path)]) == 1
    assert "was measured with" not in capsys.readouterr().err
    tiny.save_face_network(zoo / "tiny-face.onnx", seed=99)
    assert tables.main(["--root", str(tmp_path)]) == 1
    said = capsys.readouterr().err
    assert "precision.json was measured with tiny-face fp32" in said
    assert "run benchmarks/precision.py again" in said


class Sleeper:
    """An engine that takes as long as it is told."""

    def __init__(self, seconds: float, calls: list[str], name: str) -> None:
        self.seconds, self.calls, self.name = seconds, calls, name
        self.device = "none"

    @property
    def spec(self) -> ModelSpec:
        return tiny.FACE_NETWORK

    def __call__(self, batch: npt.NDArray[np.float32]) -> dict[str, npt.NDArray[np.float32]]:
        self.calls.append(self.name)
        time.sleep(self.seconds)
        return {}

    def close(self) -> None:
        pass

    def __enter__(self) -> Sleeper:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass


def test_models_are_timed_in_turn() -> None:
    calls: list[str] = []
    engines = {"slow": Sleeper(0.004, calls, "slow"), "quick": Sleeper(0.001, calls, "quick")}
    batch = np.zeros((1, 3, 2, 2), np.float32)
    times = interleaved({name: partial(engine, batch) for name, engine in engines.items()}, 10)
    assert calls[-4:] == ["slow", "quick", "quick", "slow"]
    assert {len(one) for one in times.values()} == {10}
    found = compared(times["quick"], times["slow"], "any")
    assert 0.1 < found["ratio"] < 0.9
    assert compared(times["slow"], times["slow"], "any")["ratio"] == 1.0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--precisions", "int4"], "there is no tiny-detector at int4; make it with: vultus-export quantize"),
        (["--data", "nowhere"], "there is no folder nowhere"),
    ],
)
def test_what_cannot_be_measured_is_one_clear_line(
    words: list[str],
    message: str,
    folder: Path,
    tiny_models: list[Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(folder, tiny_models, tmp_path / "out.json", *words) == 1
    said = capsys.readouterr().err
    assert said.splitlines()[-1].startswith("precision: ")
    assert message in said
    assert list(tmp_path.iterdir()) == []
