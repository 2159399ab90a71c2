"""Label sets of one's own: sums over groups, NaN stays NaN, and sets that lose something are refused."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vultus.errors import InputError
from vultus.mappings import MAPPED_FIELDS, SEEEN, LabelMap, mapped, most_likely, probabilities
from vultus.types import LABELS, FaceArray, empty_faces

ETHNICITY, EXPRESSION = SEEEN
MOOD = LabelMap(
    "expression", {"good": ("happy", "surprise"), "rest": ("angry", "disgust", "fear", "neutral", "sad")}
)


def judged(field: str, *shares: list[float]) -> FaceArray:
    """Return records with these probabilities in one field."""
    faces = empty_faces(len(shares))
    faces[field] = shares
    return faces


@pytest.mark.parametrize(
    ("to", "label", "expected"),
    [
        (EXPRESSION, "angry", "Angry"),
        (EXPRESSION, "disgust", "Other"),
        (EXPRESSION, "fear", "Other"),
        (EXPRESSION, "happy", "Happy"),
        (EXPRESSION, "neutral", "Neutral"),
        (EXPRESSION, "sad", "Sad"),
        (EXPRESSION, "surprise", "Surprised"),
        (ETHNICITY, "white", "White"),
        (ETHNICITY, "black", "Black"),
        (ETHNICITY, "asian", "Asian"),
        (ETHNICITY, "indian", "Indian"),
        (ETHNICITY, "other", "Hispanic"),
        (MOOD, "surprise", "good"),
    ],
)
def test_every_label_has_its_new_one(to: LabelMap, label: str, expected: str) -> None:
    faces = judged(to.field, [float(name == label) for name in LABELS[to.field]])
    assert most_likely(faces, to) == [expected]
    assert probabilities(faces, to)[0, to.labels.index(expected)] == 1.0


def test_a_group_can_win_though_none_of_its_members_does() -> None:
    faces = judged("expression", [0.1, 0.3, 0.25, 0.0, 0.35, 0.0, 0.0])
    assert LABELS["expression"][int(faces["expression"][0].argmax())] == "neutral"
    assert most_likely(faces, EXPRESSION) == ["Other"]
    np.testing.assert_allclose(probabilities(faces, EXPRESSION), [[0.1, 0, 0.35, 0, 0, 0.55]], atol=1e-6)


@given(st.lists(st.floats(0.01, 1), min_size=7, max_size=7))
def test_probabilities_keep_their_sum(weights: list[float]) -> None:
    shares = np.array(weights) / np.sum(weights)
    for to in (EXPRESSION, MOOD):
        assert probabilities(judged("expression", list(shares)), to).sum() == pytest.approx(1.0, abs=1e-5)


def test_what_was_not_measured_stays_unmeasured_and_records_stay_as_they_are() -> None:
    faces = judged("ethnicity", [0.1, 0.6, 0.1, 0.1, 0.1], [np.nan] * 5)
    before = faces.copy()
    entries = mapped(faces, SEEEN)
    assert entries[0]["ethnicity"] == pytest.approx(
        {"White": 0.1, "Black": 0.6, "Asian": 0.1, "Indian": 0.1, "Hispanic": 0.1}
    )
    assert entries[1] == {"ethnicity": None, "expression": None}
    assert most_likely(faces, ETHNICITY) == ["Black", None]
    assert json.loads(json.dumps(entries))[1]["expression"] is None
    assert faces.tobytes() == before.tobytes()


def test_no_face_gives_nothing() -> None:
    assert mapped(empty_faces(), SEEEN) == []
    assert most_likely(empty_faces(), MOOD) == []
    assert probabilities(empty_faces(), EXPRESSION).shape == (0, 6)


@pytest.mark.parametrize(
    ("field", "groups", "message"),
    [
        ("age", {}, "field 'age' cannot be mapped; expected one of gender, ethnicity, expression"),
        ("facial_hair", {"any": ("beard",)}, "field 'facial_hair' cannot be mapped"),
        (
            "gender",
            {"f": ("female",)},
            "'gender' is not usable: male in no group; expected each of female, male",
        ),
        ("gender", {"f": ("female", "male"), "m": ("male",)}, "male in several groups"),
        ("gender", {"f": ("female", "girl"), "m": ("male",)}, "girl unknown"),
    ],
)
def test_a_label_set_that_loses_or_doubles_something_is_refused(
    field: str, groups: dict[str, tuple[str, ...]], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        LabelMap(field, groups)


def test_fields_of_mappings_are_those_whose_labels_exclude_each_other() -> None:
    assert set(MAPPED_FIELDS) < set(LABELS)
    assert [to.labels for to in SEEEN] == [
        ("White", "Black", "Asian", "Indian", "Hispanic"),
        ("Angry", "Happy", "Neutral", "Sad", "Surprised", "Other"),
    ]
