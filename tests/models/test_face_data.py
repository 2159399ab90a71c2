"""From picture sets to batches: cached crops are the runtime's crops, and labels follow every augmentation."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from picture_sets import labelled_landmarks, labelled_points, write_set
from vultus.geometry import apply_affine, similarity_from_points, template_points
from vultus.preprocess import crops
from vultus_models.data.sets import open_set
from vultus_models.face.augment import Jitter, jittered_affines, mirrored
from vultus_models.face.cache import CROP, FACES, MARGIN, SIDE, Crops, build_set, open_crops, points_for
from vultus_models.face.data import Sampler, plain_batches, plain_pictures, weights_of
from vultus_models.face.evaluation import prepared, val_indices
from vultus_models.face.heads import spec
from vultus_models.face.labels import five_from_68, held_out, label_of, true_points
from vultus_models.face.surroundings import backgrounds, framed
from vultus_models.teachers.yunet import Found

NOTHING = Found(np.zeros((0, 4)), np.zeros((0, 5, 2)), np.zeros(0))
MARKED = np.array([2] * 36 + [0] * 6 + [1] * 6 + [3] + [2] * 5 + [4] + [2] * 13)
"""Which of five points stands for each landmark, so that the five points of the landmarks are these."""

SCENES = np.full((1, SIDE, SIDE, 3), 40, np.uint8)


def face_points(rng: np.random.Generator) -> np.ndarray:
    """Five points of a face somewhere in a picture of 200 px."""
    turn, size = rng.uniform(-0.5, 0.5), rng.uniform(80, 140)
    cos, sin = size / 112 * np.cos(turn), size / 112 * np.sin(turn)
    place = rng.uniform(30, 60, 2)
    return apply_affine([[cos, -sin, place[0]], [sin, cos, place[1]]], template_points(112))


def spots(points: np.ndarray, side: int = 200) -> np.ndarray:
    """A grey picture with a white spot at every point."""
    picture = np.full((side, side, 3), 90, np.uint8)
    for x, y in points:
        cv2.circle(picture, (round(x), round(y)), 4, (255, 255, 255), -1)
    return picture


def find_nothing(bgr: np.ndarray) -> Found:
    """A detector that misses every face."""
    return NOTHING


@pytest.fixture(scope="module")
def cached(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A folder of two small sets and their cache."""
    data, cache = tmp_path_factory.mktemp("data"), tmp_path_factory.mktemp("cache")
    rng = np.random.default_rng(0)
    common = {"gender": "male", "smile": 1, "glasses": 0, "pose": 3}
    places = [face_points(rng) for _ in range(40)]
    write_set(data, "mtfl", [(spots(p), {**labelled_points(p), **common}) for p in places], "train")
    marks = [p[MARKED] for p in places]
    write_set(data, "landmarks68", [(spots(m), labelled_landmarks(m)) for m in marks], "train")
    write_set(data, "scenes", [(np.full((50, 70, 3), 7, np.uint8), {})], "train")
    for name in ("mtfl", "landmarks68"):
        build_set(data, name, cache, find_nothing)
    return data, cache


def test_the_middle_of_a_cached_crop_is_what_the_runtime_cuts(cached: tuple[Path, Path]) -> None:
    data, cache = cached
    source, stored = open_set(data, "mtfl"), open_crops(cache, "mtfl")
    for index, row in enumerate(source.of("train")[:5]):
        true = true_points("mtfl", row)
        assert true is not None
        affine = similarity_from_points(true[0][None], template_points(CROP))
        expected = crops(source.picture(row), affine, spec({}).input)
        middle = stored.pictures[index : index + 1, MARGIN : MARGIN + CROP, MARGIN : MARGIN + CROP]
        assert np.abs(prepared(torch.from_numpy(middle.copy())).numpy() - expected).mean() < 1 / 128


def test_labels_lie_where_the_cache_says(cached: tuple[Path, Path]) -> None:
    stored = open_crops(cached[1], "mtfl")
    for picture, face in zip(stored.pictures, stored.faces, strict=True):
        for x, y in face["five"]:
            assert picture[round(float(y)), round(float(x))].mean() > 200


@pytest.mark.parametrize("name", ["mtfl", "landmarks68"])
def test_labels_follow_jitter_and_mirror(cached: tuple[Path, Path], name: str) -> None:
    sampler = Sampler([open_crops(cached[1], name)], [1.0], SCENES)
    for seed in range(3):
        batch = sampler.batch(np.random.default_rng(seed), 16)
        for image, five in zip(batch["image"].numpy(), batch["five"].numpy(), strict=True):
            pixels = (five + 0.5) * CROP - 0.5
            bright = [image[round(float(y)), round(float(x))].mean() - np.median(image) for x, y in pixels]
            assert np.median(bright) > 10


def test_landmarks_and_five_points_agree_after_augmentation(cached: tuple[Path, Path]) -> None:
    batch = Sampler([open_crops(cached[1], "landmarks68")], [1.0], SCENES).batch(np.random.default_rng(0), 32)
    expected = five_from_68(batch["landmarks"].numpy())
    np.testing.assert_allclose(batch["five"].numpy(), expected, atol=1e-5)


def test_a_seed_gives_one_batch(cached: tuple[Path, Path]) -> None:
    sampler = Sampler([open_crops(cached[1], "mtfl")], [1.0], SCENES)
    one, two, other = (sampler.batch(np.random.default_rng(seed), 8) for seed in (5, 5, 6))
    assert all(torch.equal(one[name].nan_to_num(), two[name].nan_to_num()) for name in one)
    assert not torch.equal(one["image"], other["image"])


@pytest.mark.parametrize(("sound", "expected"), [(0.0, 0), (1.0, 24)])
def test_sound_pictures_keep_their_pixels(cached: tuple[Path, Path], sound: float, expected: int) -> None:
    stored = open_crops(cached[1], "mtfl")
    still = Jitter(untouched=1.0, sound=sound)
    batch = Sampler([stored], [1.0], SCENES, still).batch(np.random.default_rng(2), 24)["image"].numpy()
    plain = plain_pictures(stored, np.arange(len(stored.faces)))
    every = np.concatenate([plain, plain[:, :, ::-1]])
    assert sum(any(np.array_equal(one, crop) for crop in every) for one in batch) == expected


@pytest.mark.parametrize(("name", "share"), [("sound", 60.0), ("untouched", -0.1), ("sound", float("nan"))])
def test_what_is_no_share_is_refused(name: str, share: float) -> None:
    with pytest.raises(ValueError, match=rf"{name} = \S+ is no share of the faces; give 0 to 1"):
        Jitter(**{name: share})


def test_faces_kept_for_validation_are_never_drawn(cached: tuple[Path, Path]) -> None:
    stored = open_crops(cached[1], "landmarks68")
    kept = stored.faces["val"]
    assert 0 < kept.sum() < len(kept)
    assert set(val_indices(stored)) == set(np.flatnonzero(kept))
    gain = np.diff(weights_of(stored), prepend=0.0)
    assert (gain[kept] == 0).all()
    assert (gain[~kept] > 0).all()
    assert weights_of(stored)[-1] == 1.0


def test_rare_classes_are_drawn_more_often() -> None:
    faces = np.zeros(100, FACES)
    faces["labels"]["age"] = np.nan
    faces["labels"]["expression"] = [0] * 90 + [1] * 10
    many = Crops("fer2013", np.zeros((100, 1, 1, 3), np.uint8), faces, np.zeros((100, 3), np.float32))
    gain = np.diff(weights_of(many), prepend=0.0)
    assert gain[-1] == pytest.approx(3 * gain[0])


def test_only_the_evened_labels_count() -> None:
    faces = np.zeros(100, FACES)
    faces["labels"]["age"] = [30] * 90 + [2] * 10
    faces["labels"]["ethnicity"] = [0] * 50 + [1] * 50
    many = Crops("utkface", np.zeros((100, 1, 1, 3), np.uint8), faces, np.zeros((100, 3), np.float32))
    for evened, ratio in (((), 1), (("age",), 3), (("ethnicity", "expression", "profile"), 1)):
        gain = np.diff(weights_of(many, evened), prepend=0.0)
        assert gain[-1] == pytest.approx(ratio * gain[0])


def test_an_unknown_evened_label_is_refused() -> None:
    empty = Crops("mtfl", np.zeros((1, 1, 1, 3), np.uint8), np.zeros(1, FACES), np.zeros((1, 3), np.float32))
    with pytest.raises(ValueError, match="not evened by 'height'; name some of age, ethnicity"):
        Sampler([empty], [1.0], SCENES, evened=["height"])


def test_pose_turns_with_the_crop_and_its_mirror(cached: tuple[Path, Path]) -> None:
    stored = open_crops(cached[1], "mtfl")
    posed = Crops("mtfl", stored.pictures, stored.faces, np.tile(np.array([30, 10, 0], np.float32), (40, 1)))
    batch = Sampler([posed], [1.0], SCENES).batch(np.random.default_rng(1), 64)
    yaw, pitch, roll = (batch["pose"] * 90).T.numpy()
    assert set(yaw.round(3)) == {30.0, -30.0}
    assert pitch == pytest.approx(np.full(64, 10.0), abs=1e-4)
    eyes = (batch["five"][:, 1] - batch["five"][:, 0]).numpy()
    seen = np.degrees(np.arctan2(eyes[:, 1], eyes[:, 0]))
    assert np.abs(roll - seen).max() < 1.0


def test_a_plain_batch_is_the_untouched_middle(cached: tuple[Path, Path]) -> None:
    stored = open_crops(cached[1], "mtfl")
    (batch,) = plain_batches(stored, np.array([3, 1]), 10)
    middle = stored.pictures[[3, 1], MARGIN : MARGIN + CROP, MARGIN : MARGIN + CROP]
    np.testing.assert_array_equal(batch["image"].numpy(), middle)
    expected = (stored.faces["five"][[3, 1]] - MARGIN + 0.5) / CROP - 0.5
    np.testing.assert_allclose(batch["five"].numpy(), expected, atol=1e-5)


def test_jitter_stays_within_its_bounds() -> None:
    points = np.tile(template_points(CROP) + MARGIN, (500, 1, 1))
    jitter = Jitter(points=0.0, untouched=0.0)
    affines = jittered_affines(points, np.full_like(points, np.nan), jitter, np.random.default_rng(0))
    size = np.sqrt(np.linalg.det(affines[:, :, :2]))
    turn = np.degrees(np.arctan2(affines[:, 1, 0], affines[:, 0, 0]))
    centre = apply_affine(affines, np.full((500, 2), (CROP - 1) / 2 + MARGIN)) - (CROP - 1) / 2
    assert 0.88 <= size.min() < 0.9 < 1.1 < size.max() <= 1.12
    assert 10 < np.abs(turn).max() <= 15.001
    assert 0.045 < np.abs(centre).max() / CROP <= 0.0501


def test_a_mirrored_affine_cuts_the_mirror_image() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), np.uint8)
    affine = np.array([[[1.0, 0.0, -20.0], [0.0, 1.0, -10.0]]])
    plain, other = (cv2.warpAffine(picture, a[0], (CROP, CROP)) for a in (affine, mirrored(affine)))
    np.testing.assert_array_equal(plain[:, ::-1], other)


def test_padding_is_filled_and_the_face_is_left_alone() -> None:
    crop = np.full((CROP, CROP, 3), 128, np.uint8)
    crop[30:80, 30:80] = np.random.default_rng(0).integers(126, 131, (50, 50, 1))
    filled = [framed(crop, SCENES, np.random.default_rng(seed)) for seed in range(30)]
    changed = [one for one in filled if (one == 40).any()]
    assert 10 < len(changed) < 28
    assert all((one[34:76, 34:76] == crop[34:76, 34:76]).all() for one in changed if (one[0] == 40).all())


def test_backgrounds_come_from_the_scenes_or_are_plain(cached: tuple[Path, Path], tmp_path: Path) -> None:
    assert (backgrounds(cached[0]) == 7).all()
    assert (backgrounds(tmp_path) == 128).all()


LABELS = [
    (
        "utkface",
        {"age": "118", "gender": "female", "ethnicity": "others"},
        {"age": 100, "gender": 0, "ethnicity": 4},
    ),
    ("fer2013", {"expression": "surprise"}, {"expression": 6, "gender": -1}),
    (
        "mebeauty",
        {"gender": "male", "ethnicity": "caucasian", "score_1_10": "5.5"},
        {"ethnicity": 0, "attractiveness": 0.5},
    ),
    (
        "mebeauty",
        {"gender": "male", "ethnicity": "mideastern", "score_1_10": "10"},
        {"ethnicity": 4, "attractiveness": 1},
    ),
    ("video68", {"clip": "a"}, {"gender": -1, "expression": -1, "profile": 0}),
]


@pytest.mark.parametrize(("name", "row", "expected"), LABELS)
def test_labels_mean_the_same_in_every_set(
    name: str, row: dict[str, str], expected: dict[str, float]
) -> None:
    label = label_of(name, row)
    for field, value in expected.items():
        assert label[field] == pytest.approx(value), field


def test_hair_of_celeba_comes_in_the_order_of_the_record() -> None:
    names = ("eyeglasses", "smiling", "male", "attractive", "mustache", "goatee", "sideburns", "five_oclock")
    row = {**dict.fromkeys(names, "0"), "no_beard": "0", "sideburns": "1"}
    assert label_of("celeba", row)["facial_hair"].tolist() == [1, 0, 0, 1, 0]


def test_clips_are_held_out_whole() -> None:
    clips = [f"clip{k}" for k in range(400)]
    kept = {clip for clip in clips if held_out("video68", {"clip": clip, "file": "0"})}
    assert 10 < len(kept) < 70
    assert all(held_out("video68", {"clip": clip, "file": "77"}) == (clip in kept) for clip in clips)
    assert not held_out("utkface", {"file": "00001.webp"})


def test_the_detected_face_must_match_the_labelled_one() -> None:
    true = face_points(np.random.default_rng(1))
    near, far = true + 1, true + 60
    box = np.array([[0, 0, 50, 50.0]] * 2)
    picture = np.zeros((200, 200, 3), np.uint8)
    both = Found(box, np.stack([far, near]), np.array([0.9, 0.8]))
    np.testing.assert_array_equal(points_for(picture, both, true)[0], near)
    points, detected = points_for(picture, Found(box[:1], far[None], np.array([0.9])), true)
    assert not detected
    np.testing.assert_array_equal(points, true)


def test_without_labels_the_large_central_face_is_taken_and_else_the_whole_picture() -> None:
    picture = np.zeros((100, 200, 3), np.uint8)
    boxes = np.array([[0, 0, 30, 30], [80, 30, 130, 80.0]])
    found = Found(boxes, np.stack([np.full((5, 2), 1.0), np.full((5, 2), 2.0)]), np.array([0.9, 0.6]))
    assert points_for(picture, found, None)[0][0, 0] == 2.0
    points, detected = points_for(picture, NOTHING, None)
    assert not detected
    assert points.mean(axis=0) == pytest.approx([99.5, 56.5], abs=1.0)
