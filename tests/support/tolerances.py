"""How far records of another engine, precision or device may lie from the host's in FP32: one table for all tests."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from vultus.types import FACE, FaceArray

__all__ = ["TOLERANCES", "assert_faces_close"]

TOLERANCES: dict[tuple[str, str], tuple[float, float]] = {
    # The device path: boxes come out of the same maps; whatever has seen a crop also has its rounding,
    # which is a grey level here and there.
    ("fp32", "box"): (0.0, 2e-3),
    ("fp32", "score"): (0.0, 1e-6),
    ("fp32", "points"): (0.0, 2e-2),  # by the landmarks
    ("fp32", "landmarks"): (0.0, 2e-2),
    ("fp32", "pose"): (0.0, 2e-2),
    ("fp32", "age"): (0.0, 2e-2),
    ("fp32", "age_spread"): (0.0, 2e-2),
    ("fp32", "gender"): (0.0, 5e-4),
    ("fp32", "ethnicity"): (0.0, 5e-4),
    ("fp32", "expression"): (0.0, 5e-4),
    ("fp32", "smile"): (0.0, 5e-2),
    ("fp32", "attractiveness"): (0.0, 5e-2),
    ("fp32", "eyeglasses"): (0.0, 5e-4),
    ("fp32", "facial_hair"): (0.0, 5e-4),
    ("fp32", "quality"): (0.0, 5e-4),
    ("fp32", "track"): (0.0, 0.0),
}
"""(precision, field of the record) -> (relative, absolute) tolerance, in the field's own unit."""


def assert_faces_close(
    got: FaceArray, want: FaceArray, precision: str = "fp32", skip: Collection[str] = ()
) -> None:
    """Fail when records differ; the message tells for each field the absolute tolerance that would have passed."""
    assert len(got) == len(want), f"{len(got)} faces came, {len(want)} were expected"
    wrong = []
    for name in FACE.names or ():
        relative, absolute = TOLERANCES[precision, name]
        if name not in skip and not np.allclose(got[name], want[name], relative, absolute, equal_nan=True):
            distance = np.abs(got[name].astype(np.float64) - want[name]) - relative * np.abs(want[name])
            odd = (np.isnan(got[name]) != np.isnan(want[name])).any()
            needed = "no number: one side is NaN" if odd else f"{np.nanmax(distance):.3g}"
            wrong.append(f"{name}: {absolute:g} is allowed, would pass at {needed}")
    assert not wrong, "; ".join(wrong)
