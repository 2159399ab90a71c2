"""The device's decoders over the shipped driver layer, on the fake driver: eagerly, captured and replayed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from decode_on_driver import FACES, MIN_SCORE, SIZE, face_outputs, face_spec, frame_affine
from decoding import detector, expected_faces, random_maps
from fake_cuda import run_with_fake
from shim import shim_library
from vultus.decode.heads import decode_into
from vultus.geometry import crop_affines

pytest.importorskip("cuda.bindings.driver", reason="cuda-bindings is not installed")

TOLERANCES = {
    "landmarks": 1e-2,
    "pose": 1e-3,
    "age": 1e-3,
    "gender": 1e-6,
    "box": 2e-3,
    "points": 2e-3,
    "score": 4e-7,
}


@pytest.mark.parametrize("guard", [0, 1], ids=["plain", "guarded"])
def test_decoders_run_over_the_driver(tmp_path: Path, guard: int) -> None:
    """guarded: an unmapped page lies behind every allocation, so nothing reads or writes too far."""
    target = tmp_path / "records.npz"
    code = f"from decode_on_driver import main; main({str(target)!r})"
    run_with_fake(code, shim=shim_library(), settings={"GUARD": guard})
    with np.load(target) as made:
        eager, replayed = made["eager"], made["replayed"]
    assert eager.tobytes() == replayed.tobytes()
    expected = expected_faces(random_maps(SIZE, 5, 0.0), detector(FACES), frame_affine(), MIN_SCORE)
    assert len(eager) == len(expected) > 10
    affines = crop_affines(expected["points"], 112)
    outputs = {name: values[: len(expected)] for name, values in face_outputs().items()}
    decode_into(outputs, face_spec(), affines, expected, ("landmarks", "pose", "age", "gender"))
    for name, tolerance in TOLERANCES.items():
        np.testing.assert_allclose(eager[name], expected[name], rtol=0, atol=tolerance, err_msg=name)
