"""Fixtures that every test folder shares."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

import tiny
from made_once import made_once


def pytest_configure() -> None:
    """Let idle threads of PyTorch sleep and Ctrl-C arrive, here and in all that a test starts.

    By default each thread spins until the others have done their part. Where the workers of a run, or anything
    else, take the cores away meanwhile, tests of tiny networks took ten times as long. OpenMP reads this once,
    when it is loaded, so it must be set before a test module imports PyTorch.

    A script that starts the tests in the background has them, and their children, ignore SIGINT.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def tiny_detector(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the file of the detector of white squares."""
    return tiny.save_detector(tmp_path_factory.mktemp("tiny") / "tiny-detector.onnx")


@pytest.fixture(scope="session")
def tiny_face(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the file of the seeded face network."""
    return tiny.save_face_network(tmp_path_factory.mktemp("tiny") / "tiny-face.onnx")


@pytest.fixture(scope="session")
def tiny_models(tiny_detector: Path, tiny_face: Path) -> list[Path]:
    """Return a detector and a face network whose answers are known."""
    return [tiny_detector, tiny_face]


@pytest.fixture(scope="session")
def mtcnn_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of MTCNN's three networks with seeded weights, exported once for all who read them."""
    import pulled_mtcnn

    return made_once(tmp_path_factory, "mtcnn", pulled_mtcnn.pull)
