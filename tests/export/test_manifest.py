"""A model and its calibration manifest cannot change alone."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

import nets
from vultus.errors import ModelError
from vultus.preprocess import crops, letterbox
from vultus.spec import InputSpec, spec_to_json
from vultus_export.quantize.manifest import (
    PREPROCESSING,
    Manifest,
    check_manifest,
    hashed,
    manifest_path,
    read_manifest,
)

MANIFEST = Manifest("net", "1", "int8", "aa", "bb", {"a.png": "cc"}, "minmax", {"minmax": 0.25})
PIXELS = [
    -0.4854,
    -0.2064,
    -0.7773,
    -0.0495,
    -0.0542,
    -0.0361,
    0.2244,
    0.1167,
    -0.6079,
    -0.4238,
    -0.6101,
    -0.6599,
]
SPEC = replace(nets.FACE, precision="int8", calibration=MANIFEST.digest)


def test_a_manifest_survives_the_disk(tmp_path: Path) -> None:
    path = manifest_path(tmp_path / "net-int8.onnx")
    assert path.name == "net-int8.calibration.json"
    path.write_text(MANIFEST.to_json())
    assert read_manifest(path) == MANIFEST
    check_manifest(SPEC, read_manifest(path), "net-int8.calibration.json")


@pytest.mark.parametrize(
    "other",
    [
        replace(MANIFEST, pictures={"a.png": "dd"}),
        replace(MANIFEST, pictures={"b.png": "cc"}),
        replace(MANIFEST, pictures={}),
        replace(MANIFEST, method="entropy"),
        replace(MANIFEST, others={"trunk": "entropy"}),
        replace(MANIFEST, master="ab"),
        replace(MANIFEST, detector=""),
        replace(MANIFEST, precision="int8-fp16"),
        replace(MANIFEST, preprocessing=PREPROCESSING + 1),
    ],
)
def test_another_manifest_means_another_model(other: Manifest) -> None:
    with pytest.raises(
        ModelError, match=r"it\.json is not the manifest that model 'small-face' \(int8\) was"
    ):
        check_manifest(SPEC, other, "it.json")
    assert spec_to_json(replace(SPEC, calibration=other.digest)) != spec_to_json(SPEC)


def test_rounding_of_losses_on_another_machine_changes_nothing() -> None:
    assert replace(MANIFEST, losses={"minmax": 0.2500001}).digest == MANIFEST.digest


def test_an_older_preprocessing_is_named() -> None:
    old = replace(MANIFEST, preprocessing=0)
    with pytest.raises(
        ModelError, match="calibrated with preprocessing 0, this vultus prepares pictures by 1"
    ):
        check_manifest(replace(SPEC, calibration=old.digest), old, "it.json")


def test_a_model_that_was_not_calibrated() -> None:
    with pytest.raises(
        ModelError, match=r"model 'small-face' \(fp32\) was not calibrated; it\.json is not its"
    ):
        check_manifest(nets.FACE, MANIFEST, "it.json")


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"schema": 2}', '{"schema": 1, "x": 2}', "nonsense"])
def test_what_is_no_manifest_is_named(text: str, tmp_path: Path) -> None:
    (tmp_path / "it.json").write_text(text)
    with pytest.raises(
        ModelError, match=r"it\.json is not a calibration manifest: .*; quantize the model again"
    ):
        read_manifest(tmp_path / "it.json")
    with pytest.raises(ModelError, match="cannot read the calibration manifest"):
        read_manifest(tmp_path / "none.json")


def test_pictures_are_named_within_their_folder(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "a.png").write_bytes(b"abc")
    found = hashed([tmp_path / "deep" / "a.png"], tmp_path)
    assert found == {"deep/a.png": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"}
    assert str(tmp_path) not in json.dumps(found)


def test_the_pixels_of_preprocessing_are_those_of_its_version() -> None:
    """Whoever changes the pixels raises PREPROCESSING and these numbers; one and a half grey levels are allowed."""
    rows, columns = np.mgrid[0:45, 0:60].astype(np.float32)
    picture = np.stack([2 * columns + rows, 4 * rows, 120 + 100 * np.sin(columns / 5)], axis=2).astype(
        np.uint8
    )
    boxed = letterbox(picture, InputSpec("x", 16, 16))[0][0]
    cropped = crops(picture, np.array([[[0.3, -0.1, 2.0], [0.1, 0.3, -1.0]]]), InputSpec("x", 8, 8, "RGB"))[0]
    means = [float(tensor.mean()) for plane in (*boxed, *cropped) for tensor in (plane[:4], plane[4:])]
    assert cv2.countNonZero(boxed[0][12:]) == 0
    np.testing.assert_allclose(means, PIXELS, atol=1.5 / 128)
