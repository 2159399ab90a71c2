"""Every shell script is linted: they run on boards where nobody watches."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from linters import linter
from repository import ROOT, tracked_files

SHELLS = ("#!/bin/sh", "#!/usr/bin/env bash", "#!/bin/bash", "# shellcheck shell=")


def lint(*paths: Path) -> str:
    command = [linter("shellcheck"), "-x", "-P", "SCRIPTDIR", *map(str, paths)]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False).stdout


def is_shell(path: Path) -> bool:
    return path.suffix in ("", ".sh") and path.read_bytes()[:64].decode(errors="replace").startswith(SHELLS)


def test_shell_scripts_are_clean() -> None:
    scripts = [path for path in tracked_files() if is_shell(path)]
    assert {"check", "environment.sh", "install.sh", "power.sh"} <= {path.name for path in scripts}
    assert lint(*scripts) == ""


@pytest.mark.parametrize("fault", ["cd $1/sub", "rm -rf $HOME/$1", "[ $a = b ]"])
def test_a_fault_would_be_found(fault: str, tmp_path: Path) -> None:
    (tmp_path / "bad.sh").write_text(f"#!/bin/sh\n{fault}\n")
    assert "SC2" in lint(tmp_path / "bad.sh")
