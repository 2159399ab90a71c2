"""The device's decoding of attributes, its kernel run on the host, against the host's own."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aligning import aligned, face_points
from shim import reverse_order
from shim_driver import ShimDriver, kernels_on, tensor_of
from vultus.cuda.faces import FaceDecoder
from vultus.decode.heads import decode_into, output_width
from vultus.errors import ModelError, SpecError
from vultus.spec import Head, InputSpec, ModelSpec
from vultus.types import ATTRIBUTES, ETHNICITIES, EXPRESSIONS, FACIAL_HAIR, GENDERS, FaceArray, empty_faces

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
Outputs = dict[str, npt.NDArray[np.float32]]

TOLERANCES = {
    "landmarks": 2e-3,
    "points": 2e-3,
    "age": 1e-3,
    "age_spread": 1e-3,
    "smile": 1e-4,
    "attractiveness": 1e-4,
}
"""Largest difference of a field from the host's, in its unit; probabilities and `pose` stand below."""

PROBABILITY, ANGLE = 1e-6, 1e-4


def random_outputs(count: int, seed: int, spec: ModelSpec = SPEC, scale: float = 0.5) -> Outputs:
    rng = np.random.default_rng(seed)
    made = {h.output: rng.normal(0, scale, (count, output_width(h))).astype(np.float32) for h in spec.heads}
    for head in spec.heads:
        if head.kind in ("group_age", "softmax", "sigmoid", "percent"):
            made[head.output] *= 6
    return made


def decoded(
    outputs: Outputs,
    affines: npt.NDArray[np.float32],
    spec: ModelSpec = SPEC,
    attributes: Collection[str] = ATTRIBUTES,
    count: int | None = None,
    start: int = 0,
) -> FaceArray:
    """The records by the kernel; every number that it leaves alone is 7."""
    driver = ShimDriver()
    rows = len(next(iter(outputs.values())))
    records = sevens(start + rows)
    decoder = FaceDecoder(driver, kernels_on(driver), spec, attributes, rows)
    held = np.array([len(records) if count is None else count], np.int32)
    tensors = {name: tensor_of(values) for name, values in outputs.items()}
    decoder.into(tensors, tensor_of(affines), tensor_of(held), start, tensor_of(records), driver.stream())
    decoder.close()
    return records


def sevens(count: int) -> FaceArray:
    faces = empty_faces(count)
    for name in faces.dtype.names or ():
        faces[name] = 7
    return faces


def by_the_host(
    outputs: Outputs,
    affines: npt.NDArray[np.float32],
    spec: ModelSpec = SPEC,
    attributes: Collection[str] = ATTRIBUTES,
) -> FaceArray:
    faces = sevens(len(affines))
    decode_into(outputs, spec, affines, faces, attributes)
    return faces


def assert_same_fields(found: FaceArray, expected: FaceArray) -> None:
    assert len(found) == len(expected)
    for name in found.dtype.names or ():
        a, b = found[name].astype(np.float64), expected[name].astype(np.float64)
        if name == "pose":
            off = a - b
            np.testing.assert_array_equal(np.isnan(a), np.isnan(b))
            assert np.nanmax(np.abs(a[..., 2]), initial=0.0) <= 180
            off[..., 2] -= 360 * np.round(off[..., 2] / 360)
            assert np.nanmax(np.abs(off), initial=0.0) <= ANGLE
        else:
            tolerance = TOLERANCES.get(name, PROBABILITY)
            np.testing.assert_allclose(a, b, rtol=0, atol=tolerance, err_msg=name)


@given(st.integers(0, 2**32 - 1), st.integers(1, 9))
@settings(max_examples=40, deadline=None)
def test_fields_are_those_of_the_host(seed: int, count: int) -> None:
    affines = aligned(face_points(count, seed))
    outputs = random_outputs(count, seed)
    assert_same_fields(decoded(outputs, affines), by_the_host(outputs, affines))


SUBSETS = [
    (),
    ("age",),
    ("landmarks", "pose"),
    ("facial_hair",),
    tuple(a for a in ATTRIBUTES if a != "gender"),
]


@pytest.mark.parametrize("attributes", SUBSETS, ids=lambda names: "+".join(names) or "none")
def test_only_what_was_asked_for_is_written(attributes: tuple[str, ...]) -> None:
    affines, outputs = aligned(face_points(3, 4)), random_outputs(3, 4)
    outputs = {h.output: outputs[h.output] for h in HEADS if h.field in attributes} or outputs
    found = decoded(outputs, affines, attributes=attributes)
    assert_same_fields(found, by_the_host(outputs, affines, attributes=attributes))
    beside = ("age_spread", *(["points"] if "landmarks" in attributes else []))
    kept = [name for name in found.dtype.names or () if name not in (*attributes, *beside)]
    assert all((found[name] == 7).all() for name in kept)


def other_head(output: str, **changes: object) -> ModelSpec:
    heads = tuple(replace(h, **changes) if h.output == output else h for h in HEADS)  # type: ignore[arg-type]
    return replace(SPEC, heads=heads)


FOREIGN = {
    "labels in another order": other_head("expression", labels=EXPRESSIONS[::-1]),
    "some labels alone": other_head("hair", labels=("stubble", "beard")),
    "ages that begin elsewhere": other_head("years", first=15, count=60, group=1),
    "one age": other_head("years", first=30, count=1, group=1),
    "as many ages as fit": other_head("years", count=512, group=3),
    "groups wider than the ages": other_head("years", count=4, group=40),
    "a crop that is no square": replace(SPEC, input=InputSpec("image", 96, 128)),
    "two heads for one field": replace(
        SPEC,
        heads=(
            *HEADS,
            Head("more", "sigmoid", "facial_hair", ("goatee", "mustache")),
            replace(HEADS[1], output="again"),
        ),
    ),
    "more heads than a launch takes": replace(
        SPEC,
        heads=tuple(Head(f"hair {k}", "sigmoid", "facial_hair", (FACIAL_HAIR[k % 5],)) for k in range(3))
        + HEADS[:9]
        + (Head("last", "sigmoid", "facial_hair", FACIAL_HAIR[3:]), HEADS[10]),
    ),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_foreign_heads_are_read_by_their_own_labels(name: str) -> None:
    spec = FOREIGN[name]
    affines, outputs = aligned(face_points(4, 6)), random_outputs(4, 6, spec)
    assert_same_fields(decoded(outputs, affines, spec), by_the_host(outputs, affines, spec))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_an_output_that_is_not_finite_is_not_measured(bad: float) -> None:
    affines, outputs = aligned(face_points(len(HEADS), 7)), random_outputs(len(HEADS), 7)
    for face, head in enumerate(HEADS):
        outputs[head.output][face, -1] = bad
    found = decoded(outputs, affines)
    assert_same_fields(found, by_the_host(outputs, affines))
    for face, head in enumerate(HEADS):
        values = found[head.field].reshape(len(HEADS), -1)
        assert np.isnan(values[face]).all()
        assert np.isfinite(np.delete(values, face, axis=0)).all()


@pytest.mark.parametrize(("scale", "left_out"), [(0.0, ""), (1e-30, "age"), (40.0, "")])
def test_extreme_outputs_stay_in_range(scale: float, left_out: str) -> None:
    """Ages whose evidence differs by less than single precision tells apart may have another peak."""
    affines, outputs = aligned(face_points(3, 8)), random_outputs(3, 8)
    outputs = {
        name: np.sign(values) * np.float32(scale) for name, values in outputs.items() if name != "marks"
    }
    wanted = [name for name in ATTRIBUTES if name not in ("landmarks", left_out)]
    assert_same_fields(
        decoded(outputs, affines, attributes=wanted), by_the_host(outputs, affines, attributes=wanted)
    )


def test_of_equally_likely_ages_the_earliest_is_the_peak() -> None:
    affines, outputs = aligned(face_points(2, 9)), random_outputs(2, 9)
    outputs["years"][:] = 0
    outputs["years"][0, 20:31] = outputs["years"][0, 70:81] = 8
    assert_same_fields(decoded(outputs, affines), by_the_host(outputs, affines))


@pytest.mark.parametrize(
    ("start", "count", "written"), [(0, 0, 0), (0, 3, 3), (5, 7, 2), (5, 5, 0), (64, 3, 0), (2, 99, 6)]
)
def test_records_of_no_face_stay(start: int, count: int, written: int) -> None:
    affines, outputs = aligned(face_points(6, 10)), random_outputs(6, 10)
    found = decoded(outputs, affines, count=count, start=start)
    assert_same_fields(found[start : start + written], by_the_host(outputs, affines)[:written])
    rest = np.concatenate([found[:start], found[start + written :]])
    assert rest.tobytes() == sevens(len(rest)).tobytes()


def test_the_answer_does_not_depend_on_the_order_of_threads() -> None:
    affines, outputs = aligned(face_points(5, 11)), random_outputs(5, 11)
    straight = decoded(outputs, affines)
    reverse_order(True)
    try:
        backwards = decoded(outputs, affines)
    finally:
        reverse_order(False)
    assert straight.tobytes() == backwards.tobytes()


def test_one_launch_decodes_all_heads_of_all_faces() -> None:
    driver, outputs = ShimDriver(), random_outputs(8, 12)
    decoder = FaceDecoder(driver, kernels_on(driver), SPEC, ATTRIBUTES, 64)
    before = driver.allocations
    tensors = {name: tensor_of(values) for name, values in outputs.items()}
    records, affines = empty_faces(8), aligned(face_points(8, 12))
    count = np.array([8], np.int32)
    decoder.into(tensors, tensor_of(affines), tensor_of(count), 0, tensor_of(records), driver.stream())
    assert (driver.launched, driver.allocations) == (["vultus_attributes"], before)


def test_heads_that_the_device_cannot_hold_are_refused() -> None:
    driver = ShimDriver()
    with pytest.raises(
        SpecError, match=r"'years' of model 'test-face' has 513 ages; .* at most 512; use device='cpu'"
    ):
        FaceDecoder(driver, kernels_on(driver), other_head("years", count=513), ATTRIBUTES, 4)
    with pytest.raises(SpecError, match=r"'hair' has the labels whiskers; expected"):
        FaceDecoder(driver, kernels_on(driver), other_head("hair", labels=("whiskers",)), ATTRIBUTES, 4)


def test_outputs_that_do_not_fit_are_refused() -> None:
    driver, outputs = ShimDriver(), random_outputs(3, 13)
    decoder = FaceDecoder(driver, kernels_on(driver), SPEC, ATTRIBUTES, 4)
    tensors = {name: tensor_of(values) for name, values in outputs.items()}
    many = {name: tensor_of(values) for name, values in random_outputs(5, 13).items()}
    half = tensor_of(outputs["smile"].astype(np.float16))
    affines, other = tensor_of(np.zeros((4, 2, 3), np.float32)), tensor_of(np.zeros((1, 720), np.uint8))
    cases = [
        (
            {k: v for k, v in tensors.items() if k != "angles"},
            "gave no output 'angles'; it gave marks, years",
        ),
        (tensors | {"smile": half}, r"'smile' .* is float16 of shape \(3, 1\); expected float32"),
        (tensors | {"hair": tensors["gender"]}, r"'hair' .* of shape \(3, 2\); expected float32 of \(3, 5\)"),
        (many, "the outputs hold 5 faces; at most 4 were announced, with affines for 4"),
    ]
    for bad, text in cases:
        with pytest.raises(ModelError, match=text):
            decoder.into(bad, affines, other, 0, other, driver.stream())
    assert driver.launched == []
