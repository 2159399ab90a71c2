"""Drawings: everything measured is there, captions stay inside, nothing breaks them."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vultus.draw import _place, caption, draw_faces, pose_axes
from vultus.types import FACE, empty_faces


def face(**fields: Any) -> Any:
    faces = empty_faces(1)
    for name, value in fields.items():
        faces[name][0] = value
    return faces


def grey(width: int = 200, height: int = 160) -> Any:
    return np.full((height, width, 3), 128, np.uint8)


BOX = (60, 60, 120, 130)
POINTS = ((75, 85), (105, 85), (90, 100), (80, 115), (100, 115))


def changed(faces: Any, picture: Any = None) -> Any:
    """Return where drawing changes a grey picture."""
    picture = grey() if picture is None else picture
    return (draw_faces(picture, faces) != picture).any(axis=2)


@pytest.mark.parametrize(
    ("faces", "places", "untouched"),
    [
        (face(box=BOX), [(60, 60), (120, 130), (60, 100), (90, 130)], [(90, 100), (10, 10)]),
        (face(points=POINTS), [*POINTS], [(60, 60), (90, 90)]),
        (face(box=BOX, landmarks=np.full((68, 2), (70, 70))), [(70, 70)], [(90, 100)]),
        (face(box=(60, 60, 80, 80), landmarks=np.full((68, 2), (70, 70))), [(60, 60)], [(70, 70)]),
        (face(box=BOX, points=POINTS, pose=(0, 0, 0)), [(90, 80), (110, 100)], [(70, 105)]),
    ],
)
def test_what_was_measured_is_drawn_where_it_lies(faces: Any, places: Any, untouched: Any) -> None:
    where = changed(faces)
    assert [bool(where[y, x]) for x, y in places] == [True] * len(places)
    assert [bool(where[y, x]) for x, y in untouched] == [False] * len(untouched)


def test_the_picture_itself_is_not_touched() -> None:
    picture = grey()
    drawn = draw_faces(picture, face(box=BOX, score=0.9))
    assert (picture == 128).all()
    assert drawn.shape == picture.shape
    np.testing.assert_array_equal(draw_faces(picture[:, ::-1], empty_faces()), picture[:, ::-1])


def test_nothing_measured_draws_nothing() -> None:
    assert not changed(empty_faces(3)).any()


@pytest.mark.parametrize(
    ("fields", "lines"),
    [
        ({}, []),
        ({"score": 0.97}, ["0.97"]),
        ({"score": 0.9, "age": 33.6}, ["34"]),
        ({"gender": (0.8, 0.2), "age": 33.6, "track": 12}, ["#12, female, 34"]),
        ({"gender": (0.2, 0.8), "expression": np.eye(7)[3]}, ["male", "happy"]),
        ({"ethnicity": np.eye(5)[2], "eyeglasses": 0.9}, ["asian", "glasses"]),
        ({"age": 5, "eyeglasses": 0.1, "facial_hair": (0.9, 0.1, 0.6, 0.2, 0.5)}, ["5", "beard, goatee"]),
    ],
)
def test_captions_say_what_is_known(fields: dict[str, Any], lines: list[str]) -> None:
    assert caption(face(**fields)[0]) == lines


@pytest.mark.parametrize("size", [(200, 160), (640, 480), (1600, 1200)])
@pytest.mark.parametrize(
    "place", [(0.0, 0.0), (0.85, 0.0), (0.0, 0.85), (0.85, 0.85), (-0.1, 0.4), (0.95, 0.5)]
)
def test_captions_are_drawn_and_grow_with_the_picture(size: tuple[int, int], place: Any) -> None:
    """A caption darkens its ground, which nothing else does, so its area can be measured."""
    x, y = place[0] * size[0], place[1] * size[1]
    box = (x, y, x + 0.15 * size[0], y + 0.15 * size[1])
    drawn = draw_faces(grey(*size), face(box=box, age=33, gender=(1, 0)))
    ground = (drawn < (70, 70, 70)).all(axis=2)
    rows, columns = np.nonzero(ground)
    height = np.ptp(rows) + 1
    assert height >= max(9, 0.015 * size[1])
    assert np.ptp(columns) + 1 > 2.5 * height
    assert int(drawn[rows.min() : rows.max(), columns.min() : columns.max()].max()) > 200


def test_captions_make_room_for_each_other() -> None:
    faces = np.concatenate([face(box=(60, 60, 120, 130), age=30), face(box=(64, 62, 124, 132), age=40)])
    grounds: Any = (draw_faces(grey(300, 200), faces) < (70, 70, 70)).all(axis=2)
    count, _, stats, _ = cv2.connectedComponentsWithStats(grounds.astype(np.uint8), connectivity=8)
    large = [area for area in stats[1:count, cv2.CC_STAT_AREA] if area > 60]
    assert len(large) == 2


@given(
    box=st.tuples(*[st.integers(-50, 300)] * 2, *[st.integers(0, 200)] * 2),
    width=st.integers(1, 180),
    height=st.integers(1, 100),
    taken=st.lists(st.tuples(*[st.integers(0, 200)] * 4), max_size=5),
)
def test_captions_stay_inside_the_picture(box: Any, width: int, height: int, taken: Any) -> None:
    corners = (box[0], box[1], box[0] + box[2], box[1] + box[3])
    x1, y1, x2, y2 = _place(corners, width, height, (180, 100), taken)
    assert 0 <= x1 < x2 <= 180
    assert 0 <= y1 < y2 <= 100
    assert (x2 - x1, y2 - y1) == (width, height)


WILD = st.floats(width=32)


@settings(max_examples=60, deadline=None)
@given(
    size=st.sampled_from([(1, 1), (1, 2), (2, 1), (7, 5), (40, 30), (500, 10), (10, 500)]),
    values=st.lists(WILD, min_size=20, max_size=20),
)
def test_no_record_and_no_size_breaks_a_drawing(size: tuple[int, int], values: list[float]) -> None:
    faces = empty_faces(2)
    with np.errstate(all="ignore"):
        for name in FACE.names or ():
            if name != "track":
                faces[name] = np.resize(np.array(values, np.float32), faces[name].shape)
        faces["box"][0] = (0, 0, size[0], size[1])
        drawn = draw_faces(grey(*size), faces)
    assert drawn.shape == (size[1], size[0], 3)


@pytest.mark.parametrize(
    ("pose", "axes"),
    [
        ((0, 0, 0), [(1, 0), (0, -1), (0, 0)]),
        ((90, 0, 0), [(0, 0), (0, -1), (1, 0)]),
        ((0, 90, 0), [(1, 0), (0, 0), (0, -1)]),
        ((0, 0, 90), [(0, 1), (1, 0), (0, 0)]),
        ((-45, 0, 0), [(0.7071, 0), (0, -1), (-0.7071, 0)]),
        ((90, 0, 90), [(0, 0), (1, 0), (0, 1)]),
    ],
)
def test_pose_axes_follow_the_signs_of_the_record(pose: Any, axes: Any) -> None:
    np.testing.assert_allclose(pose_axes(pose), axes, atol=1e-4)
