"""The device's box decoder, its kernels run on the host, against the host's own decoder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from decoding import (
    IDENTITY,
    LEVELS,
    Outputs,
    assert_same_faces,
    close_call,
    detector,
    expected_faces,
    found_faces,
    quiet_maps,
    random_maps,
    split,
)
from shim import reverse_order
from shim_driver import ShimDriver, kernels_on, tensor_of
from vultus.cuda.boxes import LARGEST_FACES, BoxDecoder
from vultus.errors import DeviceError, InputError, ModelError, SpecError
from vultus.geometry import letterbox_affine
from vultus.spec import AnchorLevel
from vultus.types import FACE, empty_faces

SPEC = detector()
ROW = (AnchorLevel("row", 8, (16.0,), (1,)),)
SIDES = st.sampled_from([(32, 32), (64, 32), (32, 96), (64, 64)])


@given(st.integers(0, 2**32 - 1), SIDES, st.floats(-9, 4), st.floats(0.02, 0.9), st.floats(0.1, 0.9))
@settings(max_examples=80, deadline=None)
def test_random_maps_give_the_faces_of_the_host(
    seed: int, size: tuple[int, int], bias: float, min_score: float, iou: float
) -> None:
    spec, outputs = detector(iou=iou), random_maps(size, seed, bias)
    assume(not close_call(outputs, spec, min_score))
    affine = letterbox_affine(3840, 2160, size)
    expected = expected_faces(outputs, spec, affine, min_score)
    assert_same_faces(found_faces(outputs, spec, affine, min_score), expected)


@given(st.integers(0, 2**32 - 1), st.integers(1, 3), st.floats(-3, 3))
@settings(max_examples=40, deadline=None)
def test_equal_scores_go_by_the_order_of_the_maps(seed: int, steps: int, bias: float) -> None:
    outputs = random_maps((64, 64), seed, bias)
    for maps in outputs.values():
        split(maps)[:, :, 0] = (
            np.round(split(maps)[:, :, 0] / steps) * steps
        )  # zeros of both signs among them
    assume(not close_call(outputs, SPEC, 0.2))
    expected = expected_faces(outputs, SPEC, IDENTITY, 0.2)
    assert_same_faces(found_faces(outputs, SPEC, IDENTITY, 0.2), expected)


def one_face() -> Outputs:
    outputs = quiet_maps()
    split(outputs["middle"])[0, 1, :, 2, 3] = np.linspace(2, -1, 15)
    return outputs


def equal_everywhere() -> Outputs:
    outputs = quiet_maps((96, 64))
    for maps in outputs.values():
        split(maps)[:, :, 0] = 1.25
    return outputs


def broken_numbers() -> Outputs:
    """Each number of an anchor in turn is not finite; some anchors are whole."""
    outputs = one_face()
    maps = split(outputs["fine"])[0]
    maps[:, 0] = 3
    for value in range(15):
        maps[:, value, value // 8, value % 8] = (np.nan, np.inf, -np.inf)[value % 3]
        maps[:, value, 4 + value // 8, value % 8] = (np.inf, -np.inf, np.nan)[value % 3]
    return outputs


def only_not_numbers() -> Outputs:
    return {name: np.full_like(maps, np.nan) for name, maps in quiet_maps().items()}


def wild_values() -> Outputs:
    """Finite numbers whose boxes and points overflow; several such faces, and good ones."""
    outputs = random_maps((64, 64), 5, 1.0)
    maps = split(outputs["coarse"])[0]
    maps[:, 1:] = np.where(np.arange(2 * 14 * 4).reshape(2, 14, 2, 2) % 3, 3e38, -3e38)
    split(outputs["fine"])[0, 0, 3:5] = 1e30
    return outputs


def extreme_logits() -> Outputs:
    outputs = random_maps((64, 64), 6, 0.0, spread=300.0)
    split(outputs["fine"])[0, 0, 0, 0, :4] = (3e38, -3e38, 1e-40, -1e-40)
    return outputs


CASES: dict[str, tuple[Callable[[], Outputs], float]] = {
    "no face": (quiet_maps, 0.5),
    "one face": (one_face, 0.5),
    "one face exactly at the score": (one_face, 1 / (1 + float(np.exp(-2.0))) - 1e-9),
    "many more than there is room for": (lambda: random_maps((320, 256), 3, 2.0), 0.5),
    "every anchor above the score": (lambda: random_maps((96, 96), 3, 6.0), 0.02),
    "a score that lets everything through": (lambda: random_maps((64, 64), 4, -6.0), 0.0),
    "a score that lets nothing through": (lambda: random_maps((64, 64), 4, 6.0), 1.0),
    "equal scores everywhere": (equal_everywhere, 0.5),
    "numbers that are not finite": (broken_numbers, 0.5),
    "nothing but not a number": (only_not_numbers, 0.02),
    "values that overflow": (wild_values, 0.3),
    "extreme logits": (extreme_logits, 0.02),
}


@pytest.mark.parametrize("name", CASES)
def test_odd_maps_give_the_faces_of_the_host(name: str) -> None:
    make, min_score = CASES[name]
    outputs = make()
    rows, columns = outputs["fine"].shape[2:]
    affine = letterbox_affine(1920, 1080, (columns * 8, rows * 8))
    expected = expected_faces(outputs, SPEC, affine, min_score)
    assert_same_faces(found_faces(outputs, SPEC, affine, min_score), expected)


def test_the_cases_hold_what_their_names_say() -> None:
    counts = {
        name: len(expected_faces(make(), SPEC, IDENTITY, min_score))
        for name, (make, min_score) in CASES.items()
    }
    assert counts["no face"] == counts["a score that lets nothing through"] == 0
    assert counts["nothing but not a number"] == 0
    assert counts["one face"] == counts["one face exactly at the score"] == 1
    assert counts["many more than there is room for"] == 20
    assert (
        min(counts["values that overflow"], counts["extreme logits"], counts["equal scores everywhere"]) > 5
    )


@pytest.mark.parametrize("falling", [True, False])
def test_in_a_chain_every_second_box_stands(falling: bool) -> None:
    """Each overlaps its neighbours alone, so the last verdict waits for all the others."""
    outputs = quiet_maps((1280, 16), ROW)
    maps = split(outputs["row"])[0, 0]
    logits = np.linspace(6, 1, 160)
    maps[0, 1] = logits if falling else logits[::-1]
    maps[3] = np.log(24 / 16) / 0.2
    spec = detector(200, ROW)
    found = found_faces(outputs, spec, IDENTITY, 0.5)
    assert_same_faces(found, expected_faces(outputs, spec, IDENTITY, 0.5))
    assert len(found) == 80
    np.testing.assert_allclose(np.abs(np.diff(found["box"][:, 0])), 16, atol=1e-3)


def test_the_block_that_suppresses_holds_the_most_candidates_that_are_let_in() -> None:
    """16384 small boxes in 512 x 512 pixels, none of which touches another: all stand, the best 2048 are written."""
    levels = (AnchorLevel("dense", 4, (4.0,), (1,)),)
    outputs, spec = quiet_maps((512, 512), levels), detector(LARGEST_FACES, levels)
    maps = split(outputs["dense"])[0, 0]
    maps[0] = np.random.default_rng(0).permutation(16384).reshape(128, 128) / 16384
    maps[3:5] = -3.0
    expected = expected_faces(outputs, spec, IDENTITY, 0.5)
    assert len(expected) == LARGEST_FACES
    assert_same_faces(found_faces(outputs, spec, IDENTITY, 0.5), expected)


@pytest.mark.parametrize("turned", [10.0, 90.0, -135.0])
def test_any_affine_is_inverted(turned: float) -> None:
    cos, sin = 0.21 * np.cos(np.radians(turned)), 0.21 * np.sin(np.radians(turned))
    affine = np.array([[cos, -sin, 13.0], [sin, cos, -40.0]])
    outputs = random_maps((160, 96), 8, -3.0)
    expected = expected_faces(outputs, SPEC, affine, 0.5)
    assert len(expected) > 5
    assert_same_faces(found_faces(outputs, SPEC, affine, 0.5), expected)


@pytest.mark.parametrize(("size", "bias"), [((640, 480), 5.0), ((1280, 960), -3.0)], ids=["all", "a tenth"])
def test_the_anchors_of_a_real_input_are_ranked(size: tuple[int, int], bias: float) -> None:
    """27000 and some 11000 candidates, of which the 64 best are worth suppressing."""
    outputs, spec = random_maps(size, 11, bias, spread=1.5), detector(8)
    affine = letterbox_affine(3840, 2160, size)
    expected = expected_faces(outputs, spec, affine, 0.1)
    assert_same_faces(found_faces(outputs, spec, affine, 0.1), expected)


def test_the_answer_depends_neither_on_the_order_of_threads_nor_on_the_device() -> None:
    outputs = random_maps((160, 96), 12, 0.0)
    straight = found_faces(outputs, SPEC, IDENTITY, 0.3, ShimDriver(multiprocessors=1))
    reverse_order(True)
    try:
        backwards = found_faces(outputs, SPEC, IDENTITY, 0.3, ShimDriver(multiprocessors=132))
    finally:
        reverse_order(False)
    assert len(straight) == 20
    assert straight.tobytes() == backwards.tobytes()


def test_a_decoder_serves_frame_after_frame_with_four_launches() -> None:
    driver = ShimDriver()
    decoder = BoxDecoder(driver, kernels_on(driver), SPEC, 0.3, (96, 64), IDENTITY)
    before, records, count = driver.allocations, empty_faces(20), np.zeros(1, np.int32)
    for seed, bias in enumerate((0.0, 3.0, -9.0, -3.0)):
        outputs = random_maps((96, 64), seed, bias)
        tensors = {name: tensor_of(maps) for name, maps in outputs.items()}
        decoder.into(tensors, tensor_of(records), tensor_of(count), driver.stream())
        assert_same_faces(records[: count[0]], expected_faces(outputs, SPEC, IDENTITY, 0.3))
    assert driver.launched == ["vultus_candidates", "vultus_rank", "vultus_overlaps", "vultus_suppress"] * 4
    assert driver.allocations == before


class Refusing(ShimDriver):
    """Refuses one launch."""

    refused = ""

    def launch(self, function, *rest) -> None:  # type: ignore[no-untyped-def]
        if function.name == self.refused:
            raise DeviceError("launch refused")
        super().launch(function, *rest)


def test_a_frame_that_broke_off_leaves_nothing_to_the_next() -> None:
    driver, outputs = Refusing(), random_maps((96, 64), 1, 0.0)
    decoder = BoxDecoder(driver, kernels_on(driver), SPEC, 0.3, (96, 64), IDENTITY)
    tensors = {name: tensor_of(maps) for name, maps in outputs.items()}
    records, count = empty_faces(20), np.zeros(1, np.int32)
    driver.refused = "vultus_suppress"
    with pytest.raises(DeviceError, match="launch refused"):
        decoder.into(tensors, tensor_of(records), tensor_of(count), driver.stream())
    driver.refused = ""
    decoder.into(tensors, tensor_of(records), tensor_of(count), driver.stream())
    assert_same_faces(records[: count[0]], expected_faces(outputs, SPEC, IDENTITY, 0.3))


def test_specs_without_kernels_are_refused() -> None:
    driver, part = ShimDriver(), SPEC.detector
    assert part is not None
    wrong = {
        "decoder 'yunet' has no kernels": replace(part, decoder="yunet"),
        "max_faces is 5000; 1 to 2048": replace(part, max_faces=5000),
        "it has 7 levels; 1 to 6": replace(part, levels=LEVELS[:1] * 7),
    }
    for text, bad in wrong.items():
        with pytest.raises(SpecError, match=f"{text}.*device='cpu'"):
            BoxDecoder(driver, kernels_on(driver), replace(SPEC, detector=bad), 0.5, (64, 64), IDENTITY)
    with pytest.raises(SpecError, match=r"a 65536x65536 input has \d+ anchors"):
        BoxDecoder(driver, kernels_on(driver), SPEC, 0.5, (65536, 65536), IDENTITY)


def test_outputs_and_records_that_do_not_fit_are_refused() -> None:
    driver, outputs = ShimDriver(), quiet_maps()
    decoder = BoxDecoder(driver, kernels_on(driver), SPEC, 0.5, (64, 64), IDENTITY)
    tensors = {name: tensor_of(maps) for name, maps in outputs.items()}
    records, count = tensor_of(empty_faces(20)), tensor_of(np.zeros(1, np.int32))
    small, half = tensor_of(quiet_maps((32, 32))["fine"]), tensor_of(outputs["fine"].astype(np.float16))
    missing = {name: tensor for name, tensor in tensors.items() if name != "coarse"}
    cases = [
        (missing, records, ModelError, "gave no output 'coarse'; it gave fine, middle"),
        (
            tensors | {"fine": small},
            records,
            ModelError,
            r"float32 of shape \(1, 75, 4, 4\); expected float32",
        ),
        (tensors | {"fine": half}, records, ModelError, r"'fine' .* is float16 of shape"),
        (tensors, tensor_of(empty_faces(19)), InputError, r"shape \(19,\) .* expected at least 20"),
        (tensors, tensor_of(np.zeros(20, np.float32)), InputError, "expected at least 20 of vultus.FACE"),
    ]
    for maps, room, error, text in cases:
        with pytest.raises(error, match=text):
            decoder.into(maps, room, count, driver.stream())
    assert driver.launched == []


def test_records_are_those_of_the_host_to_the_last_byte_where_nothing_is_measured() -> None:
    found = found_faces(one_face(), SPEC, IDENTITY, 0.5)
    blank = empty_faces(1)
    for name in ("box", "score", "points"):
        blank[name] = found[name]
    assert found.tobytes() == blank.tobytes()
    assert found.dtype == FACE
