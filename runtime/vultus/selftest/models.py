"""The installed models on this machine against the faces that they found where the package was made."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vultus.errors import ModelError
from vultus.onnxfile import spec_from_onnx
from vultus.pipeline import Analyzer
from vultus.selftest.agreement import require_agreement
from vultus.selftest.golden import load_golden
from vultus.selftest.pictures import collage
from vultus.selftest.report import Check, checked
from vultus.types import FaceArray
from vultus.zoo import default_models, installed_models

__all__ = ["SLACK", "check_models", "faces_found", "installed_pairs", "model_hashes", "test_pictures"]

SLACK = {"fp32": 1.0, "fp16": 2.0, "int8": 4.0}
"""How many times the limits of `agreement` a precision may use up: INT8 rounds differently on each kind of CPU."""


def test_pictures() -> dict[str, npt.NDArray[np.uint8]]:
    """Return the pictures that models are tried on: unscaled portraits, so that no resize differs between OpenCVs."""
    return {"one": collage(320, 240, 1, 210), "six": collage(660, 440, 6, 210)}


def installed_pairs() -> dict[str, list[Path]]:
    """Return the default models at each precision at which all of them are installed."""
    defaults = [spec_from_onnx(path).name for path in default_models()]
    pairs: dict[str, list[Path]] = {}
    for precision in SLACK:
        named = {spec_from_onnx(path).name: path for path in installed_models() if _is(path, precision)}
        found = [named.get(name) for name in defaults]
        if all(found):
            pairs[precision] = [path for path in found if path]
    return pairs


def _is(path: Path, precision: str) -> bool:
    return spec_from_onnx(path).precision == precision


def model_hashes() -> dict[str, str]:
    """Return the SHA-256 of every model file that is tried, by file name."""
    files = [path for pair in installed_pairs().values() for path in pair]
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def faces_found(models: Sequence[Path], device: str) -> dict[str, FaceArray]:
    """Return the faces of each test picture."""
    with Analyzer(device=device, models=models) as analyzer:
        return {name: analyzer(picture).faces for name, picture in test_pictures().items()}


def check_models() -> Iterator[Check]:
    """Yield one check for each precision of the installed models, on the CPU."""
    golden = load_golden()
    made_with: dict[str, Any] = golden.origin["models"]
    hashes = model_hashes()
    for precision, pair in installed_pairs().items():
        checks: list[Check] = []
        with checked(checks, "models", f"{' and '.join(path.stem for path in pair)} on the CPU") as figures:
            other = [path.name for path in pair if made_with.get(path.name) != hashes[path.name]]
            if other:
                raise ModelError(
                    f"{', '.join(other)} is not the file that this vultus came with; install vultus again"
                )
            _compare(golden.under(f"models/{precision}"), pair, SLACK[precision], figures)
        yield from checks


def _compare(
    expected: dict[str, FaceArray], pair: Sequence[Path], slack: float, figures: dict[str, float]
) -> None:
    for name, faces in faces_found(pair, "cpu").items():
        apart = require_agreement(expected[name], faces, slack)
        figures["faces"] = figures.get("faces", 0) + apart.faces
        for field, value in apart.fields.items():
            figures[field] = max(figures.get(field, 0.0), value)
