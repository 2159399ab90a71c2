"""What vultus takes on a Jetson, as far as files tell: the tree that jetson/install.sh makes, and its overlay."""

from __future__ import annotations

import compileall
import re
import shutil
import subprocess
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from harness.provenance import REPOSITORY
from vultus.errors import InputError

__all__ = ["BLOCK", "UNCOMPILED", "measured_platform", "on_disk"]

JETSON = REPOSITORY / "jetson"
BLOCK = 4096
"""Bytes in which ext4 gives room to a file."""

UNCOMPILED = "/(pygments|vultus_models|distutils|testing|tests)/"
"""Folders that the first boot does not compile, as its unit names them."""


def measured_platform(platform: str, tree: Path | None = None, overlay: Path | None = None) -> dict[str, Any]:
    """Return the bytes of an installation for one platform of jetson/platforms.tsv, of its bytecode and its overlay.

    tree, overlay: made before by install.sh and make_overlay.sh; made anew where not given, from the wheelhouse.

    Raises InputError when a script fails.
    """
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        if tree is None:
            tree = place / "tree"
            tree.mkdir()
            _run(JETSON / "install.sh", "--root", tree, "--platform", platform, "--offline")
        if overlay is None:
            _run(JETSON / "make_overlay.sh", "--platform", platform, "--staging", tree, "--out", place)
            overlay = next(place.glob("*.tar.zst"))
        return {
            "install_bytes": on_disk(tree),
            "files": sum(1 for path in tree.rglob("*") if not path.is_dir()),
            "bytecode_bytes": _bytecode(tree, place / "compiled"),
            "overlay_bytes": overlay.stat().st_size,
            "largest": _largest(tree),
        }


def on_disk(folder: Path) -> int:
    """Return what the files, links and folders below a folder take on a disk, in whole blocks."""
    sizes = (path.lstat().st_size for path in folder.rglob("*"))
    return sum(-(-size // BLOCK) * BLOCK for size in sizes)


def _bytecode(tree: Path, copy: Path) -> int:
    """Return what the first boot adds by compiling, with this Python in place of the board's."""
    for path in tree.rglob("*.py"):
        target = copy / path.relative_to(tree)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
    compileall.compile_dir(copy, quiet=2, rx=re.compile(UNCOMPILED))
    return sum(-(-path.stat().st_size // BLOCK) * BLOCK for path in copy.rglob("*.pyc"))


def _largest(tree: Path, count: int = 8) -> dict[str, int]:
    """Return the packages that take most, largest first."""
    sizes: Counter[str] = Counter()
    for site in tree.glob("opt/vultus/releases/*/venv/lib/python3.*/site-packages"):
        for top in site.iterdir():
            if top.is_dir() and not top.is_symlink():
                sizes[top.name.removesuffix(".libs").replace("opencv_python_headless", "cv2")] += on_disk(top)
    return dict(sizes.most_common(count))


def _run(*command: str | Path) -> None:
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False)
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip()).splitlines()
        raise InputError(f"{Path(command[0]).name} failed: {' '.join(said[-3:]) or 'silence'}")
