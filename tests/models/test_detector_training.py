"""What the detector learns from: labels, mosaics, targets and losses."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vultus.decode.anchors import decode_values
from vultus.geometry import box_iou
from vultus.spec import DetectorSpec
from vultus_models.detector.augment import disturb, paste_small, wear_masks
from vultus_models.detector.labels import Labels, crowds_boxes, labels_of
from vultus_models.detector.loss import boxes_from_values, detector_loss, diou, gathered
from vultus_models.detector.mosaic import Canvas, compose, cut
from vultus_models.detector.network import LEVELS, network
from vultus_models.detector.targets import FACE, IGNORED, all_anchors, targets_of
from vultus_models.teachers.fuse import fused, mirrored_points
from vultus_models.teachers.retinaface import Candidates

DETECTOR = DetectorSpec("anchors", LEVELS)
SPOTS = np.array([[0.3, 0.3], [0.7, 0.3], [0.5, 0.55], [0.35, 0.8], [0.65, 0.8]])


def labels(*boxes: tuple[float, float, float, float], sure: bool = True) -> Labels:
    b = np.array(boxes, np.float64).reshape(-1, 4)
    points = b[:, None, :2] + SPOTS * (b[:, None, 2:] - b[:, None, :2])
    return Labels(b, points, np.full(len(b), sure))


def seen(score: float, *boxes: tuple[float, float, float, float]) -> Candidates:
    made = labels(*boxes)
    return Candidates(made.boxes, made.points, np.full(len(boxes), score))


def draw_face(rng: np.random.Generator) -> tuple[np.ndarray, Labels]:
    """A grey picture with one face: a white box whose eyes are black, so that labels can be seen in pixels."""
    width, height = (int(v) for v in rng.integers(90, 200, 2))
    left, top = rng.integers(5, 25, 2)
    made = labels((left, top, left + 50, top + 60))
    pixels = np.full((height, width, 3), 100, np.uint8)
    pixels[top : top + 60, left : left + 50] = 255
    return pixels, made


# --- labels


def test_the_teachers_boxes_lose_the_forehead() -> None:
    np.testing.assert_allclose(crowds_boxes(np.array([[0.0, 0, 100, 100]])), [[1, 18, 103, 108]])


@pytest.mark.parametrize(("score", "kept", "sure"), [(0.9, 1, 1), (0.5, 1, 0), (0.1, 0, 0)])
def test_a_doubtful_face_is_ignored_and_a_bad_one_forgotten(score: float, kept: int, sure: int) -> None:
    made = labels_of({"file": "a"}, seen(score, (10, 10, 50, 60)))
    assert (len(made.boxes), int(made.sure.sum())) == (kept, sure)


def test_true_points_replace_the_teachers_and_confirm_its_face() -> None:
    candidates = seen(0.3, (10, 10, 50, 60), (100, 10, 140, 60))
    truth = candidates.points[1] + 1.5
    names = ("leye", "reye", "nose", "lmouth", "rmouth")
    row = {f"{name}_{axis}": str(truth[i, k]) for i, name in enumerate(names) for k, axis in enumerate("xy")}
    made = labels_of(row, candidates)
    assert made.sure.tolist() == [False, True]
    np.testing.assert_allclose(made.points[1], truth)


def test_a_true_face_that_the_teacher_missed_is_ignored_not_denied() -> None:
    truth = labels((10, 10, 50, 60)).points[0]
    row = {f"{axis}{i}": str(truth[2, k]) for i in range(68) for k, axis in enumerate("xy")}
    row |= {f"{axis}{i}": str(truth[0, k]) for i in range(36, 42) for k, axis in enumerate("xy")}
    row |= {f"{axis}48": str(truth[3, k]) for k, axis in enumerate("xy")}
    made = labels_of(row, seen(0.9, (200, 200, 240, 260)))
    assert made.sure.tolist() == [True, False]
    assert (made.boxes[1, :2] < truth[2]).all()
    assert (made.boxes[1, 2:] > truth[2]).all()


def test_true_boxes_keep_their_edges_and_take_the_teachers_points() -> None:
    teacher = seen(0.95, (10, 10, 50, 60), (100, 10, 140, 60))
    x1, y1, x2, y2 = (round(float(v)) for v in crowds_boxes(teacher.boxes)[0])
    made = labels_of({"boxes": f"{x1} {y1} {x2} {y2} mask;300 10 320 30 no_mask"}, teacher)
    assert made.boxes[:2].tolist() == [[x1, y1, x2, y2], [300, 10, 320, 30]]
    assert made.sure.tolist() == [True, True, True]
    np.testing.assert_allclose(made.points[0], teacher.points[0])
    assert np.isnan(made.points[1]).all()


def test_looks_vote() -> None:
    half_seen = [seen(0.9, (10, 10, 50, 60)), seen(0.9), seen(0.9), seen(0.9)]
    both = [seen(0.9, (10, 10, 50, 60)), seen(0.6, (12, 10, 52, 60))]
    assert fused(half_seen).scores.tolist() == [0.45]
    joint = fused(both)
    np.testing.assert_allclose(joint.boxes, [[10.8, 10, 50.8, 60]])
    np.testing.assert_allclose(joint.scores, [0.9])
    assert len(fused([seen(0.5)]).scores) == 0


# --- mosaics


def test_mirrored_points_keep_the_picture_order_and_mirror_back() -> None:
    points = labels((10, 10, 50, 60)).points
    mirrored = mirrored_points(points, 101)
    assert mirrored[0, 0, 0] < mirrored[0, 1, 0]
    assert mirrored[0, 3, 0] < mirrored[0, 4, 0]
    np.testing.assert_allclose(mirrored_points(mirrored, 101), points)


def test_a_cut_moves_labels_with_the_pixels() -> None:
    pixels = np.zeros((80, 100, 3), np.uint8)
    pixels[20:50, 30:60] = 255
    tile = cut(
        np.random.default_rng(0), pixels, labels((29.5, 19.5, 59.5, 49.5)), (20, 10, 60, 60), (120, 120)
    )
    columns = np.flatnonzero(tile.pixels[60, :, 0] > 127)
    rows = np.flatnonzero(tile.pixels[:, 60, 0] > 127)
    edges = [columns[0] - 0.5, rows[0] - 0.5, columns[-1] + 0.5, rows[-1] + 0.5]
    np.testing.assert_allclose(tile.labels.boxes, [edges], atol=1e-9)


def test_a_turned_cut_turns_the_points() -> None:
    pixels = np.zeros((101, 101, 3), np.uint8)
    face = labels((30, 30, 70, 70))
    for x, y in face.points[0]:
        pixels[round(y) - 1 : round(y) + 2, round(x) - 1 : round(x) + 2] = 255
    tile = cut(np.random.default_rng(0), pixels, face, (0, 0, 101, 101), (101, 101), 20.0)
    for x, y in tile.labels.points[0]:
        assert tile.pixels[round(y), round(x), 0] > 127


@pytest.mark.parametrize(
    ("left", "count", "sure"), [(0, 1, True), (40, 1, False), (58, 0, False)], ids=["whole", "half", "gone"]
)
def test_what_hardly_shows_is_no_face(left: int, count: int, sure: bool) -> None:
    tile = cut(np.random.default_rng(0), np.zeros((80, 160, 3), np.uint8), labels((20, 20, 60, 60)),
               (left, 0, 80, 80), (80, 80))  # fmt: skip
    assert len(tile.labels.boxes) == count
    assert tile.labels.sure.tolist() == [sure] * count


def test_a_face_that_became_tiny_is_ignored() -> None:
    tile = cut(
        np.random.default_rng(0),
        np.zeros((80, 80, 3), np.uint8),
        labels((20, 20, 60, 60)),
        (0, 0, 80, 80),
        (10, 10),
    )
    assert tile.labels.sure.tolist() == [False]


@given(st.integers(0, 10_000))
@settings(max_examples=30, deadline=None)
def test_mosaics_hold_their_labels_inside(seed: int) -> None:
    rng = np.random.default_rng(seed)
    canvas = paste_small(rng, wear_masks(rng, compose(rng, draw_face, 128)), draw_face, 3)
    made = canvas.labels
    assert canvas.pixels.shape == (128, 128, 3)
    assert len(made.boxes) == len(made.points) == len(made.sure)
    assert (made.boxes >= -0.51).all()
    assert (made.boxes <= 127.51).all()
    assert disturb(rng, canvas.pixels).shape == (128, 128, 3)


def test_the_same_seed_makes_the_same_mosaic() -> None:
    one, two = (compose(np.random.default_rng(5), draw_face, 96) for _ in range(2))
    np.testing.assert_array_equal(one.pixels, two.pixels)
    np.testing.assert_array_equal(one.labels.boxes, two.labels.boxes)


# --- targets


@given(st.floats(8, 240), st.floats(0.6, 1.4), st.floats(0, 200), st.floats(0, 200))
@settings(max_examples=200, deadline=None)
def test_every_face_finds_anchors_that_decode_to_it(size: float, aspect: float, x: float, y: float) -> None:
    box = (x, y, x + size, y + size * aspect)
    made = targets_of(labels(box), DETECTOR, 256, 256)
    anchors = all_anchors(DETECTOR, 256, 256)
    assert len(made.where) >= 1
    assert (made.state[made.where] == FACE).all()
    boxes, _ = decode_values(made.values, anchors[made.where], DETECTOR.variances)
    np.testing.assert_allclose(boxes, np.tile(box, (len(boxes), 1)), atol=1e-2)


def test_an_anchor_serves_the_face_that_it_overlaps_most() -> None:
    both = labels((20, 20, 60, 60), (36, 24, 76, 64))
    made = targets_of(both, DETECTOR, 128, 128)
    anchors = all_anchors(DETECTOR, 128, 128)[made.where]
    half = anchors[:, 2:] / 2
    squares = np.concatenate([anchors[:, :2] - half, anchors[:, :2] + half], axis=1)
    overlap = box_iou(squares, both.boxes)
    chosen = np.array([int(np.flatnonzero((both.boxes == b).all(axis=1))[0]) for b in made.boxes])
    assert set(chosen) == {0, 1}
    contested = (overlap >= 0.45).all(axis=1)
    assert (chosen[contested] == overlap[contested].argmax(axis=1)).all()


def test_doubtful_regions_silence_anchors_but_not_faces() -> None:
    doubt, face = labels((0, 0, 100, 100), sure=False), labels((30, 30, 50, 50))
    both = Labels(
        *(np.concatenate(pair) for pair in zip(vars(doubt).values(), vars(face).values(), strict=True))
    )
    made = targets_of(both, DETECTOR, 128, 128)
    anchors = all_anchors(DETECTOR, 128, 128)
    inside = (anchors[:, 2] <= 20) & (anchors[:, :2] > 20).all(axis=1) & (anchors[:, :2] < 80).all(axis=1)
    assert (made.state[inside] != 0).all()
    assert len(made.where) > 0
    far = (anchors[:, 2] <= 20) & (anchors[:, 0] > 115)
    assert (made.state[far] == 0).all()


def test_a_picture_without_faces_asks_for_nothing() -> None:
    made = targets_of(labels(), DETECTOR, 64, 96)
    assert not made.state.any()
    assert len(made.where) == 0


# --- losses


def batch_of(one: Labels, side: int) -> dict[str, torch.Tensor]:
    made = targets_of(one, DETECTOR, side, side)
    return {
        "state": torch.from_numpy(made.state)[None],
        "picture": torch.zeros(len(made.where), dtype=torch.long),
        "anchor": torch.from_numpy(made.where),
        "anchors": torch.from_numpy(all_anchors(DETECTOR, side, side)[made.where]),
        "boxes": torch.from_numpy(made.boxes),
        "values": torch.from_numpy(made.values),
    }


def test_torch_and_the_runtime_decode_alike() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(0, 2, (50, 14)).astype(np.float32)
    anchors = rng.uniform(8, 300, (50, 3)).astype(np.float32)
    ours = boxes_from_values(torch.from_numpy(values[:, :4]), torch.from_numpy(anchors), (0.1, 0.2))
    np.testing.assert_allclose(ours, decode_values(values, anchors, (0.1, 0.2))[0], rtol=1e-4, atol=1e-3)


def test_distance_iou_of_known_boxes() -> None:
    first = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 10]])
    second = torch.tensor([[0.0, 0, 10, 10], [10, 0, 20, 10]])
    iou, distance = diou(first, second)
    assert iou.tolist() == [1, 0]
    np.testing.assert_allclose(distance, [1, -100 / 500])


def test_maps_that_hold_the_truth_cost_next_to_nothing() -> None:
    side, batch = 64, batch_of(labels((10, 12, 40, 50)), 64)
    n = batch["state"].shape[1]
    flat = torch.zeros(n, 15)
    flat[:, 0] = -12
    flat[batch["anchor"], 0] = 12
    flat[batch["anchor"], 1:] = batch["values"]
    maps, start = [], 0
    for level in DETECTOR.levels:
        cells = side // level.stride
        count = sum(d * d for d in level.densities)
        part = flat[start : start + count * cells * cells].reshape(count, cells, cells, 15)
        maps.append(part.permute(0, 3, 1, 2).reshape(1, count * 15, cells, cells))
        start += count * cells * cells
    loss, parts = detector_loss(tuple(maps), batch, DETECTOR.variances)
    assert float(loss) < 1e-3
    logits, _ = gathered(tuple(maps))
    np.testing.assert_array_equal(logits[0], flat[:, 0])
    maps[0] = maps[0] + 5
    assert float(detector_loss(tuple(maps), batch, DETECTOR.variances)[0]) > float(loss) + 0.1
    assert set(parts) == {"score", "box", "point"}


def test_ignored_anchors_and_unknown_points_cost_nothing() -> None:
    torch.manual_seed(0)
    with torch.no_grad():
        maps = network({}).eval()(torch.randn(1, 3, 64, 64))
    batch = batch_of(labels((10, 12, 40, 50)), 64)
    batch["values"][:, 4:] = torch.nan
    silent = {**batch, "state": torch.where(batch["state"] == FACE, FACE, IGNORED)}
    loss, parts = detector_loss(maps, batch, DETECTOR.variances)
    quiet, _ = detector_loss(maps, silent, DETECTOR.variances)
    assert parts["point"] == 0
    assert torch.isfinite(loss)
    assert float(quiet) < float(loss)


def test_a_batch_without_faces_still_teaches_that_there_are_none() -> None:
    model = network({}).train()
    loss, _ = detector_loss(
        model(torch.randn(2, 3, 64, 64)), _doubled(batch_of(labels(), 64)), DETECTOR.variances
    )
    loss.backward()  # type: ignore[no-untyped-call]
    assert loss.item() > 0
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)


def _doubled(batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {**batch, "state": batch["state"].repeat(2, 1)}


def test_a_few_steps_teach_a_small_network_one_face() -> None:
    torch.manual_seed(0)
    side, one = 64, labels((10, 12, 40, 50))
    pixels = torch.randn(1, 3, side, side)
    model, batch = network({}).train(), batch_of(one, side)
    optimiser = torch.optim.AdamW(model.parameters(), lr=3e-3)
    losses = []
    for _ in range(30):
        loss, _ = detector_loss(model(pixels), batch, DETECTOR.variances)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.35 * losses[0]


def test_masks_cover_mouths_and_leave_labels_alone() -> None:
    face = labels(*[(10, 10, 90, 100)] * 40)
    canvas = Canvas(np.zeros((128, 128, 3), np.uint8), face)
    worn = wear_masks(np.random.default_rng(0), canvas)
    assert worn.pixels[80, 50].any()
    assert not worn.pixels[15, 50].any()
    assert worn.labels is face
