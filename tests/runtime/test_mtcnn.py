"""MTCNN behind the detector's interface: against a plain cascade with seeded weights, and files that do not fit."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

import mtcnn_reference
from pulled_mtcnn import SEED
from vultus import Analyzer
from vultus.engines import open_engine
from vultus.errors import ModelError, SpecError
from vultus.spec import CascadeSpec, spec_from_json, spec_to_json
from vultus_models.mtcnn.spec import specs


def picture(width: int, height: int, seed: int) -> np.ndarray:
    """Blotches with noise: something for every level of a pyramid."""
    random = np.random.default_rng(seed)
    coarse = random.integers(0, 256, (height // 16 + 2, width // 16 + 2, 3)).astype(np.uint8)
    smooth = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC).astype(np.int16)
    noisy = np.clip(smooth + random.integers(-30, 30, smooth.shape), 0, 255)
    return np.asarray(noisy, np.uint8)


@pytest.mark.parametrize(("width", "height", "seed"), [(120, 90, 0), (61, 83, 1), (97, 64, 2), (21, 20, 3)])
def test_it_finds_what_the_plain_cascade_finds(
    mtcnn_folder: Path, width: int, height: int, seed: int
) -> None:
    scene = picture(width, height, seed)
    wanted = mtcnn_reference.cascade(mtcnn_reference.random_states(SEED), scene)
    with Analyzer("cpu", [mtcnn_folder / "mtcnn.onnx"]) as analyzer:
        result = analyzer(scene)
    faces = result.faces
    assert len(faces) == len(wanted)
    assert len(faces) >= (3 if width > 60 else 0), "the seeded cascade must find something to compare"
    for face, (score, box, points) in zip(faces, wanted, strict=True):
        assert face["score"] == pytest.approx(score, abs=1e-4)
        np.testing.assert_allclose(face["box"], np.add(box, [-1.5, -1.5, -0.5, -0.5]), atol=0.01)
        np.testing.assert_allclose(face["points"].T.ravel(), points, atol=0.01)
        assert np.isnan(face["age"])
    assert set(result.milliseconds) >= {"letterbox", "detect", "decode_boxes"}
    assert "ONNX Runtime" in result.ran_on["detect"]


@pytest.mark.parametrize(("width", "height"), [(1, 1), (300, 19), (19, 20)])
def test_a_picture_smaller_than_any_face_has_none(mtcnn_folder: Path, width: int, height: int) -> None:
    with Analyzer("cpu", [mtcnn_folder / "mtcnn.onnx"]) as analyzer:
        assert len(analyzer.detect(np.zeros((height, width, 3), np.uint8))) == 0


def test_a_higher_score_keeps_the_best_faces(mtcnn_folder: Path) -> None:
    scene = picture(120, 90, 0)
    with Analyzer("cpu", [mtcnn_folder / "mtcnn.onnx"]) as analyzer:
        every = analyzer.detect(scene)
    limit = float(np.median(every["score"]))
    with Analyzer("cpu", [mtcnn_folder / "mtcnn.onnx"], min_score=limit) as strict:
        np.testing.assert_array_equal(strict.detect(scene)["score"], every["score"][every["score"] >= limit])


def test_a_missing_stage_is_named(mtcnn_folder: Path, tmp_path: Path) -> None:
    shutil.copy(mtcnn_folder / "mtcnn.onnx", tmp_path)
    shutil.copy(mtcnn_folder / "mtcnn-refine.onnx", tmp_path)
    with pytest.raises(ModelError, match=r"first of 3 networks; mtcnn-output.onnx must lie beside it"):
        open_engine(tmp_path / "mtcnn.onnx", "cpu")


def test_a_stage_of_another_cascade_is_refused(mtcnn_folder: Path, tmp_path: Path) -> None:
    for name in ("mtcnn.onnx", "mtcnn-refine.onnx"):
        shutil.copy(mtcnn_folder / name, tmp_path)
    shutil.copy(mtcnn_folder / "mtcnn-refine.onnx", tmp_path / "mtcnn-output.onnx")
    with pytest.raises(
        ModelError, match=r"holds mtcnn-refine 0.0.0; mtcnn 0.0.0 needs mtcnn-output 0.0.0 there"
    ):
        open_engine(tmp_path / "mtcnn.onnx", "cpu")


def test_a_later_stage_is_no_detector_by_itself(mtcnn_folder: Path) -> None:
    with pytest.raises(SpecError, match="names the decoder 'mtcnn-stage'"):
        Analyzer("cpu", [mtcnn_folder / "mtcnn-output.onnx"])


def test_a_closed_cascade_closes_every_network(mtcnn_folder: Path) -> None:
    from vultus.engines.cascade import CascadeEngine
    from vultus.errors import UsageError

    engine = open_engine(mtcnn_folder / "mtcnn.onnx", "cpu", 1)
    assert isinstance(engine, CascadeEngine)
    with engine:
        assert [later.spec.input.width for later in engine.later] == [24, 48]
    for network, side in zip((engine, *engine.later), (12, 24, 48), strict=True):
        with pytest.raises(UsageError, match="closed"):
            network(np.zeros((1, 3, side, side), np.float32))


def test_the_cascade_travels_in_the_spec() -> None:
    first = specs("1.2.3")[0]
    assert spec_from_json(spec_to_json(first)) == first
    assert first.detector is not None
    plain = replace(first, detector=replace(first.detector, cascade=None))
    assert '"cascade":' not in spec_to_json(plain)
    assert spec_from_json(spec_to_json(plain)) == plain


@pytest.mark.parametrize(
    "cascade", [CascadeSpec(()), CascadeSpec(("a",), smallest=0), CascadeSpec(("a",), factor=1.0)]
)
def test_an_impossible_cascade_is_refused(cascade: CascadeSpec) -> None:
    first = specs("1.2.3")[0]
    assert first.detector is not None
    with pytest.raises(
        SpecError, match="a cascade needs later stages, faces of at least 1 pixel and a factor"
    ):
        replace(first, detector=replace(first.detector, cascade=cascade))
