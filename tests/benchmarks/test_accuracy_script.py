"""The accuracy script end to end: made sets, real models with known answers, the real runtime."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

import accuracy
from harness.figures import FIGURES
from picture_sets import write_all, write_set
from script_runs import exit_code, loaded_with
from vultus.pipeline import Analyzer
from vultus_export.metrics.identity import sha256_of

KEYS = {
    "detector.crowds": ("ap50", "ap40", "recall", "recall_10fp"),
    "detector.scenes": ("false_alarms",),
    "points5.mtfl": ("nme_eye",),
    "landmarks68.all": ("nme_outer",),
    "age.utkface": ("mae", "by_decade"),
    "gender.utkface": ("accuracy", "accuracy_10plus"),
    "gender.celeba": ("accuracy",),
    "gender.mtfl": ("accuracy",),
    "ethnicity.utkface": ("accuracy", "balanced_accuracy", "per_class"),
    "expression.fer2013": ("accuracy", "macro_recall"),
    "smile.celeba": ("accuracy",),
    "smile.mtfl": ("accuracy",),
    "eyeglasses.celeba": ("accuracy", "balanced_accuracy"),
    "eyeglasses.mtfl": ("accuracy", "balanced_accuracy"),
    "facial_hair.celeba": ("no_beard_accuracy", "mustache_auc", "goatee_auc"),
    "attractiveness.mebeauty": ("pearson", "mae"),
    "pose.mtfl": ("accuracy",),
    "quality.landmarks68": ("nme_outer", "nme_outer_best80"),
    "quality.utkface": ("mae", "mae_best80"),
    "quality.celeba": ("accuracy", "accuracy_best80"),
    "quality.fer2013": ("accuracy", "accuracy_best80"),
}


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_all(tmp_path_factory.mktemp("sets"))


def run(data: Path, models: list[Path], out: Path, *more: str) -> dict[str, Any]:
    arguments = ["--data", str(data), "--json", str(out), "--models", *map(str, models), *more]
    assert accuracy.main(arguments) == 0
    return dict(json.loads(out.read_text()))


@pytest.fixture(scope="module")
def result(sets: Path, tiny_models: list[Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return run(sets, tiny_models, tmp_path_factory.mktemp("out") / "accuracy.json")


def entry_of(result: dict[str, Any], path: str) -> dict[str, Any]:
    group, _, leaf = path.partition(".")
    return dict(result[group][leaf])


@pytest.mark.parametrize("path", [path for path in KEYS if not path.startswith("quality.")])
def test_every_key_is_measured_with_its_count_and_intervals(result: dict[str, Any], path: str) -> None:
    entry = entry_of(result, path)
    assert entry["n"] > 0
    for key in KEYS[path]:
        assert entry[key] is not None
        if not isinstance(entry[key], dict):
            assert key in entry["ci95"]


def test_quality_that_no_model_measures_is_said_to_be_missing(result: dict[str, Any]) -> None:
    for path in (path for path in KEYS if path.startswith("quality.")):
        nothing = dict.fromkeys(KEYS[path])
        assert entry_of(result, path) == {**nothing, "n": 0, "note": "the models do not measure quality"}


def test_new_parts_stand_beside_the_old_keys(result: dict[str, Any]) -> None:
    for path in ("gender.utkface", "gender.mtfl", "ethnicity.utkface", "expression.fer2013", "smile.celeba"):
        calibration = entry_of(result, path)["calibration"]
        assert 0 <= calibration["ece"] <= 1
        assert calibration["n"] == entry_of(result, path)["n"]
    assert set(result["age"]["utkface"]["calibration"]["ci95"]) == {"within_1_spread", "within_2_spreads"}
    assert set(result["smile"]["celeba"]["by_gender"]) == {"female", "male"}
    assert set(result["smile"]["mtfl"]["by_gender"]) == {"male"}
    cells = result["gender"]["utkface"]["by_gender_age_ethnicity"]["cells"]
    assert (cells["female"]["30-49"]["white"], cells["all"]["all"]["all"]) == ({"n": 2}, {"n": 4})
    boxes = result["detector"]["crowds"]
    assert boxes["calibration"]["n"] >= boxes["calibration"]["n_shipped"] == 3
    assert boxes["recall_by_label_height"]["cells"]["all"]["all"] == {"n": 3}


def test_the_table_of_figures_is_complete() -> None:
    described = {figure.path: figure.keys for figure in FIGURES}
    assert described == {path: keys for path, keys in KEYS.items() if not path.startswith("detector")}


def test_the_detector_is_judged_as_its_known_answers_demand(result: dict[str, Any]) -> None:
    crowds = result["detector"]["crowds"]
    assert crowds["ap50"] == crowds["ap40"] == pytest.approx(4 / 9, abs=1e-5)
    assert crowds["recall"] == crowds["recall_10fp"] == pytest.approx(2 / 3, abs=1e-5)
    assert (crowds["n"], crowds["pictures"]) == (3, 1)
    assert crowds["recall_by_label"]["mask_wrong"] == {"recall": 0.0, "n": 1}
    scenes = result["detector"]["scenes"]
    assert (scenes["false_alarms"], scenes["n"]) == (1, 2)


def test_points_are_judged_on_the_labelled_face(
    result: dict[str, Any], sets: Path, tiny_models: list[Path], tmp_path: Path
) -> None:
    between_eyes = (0.6344 - 0.3656) * 16
    points = run(sets, tiny_models[:1], tmp_path / "out.json", "--sets", "mtfl")["points5"]["mtfl"]
    assert points["n"] == result["points5"]["mtfl"]["n"] == 2
    assert points["nme_eye"] == pytest.approx(100 / between_eyes / 2, abs=0.15)
    assert result["points5"]["mtfl"]["nme_eye"] > points["nme_eye"], (
        "the landmarks of the tiny network are wild"
    )
    assert result["landmarks68"]["all"]["n"] == 2


def test_faces_found_and_taken_whole_are_reported(result: dict[str, Any]) -> None:
    half = dict.fromkeys(("utkface", "fer2013", "celeba", "mebeauty"), 0.5)
    assert result["found"] == {**half, "mtfl": pytest.approx(2 / 3, abs=1e-5), "landmarks68": 1.0}
    assert result["taken_whole"] == {**half, "mtfl": 0.0, "landmarks68": 0.0}
    assert result["age"]["utkface"]["n"] == 4


def test_figures_are_those_of_the_runtime(
    result: dict[str, Any], sets: Path, tiny_models: list[Path], tmp_path: Path
) -> None:
    write_set(tmp_path, "utkface", [(picture_of(sets), {"age": 20, "gender": "male", "ethnicity": "white"})])
    with Analyzer(models=tiny_models) as analyzer:
        age = float(analyzer(picture_of(sets)).faces["age"][0])
    alone = run(tmp_path, tiny_models, tmp_path / "out.json", "--sets", "utkface")
    assert alone["age"]["utkface"]["mae"] == pytest.approx(abs(age - 20), abs=1e-4)
    assert alone["age"]["utkface"]["ci95"] == {"mae": None}


def picture_of(sets: Path) -> Any:
    """Return the second picture of the made utkface set: its face is found."""
    import tarfile

    with tarfile.open(sets / "utkface.tar") as archive:
        stream = archive.extractfile("00001.png")
        assert stream is not None
        return cv2.imdecode(np.frombuffer(stream.read(), np.uint8), cv2.IMREAD_COLOR)


def test_the_result_says_what_was_measured(result: dict[str, Any], tiny_models: list[Path]) -> None:
    assert [(model["name"], model["sha256"]) for model in result["models"]] == [
        ("tiny-detector", sha256_of(tiny_models[0])),
        ("tiny-face", sha256_of(tiny_models[1])),
    ]
    assert result["precision"] == "fp32"
    assert set(result["ran_on"]) == {"detect", "face"}
    assert all(device for device in result["ran_on"].values())
    assert result["seconds"] > 0


def test_a_second_run_gives_the_same_figures(
    result: dict[str, Any], sets: Path, tiny_models: list[Path], tmp_path: Path
) -> None:
    again = run(sets, tiny_models, tmp_path / "again.json", "--precision", "fp32")
    assert {**again, "seconds": 0} == {**result, "seconds": 0}


def test_absent_and_unasked_sets_give_null_with_the_reason(tiny_models: list[Path], tmp_path: Path) -> None:
    write_all(tmp_path)
    for name in ("scenes", "mebeauty"):
        (tmp_path / f"{name}.tar").unlink()
    asked = ["--sets", "crowds,scenes,mebeauty"]
    result = run(tmp_path, tiny_models, tmp_path / "out.json", *asked)
    for path, keys in KEYS.items():
        if path != "detector.crowds":
            entry = entry_of(result, path)
            assert [entry[key] for key in keys] == [None] * len(keys)
            assert entry["n"] == 0
    assert result["detector"]["scenes"]["note"] == "set scenes is not in the data folder"
    assert result["attractiveness"]["mebeauty"]["note"] == "set mebeauty is not in the data folder"
    assert result["age"]["utkface"]["note"] == "set utkface was not asked for"
    crowds = result["detector"]["crowds"]
    assert (crowds["recall_10fp"], crowds["note"]) == (
        None,
        "recall_10fp: set scenes is not in the data folder",
    )
    assert crowds["ap50"] == pytest.approx(4 / 9, abs=1e-5)


def test_only_rows_of_split_test_are_measured(tiny_models: list[Path], tmp_path: Path) -> None:
    face = np.zeros((32, 32, 3), np.uint8)
    splits = ("train", "val", "test")
    write_set(tmp_path, "fer2013", [(face, {"split": split, "expression": "sad"}) for split in splits])
    assert run(tmp_path, tiny_models, tmp_path / "out.json")["expression"]["fer2013"]["n"] == 1
    write_set(tmp_path, "fer2013", [(face, {"expression": "sad"})] * 3, split="train")
    write_set(tmp_path, "scenes", [(face, {})], split="train")
    result = run(tmp_path, tiny_models, tmp_path / "out.json")
    assert result["expression"]["fer2013"]["note"] == "set fer2013 has no rows of split test"
    assert result["detector"]["scenes"]["n"] == 1


def test_a_detector_alone_gives_boxes_and_points(sets: Path, tiny_detector: Path, tmp_path: Path) -> None:
    result = run(sets, [tiny_detector], tmp_path / "out.json", "--sets", "crowds,mtfl,utkface")
    assert result["detector"]["crowds"]["ap50"] is not None
    assert result["points5"]["mtfl"]["nme_eye"] is not None
    assert result["age"]["utkface"]["note"] == "the models do not measure age"
    assert result["taken_whole"]["utkface"] == 0.0


def test_the_result_is_plain_json(result: dict[str, Any]) -> None:
    def check(value: Any) -> None:
        assert isinstance(value, dict | list | str | int | float | bool | None)
        assert not isinstance(value, float) or math.isfinite(value)
        for part in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
            check(part)

    check(result)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--data", "nowhere"], 1, "nowhere holds none of crowds"),
        (["--sets", "crowd"], 2, "unknown set 'crowd'; known: crowds, scenes"),
        (["--models", "no.onnx"], 1, "there is no model file no.onnx"),
        (["--precision", "int8"], 1, "tiny-detector.onnx is of precision fp32, not int8"),
    ],
    ids=["no data", "unknown set", "no model", "other precision"],
)
def test_what_cannot_be_done_is_one_clear_line(
    arguments: list[str],
    code: int,
    message: str,
    sets: Path,
    tiny_models: list[Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "out.json"
    given = ["--data", str(sets), "--json", str(out), "--models", *map(str, tiny_models), *arguments]
    assert exit_code(accuracy.main, given) == code
    assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_the_script_needs_no_framework() -> None:
    assert loaded_with(accuracy, ("torch", "onnx", "vultus_export.exporter")) == []


def test_a_damaged_set_is_one_clear_line(
    tiny_models: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_all(tmp_path)
    (tmp_path / "celeba.tar").write_bytes(b"no archive" * 100)
    given = ["--data", str(tmp_path), "--json", str(tmp_path / "out.json"), "--models"]
    assert accuracy.main([*given, *map(str, tiny_models)]) == 1
    assert capsys.readouterr().err.startswith("accuracy: ")
    assert not (tmp_path / "out.json").exists()


def test_the_script_runs_by_its_name(sets: Path, tiny_models: list[Path], tmp_path: Path) -> None:
    script = Path(accuracy.__file__)
    command = [sys.executable, str(script), "--data", str(sets), "--sets", "scenes,celeba"]
    command += ["--json", str(tmp_path / "deep" / "out.json"), "--models", *map(str, tiny_models)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=True)
    assert "detector.scenes.false_alarms" in done.stdout
    assert "gender.celeba.accuracy" in done.stdout
    assert (tmp_path / "deep" / "out.json").exists()
