"""From master to lowered model: what is written, what is refused, and that the same comes out twice."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
from onnx import numpy_helper

import tiny
from vultus.engines import open_engine
from vultus.errors import InputError, ModelError, SpecError, VultusError
from vultus.onnxfile import spec_from_onnx
from vultus_export.files import load_model, save_model
from vultus_export.quantize import build
from vultus_export.quantize.build import quantize_file
from vultus_export.quantize.loss import Loss
from vultus_export.quantize.manifest import check_manifest, manifest_path, read_manifest
from vultus_export.quantize.qdq import layers
from vultus_export.quantize.ranges import Magnitudes, limit_of
from vultus_export.quantize.search import MOST_KEPT, Judge, best_ranges, keep_sensitive
from vultus_export.quantize.work import no_tick

PICTURES = 9


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of pictures with one or two white squares each, and one with none."""
    folder = tmp_path_factory.mktemp("pictures")
    for k in range(PICTURES - 1):
        corners = [(16 * (k % 4), 32), (128, 16 * k)][: 1 + k % 2]
        noise = np.random.default_rng(k).integers(0, 60, (160, 192, 3)).astype(np.uint8)
        assert cv2.imwrite(str(folder / f"{k}.png"), np.maximum(noise, tiny.squares(192, 160, *corners)))
    assert cv2.imwrite(str(folder / "none.png"), np.zeros((64, 64, 3), np.uint8))
    return folder


@pytest.mark.parametrize("precision", ["int8", "int8-fp16"])
@pytest.mark.parametrize("task", ["detector", "face"])
def test_int8(
    precision: str, task: str, pictures: Path, tiny_detector: Path, tiny_face: Path, tmp_path: Path
) -> None:
    master = tiny_detector if task == "detector" else tiny_face
    out = tmp_path / f"net-{precision}.onnx"
    heard: list[str] = []
    made = quantize_file(
        master, precision, out, pictures, tiny_detector, tick=lambda what, done, total: heard.append(what)
    )
    assert made.spec == spec_from_onnx(out)
    assert made.spec == replace(
        spec_from_onnx(master),
        precision=precision,
        kept_layers=made.spec.kept_layers,
        calibration=made.spec.calibration,
    )
    manifest = read_manifest(manifest_path(out))
    check_manifest(made.spec, manifest, "it")
    assert len(manifest.pictures) == (PICTURES if task == "detector" else PICTURES - 1)
    assert manifest.losses[manifest.method] == min(manifest.losses.values())
    assert made.ranges
    assert manifest.others == made.ranges.others
    assert bool(manifest.detector) == (task == "face")
    assert {"calibrating", "choosing the calibration"} <= set(heard)
    assert ("finding faces" in heard) == (task == "face")
    operators = [node.op_type for node in load_model(out).graph.node]
    assert "QuantizeLinear" in operators
    assert ("Cast" in operators) == (precision == "int8-fp16")
    with open_engine(out, "cpu", 1) as engine:
        assert engine.spec.precision == precision


def test_the_same_input_gives_the_same_bytes(pictures: Path, tiny_detector: Path, tmp_path: Path) -> None:
    for name in ("a.onnx", "b.onnx"):
        quantize_file(tiny_detector, "int8", tmp_path / name, pictures)
    assert (tmp_path / "a.onnx").read_bytes() == (tmp_path / "b.onnx").read_bytes()
    assert manifest_path(tmp_path / "a.onnx").read_text() == manifest_path(tmp_path / "b.onnx").read_text()


def test_other_pictures_give_another_artefact(pictures: Path, tiny_detector: Path, tmp_path: Path) -> None:
    made = [
        quantize_file(tiny_detector, "int8", tmp_path / f"{count}.onnx", pictures, count=count)
        for count in (8, 9)
    ]
    assert made[0].spec.calibration != made[1].spec.calibration
    assert [len(read_manifest(manifest_path(item.path)).pictures) for item in made] == [8, 9]


@pytest.mark.parametrize("measured", [False, True])
def test_fp16(measured: bool, pictures: Path, tiny_detector: Path, tmp_path: Path) -> None:
    out = tmp_path / "half.onnx"
    made = quantize_file(tiny_detector, "fp16", out, pictures if measured else None)
    assert (made.kept is not None) == measured
    assert os.listdir(tmp_path) == ["half.onnx"]
    assert made.spec == replace(spec_from_onnx(tiny_detector), precision="fp16")
    assert out.stat().st_size < 0.6 * tiny_detector.stat().st_size
    assert made.deviations[0].passed


def test_an_old_opset_is_raised(pictures: Path, tiny_face: Path, tiny_detector: Path, tmp_path: Path) -> None:
    model = load_model(tiny_face)
    model.opset_import[0].version = 13
    save_model(model, tmp_path / "old.onnx")
    quantize_file(tmp_path / "old.onnx", "int8-fp16", tmp_path / "new.onnx", pictures, tiny_detector)
    assert load_model(tmp_path / "new.onnx").opset_import[0].version >= 19


def test_what_cannot_be_lowered_is_refused(
    pictures: Path, tiny_detector: Path, tiny_face: Path, tmp_path: Path
) -> None:
    quantize_file(tiny_detector, "fp16", tmp_path / "half.onnx")
    bare = load_model(tiny_detector)
    del bare.metadata_props[:]
    save_model(bare, tmp_path / "bare.onnx")
    blank = tmp_path / "blank"
    blank.mkdir()
    assert cv2.imwrite(str(blank / "black.png"), np.zeros((64, 64, 3), np.uint8))
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "text.jpg").write_text("no picture")
    before = sorted(os.listdir(tmp_path))
    faults: list[tuple[Path, str, Path | None, type[VultusError], str]] = [
        (
            tiny_detector,
            "int4",
            pictures,
            InputError,
            "precision 'int4' is unknown; expected one of fp16, int8",
        ),
        (
            tmp_path / "half.onnx",
            "int8",
            pictures,
            ModelError,
            "half.onnx is fp16 already; lower the FP32 master",
        ),
        (tmp_path / "bare.onnx", "int8", pictures, SpecError, "bare.onnx carries no vultus spec"),
        (tiny_detector, "int8", None, InputError, "'int8' is calibrated on pictures; name a folder of them"),
        (tiny_detector, "int8", blank, InputError, "there is no face in any calibration picture"),
        (
            tiny_face,
            "int8",
            blank,
            InputError,
            "tiny-detector finds no face in 1 pictures; give pictures of people",
        ),
        (tiny_detector, "int8", pictures / "1.png", InputError, "1.png is no folder"),
        (tiny_detector, "int8", broken, VultusError, "text.jpg is not a picture"),
    ]
    for master, precision, folder, kind, message in faults:
        with pytest.raises(kind) as caught:
            quantize_file(master, precision, tmp_path / "out.onnx", folder, tiny_detector)
        assert message in str(caught.value)
        assert sorted(os.listdir(tmp_path)) == before


def test_a_face_network_without_any_detector(
    pictures: Path, tiny_face: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build, "default_models", list)
    with pytest.raises(InputError, match="'tiny-face' is calibrated on aligned faces; name a detector"):
        quantize_file(tiny_face, "int8", tmp_path / "out.onnx", pictures)


class Rigged(Judge):
    """Measures a sum of what each lowered layer costs, as a model would whose layers err apart from each other."""

    def __init__(self, costs: dict[str, float]) -> None:
        self.costs = costs

    def __call__(self, model: onnx.ModelProto, precision: str) -> Loss:
        lowered = [item.key for item in model.metadata_props]
        return Loss({"age": 0.5 * sum(self.costs[name] for name in lowered)})


COSTS = {f"layer{k}": cost for k, cost in enumerate([0.05, 0.9, 0.05, 0.6, 0.05, 0.05, 0.05, 0.05, 0.05])}


@pytest.mark.parametrize(
    ("goal", "kept"),
    [
        (2.0, ()),
        (1.0, ("layer1",)),
        (0.4, ("layer1", "layer3")),
        (0.0, ("layer0", "layer1", "layer3")),
    ],
)
def test_the_worst_layers_are_kept_and_no_more_than_needed(goal: float, kept: tuple[str, ...]) -> None:
    def lowered(keep: Collection[str]) -> onnx.ModelProto:
        model = onnx.ModelProto()
        onnx.helper.set_model_props(model, {name: "" for name in COSTS if name not in keep})
        return model

    found = keep_sensitive(lowered, list(COSTS), Rigged(COSTS), "int8", no_tick, goal)
    assert found.layers == kept
    assert len(kept) <= MOST_KEPT * len(COSTS)
    assert found.before.total == pytest.approx(sum(COSTS.values()))
    assert found.loss.total == pytest.approx(sum(cost for name, cost in COSTS.items() if name not in kept))
    assert dict(found.sensitivity) == (pytest.approx(COSTS) if kept else {})


class Wanting(Judge):
    """Measures how far the limit of each activation is from the one that its layer wants."""

    def __init__(self, wanted: dict[str, float]) -> None:
        self.wanted = wanted

    def __call__(self, model: onnx.ModelProto, precision: str) -> Loss:
        limits = {item.key: float(item.value) for item in model.metadata_props}
        return Loss({"age": sum(abs(limits[name] - limit) for name, limit in self.wanted.items())})


@pytest.mark.parametrize(
    ("wanted", "method", "others"),
    [
        ({"a": 9.0, "b": 9.0}, "minmax", {}),
        ({"a": 1.0, "b": 1.0}, "percentile-99.9", {}),
        ({"a": 9.0, "b": 1.5}, "minmax", {"b": "percentile-99.9"}),
        ({"a": 2.0, "b": 9.0}, "minmax", {"a": "percentile-99.9"}),
        ({}, "minmax", {}),
    ],
)
def test_each_activation_is_read_in_the_way_that_serves_best(
    wanted: dict[str, float], method: str, others: dict[str, str]
) -> None:
    tailed = np.concatenate([np.linspace(0, 1, 9_991, dtype=np.float32), np.full(9, 9, np.float32)])
    found = {name: Magnitudes() for name in "ab"}
    for name, magnitudes in found.items():
        magnitudes.add(name, tailed)

    def lowered(limits: Mapping[str, float]) -> onnx.ModelProto:
        model = onnx.ModelProto()
        onnx.helper.set_model_props(model, {name: str(limit) for name, limit in limits.items()})
        return model

    ranges = best_ranges(lowered, found, Wanting(wanted), "int8", no_tick)
    assert (ranges.method, ranges.others) == (method, others)
    for name in found:
        assert ranges.limits[name] == limit_of(found[name], others.get(name, method))


def test_a_layer_that_int8_ruins_is_kept(
    pictures: Path, tiny_detector: Path, tiny_face: Path, tmp_path: Path
) -> None:
    """One weight a thousand times the others in its row leaves INT8 nothing of the rest."""
    model = load_model(tiny_face)
    for item in model.graph.initializer:
        if item.name == "age_w":
            weight = numpy_helper.to_array(item).copy()
            weight[0] += 400 * np.sign(weight[0])
            item.CopyFrom(numpy_helper.from_array(weight, item.name))
    for node in model.graph.node:
        node.name = node.output[0]
    save_model(model, tmp_path / "spiky.onnx")
    made = quantize_file(tmp_path / "spiky.onnx", "int8", tmp_path / "int8.onnx", pictures, tiny_detector)
    assert made.kept is not None
    if made.kept.before.total > 1:
        assert max(made.kept.sensitivity, key=made.kept.sensitivity.__getitem__) in made.spec.kept_layers
    lowered = {layer.name for layer in layers(load_model(tmp_path / "spiky.onnx"))} - set(
        made.spec.kept_layers
    )
    quantized = {
        node.name for node in load_model(made.path).graph.node if "dequantized" in "".join(node.input)
    }
    assert quantized == lowered
