"""The models of the package: found by path or name, each with its card."""

from __future__ import annotations

from pathlib import Path

import pytest

from vultus.errors import ModelError
from vultus.onnxfile import spec_from_onnx
from vultus.zoo import card_of, default_models, find_model, installed_models


def test_the_default_models_are_a_detector_and_a_face_network() -> None:
    assert [spec_from_onnx(path).task for path in default_models()] == ["detector", "face"]


def test_every_model_has_a_card() -> None:
    assert installed_models()
    assert all(card_of(path) for path in installed_models())


def test_a_model_is_found_by_its_name_or_path(tiny_face: Path) -> None:
    assert find_model(tiny_face) == tiny_face
    assert [find_model(path.stem) for path in installed_models()] == installed_models()


def test_an_unknown_model_is_refused_with_what_is_there() -> None:
    with pytest.raises(ModelError, match=r"there is no model file nope; installed models: .*vultus-det-s"):
        find_model("nope")
