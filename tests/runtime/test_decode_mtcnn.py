"""What lies between MTCNN's networks: windows, moves, squares, crops and suppression, by cases worked by hand."""

from __future__ import annotations

import numpy as np
import pytest

from vultus.decode.mtcnn import (
    crop_ranges,
    frame_boxes,
    frame_points,
    moved,
    pyramid_scales,
    squared,
    suppress_inside,
    windows,
)
from vultus.errors import ModelError

NAMES = ("logit", "box")


def boxes(*rows: tuple[float, ...]) -> np.ndarray:
    return np.array(rows, np.float32).reshape(-1, 4)


@pytest.mark.parametrize(
    ("size", "smallest", "count"),
    [((640, 480), 20, 10), ((20, 20), 20, 1), ((19, 300), 20, 0), ((1, 2), 20, 0), ((48, 48), 24, 3)],
)
def test_a_pyramid_ends_where_the_window_fills_the_picture(
    size: tuple[int, int], smallest: int, count: int
) -> None:
    scales = pyramid_scales(*size, smallest, 0.709)
    assert len(scales) == count
    assert all(min(size) * scale >= 12 - 1e-9 for scale in scales)
    assert scales == sorted(scales, reverse=True)
    if scales:
        assert scales[0] == 12 / smallest
        assert min(size) * scales[-1] * 0.709 < 12


def test_windows_are_where_the_cells_say() -> None:
    logits = np.full((1, 1, 3, 4), -9, np.float32)
    logits[0, 0, 2, 1] = 2.0
    moves = np.arange(48, dtype=np.float32).reshape(1, 4, 3, 4)
    found, scores, moved_by = windows({"logit": logits, "box": moves}, NAMES, "m", 0.5, 0.6)
    # Row 2, column 1 covers level pixels 3-14 and 5-16 counted from 1, at half size.
    np.testing.assert_array_equal(found, boxes((6, 10, 28, 32)))
    np.testing.assert_allclose(scores, [1 / (1 + np.exp(-2.0))], rtol=1e-6)
    np.testing.assert_array_equal(moved_by, moves[0, :, 2, 1][None])


def test_a_broken_logit_is_no_window() -> None:
    logits = np.array([np.nan, np.inf, -np.inf, 0.0], np.float32).reshape(1, 1, 2, 2)
    found, scores, _ = windows(
        {"logit": logits, "box": np.zeros((1, 4, 2, 2), np.float32)}, NAMES, "m", 1, 0.6
    )
    assert len(found) == 1
    assert scores[0] == 1.0


def test_maps_that_do_not_belong_together_are_refused() -> None:
    outputs = {"logit": np.zeros((1, 1, 2, 2), np.float32), "box": np.zeros((1, 4, 2, 3), np.float32)}
    with pytest.raises(ModelError, match=r"output 'box' of model 'm' has shape \(1, 4, 2, 3\)"):
        windows(outputs, NAMES, "m", 1.0, 0.6)


def test_moves_are_shares_of_the_sides() -> None:
    box, move = boxes((1, 11, 10, 30)), boxes((0.1, -0.5, 0, 1))
    np.testing.assert_allclose(moved(box, move), boxes((2, 1, 10, 50)))
    np.testing.assert_allclose(moved(box, move, whole=0), boxes((1.9, 1.5, 10, 49)), rtol=1e-6)


def test_squares_keep_the_centre() -> None:
    wide_and_tall = boxes((0, 10, 20, 20), (5, 0, 7, 8), (1, 1, 4, 4))
    np.testing.assert_allclose(squared(wide_and_tall), boxes((0, 5, 20, 25), (2, 0, 10, 8), (1, 1, 4, 4)))


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        ((1, 1, 8, 6), (0, 0, 8, 6)),
        ((2.9, 1.2, 3.9, 3.1), (1, 0, 3, 3)),
        ((-7, -3, 99, 99), (0, 0, 8, 6)),
        ((8, 6, 8, 6), (7, 5, 8, 6)),
        ((1e30, 1, 2e30, 2), (8, 0, 8, 2)),
    ],
)
def test_crops_stay_in_the_picture(box: tuple[float, ...], expected: tuple[int, ...]) -> None:
    assert crop_ranges(boxes(box), 8, 6).tolist() == [list(expected)]


@pytest.mark.parametrize("box", [(-9, 1, 0, 4), (9, 1, 20, 4), (1, -5, 4, 0), (1, 7, 4, 9)])
def test_a_box_outside_has_an_empty_range(box: tuple[float, ...]) -> None:
    first_x, first_y, past_x, past_y = crop_ranges(boxes(box), 8, 6)[0]
    assert first_x >= past_x or first_y >= past_y


def test_a_face_within_a_face_falls() -> None:
    rows = boxes((1, 1, 100, 100), (40, 40, 60, 60), (90, 90, 120, 120), (1, 1, 100, 100))
    scores = np.array([0.8, 0.9, 0.7, 0.6], np.float32)
    # The small box comes first and strikes the large one, of which it holds only a little, but all of itself.
    assert suppress_inside(rows, scores, 0.7).tolist() == [1, 2]
    assert suppress_inside(rows[:0], scores[:0], 0.7).tolist() == []


def test_pixels_counted_from_one_become_frame_pixels() -> None:
    box = boxes((1, 1, 10, 20))  # the first ten columns and twenty rows
    np.testing.assert_array_equal(frame_boxes(box), boxes((-0.5, -0.5, 9.5, 19.5)))
    points = frame_points(box, np.tile([0.5, 0.25], 5)[None])
    np.testing.assert_allclose(points, np.tile([5.0, 5.0], (1, 5, 1)))
