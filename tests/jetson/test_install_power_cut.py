"""Power cuts in the middle of install.sh: kill -9 of everything before one of the commands that change files."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from jetson_install import (
    Kit,
    interrupt_after,
    is_whole,
    listing,
    make_bundle,
    make_kit,
    make_root,
    make_vultus,
    run_install,
)

# Out of about forty commands that change files; a few of each stage.
CUTS = (0.05, 0.3, 0.5, 0.7, 0.85, 0.95)
Upgraded = tuple[dict[str, str], int]
VOLATILE = ("opt/vultus/.created", "var/lib/vultus")


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> Kit:
    return make_kit(tmp_path_factory.mktemp("old"))


@pytest.fixture(scope="module")
def new(old: Kit, tmp_path_factory: pytest.TempPathFactory) -> Kit:
    """A newer version with a unit more and a file less."""
    kit = make_kit(tmp_path_factory.mktemp("new"))
    make_vultus(kit.wheels, "2.0.0")
    kit.write("usr/lib/systemd/system/vultus-new.service", "[Install]\nWantedBy=multi-user.target\n")
    (kit.folder / "tree/usr/lib/tmpfiles.d/vultus.conf").unlink()
    kit.environment |= interrupt_after(kit.folder.parent / "shims")
    return kit


@pytest.fixture(scope="module")
def before(old: Kit, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A board with the old version, a configuration of its own and an engine."""
    root = make_root(tmp_path_factory.mktemp("before") / "root")
    assert run_install(old, root).returncode == 0
    (root / "etc/vultus/vultus.toml").write_text("schema = 1 # mine\n")
    (root / "var/lib/vultus/engines").mkdir(parents=True)
    (root / "var/lib/vultus/engines/a").touch()
    return root


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_bundle(tmp_path_factory.mktemp("bundle") / "models")


@pytest.fixture(scope="module")
def upgraded(new: Kit, before: Path, bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Upgraded:
    """What an undisturbed upgrade gives, and how many commands change files in it."""
    root = copy(before, tmp_path_factory.mktemp("upgraded"))
    done = run_install(new, root, "--models", str(bundle))
    assert done.returncode == 0, done.stderr
    return listing(root, VOLATILE), len(Path(new.environment["STEPS"]).read_text().splitlines())


def copy(root: Path, folder: Path) -> Path:
    return Path(shutil.copytree(root, folder / "root", symlinks=True))


def cut(kit: Kit, root: Path, step: int, *options: str) -> None:
    """Run until the power goes."""
    Path(kit.environment["STEPS"]).unlink(missing_ok=True)
    done = run_install(kit, root, *options, STOP_AT=str(step))
    assert done.returncode == -9, f"step {step} was never reached: {done.stdout}"


def current(root: Path) -> Path:
    return root / "opt/vultus" / os.readlink(root / "opt/vultus/current")


@pytest.mark.parametrize("share", CUTS)
def test_an_upgrade_cut_short_is_finished_by_the_next_run(
    share: float, new: Kit, before: Path, bundle: Path, upgraded: Upgraded, tmp_path: Path
) -> None:
    whole, steps = upgraded
    assert steps > 30
    root = copy(before, tmp_path)
    cut(new, root, max(1, round(share * steps)), "--models", str(bundle))
    assert is_whole(current(root)), "at every moment one whole release is in use"
    assert (root / "etc/vultus/vultus.toml").read_text() == "schema = 1 # mine\n"
    done = run_install(new, root, "--models", str(bundle))
    assert done.returncode == 0, done.stderr
    assert listing(root, VOLATILE) == whole
    assert (root / "var/lib/vultus/engines/a").exists()


def test_an_upgrade_cut_short_is_undone_by_the_old_version(
    old: Kit, new: Kit, before: Path, tmp_path: Path
) -> None:
    root = copy(before, tmp_path)
    assert run_install(new, root, STOP_ON=".new-current").returncode == -9, "right before the switch"
    assert (root / "usr/lib/systemd/system/vultus-new.service").exists()
    done = run_install(old, root)
    assert done.returncode == 0, done.stderr
    assert listing(root, VOLATILE) == listing(before, VOLATILE)


@pytest.mark.parametrize("share", [0.4, 0.75])
def test_a_first_install_cut_short_uninstalls_to_nothing(
    share: float, new: Kit, upgraded: Upgraded, tmp_path: Path
) -> None:
    root = make_root(tmp_path / "root")
    cut(new, root, round(share * upgraded[1]))
    assert not (root / "opt/vultus/current").exists(), "nothing is in use before the switch"
    done = run_install(new, root, "--uninstall", "--purge")
    assert done.returncode == 0, done.stderr
    assert listing(root) == listing(make_root(tmp_path / "bare"))


def test_an_uninstall_cut_short_is_finished_by_the_next(new: Kit, before: Path, tmp_path: Path) -> None:
    root = copy(before, tmp_path)
    for step in (2, 4, 6):
        cut(new, root, step, "--uninstall", "--purge")
    done = run_install(new, root, "--uninstall", "--purge")
    assert done.returncode == 0, done.stderr
    assert listing(root) == listing(make_root(tmp_path / "bare"))


def test_a_disk_that_fills_up_leaves_the_release_in_use(old: Kit, before: Path, tmp_path: Path) -> None:
    """The check of the free space is told a lie, so the disk is full in the middle."""
    if os.geteuid():
        pytest.skip("mounting a small file system needs root")
    small = tmp_path / "small"
    small.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(small)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("no file system can be mounted here")
    try:
        root = copy(before, small)
        kit = make_kit(tmp_path / "kit", "2.0.0")
        (kit.folder / "df").write_text("#!/bin/sh\necho Avail\necho 100000000\n")
        (kit.folder / "df").chmod(0o755)
        kit.environment["PATH"] = f"{kit.folder}:{os.environ['PATH']}"
        (small / "ballast").write_bytes(bytes(shutil.disk_usage(small).free - 450_000))
        found = listing(root)
        done = run_install(kit, root)
        assert done.returncode == 1
        assert "No space left on device" in done.stderr
        assert "pip could not unpack the wheels" in done.stderr
        assert "stopped before the end: releases/1.0.0-" in done.stderr
        assert listing(root) == found
    finally:
        subprocess.run(["umount", str(small)], check=True)
