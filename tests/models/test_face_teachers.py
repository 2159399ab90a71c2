"""The pose teacher's angles: signs, independence under a turn of the picture, and the parameter layout."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vultus_models.teachers.tddfa import PoseTeacher, angles_from_rotation, rotation_from_params
from vultus_models.teachers.yunet import YuNet


def about(axis: str, degrees: float) -> np.ndarray:
    """A rotation about one axis, x to the right, y up, z to the viewer."""
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    i, j = {"x": (1, 2), "y": (2, 0), "z": (0, 1)}[axis]
    made = np.eye(3)
    made[i, i], made[i, j], made[j, i], made[j, j] = cos, -sin, sin, cos
    return made


def pose(yaw: float, pitch: float, roll: float) -> np.ndarray:
    """The rotation of a head by the conventions of vultus."""
    return np.asarray(about("z", -roll) @ about("x", -pitch) @ about("y", yaw))


def test_a_nose_that_points_to_the_right_has_a_positive_yaw() -> None:
    nose = pose(40, 0, 0) @ [0, 0, 1]
    assert nose[0] > 0
    assert angles_from_rotation(pose(40, 0, 0)[None])[0] == pytest.approx([40, 0, 0], abs=1e-9)


def test_a_nose_that_points_up_has_a_positive_pitch() -> None:
    nose = pose(0, 20, 0) @ [0, 0, 1]
    assert nose[1] > 0
    assert angles_from_rotation(pose(0, 20, 0)[None])[0] == pytest.approx([0, 20, 0], abs=1e-9)


def test_a_crown_that_leans_right_on_the_screen_has_a_positive_roll() -> None:
    crown = pose(0, 0, 15) @ [0, 1, 0]
    assert crown[0] > 0
    assert angles_from_rotation(pose(0, 0, 15)[None])[0] == pytest.approx([0, 0, 15], abs=1e-9)


@given(st.floats(-179, 179), st.floats(-85, 85), st.floats(-179, 179))
def test_angles_come_back_from_their_rotation(yaw: float, pitch: float, roll: float) -> None:
    found = angles_from_rotation(pose(yaw, pitch, roll)[None])[0]
    assert found == pytest.approx([yaw, pitch, roll], abs=1e-6)


@given(st.floats(-80, 80), st.floats(-60, 60), st.floats(-60, 60))
def test_turning_the_picture_adds_to_roll_alone(yaw: float, pitch: float, turn: float) -> None:
    turned = about("z", -turn) @ pose(yaw, pitch, 10)
    assert angles_from_rotation(turned[None])[0] == pytest.approx([yaw, pitch, 10 + turn], abs=1e-6)


def test_rotation_is_read_from_a_scaled_matrix_with_a_shift() -> None:
    wanted = pose(25, -10, 5)
    matrix = np.concatenate([3e-4 * wanted, [[60], [70], [-80]]], axis=1)
    params = np.concatenate([matrix.reshape(1, 12), np.ones((1, 50))], axis=1)
    np.testing.assert_allclose(rotation_from_params(params)[0], wanted, atol=1e-9)


def test_the_teacher_reads_weights_as_they_are_published(tmp_path: Path) -> None:
    from vultus_models.teachers.tddfa import _Regressor

    torch.manual_seed(0)
    state = {f"module.{name}": value for name, value in _Regressor().state_dict().items()}
    state["module.fc_lm.weight"] = torch.zeros(136, 512)
    torch.save({"epoch": 1, "state_dict": state}, tmp_path / "net.pth")
    upright = np.concatenate([np.eye(3) * 5e-4, np.zeros((3, 1))], axis=1).reshape(-1)
    numbers = {"mean": [*upright.tolist(), *[0.0] * 50], "std": [1e-9] * 62}
    (tmp_path / "numbers.json").write_text(json.dumps(numbers))
    teacher = PoseTeacher(tmp_path / "net.pth", tmp_path / "numbers.json")
    angles = teacher(np.zeros((2, 50, 50, 3), np.uint8))
    assert angles.shape == (2, 3)
    assert np.abs(angles).max() < 0.1


def test_a_missing_detector_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"yunet\.onnx is not there; it is YuNet's ONNX file"):
        YuNet(tmp_path / "yunet.onnx")
