"""The Debian packages: the same bytes each time; a scratch root takes them in, upgrades, and loses every trace."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from jetson_image import JETSON, board_root, called, everything, need, need_root, staging

EPOCH = "1700000000"
VULTUS, MODELS = "vultus_0.9.0+cp310_arm64.deb", "vultus-models_0.9.0_all.deb"
UNITS = ("vultus-firstboot.service", "vultus.service")


def packages(
    tree: Path, out: Path, platform: str = "jetpack-6.2", *options: str
) -> subprocess.CompletedProcess[str]:
    need("dpkg-deb")
    environment = {**os.environ, "SOURCE_DATE_EPOCH": EPOCH}
    command: list[str | Path] = [JETSON / "make_deb.sh", "--platform", platform, *options]
    return called([*command, "--staging", tree, "--out", out], environment)


@pytest.fixture
def made(tmp_path: Path) -> Path:
    done = packages(staging(tmp_path / "tree"), tmp_path / "out")
    assert done.returncode == 0, done.stderr
    return tmp_path / "out"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    need("dpkg", "systemctl", "systemd-sysusers", "systemd-tmpfiles", "userdel")
    need_root()
    folder = board_root(tmp_path / "root")
    for name in ("info", "updates", "triggers", "parts"):
        (folder / "var/lib/dpkg" / name).mkdir(parents=True)
    (folder / "var/lib/dpkg/status").touch()
    (folder / "run").mkdir()
    return folder


def dpkg(root: Path, *words: str | Path) -> subprocess.CompletedProcess[str]:
    """Run dpkg below a root in which nothing can be run: the scripts see DPKG_ROOT."""
    options = [f"--force-{name}" for name in ("script-chrootless", "depends", "architecture", "confold")]
    return called(["dpkg", f"--root={root}", *options, *words])


def installed(root: Path, *files: Path) -> None:
    done = dpkg(root, "--install", *files)
    assert done.returncode == 0, done.stdout + done.stderr


def wanted(root: Path) -> list[str]:
    folder = root / "etc/systemd/system/multi-user.target.wants"
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def test_same_input_gives_same_bytes(made: Path, tmp_path: Path) -> None:
    old = os.umask(0o077)
    try:
        tree = staging(tmp_path / "again")
        done = packages(tree, tmp_path / "second")
    finally:
        os.umask(old)
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in made.iterdir()) == [MODELS, VULTUS]
    assert everything(made) == everything(tmp_path / "second")


def test_what_is_in_them(made: Path) -> None:
    listing = called(["dpkg-deb", "--contents", made / VULTUS]).stdout
    assert {line.split()[1] for line in listing.splitlines()} == {"root/root"}
    assert "./usr/bin/vultus ->" in listing
    for foreign in ("./usr/local", ".wants", "./opt/vultus/models"):
        assert foreign not in listing
    assert "./opt/vultus/models/bundle.json" in called(["dpkg-deb", "--contents", made / MODELS]).stdout
    fields = called(["dpkg-deb", "--field", made / VULTUS, "Depends", "Architecture"]).stdout
    assert "python3 (>= 3.10), python3 (<< 3.11)" in fields
    assert "arm64" in fields


def test_package_for_another_python(tmp_path: Path) -> None:
    done = packages(staging(tmp_path / "tree"), tmp_path / "out", "jetpack-7.2")
    assert done.returncode == 0, done.stderr
    field = called(["dpkg-deb", "--field", tmp_path / "out/vultus_0.9.0+cp312_arm64.deb", "Depends"]).stdout
    assert field.strip() == "python3 (>= 3.12), python3 (<< 3.13)"


def test_install_makes_user_directories_and_services(made: Path, root: Path) -> None:
    installed(root, made / MODELS, made / VULTUS)
    assert wanted(root) == [*UNITS]
    assert "vultus:" in (root / "etc/passwd").read_text()
    assert "video:x:44:vultus" in (root / "etc/group").read_text()
    assert (root / "var/lib/vultus").stat().st_mode & 0o777 == 0o750
    hidden = (root / "etc/vultus/vultus.toml").stat()
    assert hidden.st_mode & 0o777 == 0o640
    assert f"vultus:x:{hidden.st_gid}:" in (root / "etc/group").read_text()
    assert list((root / "var/lib/vultus").iterdir()) == []
    assert called(["dpkg", f"--root={root}", "--verify"]).stdout == ""


def test_upgrade_keeps_configuration_choice_and_engines(made: Path, root: Path, tmp_path: Path) -> None:
    installed(root, made / VULTUS)
    (root / "etc/vultus/vultus.toml").write_text("schema = 1 # mine\n")
    (root / "etc/systemd/system/multi-user.target.wants/vultus.service").unlink()  # the user's wish
    (root / "var/lib/vultus/ready").touch()
    (root / "var/lib/vultus/engine").write_text("kept")
    cache = root / "opt/vultus/releases/0.9.0-0badcafe/venv/lib/python3.10/site-packages/vultus/__pycache__"
    cache.mkdir()
    (cache / "x.pyc").touch()
    tree = staging(tmp_path / "newer", "0.9.1", "0.9.1-11111111")
    (tree / "etc/vultus/vultus.toml").write_text("schema = 1 # newer\n")
    assert packages(tree, tmp_path / "newer-out").returncode == 0
    installed(root, tmp_path / "newer-out/vultus_0.9.1+cp310_arm64.deb")
    assert (root / "etc/vultus/vultus.toml").read_text() == "schema = 1 # mine\n"
    assert wanted(root) == ["vultus-firstboot.service"]
    assert [path.name for path in (root / "opt/vultus/releases").iterdir()] == ["0.9.1-11111111"]
    assert os.readlink(root / "opt/vultus/current") == "releases/0.9.1-11111111"
    assert [path.name for path in (root / "var/lib/vultus").iterdir()] == ["engine"]


def test_remove_keeps_what_is_the_users_and_comes_back(made: Path, root: Path) -> None:
    installed(root, made / VULTUS)
    (root / "var/lib/vultus/engine").write_text("kept")
    (root / "opt/vultus/releases/0.9.0-0badcafe/__pycache__").mkdir()
    assert dpkg(root, "--remove", "vultus").returncode == 0
    assert wanted(root) == []
    assert not (root / "opt/vultus").exists()
    assert (root / "var/lib/vultus/engine").exists()
    assert (root / "etc/vultus/vultus.toml").exists()
    installed(root, made / VULTUS)
    assert wanted(root) == [*UNITS]


def test_purge_leaves_nothing(made: Path, root: Path) -> None:
    installed(root, made / MODELS, made / VULTUS)
    (root / "var/lib/vultus/engine").write_text("gone")
    assert dpkg(root, "--purge", "vultus", "vultus-models").returncode == 0
    # What is left is the database of dpkg, and what systemd-sysusers and userdel keep beside /etc/passwd.
    left = {name for name in everything(root) if "vultus" in name or name.startswith(("opt", "usr/"))}
    assert left == set()
    assert "vultus" not in (root / "etc/passwd").read_text() + (root / "etc/group").read_text()


def test_new_models_ask_for_a_first_boot(made: Path, root: Path) -> None:
    installed(root, made / VULTUS)
    (root / "var/lib/vultus/ready").touch()
    installed(root, made / MODELS)
    assert not (root / "var/lib/vultus/ready").exists()


def test_models_between_two_versions_of_vultus_are_newer_for_dpkg(
    made: Path, root: Path, tmp_path: Path
) -> None:
    tree = staging(tmp_path / "tree-2")
    (tree / "opt/vultus/models.d/0badcafe/bundle.json").write_text('{"new": true}\n')
    done = packages(tree, tmp_path / "new", "jetpack-6.2", "--models-version", "0.9.0+1")
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == [
        "vultus-models_0.9.0+1_all.deb",
        VULTUS,
    ]
    for older, newer in (("0.9.0", "0.9.0+1"), ("0.9.0+1", "0.9.1")):
        assert called(["dpkg", "--compare-versions", older, "lt", newer]).returncode == 0
    installed(root, made / VULTUS, made / MODELS)
    (root / "var/lib/vultus/ready").touch()
    done = dpkg(root, "--refuse-downgrade", "--install", tmp_path / "new/vultus-models_0.9.0+1_all.deb")
    assert done.returncode == 0, done.stderr
    assert (root / "opt/vultus/models/bundle.json").read_text() == '{"new": true}\n'
    assert not (root / "var/lib/vultus/ready").exists()


@pytest.mark.parametrize("version", ["new", "1.0-1", "1:2", "1/../2"])
def test_a_version_of_models_that_is_none_is_refused(version: str, tmp_path: Path) -> None:
    done = packages(tmp_path / "none", tmp_path, "jetpack-6.2", "--models-version", version)
    assert done.returncode == 2
    assert f"--models-version '{version}' is none: a digit, then letters" in done.stderr


def test_installation_by_the_script_is_not_mixed_with(made: Path, root: Path) -> None:
    (root / "opt/vultus").mkdir(parents=True)
    (root / "opt/vultus/current").symlink_to("releases/x")
    done = dpkg(root, "--install", made / VULTUS)
    assert done.returncode != 0
    assert "install.sh --uninstall" in done.stderr
    assert os.readlink(root / "opt/vultus/current") == "releases/x"


def test_without_models_there_is_one_package_and_a_word(tmp_path: Path) -> None:
    tree = staging(tmp_path / "tree")
    (tree / "opt/vultus/models").unlink()
    shutil.rmtree(tree / "opt/vultus/models.d")
    done = packages(tree, tmp_path / "out")
    assert done.returncode == 0
    assert "no package vultus-models" in done.stderr
    assert [path.name for path in (tmp_path / "out").iterdir()] == [VULTUS]
