"""`vultus-export check` as a user types it: real pictures, real models, verdicts that are known beforehand."""

from __future__ import annotations

import copy
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import onnx
import pytest
import typer
from onnx import numpy_helper
from typer.testing import CliRunner, Result

import nets
import tiny
from picture_sets import Entry, coloured, write_all, write_set
from vultus.spec import METADATA_KEY, ModelSpec, spec_to_json
from vultus_export.files import save_model
from vultus_export.gates.command import check
from vultus_export.quantize.half import half_precision
from vultus_export.quantize.manifest import Manifest, manifest_path

HURT = (("trunk.1.0", "trunk.1.0.weight", -20.0), ("heads.smile", "heads.smile.bias", 3.0))
"""Layer, one of its weights, and what it is multiplied with."""

app = typer.Typer(pretty_exceptions_enable=False)
app.command("check")(check)


def run(*words: str | Path) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words], env={"COLUMNS": "200"})


def changed(model: onnx.ModelProto, weight: str, to: Any) -> onnx.ModelProto:
    """Return a copy in which a function has changed one weight."""
    own = copy.deepcopy(model)
    stored = next(item for item in own.graph.initializer if item.name == weight)
    stored.CopyFrom(numpy_helper.from_array(to(numpy_helper.to_array(stored)).astype(np.float32), weight))
    return own


def with_spec(model: onnx.ModelProto, spec: ModelSpec) -> onnx.ModelProto:
    own = copy.deepcopy(model)
    onnx.helper.set_model_props(own, {METADATA_KEY: spec_to_json(spec)})
    return own


def portrait(seed: int) -> npt.NDArray[np.uint8]:
    """Return a picture of large patches of colour, so that two of them give a network different answers."""
    patches = np.random.default_rng(seed).integers(0, 256, (4, 4, 3)).astype(np.uint8)
    return np.asarray(cv2.resize(patches, (48, 48), interpolation=cv2.INTER_LINEAR), np.uint8)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, face_model: onnx.ModelProto, tiny_detector: Path) -> Path:
    """Return a folder with a labelled set, a folder of pictures, a face network and copies of it."""
    folder = tmp_path_factory.mktemp("gates")
    sets, pictures = folder / "sets", folder / "pictures"
    sets.mkdir()
    pictures.mkdir()
    people = [("female", "white"), ("male", "white"), ("female", "black"), ("male", "indian")]
    entries: list[Entry] = []
    for seed in range(160):
        gender, ethnicity = people[seed % 4]
        entries.append((portrait(seed), {"age": seed % 20, "gender": gender, "ethnicity": ethnicity}))
    write_set(sets, "utkface", entries, split="val")
    for seed in range(30):
        picture = coloured(96, 64, seed, (16 * (seed % 5), 16), (48, 32))
        assert cv2.imwrite(str(pictures / f"{seed:02d}.png"), picture)
    save_model(face_model, folder / "master.onnx")
    save_model(face_model, folder / "copy.onnx")
    half = with_spec(half_precision(face_model), replace(nets.FACE, precision="fp16"))
    save_model(half, folder / "fp16.onnx")
    for layer, weight, factor in HURT:
        save_model(changed(face_model, weight, lambda w, by=factor: by * w), folder / f"{layer}.onnx")
    (folder / "detector.onnx").write_bytes(tiny_detector.read_bytes())
    return folder


def judged(place: Path, model: str, data: str, *more: str, out: Path | None = None) -> Result:
    words: list[str | Path] = [place / model, "--against", place / "master.onnx", "--data", place / data]
    words += ["--detector", place / "detector.onnx", *more]
    words += ["--json", out] if out else []
    return run(*words)


@pytest.mark.parametrize("data", ["sets", "pictures"])
@pytest.mark.parametrize("model", ["copy.onnx", "fp16.onnx"])
def test_a_faithful_model_passes(model: str, data: str, place: Path, tmp_path: Path) -> None:
    result = judged(place, model, data, out=tmp_path / "report.json")
    assert result.exit_code == 0, result.output
    verdict = result.stdout.strip().splitlines()[-1]
    assert verdict.startswith("PASSED: small-face ")
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["passed"]
    assert report["verdict"] == verdict
    if model == "copy.onnx":
        assert {entry["change"] for entry in report["metrics"]} == {0.0}
    else:
        assert max(entry["change"] for entry in report["metrics"]) > 0
    names = {entry["name"] for entry in report["metrics"]}
    agreement = {
        "age.change", "expression.flips", "gender.flips", "landmarks.change", "smile.change",
    }  # fmt: skip
    labelled = {"age.utkface.mae", "gender.utkface.accuracy"} if data == "sets" else set()
    assert names == agreement | labelled


@pytest.mark.parametrize("data", ["sets", "pictures"])
@pytest.mark.parametrize("layer", [hurt[0] for hurt in HURT])
def test_a_perturbed_model_fails_and_the_layer_is_named(
    layer: str, data: str, place: Path, tmp_path: Path
) -> None:
    result = judged(place, f"{layer}.onnx", data, out=tmp_path / "report.json")
    assert result.exit_code == 1, result.output
    report = json.loads((tmp_path / "report.json").read_text())
    assert not report["passed"]
    assert report["worst"]["layer"] == report["layers"][0]["layer"] == layer
    assert report["worst"]["metric"]["status"] == "failed"
    verdict = result.stdout.strip().splitlines()[-1]
    assert verdict.startswith(
        f"FAILED: small-face fp32 ({layer}.onnx) against its master master.onnx; beyond"
    )
    assert f"worst layer {layer} (" in verdict
    assert ("worst group" in verdict) == (data == "sets")


def test_the_report_says_what_was_judged(place: Path, tmp_path: Path) -> None:
    assert judged(place, "copy.onnx", "sets", "--most", "100", out=tmp_path / "report.json").exit_code == 0
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["sources"] == {"utkface": {"rows": "val", "pictures": 100}}
    assert (report["model"]["file"], report["model"]["precision"]) == ("copy.onnx", "fp32")
    assert report["model"]["sha256"] == report["master"]["sha256"]
    assert report["ran_on"].startswith("ONNX Runtime")
    entries = {entry["name"]: entry for entry in report["metrics"]}
    assert entries["age.utkface.mae"]["n"] == 100
    assert entries["age.utkface.mae"]["limit"] == 0.001
    groups = {(entry["group"], entry["status"]) for entry in report["groups"]}
    assert ("female", "ok") in groups
    assert ("male, aged 10-19, indian", "too few") in groups


def test_damage_to_one_group_is_found(tmp_path: Path, tiny_detector: Path) -> None:
    """The candidate strays on red pictures alone, and only those of one group are red."""
    sets = tmp_path / "sets"
    sets.mkdir()
    entries: list[Entry] = []
    for number in range(400):
        hurt = number % 10 == 0
        picture = np.full((32, 32, 3), 128, np.uint8)
        picture[..., 0] = number % 200  # blue, so that no two answers are alike
        picture[..., 2] = 250 if hurt else 128
        ethnicity = "black" if hurt else "asian"
        entries.append((picture, {"gender": "male", "ethnicity": ethnicity, "score_1_10": 1}))
    write_set(sets, "mebeauty", entries, split="val")
    spec = replace(tiny.with_heads("attractiveness"), precision="fp32")
    master = tiny.save_face_network(tmp_path / "master.onnx", spec)
    model = onnx.load(master)

    def more_red(weights: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        return weights + np.array([[0.0], [0.0], [0.25]], np.float32)

    lowered = with_spec(changed(model, "attractiveness_w", more_red), replace(spec, precision="int8"))
    save_model(lowered, tmp_path / "int8.onnx")
    words = ("--data", sets, "--detector", tiny_detector, "--json", tmp_path / "report.json")
    result = run(tmp_path / "int8.onnx", "--against", master, *words)
    assert result.exit_code == 1, result.output
    report = json.loads((tmp_path / "report.json").read_text())
    statuses = {entry["name"]: entry["status"] for entry in report["metrics"]}
    assert statuses == {
        "attractiveness.mebeauty.mae": "ok",
        "attractiveness.change": "ok",
        "attractiveness.mebeauty.pearson": "undefined",  # all raters agree here
    }
    failed = {entry["group"] for entry in report["groups"] if entry["status"] == "failed"}
    assert failed == {"black", "male, black"}
    assert report["worst"]["group"]["group"] in failed
    assert "beyond the limit 0 of 2 measures and " in report["verdict"]
    assert f"worst group {report['worst']['group']['group']}: attractiveness" in report["verdict"]


def test_detectors_are_judged_on_boxes_and_points(tmp_path: Path, tiny_detector: Path) -> None:
    write_all(tmp_path)
    model = onnx.load(tiny_detector)
    save_model(model, tmp_path / "copy.onnx")

    def shifted(bias: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        return bias + np.where(np.arange(15) == 1, 3.0, 0.0)  # boxes 3 * 0.1 of their side to the right

    save_model(changed(model, "b", shifted), tmp_path / "shifted.onnx")
    save_model(changed(model, "b", lambda b: b - 60 * (np.arange(15) == 0)), tmp_path / "blind.onnx")
    reports = {}
    for name in ("copy", "shifted", "blind"):
        out = tmp_path / f"{name}.json"
        words = ("--against", tiny_detector, "--data", tmp_path, "--split", "test", "--json", out)
        assert run(tmp_path / f"{name}.onnx", *words).exit_code == (name != "copy")
        entries = json.loads(out.read_text())["metrics"]
        reports[name] = {entry["name"]: entry for entry in entries}
    assert {entry["change"] for entry in reports["copy"].values()} == {0.0}
    assert reports["copy"]["ap50.crowds"]["master"] == pytest.approx(4 / 9, abs=1e-5)
    assert reports["copy"]["found.mtfl"]["master"] == pytest.approx(2 / 3, abs=1e-5)
    assert reports["copy"]["points.mtfl.nme_eye"]["n"] == 2
    shifted_boxes = reports["shifted"]["boxes.overlap"]
    assert shifted_boxes["candidate"] == pytest.approx(1 - 0.7 / 1.3, abs=1e-3)
    assert shifted_boxes["largest"] == pytest.approx(1 - 0.7 / 1.3, abs=1e-3)
    assert shifted_boxes["status"] == "failed"
    assert reports["blind"]["boxes.lost"]["candidate"] == 1.0
    assert reports["blind"]["recall50.crowds"]["candidate"] == 0.0
    assert "boxes.overlap" not in reports["blind"]


def test_a_box_that_falls_below_the_least_score_flips_and_is_not_lost(
    place: Path, tmp_path: Path, tiny_detector: Path
) -> None:
    """A white square scores 10 as a logit; 10.4 less is a score of .4, between half the least score and the least."""
    lower = changed(onnx.load(tiny_detector), "b", lambda b: b - 10.4 * (np.arange(15) == 0))
    save_model(lower, tmp_path / "lower.onnx")
    words = ("--against", tiny_detector, "--data", place / "pictures", "--json", tmp_path / "report.json")
    assert run(tmp_path / "lower.onnx", *words).exit_code == 1
    entries = {
        entry["name"]: entry for entry in json.loads((tmp_path / "report.json").read_text())["metrics"]
    }
    assert (entries["boxes.lost"]["candidate"], entries["boxes.flips"]["candidate"]) == (0.0, 1.0)
    assert entries["boxes.flips"]["status"] == "failed"


def test_a_field_that_is_no_longer_a_number_fails(
    place: Path, tmp_path: Path, face_model: onnx.ModelProto
) -> None:
    broken = changed(face_model, "heads.age.bias", lambda bias: bias * np.nan)
    save_model(broken, place / "broken.onnx")
    result = judged(place, "broken.onnx", "pictures", out=tmp_path / "report.json")
    assert result.exit_code == 1, result.output
    entries = {
        entry["name"]: entry for entry in json.loads((tmp_path / "report.json").read_text())["metrics"]
    }
    assert (entries["age.lost"]["candidate"], entries["age.lost"]["status"]) == (1.0, "failed")
    assert "age.change" not in entries
    assert entries["smile.change"]["change"] == 0.0


def test_a_model_with_fewer_heads_is_judged_on_those_it_has(place: Path, tmp_path: Path) -> None:
    spec = replace(nets.FACE, heads=tuple(head for head in nets.FACE.heads if head.field != "age"))
    save_model(with_spec(onnx.load(place / "master.onnx"), spec), tmp_path / "fewer.onnx")
    result = run(
        tmp_path / "fewer.onnx",
        *(
            "--against",
            place / "master.onnx",
            "--data",
            place / "sets",
            "--detector",
            place / "detector.onnx",
        ),
    )
    assert result.exit_code == 0, result.output
    assert "note: the model has no head for age, which its master measures" in result.stdout
    assert "age.utkface.mae" not in result.stdout


def empty(place: Path, tmp_path: Path) -> list[str | Path]:
    return ["--data", tmp_path]


def faceless(place: Path, tmp_path: Path) -> list[str | Path]:
    assert cv2.imwrite(str(tmp_path / "dark.png"), np.zeros((32, 32, 3), np.uint8))
    return ["--data", tmp_path]


def other_labels(place: Path, tmp_path: Path) -> list[str | Path]:
    write_set(tmp_path, "celeba", [(portrait(1), {"eyeglasses": 1})], split="val")
    return ["--data", tmp_path]


def detector_as_model(place: Path, tmp_path: Path) -> list[str | Path]:
    return ["--against", place / "detector.onnx"]


def lowered_master(place: Path, tmp_path: Path) -> list[str | Path]:
    return ["--against", place / "fp16.onnx"]


def no_model(place: Path, tmp_path: Path) -> list[str | Path]:
    return ["--against", tmp_path / "none.onnx"]


def other_manifest(place: Path, tmp_path: Path) -> list[str | Path]:
    """Put a manifest of other pictures beside a calibrated model."""
    spec = replace(nets.FACE, precision="int8", calibration="0" * 64)
    model = tmp_path / "calibrated" / "int8.onnx"
    model.parent.mkdir()
    save_model(with_spec(onnx.load(place / "master.onnx"), spec), model)
    manifest = Manifest(spec.name, spec.version, "int8", "", "", {"a.png": "1" * 64}, method="minmax")
    manifest_path(model).write_text(manifest.to_json())
    return [model]


def face_as_detector(place: Path, tmp_path: Path) -> list[str | Path]:
    return ["--detector", place / "copy.onnx"]


def no_split(place: Path, tmp_path: Path) -> list[str | Path]:
    return ["--split", "test"]


def no_folder_for_the_report(place: Path, tmp_path: Path) -> list[str | Path]:
    return ["--json", tmp_path / "deep" / "report.json"]


def wrong_device(place: Path, tmp_path: Path) -> list[str | Path]:
    return ["--device", "tpu"]


FAULTS = [
    (empty, "holds neither labelled sets (NAME.tar with NAME.csv) nor pictures"),
    (faceless, "the detector finds no face in any picture; give pictures of people"),
    (
        other_labels,
        "labels what small-face measures (age, expression, gender, landmarks, smile); its sets are: celeba",
    ),
    (detector_as_model, "copy.onnx is for the task 'face', its master"),
    (lowered_master, "fp16.onnx is of precision fp16; models are judged against an FP32 master"),
    (no_model, "none.onnx; installed models: "),
    (
        other_manifest,
        "int8.calibration.json is not the manifest that model 'small-face' (int8) was calibrated with",
    ),
    (face_as_detector, "no detector among the models"),
    (no_split, "has the sets utkface, and none has rows of split test"),
    (no_folder_for_the_report, "report.json: there is no folder"),
    (wrong_device, "tpu"),
]


@pytest.mark.parametrize(("fault", "message"), FAULTS, ids=[fault[0].__name__ for fault in FAULTS])
def test_what_cannot_be_judged_is_one_clear_line(
    fault: Any, message: str, place: Path, tmp_path: Path
) -> None:
    changes = fault(place, tmp_path)
    model = [] if fault is other_manifest else [place / "copy.onnx"]
    words: list[str | Path] = [*model, "--against", place / "master.onnx"]
    words += ["--data", place / "sets", "--detector", place / "detector.onnx"]
    words += ["--json", tmp_path / "report.json", *changes]
    before = sorted(os.listdir(tmp_path))
    result = run(*words)
    assert result.exit_code == 1, result.output
    lines = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1
    assert message in lines[0]
    assert sorted(os.listdir(tmp_path)) == before


def test_few_faces_are_a_caution_and_many_are_none(place: Path, tmp_path: Path) -> None:
    int8 = with_spec(onnx.load(place / "master.onnx"), replace(nets.FACE, precision="int8"))
    save_model(int8, place / "int8.onnx")
    said = {}
    for most in ("99", "100"):
        result = judged(place, "int8.onnx", "sets", "--most", most, out=tmp_path / f"{most}.json")
        report = json.loads((tmp_path / f"{most}.json").read_text())
        assert report["faces"] == int(most)
        assert ("caution: judged on" in result.stdout) == report["verdict"].endswith("faces are few")
        said[most] = report["caution"]
    assert said == {
        "99": "judged on 99 faces: one of them is 1 % of all and the finest limit is 1 %, so that only gross damage "
        "shows; judge on 100 faces or more",
        "100": "",
    }
    strict = judged(place, "fp16.onnx", "sets", "--most", "100").stdout  # limits ten times finer
    assert "caution: judged on 100 faces: one of them is 1 % of all and the finest limit is 0.1 %" in strict


def test_names_stay_whole_where_no_terminal_limits_them(place: Path) -> None:
    words = (
        "--against",
        place / "master.onnx",
        "--data",
        place / "sets",
        "--detector",
        place / "detector.onnx",
    )
    shown = CliRunner().invoke(
        app, [str(word) for word in (place / "copy.onnx", *words)], env={"COLUMNS": None}
    )
    assert "gender.utkface.accuracy" in shown.stdout
    assert "…" not in shown.stdout


def test_labels_that_cannot_be_read_are_noted(place: Path, tmp_path: Path) -> None:
    labels = {"age": 3, "gender": "female", "ethnicity": "martian"}
    write_set(tmp_path, "utkface", [(portrait(seed), labels) for seed in range(3)], split="val")
    words = ("--against", place / "master.onnx", "--data", tmp_path, "--detector", place / "detector.onnx")
    assert "gender.utkface.accuracy" in run(place / "copy.onnx", *words).stdout
    table = tmp_path / "utkface.csv"
    table.write_text(table.read_text().replace("female", "queen"))
    result = run(place / "copy.onnx", *words)
    assert "note: gender on utkface: its labels cannot be read: labels queen are unknown" in result.stdout


def test_usage_and_help() -> None:
    assert run("model.onnx").exit_code == 2
    assert run("model.onnx", "--against", "a.onnx", "--data", "d", "--most", "0").exit_code == 2
    shown = run("--help")
    assert shown.exit_code == 0
    assert "Example: vultus-export check" in shown.stdout
