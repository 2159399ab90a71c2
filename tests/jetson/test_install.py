"""install.sh on fake roots: what it lays down, again and again, upgrades, and takes away."""

from __future__ import annotations

import fcntl
import os
import shutil
from pathlib import Path

import pytest

from jetson_install import (
    TREE,
    Kit,
    is_whole,
    listing,
    make_bundle,
    make_kit,
    make_root,
    make_vultus,
    run_install,
)
from repository import ROOT

STATE = ("etc/vultus", "var/lib/vultus")


@pytest.fixture(scope="module")
def kit(tmp_path_factory: pytest.TempPathFactory) -> Kit:
    return make_kit(tmp_path_factory.mktemp("kit"))


@pytest.fixture(scope="module")
def installed(kit: Kit, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One finished install, for tests that only look or work on a copy."""
    root = make_root(tmp_path_factory.mktemp("installed") / "root")
    done = run_install(kit, root)
    assert done.returncode == 0, done.stderr
    return root


@pytest.fixture
def root(installed: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(installed, tmp_path / "root", symlinks=True))


def release_of(root: Path) -> Path:
    return root / "opt/vultus" / os.readlink(root / "opt/vultus/current")


def test_install_lays_down_a_whole_release(installed: Path) -> None:
    release = release_of(installed)
    site = release / "venv/lib/python3.10/site-packages"
    assert is_whole(release)
    assert release.name.startswith("1.0.0-")
    assert os.readlink(release / "venv/bin/python") == "/usr/bin/python3.10"
    assert "include-system-site-packages = false" in (release / "venv/pyvenv.cfg").read_text()
    assert os.readlink(site / "tensorrt") == "/usr/lib/python3.10/dist-packages/tensorrt"
    assert (site / "vultus/cli.py").is_file()
    assert (site / "beta/core.so").stat().st_size == 200_000
    assert not (site / "alpha/x.pyi").exists(), "what no run reads stays out"
    assert (site / (site / "vultus_firstboot.pth").read_text().strip()).resolve() == (
        release / "lib"
    ).resolve()
    assert (release / "lib/vultus_firstboot/__init__.py").is_file()
    assert not list(release.rglob("*.pyc")), "an image must be the same bytes, so nothing is compiled for it"


def test_install_places_the_tree_and_the_commands(installed: Path) -> None:
    for name, text in TREE.items():
        assert (installed / name).read_text() == text
    for name in ("vultus", "vultus-export"):
        assert os.readlink(installed / "usr/local/bin" / name) == f"/opt/vultus/current/venv/bin/{name}"
    for name in ("vultus.service", "vultus-firstboot.service"):
        link = installed / "etc/systemd/system/multi-user.target.wants" / name
        assert os.readlink(link) == f"/usr/lib/systemd/system/{name}"


def test_the_commands_run_the_packages_of_the_release(installed: Path) -> None:
    program = release_of(installed) / "venv/bin/vultus"
    assert program.read_text().splitlines()[0] == "#!/opt/vultus/current/venv/bin/python -s"
    assert os.access(program, os.X_OK)


def test_two_installs_are_the_same_to_the_byte(kit: Kit, installed: Path, tmp_path: Path) -> None:
    other = make_root(tmp_path / "root")
    assert run_install(kit, other).returncode == 0
    assert listing(other) == listing(installed)


@pytest.mark.parametrize("mode", [0o777, 0o600])
def test_a_stick_that_keeps_no_rights_does_no_harm(tmp_path: Path, mode: int) -> None:
    copy = make_kit(tmp_path / "kit")
    for path in copy.folder.rglob("*"):
        if path.is_file() and path.parent != copy.folder:
            path.chmod(mode)
    root = make_root(tmp_path / "root")
    assert run_install(copy, root).returncode == 0
    placed = root / "usr/lib/systemd/system/vultus.service"
    assert placed.stat().st_mode & 0o777 == 0o644
    assert (release_of(root) / "setup/install.sh").stat().st_mode & 0o777 == 0o755
    assert (release_of(root) / "setup/lib/say.sh").stat().st_mode & 0o777 == 0o644


def test_again_changes_nothing(kit: Kit, root: Path) -> None:
    (root / "var/lib/vultus").mkdir()
    (root / "var/lib/vultus/ready").touch()
    before = listing(root)
    done = run_install(kit, root)
    assert done.returncode == 0, done.stderr
    assert listing(root) == before


def test_again_mends_what_was_damaged(kit: Kit, root: Path) -> None:
    (root / "usr/lib/systemd/system/vultus.service").write_text("broken")
    (release_of(root) / "venv/lib/python3.10/site-packages/vultus/cli.py").write_text("broken")
    (root / "usr/local/bin/vultus").unlink()
    done = run_install(kit, root)
    assert done.returncode == 0, done.stderr
    assert (root / "usr/lib/systemd/system/vultus.service").read_text() == TREE[
        "usr/lib/systemd/system/vultus.service"
    ]
    assert is_whole(release_of(root))
    assert (root / "usr/local/bin/vultus").is_symlink()
    assert len(list((root / "opt/vultus/releases").iterdir())) == 1


def test_a_dry_run_changes_nothing_and_names_everything(kit: Kit, tmp_path: Path) -> None:
    root = make_root(tmp_path / "root")
    before = listing(root)
    done = run_install(kit, root, "--dry-run")
    assert done.returncode == 0, done.stderr
    assert listing(root) == before
    for text in (
        "vultus 1.0.0 for jetpack-6.2",
        "/opt/vultus/releases/1.0.0-",
        "/usr/lib/systemd/system/vultus.service",
    ):
        assert text in done.stdout


def test_a_dry_removal_changes_nothing(kit: Kit, root: Path) -> None:
    before = listing(root)
    done = run_install(kit, root, "--uninstall", "--purge", "--dry-run")
    assert done.returncode == 0, done.stderr
    assert listing(root) == before
    assert "would remove /usr/local/bin/vultus\n" in done.stdout


def test_uninstall_keeps_configuration_and_state_alone(kit: Kit, root: Path, tmp_path: Path) -> None:
    bare = listing(make_root(tmp_path / "bare"))
    (root / "var/lib/vultus/engines").mkdir(parents=True)
    done = run_install(kit, root, "--uninstall")
    assert done.returncode == 0, done.stderr
    assert listing(root, STATE) == bare
    assert (root / "etc/vultus/vultus.toml").is_file()
    assert (root / "var/lib/vultus/engines").is_dir()


@pytest.mark.parametrize("first", [(), ("--uninstall",)], ids=["at once", "after an uninstall"])
def test_purge_leaves_nothing(kit: Kit, root: Path, tmp_path: Path, first: tuple[str, ...]) -> None:
    (root / "var/lib/vultus/engines/a").mkdir(parents=True)
    (root / "etc/vultus/vultus.toml.new").touch()
    if first:
        assert run_install(kit, root, *first).returncode == 0
    done = run_install(kit, root, "--uninstall", "--purge")
    assert done.returncode == 0, done.stderr
    assert listing(root) == listing(make_root(tmp_path / "bare"))
    assert run_install(kit, root, "--uninstall", "--purge").returncode == 0, "and again"


def test_the_board_can_uninstall_by_itself(kit: Kit, root: Path, tmp_path: Path) -> None:
    own = Kit(release_of(root) / "setup", kit.wheels)
    done = run_install(own, root, "--uninstall", "--purge")
    assert done.returncode == 0, done.stderr
    assert listing(root) == listing(make_root(tmp_path / "bare"))


def test_the_user_is_made_and_purged(kit: Kit, tmp_path: Path) -> None:
    if shutil.which("systemd-sysusers") is None:
        pytest.skip("there is no systemd-sysusers on this machine")
    if os.geteuid():
        pytest.skip("systemd-sysusers --root needs root")
    root = make_root(tmp_path / "root")
    (root / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/bash\n")
    (root / "etc/group").write_text("root:x:0:\nvideo:x:44:somebody\n")
    before = {name: (root / "etc" / name).read_text() for name in ("passwd", "group")}
    assert run_install(kit, root).returncode == 0
    assert "vultus:x:" in (root / "etc/passwd").read_text()
    assert "video:x:44:somebody,vultus\n" in (root / "etc/group").read_text()
    assert run_install(kit, root, "--uninstall", "--purge").returncode == 0
    assert {name: (root / "etc" / name).read_text() for name in before} == before


def test_only_one_at_a_time(kit: Kit, root: Path) -> None:
    held = os.open(root, os.O_RDONLY)
    try:
        fcntl.flock(held, fcntl.LOCK_EX)
        done = run_install(kit, root)
    finally:
        os.close(held)
    assert done.returncode == 1
    assert "another install.sh works on" in done.stderr


def test_models_are_switched_whole(kit: Kit, root: Path, tmp_path: Path) -> None:
    ready = root / "var/lib/vultus/ready"
    ready.parent.mkdir(parents=True, exist_ok=True)
    for text in ("first", "second"):
        ready.touch()
        bundle = make_bundle(tmp_path / text, text)
        done = run_install(kit, root, "--models", str(bundle))
        assert done.returncode == 0, done.stderr
        assert listing((root / "opt/vultus/models").resolve()) == listing(bundle)
        assert not ready.exists(), "the engines are of other models"
    assert len(list((root / "opt/vultus/models.d").iterdir())) == 1
    assert run_install(kit, root).returncode == 0
    assert (root / "opt/vultus/models/models/tiny.onnx").read_text() == "second", "without --models they stay"


def test_the_files_of_the_repository_lie_as_they_are(tmp_path: Path) -> None:
    kit = make_kit(tmp_path / "kit")
    shutil.rmtree(kit.folder / "tree")
    shutil.copytree(ROOT / "jetson/tree", kit.folder / "tree")
    root = make_root(tmp_path / "root")
    done = run_install(kit, root)
    assert done.returncode == 0, done.stderr
    shipped = [path for path in (ROOT / "jetson/tree").rglob("*") if path.is_file()]
    assert shipped
    for path in shipped:
        assert (root / path.relative_to(ROOT / "jetson/tree")).read_bytes() == path.read_bytes()


def test_upgrade_keeps_configuration_and_engines(kit: Kit, root: Path, tmp_path: Path) -> None:
    new = _second_version(tmp_path)
    (root / "etc/vultus/vultus.toml").write_text("schema = 1 # mine\n")
    engines = root / "var/lib/vultus/engines/a"
    engines.mkdir(parents=True)
    (engines / "x.engine").write_text("engine")
    (root / "var/lib/vultus/ready").touch()
    (root / "etc/systemd/system/multi-user.target.wants/vultus-firstboot.service").unlink()
    done = run_install(new, root)
    assert done.returncode == 0, done.stderr
    assert release_of(root).name.startswith("2.0.0-")
    assert [path.name for path in (root / "opt/vultus/releases").iterdir()] == [release_of(root).name]
    assert (root / "etc/vultus/vultus.toml").read_text() == "schema = 1 # mine\n"
    assert (root / "etc/vultus/vultus.toml.new").read_text() == "schema = 1 # second\n"
    assert "/etc/vultus/vultus.toml is yours and stays" in done.stdout
    assert (engines / "x.engine").read_text() == "engine"
    assert not (root / "var/lib/vultus/ready").exists(), "first boot looks at the engines again"
    assert (root / "usr/lib/systemd/system/vultus-new.service").is_file()
    assert not (root / "usr/lib/tmpfiles.d/vultus.conf").exists(), "what this version no longer ships is gone"
    wants = root / "etc/systemd/system/multi-user.target.wants"
    assert sorted(path.name for path in wants.iterdir()) == ["vultus-new.service", "vultus.service"]
    assert "vultus-firstboot.service was disabled and stays so" in done.stdout


def test_a_configuration_that_did_not_change_is_not_offered_again(
    kit: Kit, root: Path, tmp_path: Path
) -> None:
    (root / "etc/vultus/vultus.toml").write_text("schema = 1 # mine\n")
    new = make_kit(tmp_path / "new", "2.0.0")
    assert run_install(new, root).returncode == 0
    assert [path.name for path in (root / "etc/vultus").iterdir()] == ["vultus.toml"]


def test_uninstall_after_an_upgrade_leaves_nothing(root: Path, tmp_path: Path) -> None:
    new = _second_version(tmp_path)
    assert run_install(new, root).returncode == 0
    assert run_install(new, root, "--uninstall", "--purge").returncode == 0
    assert listing(root) == listing(make_root(tmp_path / "bare"))


def _second_version(folder: Path) -> Kit:
    """A newer vultus with another configuration, one unit more and one file less."""
    kit = make_kit(folder / "new", "2.0.0")
    kit.write("etc/vultus/vultus.toml", "schema = 1 # second\n")
    kit.write("usr/lib/systemd/system/vultus-new.service", "[Install]\nWantedBy=multi-user.target\n")
    (kit.folder / "tree/usr/lib/tmpfiles.d/vultus.conf").unlink()
    make_vultus(kit.wheels, "2.0.0")
    return kit
