"""Hard negatives: false alarms become cuts, faces never do, held-back pictures stay unseen."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from vultus.types import FaceArray, empty_faces
from vultus_models.detector.cache import Pictures, open_pictures
from vultus_models.detector.mine import HARD, mine
from vultus_models.detector.network import spec
from vultus_models.detector.system import held_back

FACE, WALL = (40.0, 40.0, 80.0, 80.0), (120.0, 100.0, 150.0, 130.0)


def pictures(files: tuple[str, ...]) -> Pictures:
    """Return pictures of 200 x 160 px, each with one face; the wall is white."""
    one = np.zeros((160, 200, 3), np.uint8)
    one[100:130, 120:150] = 255
    count = len(files)
    places = np.array([[i * one.size, 160, 200] for i in range(count)], np.int64)
    boxes, points = np.array([FACE] * count, np.float32), np.full((count, 5, 2), np.nan, np.float32)
    flat = np.concatenate([one.ravel()] * count)
    return Pictures("mtfl", files, flat, places, np.arange(count + 1), boxes, points, np.ones(count, bool))


def detector_of(*boxes: tuple[float, ...]) -> FaceArray:
    faces = empty_faces(len(boxes))
    faces["box"], faces["score"] = boxes, 0.6
    return faces


def test_a_false_alarm_becomes_a_cut_and_a_face_does_not(tmp_path: Path) -> None:
    seen = tuple(f"{i}.webp" for i in range(40))
    used = [file for file in seen if not held_back("mtfl", file)]
    assert mine(lambda picture: detector_of(FACE, WALL), spec({}), [pictures(seen)], tmp_path) == len(used)
    hard = open_pictures(tmp_path, HARD, tmp_path, tmp_path)
    assert hard.files == tuple(f"mtfl/{file}" for file in used)
    for index in range(len(hard)):
        cut = hard.picture(index)
        assert cut[..., 0].max() == 255, "the false alarm is in its cut"
        assert not hard.labels(index).sure.any() or (hard.labels(index).boxes[:, 2] > 0).all()


def test_a_detector_without_false_alarms_has_nothing_to_mine(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no false alarm on these pictures: there is nothing to mine"):
        mine(lambda picture: detector_of(FACE), spec({}), [pictures(("0.webp",))], tmp_path)
