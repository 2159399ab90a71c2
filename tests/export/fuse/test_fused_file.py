"""Whole fused files: the faces of the pipeline, whatever the frame and however many faces it holds."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import onnx
import onnx.version_converter
import onnxruntime as ort
import pytest

import nets
import precision_nets
import tiny
from vultus.errors import ModelError, SpecError
from vultus.onnxfile import FUSED_KEY, metadata_from_onnx
from vultus.pipeline import Analyzer
from vultus.spec import spec_from_json
from vultus.types import FACE, FaceArray
from vultus_export.files import load_model, save_model
from vultus_export.fuse.agree import agreement
from vultus_export.fuse.assemble import fused_model
from vultus_export.fuse.prove import run_fused
from vultus_export.fuse.settings import Settings
from vultus_export.tidy import spec_of, stamp

ROOT = Path(__file__).resolve().parents[3]
MOST = 6
CELLS = [(16, 32), (64, 16), (160, 96), (240, 208), (96, 160), (16, 208), (208, 32), (128, 32)]

Pixels = npt.NDArray[np.uint8]


def scene(width: int, height: int, faces: int, cell: int = tiny.CELL) -> Pixels:
    """Return white cells on dark coloured noise; `cell` pixels a side in a frame that much larger."""
    noise = np.random.default_rng(width).integers(0, 90, (height, width, 3)).astype(np.uint8)
    for x, y in CELLS[:faces]:
        x, y = x * cell // tiny.CELL, y * cell // tiny.CELL
        noise[y : y + cell, x : x + cell] = 255
    return noise


PICTURES: dict[str, tuple[Pixels, int]] = {
    "no face": (scene(320, 256, 0), 0),
    "one face": (scene(320, 256, 1), 1),
    "as many as fit": (scene(320, 256, MOST), MOST),
    "more than fit": (scene(320, 256, 8), 8),
    "a single face-sized frame": (np.full((32, 32, 3), 255, np.uint8), 4),
    "twice the input": (scene(640, 512, 5, 32), 5),
    "three times the input": (scene(960, 768, 5, 48), 5),
    "a tall frame": (scene(96, 224, 2), 2),
    "two pixels": (np.full((1, 2, 3), 200, np.uint8), 0),
    "two white pixels": (np.full((2, 1, 3), 255, np.uint8), 0),
    "odd sides": (scene(333, 251, 4), 2),
    "larger and odd": (scene(1023, 701, 6, 48), 3),
}
"""Name -> picture, least number of faces."""


@pytest.fixture(scope="module")
def networks(tiny_models: list[Path]) -> tuple[onnx.ModelProto, onnx.ModelProto]:
    detector, face = (load_model(path) for path in tiny_models)
    return detector, face


@pytest.fixture(scope="module")
def fused(networks: tuple[onnx.ModelProto, onnx.ModelProto]) -> onnx.ModelProto:
    return fused_model(*networks, Settings(MOST))


@pytest.fixture(scope="module")
def run(fused: onnx.ModelProto) -> Callable[[Pixels], FaceArray]:
    return run_fused(fused)


@pytest.fixture(scope="module")
def analyzer(tiny_models: list[Path]) -> Iterator[Analyzer]:
    with Analyzer("cpu", tiny_models) as opened:
        yield opened


def raw_outputs(model: onnx.ModelProto, picture: Pixels) -> dict[str, Any]:
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    names = [item.name for item in session.get_outputs()]
    return dict(zip(names, session.run(names, {"frame": picture}), strict=True))


def faulty(network: onnx.ModelProto, **changes: Any) -> onnx.ModelProto:
    """Return a copy of a network with another spec."""
    copy = onnx.ModelProto()
    copy.CopyFrom(network)
    stamp(copy, replace(spec_of(network), **changes))
    return copy


def assert_equal_faces(wanted: FaceArray, got: FaceArray) -> None:
    """Compare faces one by one where both sides saw the same tensor."""
    assert len(got) == len(wanted)
    for name in set(FACE.names or ()) - {"track"}:
        tolerance = {"pose": 2e-3, "landmarks": 2e-3, "age": 2e-3, "age_spread": 2e-3}.get(name, 1e-3)
        np.testing.assert_allclose(got[name], wanted[name], rtol=1e-4, atol=tolerance, err_msg=name)


@pytest.mark.parametrize("name", PICTURES)
def test_the_faces_of_the_pipeline(run: Callable[[Pixels], FaceArray], analyzer: Analyzer, name: str) -> None:
    picture, least = PICTURES[name]
    wanted = analyzer(picture).faces
    assert len(wanted) >= least
    got = run(picture)
    assert len(got) == min(len(wanted), MOST)
    if "odd" in name:
        assert all(item.passed for item in agreement([(wanted[:MOST], got)], tiny.DETECTOR, MOST))
    else:
        assert_equal_faces(wanted[:MOST], got)


@pytest.mark.parametrize("name", ["no face", "one face", "more than fit", "two pixels"])
def test_rows_after_the_last_face_are_zero_and_nothing_is_nan(fused: onnx.ModelProto, name: str) -> None:
    outputs = raw_outputs(fused, PICTURES[name][0])
    count = outputs.pop("count")
    assert count.shape == ()
    assert count.dtype == np.int64
    for field, values in outputs.items():
        assert values.shape == (MOST, *FACE[field].shape)
        assert values.dtype == np.float32
        assert np.isfinite(values).all()
        assert not values[int(count) :].any()


def test_outputs_are_the_fields_in_the_order_of_the_record(fused: onnx.ModelProto) -> None:
    names = [item.name for item in fused.graph.output]
    assert names[0] == "count"
    assert names[1:] == [name for name in FACE.names or () if name not in ("quality", "track")]


@pytest.mark.parametrize("size", [(320, 256), (160, 128), (320, 64)], ids=str)
def test_an_input_size_that_was_asked_for(
    networks: tuple[onnx.ModelProto, onnx.ModelProto], tmp_path: Path, size: tuple[int, int]
) -> None:
    settings = Settings(MOST, size)
    own = onnx.ModelProto.FromString(networks[0].SerializeToString())
    fixed = replace(tiny.DETECTOR.input, width=size[0], height=size[1], multiple=0)
    stamp(own, replace(tiny.DETECTOR, input=fixed))
    save_model(own, tmp_path / "detector.onnx")
    save_model(networks[1], tmp_path / "face.onnx")
    run = run_fused(fused_model(*networks, settings))
    with Analyzer("cpu", [tmp_path / "detector.onnx", tmp_path / "face.onnx"]) as analyzer:
        for name in ("more than fit", "twice the input", "two pixels", "a tall frame"):
            wanted, got = analyzer(PICTURES[name][0]).faces[:MOST], run(PICTURES[name][0])
            assert all(item.passed for item in agreement([(wanted, got)], tiny.DETECTOR, MOST))
            assert len(wanted) == len(got)


def test_a_detector_alone(networks: tuple[onnx.ModelProto, onnx.ModelProto], analyzer: Analyzer) -> None:
    model = fused_model(networks[0])
    assert [item.name for item in model.graph.output] == ["count", "box", "score", "points"]
    picture = PICTURES["more than fit"][0]
    assert_equal_faces(analyzer.detect(picture), run_fused(model)(picture))


def test_some_heads_give_some_fields(
    tmp_path: Path, networks: tuple[onnx.ModelProto, onnx.ModelProto]
) -> None:
    face = load_model(tiny.save_face_network(tmp_path / "few.onnx", tiny.with_heads("age", "smile")))
    names = [item.name for item in fused_model(networks[0], face).graph.output]
    assert names == ["count", "box", "score", "points", "age", "age_spread", "smile"]


def test_networks_that_answer_to_every_pixel_on_a_real_picture(
    detector_model: onnx.ModelProto, face_model: onnx.ModelProto, tmp_path: Path
) -> None:
    """Random weights see everything as faces; the portrait is looked at in its own size."""
    portrait = np.asarray(cv2.imread(str(ROOT / "examples" / "astronaut.png")), np.uint8)
    detector = faulty(detector_model, input=replace(nets.DETECTOR.input, width=512, height=512))
    files = [tmp_path / "detector.onnx", tmp_path / "face.onnx"]
    for model, file in zip((detector, face_model), files, strict=True):
        save_model(model, file)
    assert_same_with_some_faces(detector, face_model, files, portrait)


def assert_same_with_some_faces(
    detector: onnx.ModelProto, face: onnx.ModelProto, files: list[Path], picture: Pixels
) -> None:
    """Compare where the threshold lies such that a detector of random weights finds a handful."""
    with Analyzer("cpu", files, min_score=0.001) as analyzer:
        scores = np.unique(analyzer.detect(picture)["score"])
    least = float(scores[-min(len(scores), 20) :].mean())
    with Analyzer("cpu", files, min_score=least) as analyzer:
        wanted = analyzer(picture).faces
    assert len(wanted) > 3
    assert_equal_faces(wanted, run_fused(fused_model(detector, face, Settings(64, min_score=least)))(picture))


@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
def test_every_precision_that_plain_onnx_runtime_gets_right(tmp_path: Path, precision: str) -> None:
    files = [
        precision_nets.save_detector(tmp_path / "detector.onnx", precision),
        precision_nets.save_face(tmp_path / "face.onnx", precision),
    ]
    detector, face = (load_model(path) for path in files)
    noise = np.random.default_rng(9).integers(0, 256, (64, 96, 3)).astype(np.uint8)
    picture = np.asarray(cv2.GaussianBlur(noise, (9, 9), 3.0), np.uint8)
    assert_same_with_some_faces(detector, face, files, picture)


def test_the_precision_that_it_gets_wrong_is_refused(tmp_path: Path) -> None:
    face = load_model(precision_nets.save_face(tmp_path / "face.onnx", "int8-fp16"))
    detector = load_model(precision_nets.save_detector(tmp_path / "detector.onnx"))
    with pytest.raises(
        SpecError, match="'conv-face' is int8-fp16, for which ONNX Runtime gives wrong numbers"
    ):
        fused_model(detector, face)


def test_the_metadata_hold_both_specs_the_settings_and_the_licence(
    fused: onnx.ModelProto, tmp_path: Path
) -> None:
    save_model(fused, tmp_path / "faces.onnx")
    entries = metadata_from_onnx(tmp_path / "faces.onnx")
    assert spec_from_json(entries[f"{FUSED_KEY}.detector"]) == tiny.DETECTOR
    assert spec_from_json(entries[f"{FUSED_KEY}.face"]) == tiny.FACE_NETWORK
    raw = json.loads(entries[FUSED_KEY])
    assert raw == {
        "schema": 1,
        "max_faces": MOST,
        "size": None,
        "min_score": None,
        "licence": "tiny-detector, tiny-face: Apache-2.0",
    }
    assert entries[f"{FUSED_KEY}.licence"] == raw["licence"]
    assert (fused.ir_version, [(item.domain, item.version) for item in fused.opset_import]) == (
        10,
        [("", 20)],
    )


def test_equal_networks_give_equal_bytes(
    networks: tuple[onnx.ModelProto, onnx.ModelProto], fused: onnx.ModelProto
) -> None:
    again = fused_model(*networks, Settings(MOST))
    assert again.SerializeToString(deterministic=True) == fused.SerializeToString(deterministic=True)
    other = fused_model(*networks, Settings(MOST - 1))
    assert other.SerializeToString(deterministic=True) != fused.SerializeToString(deterministic=True)


def test_onnx_runtime_has_nothing_to_complain_of(
    fused: onnx.ModelProto, capfd: pytest.CaptureFixture[str]
) -> None:
    options = ort.SessionOptions()
    options.log_severity_level = 2
    session = ort.InferenceSession(fused.SerializeToString(), options, providers=["CPUExecutionProvider"])
    for name in ("no face", "more than fit"):
        session.run(None, {"frame": PICTURES[name][0]})
    assert capfd.readouterr().err == ""


def test_a_network_of_an_older_operator_set(
    networks: tuple[onnx.ModelProto, onnx.ModelProto], analyzer: Analyzer
) -> None:
    old = onnx.version_converter.convert_version(networks[1], 15)
    stamp(old, spec_of(networks[1]))
    picture = PICTURES["one face"][0]
    assert_equal_faces(analyzer(picture).faces, run_fused(fused_model(networks[0], old))(picture))


def test_what_cannot_be_fused_is_refused(networks: tuple[onnx.ModelProto, onnx.ModelProto]) -> None:
    detector, face = networks
    part = spec_of(detector).detector
    assert part is not None
    other = faulty(detector, detector=replace(part, decoder="yunet"))
    fixed = faulty(detector, input=replace(tiny.DETECTOR.input, multiple=0))
    cases: list[tuple[Any, Any, Settings, type[Exception], str]] = [
        (
            face,
            face,
            Settings(),
            SpecError,
            "'tiny-face' is no detector; its task is 'face'; give it as --face",
        ),
        (
            detector,
            detector,
            Settings(),
            SpecError,
            "'tiny-detector' is no face network; its task is 'detector'",
        ),
        (other, face, Settings(), SpecError, "names the decoder 'yunet'; only 'anchors' can be fused"),
        (
            detector,
            face,
            Settings(0),
            ModelError,
            "max-faces must lie between 1 and the detector's own 512; it is 0",
        ),
        (detector, face, Settings(513), ModelError, "it is 513"),
        (detector, face, Settings(min_score=1.0), ModelError, "min-score must be above 0 and below 1"),
        (
            detector,
            face,
            Settings(size=(330, 240)),
            ModelError,
            "sides that are multiples of 32, not --size 330x240",
        ),
        (fixed, face, Settings(size=(320, 256)), ModelError, "takes 320x240 alone, not --size 320x256"),
    ]
    for first, second, settings, kind, message in cases:
        with pytest.raises(kind) as caught:
            fused_model(first, second, settings)
        assert message in str(caught.value)


def test_networks_of_unlike_operators_are_refused(networks: tuple[onnx.ModelProto, onnx.ModelProto]) -> None:
    detector, face = (onnx.ModelProto.FromString(item.SerializeToString()) for item in networks)
    for version, model in enumerate((detector, face), 1):
        model.opset_import.append(onnx.helper.make_opsetid("com.example", version))
    with pytest.raises(ModelError, match=r"two versions of the operators 'com\.example'"):
        fused_model(detector, face)
