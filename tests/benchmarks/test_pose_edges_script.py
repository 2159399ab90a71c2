"""The script that fits the yaw edges: on training rows alone, through the runtime."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

import pose_edges
from picture_sets import coloured, labelled_points, points_of_cell, write_set


def test_edges_are_fitted_on_training_rows(
    tiny_models: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = {**labelled_points(points_of_cell(48, 48)), "gender": "male", "smile": 1, "glasses": 0}
    splits = np.array(["train", "train", "train", "test"])
    rows = [
        (coloured(96, 96, seed, (48, 48)), {**labels, "pose": 3, "split": split})
        for seed, split in enumerate(splits)
    ]
    write_set(tmp_path, "mtfl", rows)
    models = list(map(str, tiny_models))
    assert pose_edges.main(["--data", str(tmp_path), "--rows", "2", "--models", *models]) == 0
    lines = capsys.readouterr().out.splitlines()
    fits = [line for line in lines if re.match(r"(fitted|fitted, classes alike|in use): \(", line)]
    assert len(fits) == 3
    assert "accuracy 1.0000, macro recall 1.0000" in fits[0]


def test_a_missing_set_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert pose_edges.main(["--data", str(tmp_path)]) == 1
    assert "has no set 'mtfl'" in capsys.readouterr().err
