"""The networks of MTCNN with seeded weights, pulled from a package as `vultus-export pull mtcnn` does."""

from __future__ import annotations

import hashlib
import pickle
from pathlib import Path

import mtcnn_reference
from vultus_export.pull.mtcnn import pull_mtcnn
from vultus_export.pull.package import Package

__all__ = ["MADE", "SEED", "pinned", "pull"]

SEED = 2
MADE = "made.pickle"
"""What the pull has returned, beside what it has written."""


def pinned(wheel: Path) -> Package:
    """Return the release that a wheel is."""
    return Package("facenet-pytorch", "0.0.0", hashlib.sha256(wheel.read_bytes()).hexdigest())


def pull(folder: Path) -> None:
    """Write the package `a.whl` and what is pulled from it."""
    wheel = mtcnn_reference.save_wheel(folder / "a.whl", mtcnn_reference.random_states(SEED))
    (folder / MADE).write_bytes(pickle.dumps(pull_mtcnn(folder, wheel, pinned(wheel))))
