"""The overlay and the packages of all that is shipped: built twice from the wheelhouse, equal to the byte, small."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from jetson_image import JETSON, board_root, called, everything, need, need_root

pytestmark = pytest.mark.slow

PLATFORM, TAG = "jetpack-6.2", "cp310"
LARGEST = 150e6
ENVIRONMENT = {**os.environ, "SOURCE_DATE_EPOCH": "1700000000"}


@pytest.fixture(scope="module")
def trees(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Return two trees that install.sh made, one after the other, under different umasks."""
    wheels = JETSON / "dist" / "wheelhouse" / TAG
    if not (wheels / "SHA256SUMS").exists():
        pytest.skip(f"no wheels: run jetson/wheelhouse.sh --platform {PLATFORM}")
    need("dpkg-deb", "tar", "zstd")
    found = []
    for umask in ("022", "077"):
        tree = tmp_path_factory.mktemp("tree")
        command = f'umask {umask}; exec "$0" --root "$1" --platform {PLATFORM} --offline'
        done = called(["bash", "-c", command, JETSON / "install.sh", tree], ENVIRONMENT)
        assert done.returncode == 0, done.stderr
        found.append(tree)
    return found


def packed(script: str, trees: list[Path], out: Path) -> list[Path]:
    """Return the folders with what a script made of each tree."""
    folders = [out / "first", out / "second"]
    for tree, folder in zip(trees, folders, strict=True):
        done = called(
            [JETSON / script, "--platform", PLATFORM, "--staging", tree, "--out", folder], ENVIRONMENT
        )
        assert done.returncode == 0, done.stderr
    return folders


def test_overlay_is_the_same_twice_small_and_unpacks(trees: list[Path], tmp_path: Path) -> None:
    first, second = packed("make_overlay.sh", trees, tmp_path)
    assert everything(first) == everything(second)
    (overlay,) = first.glob("*.tar.zst")
    assert overlay.stat().st_size <= LARGEST
    need_root()
    root = board_root(tmp_path / "root")
    done = called([JETSON / "apply_overlay.sh", overlay, root])
    assert done.returncode == 0, done.stderr
    release = (root / "opt/vultus/current").resolve()
    checked = called(["sha256sum", "--check", "--quiet", "manifest.sha256"], cwd=release)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_packages_are_the_same_twice(trees: list[Path], tmp_path: Path) -> None:
    first, second = packed("make_deb.sh", trees, tmp_path)
    assert everything(first) == everything(second)
    assert [path.name.split("_")[0] for path in first.iterdir()] == ["vultus"]
