"""A folder of tiny models, to be changed."""

from __future__ import annotations

from pathlib import Path

import pytest

import bundles


@pytest.fixture
def models(tmp_path: Path) -> list[Path]:
    """Return the files of `bundles.model_folder`: a detector, its INT8 build and a face network."""
    return bundles.model_folder(tmp_path / "models")
