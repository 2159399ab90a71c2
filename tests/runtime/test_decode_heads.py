"""Face-network outputs to record fields: every kind of head, odd orders, turned crops, broken outputs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vultus.decode.heads import check_heads, decode_into, group_age, output_width, softmax
from vultus.errors import ModelError, SpecError
from vultus.geometry import apply_affine, similarity_from_points
from vultus.spec import Head, InputSpec, ModelSpec
from vultus.types import ATTRIBUTES, ETHNICITIES, EXPRESSIONS, FACE, FACIAL_HAIR, GENDERS, empty_faces

HEADS = (
    Head("marks", "landmarks", "landmarks", count=68),
    Head("angles", "euler", "pose"),
    Head("years", "group_age", "age", first=0, count=101, group=11),
    Head("gender", "softmax", "gender", GENDERS),
    Head("ethnicity", "softmax", "ethnicity", ETHNICITIES),
    Head("expression", "softmax", "expression", EXPRESSIONS),
    Head("smile", "percent", "smile"),
    Head("beauty", "percent", "attractiveness"),
    Head("glasses", "sigmoid", "eyeglasses", ("eyeglasses",)),
    Head("hair", "sigmoid", "facial_hair", FACIAL_HAIR),
    Head("fitness", "sigmoid", "quality", ("quality",)),
)
SPEC = ModelSpec("test-face", "1", "face", InputSpec("image", 112, 112), heads=HEADS)
Outputs = dict[str, np.ndarray]


def random_outputs(count: int, seed: int = 0, spec: ModelSpec = SPEC) -> Outputs:
    """Plausible raw outputs for every head."""
    rng = np.random.default_rng(seed)
    return {h.output: rng.normal(0, 0.3, (count, output_width(h))).astype(np.float32) for h in spec.heads}


def turns(count: int, seed: int = 1) -> np.ndarray:
    """Random similarities frame -> crop."""
    rng = np.random.default_rng(seed)
    angle, scale = rng.uniform(-3, 3, count), rng.uniform(0.2, 3, count)
    cos, sin = scale * np.cos(angle), scale * np.sin(angle)
    shift = rng.uniform(-50, 50, (count, 2))
    return np.stack([np.stack([cos, -sin, shift[:, 0]], 1), np.stack([sin, cos, shift[:, 1]], 1)], 1)


def without(spec: ModelSpec, output: str, **changes: object) -> ModelSpec:
    """The spec with one head changed."""
    heads = tuple(replace(h, **changes) if h.output == output else h for h in spec.heads)  # type: ignore[arg-type]
    return replace(spec, heads=heads)


def test_every_attribute_is_written_and_the_rest_is_left_alone() -> None:
    faces = empty_faces(3)
    faces["box"], faces["track"] = 7.0, 5
    decode_into(random_outputs(3), SPEC, turns(3), faces, ATTRIBUTES)
    for name in (*ATTRIBUTES, "age_spread", "box"):
        assert np.isfinite(faces[name]).all(), name
    assert np.isnan(faces["score"]).all()
    assert (faces["track"] == 5).all()


@pytest.mark.parametrize("wanted", ATTRIBUTES)
def test_a_field_that_was_not_asked_for_stays_not_measured(wanted: str) -> None:
    faces = empty_faces(2)
    decode_into(random_outputs(2), SPEC, turns(2), faces, [wanted])
    written = {name for name in FACE.names or () if name != "track" and np.isfinite(faces[name]).any()}
    beside = {"age": {"age_spread"}, "landmarks": {"points"}}
    assert written == {wanted} | beside.get(wanted, set())


def test_the_five_points_follow_the_landmarks() -> None:
    faces = empty_faces(3)
    faces["points"] = 7.0
    outputs = random_outputs(3)
    outputs["marks"][1, 0] = np.nan
    decode_into(outputs, SPEC, turns(3), faces, ["landmarks"])
    marks = faces["landmarks"][[0, 2]].astype(np.float64)
    middle = [marks[:, 36:42].mean(axis=1), marks[:, 42:48].mean(axis=1)]
    expected = np.stack([*middle, marks[:, 30], marks[:, 48], marks[:, 54]], axis=1)
    np.testing.assert_allclose(faces["points"][[0, 2]], expected, rtol=1e-5, atol=1e-4)
    assert (faces["points"][1] == 7.0).all(), "without landmarks the detector's points stay"


def test_no_face_is_no_problem() -> None:
    faces = empty_faces(0)
    decode_into(random_outputs(0), SPEC, np.zeros((0, 2, 3)), faces, ATTRIBUTES)
    assert len(faces) == 0


def test_outputs_of_heads_that_were_not_asked_for_need_not_be_there() -> None:
    faces = empty_faces(1)
    decode_into({"smile": np.array([[0.0]], np.float32)}, SPEC, turns(1), faces, ["smile"])
    assert faces["smile"][0] == pytest.approx(50.0)


@given(st.permutations(range(5)), st.integers(0, 99))
def test_labels_go_to_their_places_in_the_record(order: list[int], seed: int) -> None:
    labels = tuple(ETHNICITIES[k] for k in order)
    spec = without(SPEC, "ethnicity", labels=labels)
    outputs = random_outputs(2, seed)
    faces = empty_faces(2)
    decode_into(outputs, spec, turns(2), faces, ["ethnicity"])
    expected = softmax(outputs["ethnicity"].astype(np.float64))
    for place, label in enumerate(labels):
        np.testing.assert_allclose(
            faces["ethnicity"][:, ETHNICITIES.index(label)], expected[:, place], rtol=1e-6
        )
    np.testing.assert_allclose(faces["ethnicity"].sum(axis=1), 1, rtol=1e-6)


def test_labels_that_a_head_does_not_know_stay_not_measured() -> None:
    spec = without(SPEC, "hair", labels=("stubble", "beard"))
    faces = empty_faces(1)
    decode_into({"hair": np.array([[2.0, -2.0]], np.float32)}, spec, turns(1), faces, ["facial_hair"])
    expected = [1 / (1 + np.e**2), np.nan, np.nan, np.nan, 1 / (1 + np.e**-2)]
    np.testing.assert_allclose(faces["facial_hair"][0], expected, rtol=1e-6)


@settings(max_examples=50)
@given(st.integers(0, 1000), st.sampled_from([(112, 112), (96, 128)]))
def test_landmarks_come_back_to_where_they_were_in_the_frame(seed: int, size: tuple[int, int]) -> None:
    rng = np.random.default_rng(seed)
    frame, affines = rng.uniform(0, 400, (3, 68, 2)), turns(3, seed)
    crop = apply_affine(affines, frame)
    values = (crop + 0.5) / np.array(size) - 0.5
    spec = replace(SPEC, input=InputSpec("image", *size))
    faces = empty_faces(3)
    decode_into({"marks": values.reshape(3, 136)}, spec, affines, faces, ["landmarks"])
    np.testing.assert_allclose(faces["landmarks"], frame, atol=1e-3)


@given(st.floats(-179, 179), st.floats(-89, 89), st.floats(-80, 80))
def test_roll_of_the_crop_is_turned_back_and_yaw_and_pitch_stay(turn: float, roll: float, yaw: float) -> None:
    rad = np.radians(turn)
    affine = np.array([[[np.cos(rad), -np.sin(rad), 3], [np.sin(rad), np.cos(rad), 4]]])
    raw = np.array([[yaw, 12.0, roll + turn]]) / 90
    faces = empty_faces(1)
    decode_into({"angles": raw}, SPEC, affine, faces, ["pose"])
    np.testing.assert_allclose(faces["pose"][0], [yaw, 12.0, roll], atol=1e-3)


def test_a_face_tilted_clockwise_on_the_screen_has_a_positive_roll() -> None:
    upright = np.array([[-10, -10], [10, -10], [0, 0], [-8, 10], [8, 10.0]])
    tilted = upright @ np.array([[np.cos(0.5), np.sin(0.5)], [-np.sin(0.5), np.cos(0.5)]])
    assert tilted[1, 1] > tilted[0, 1]  # y runs down: the eye on the right has sunk
    affine = similarity_from_points(tilted[None], upright)
    faces = empty_faces(1)
    decode_into({"angles": np.zeros((1, 3))}, SPEC, affine, faces, ["pose"])
    assert faces["pose"][0, 2] == pytest.approx(np.degrees(0.5), abs=1e-3)


def member(age: int, count: int, group: int) -> np.ndarray:
    """1 for the groups that hold an age, 0 for the others."""
    held = np.zeros(count + group - 1)
    held[age : age + group] = 1
    return held


@settings(max_examples=200)
@given(st.data(), st.integers(1, 15), st.integers(20, 110), st.integers(0, 30))
def test_group_n_gives_back_the_age_that_was_encoded(
    data: st.DataObject, group: int, count: int, first: int
) -> None:
    age = data.draw(st.integers(0, count - 1))
    logits = (member(age, count, group)[None] - 0.5) * 60
    years, spread = group_age(logits, first, count, group)
    assert years[0] == pytest.approx(age + first, abs=0.5)
    assert spread[0] < 3


def test_group_n_is_exact_away_from_the_ends() -> None:
    logits = np.stack([(member(age, 101, 11) - 0.5) * 20 for age in range(15, 85)])
    years, _ = group_age(logits, 0, 101, 11)
    np.testing.assert_allclose(years, np.arange(15, 85), atol=0.01)


def test_a_second_far_peak_widens_the_spread_and_does_not_draw_the_age() -> None:
    one = (member(30, 101, 11) - 0.5) * 20
    two = np.maximum(one, (member(80, 101, 11) - 0.5) * 20 - 1)
    years, spread = group_age(np.stack([one, two]), 0, 101, 11)
    assert years[1] == pytest.approx(years[0], abs=0.01)
    assert spread[1] > spread[0] + 10


@pytest.mark.parametrize("head", [h.output for h in HEADS])
@pytest.mark.parametrize("broken", [np.nan, np.inf, -np.inf])
def test_an_output_that_is_not_finite_is_not_measured(head: str, broken: float) -> None:
    outputs = random_outputs(2)
    outputs[head][1, -1] = broken
    faces, whole = empty_faces(2), empty_faces(2)
    decode_into(outputs, SPEC, turns(2), faces, ATTRIBUTES)
    decode_into(random_outputs(2), SPEC, turns(2), whole, ATTRIBUTES)
    field = next(h.field for h in HEADS if h.output == head)
    assert np.isnan(faces[field][1]).all()
    for name in ATTRIBUTES:
        rows = [0] if name == field else [0, 1]
        np.testing.assert_array_equal(faces[name][rows], whole[name][rows])


@pytest.mark.parametrize("size", [-1e4, 1e4])
def test_huge_logits_saturate(size: float) -> None:
    outputs = {name: np.full_like(value, size) for name, value in random_outputs(1).items()}
    faces = empty_faces(1)
    decode_into(outputs, SPEC, turns(1), faces, ["smile", "eyeglasses", "gender", "age"])
    assert faces["smile"][0] == pytest.approx(100.0 if size > 0 else 0.0)
    assert faces["gender"][0] == pytest.approx([0.5, 0.5])


SPEC_FAULTS = [
    (
        "gender",
        {"labels": ("female", "robot")},
        r"has the labels female, robot; expected each at most once out of",
    ),
    ("hair", {"labels": ("beard", "beard")}, r"has the labels beard, beard"),
    ("expression", {"labels": ()}, r"has the labels none"),
    (
        "gender",
        {"field": "smile", "labels": ()},
        r"of kind 'softmax' writes the field 'smile'; expected one of: gender",
    ),
    ("marks", {"count": 5}, r"has 5 landmarks; a record holds 68"),
    ("years", {"count": 0}, r"has 0 ages in groups of 11"),
]


@pytest.mark.parametrize(("output", "changes", "message"), SPEC_FAULTS)
def test_heads_that_do_not_fit_the_record_are_refused(
    output: str, changes: dict[str, object], message: str
) -> None:
    with pytest.raises(SpecError, match=message):
        check_heads(without(SPEC, output, **changes))


def test_a_missing_output_is_an_error_that_names_what_came() -> None:
    with pytest.raises(ModelError, match=r"gave no output 'smile'; it gave other"):
        decode_into({"other": np.zeros((1, 1))}, SPEC, turns(1), empty_faces(1), ["smile"])


@pytest.mark.parametrize("shape", [(2, 2), (1, 3), (2,)])
def test_a_misshapen_output_is_an_error(shape: tuple[int, ...]) -> None:
    with pytest.raises(ModelError, match=r"has shape .*; expected \(1, 2\)"):
        decode_into({"gender": np.zeros(shape)}, SPEC, turns(1), empty_faces(1), ["gender"])


def test_every_face_needs_its_affine() -> None:
    with pytest.raises(ModelError, match="2 faces came with 1 affines"):
        decode_into(random_outputs(2), SPEC, turns(1), empty_faces(2), ATTRIBUTES)
