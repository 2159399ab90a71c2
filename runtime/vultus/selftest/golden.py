"""The results that a self-test compares with, packaged with the hash of their bytes and of what they came from."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vultus.errors import ModelError

__all__ = ["Golden", "load_golden", "save_golden"]

FOLDER = Path(__file__).parent
NAME = "golden"

Arrays = dict[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class Golden:
    """arrays: results by name, "kernels/CASE/OUTPUT" and "models/PRECISION/PICTURE". origin: what they came from."""

    arrays: Mapping[str, npt.NDArray[Any]]
    origin: Mapping[str, Any]

    def under(self, prefix: str) -> Arrays:
        """Return the arrays whose names begin with `prefix/`, without it."""
        return {
            name[len(prefix) + 1 :]: array
            for name, array in self.arrays.items()
            if name.startswith(f"{prefix}/")
        }


def save_golden(
    arrays: Mapping[str, npt.NDArray[Any]], origin: Mapping[str, Any], folder: Path = FOLDER
) -> None:
    """Write the arrays and, beside them, their hash and origin; equal arrays give equal bytes."""
    data = _packed(arrays)
    record = {"sha256": hashlib.sha256(data).hexdigest(), **origin}
    (folder / f"{NAME}.npz").write_bytes(data)
    (folder / f"{NAME}.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def _packed(arrays: Mapping[str, npt.NDArray[Any]]) -> bytes:
    """Return a compressed npz; numpy gives its members a fixed date, so only contents matter."""
    buffer = io.BytesIO()
    # The stub of savez_compressed takes names as keywords alone.
    np.savez_compressed(buffer, **{name: arrays[name] for name in sorted(arrays)})  # type: ignore[arg-type]
    return buffer.getvalue()


@lru_cache(maxsize=2)
def load_golden(folder: Path = FOLDER) -> Golden:
    """Read the packaged results; raises ModelError when they are missing or not those that were written."""
    again = "install vultus again"
    try:
        data = (folder / f"{NAME}.npz").read_bytes()
        record = json.loads((folder / f"{NAME}.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"the self-test's results cannot be read: {error}; {again}") from error
    found = hashlib.sha256(data).hexdigest()
    if found != record.get("sha256"):
        raise ModelError(
            f"the self-test's results are damaged: their SHA-256 is {found[:12]}, "
            f"not {str(record.get('sha256'))[:12]}; {again}"
        )
    with np.load(io.BytesIO(data), allow_pickle=False) as archive:
        return Golden({name: archive[name] for name in archive.files}, record)
