"""What install.sh refuses, in which words, and that it changes nothing then."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from jetson_install import L4T, Kit, listing, make_bundle, make_kit, make_root, make_vultus, run_install

STATUS = """Package: other
Status: install ok installed
Version: 1

Package: nvidia-l4t-core
Status: install ok installed
Version: {version}-20250107174145
"""
ANY = Callable[[Kit, Path], tuple[str, ...]]


@pytest.fixture
def kit(tmp_path: Path) -> Kit:
    return make_kit(tmp_path / "kit")


def _release(text: str) -> ANY:
    def change(_: Kit, root: Path) -> tuple[str, ...]:
        (root / "etc/nv_tegra_release").write_text(text)
        return ()

    return change


def _dpkg(version: str) -> ANY:
    def change(_: Kit, root: Path) -> tuple[str, ...]:
        (root / "etc/nv_tegra_release").unlink()
        status = STATUS.format(version=version)
        (root / "var/lib/dpkg/status").write_text(status)
        return ()

    return change


def _no_jetson(_: Kit, root: Path) -> tuple[str, ...]:
    (root / "etc/nv_tegra_release").unlink()
    return ()


def _no_python(_: Kit, root: Path) -> tuple[str, ...]:
    (root / "usr/bin/python3.10").unlink()
    return ()


def _no_wheels(kit: Kit, _: Path) -> tuple[str, ...]:
    shutil.rmtree(kit.wheels)
    return ()


def _missing_wheel(kit: Kit, _: Path) -> tuple[str, ...]:
    for path in (*kit.wheels.glob("alpha*"), *kit.wheels.glob("beta*")):
        path.unlink()
    return ()


def _other_bytes(pattern: str) -> ANY:
    def change(kit: Kit, _: Path) -> tuple[str, ...]:
        (path,) = kit.wheels.glob(pattern)
        path.write_bytes(path.read_bytes() + b"\0")
        return ()

    return change


def _unlisted_vultus(kit: Kit, _: Path) -> tuple[str, ...]:
    sums = (kit.wheels / "SHA256SUMS").read_text()
    make_vultus(kit.wheels, "1.0.1")
    (kit.wheels / "SHA256SUMS").write_text(sums)
    return ()


def _no_vultus(kit: Kit, _: Path) -> tuple[str, ...]:
    next(kit.wheels.glob("vultus-*")).unlink()
    return ()


def _deb(_: Kit, root: Path) -> tuple[str, ...]:
    (root / "var/lib/dpkg/info").mkdir()
    (root / "var/lib/dpkg/info/vultus.list").write_text("/.\n/opt\n/opt/vultus\n/opt/vultus/current\n")
    return ()


def _no_bundle(_: Kit, root: Path) -> tuple[str, ...]:
    return "--models", str(root / "etc")


def _bad_bundle(kit: Kit, _: Path) -> tuple[str, ...]:
    bundle = make_bundle(kit.folder.parent / "bundle")
    (bundle / "models/tiny.onnx").write_text("changed")
    return "--models", str(bundle)


def _own_models(kit: Kit, root: Path) -> tuple[str, ...]:
    (root / "opt/vultus/models").mkdir(parents=True)
    return "--models", str(make_bundle(kit.folder.parent / "bundle"))


def _small_disk(kit: Kit, root: Path) -> tuple[str, ...]:
    (kit.folder / "df").write_text("#!/bin/sh\necho Avail\necho 100\n")
    (kit.folder / "df").chmod(0o755)
    kit.environment["PATH"] = f"{kit.folder}:{os.environ['PATH']}"
    return ()


JETPACK_5 = L4T.replace("R36", "R35").replace("4.3", "6.1")
SUPPORTED = r"expected: .*jetpack-6\.2 \(L4T 36\.4\.3-36\.5\).*jetpack-7\.2 \(L4T 39\.2\)"
CASES: dict[str, tuple[ANY, str]] = {
    "JetPack 5": (
        _release(JETPACK_5),
        rf"found JetPack 5 \(L4T 35\.6\.1\), whose TensorRT 8 is too old.*{SUPPORTED}.*do: flash",
    ),
    "JetPack 4": (_dpkg("32.7.4"), r"found JetPack 4 \(L4T 32\.7\.4\), whose TensorRT 8 is too old"),
    "JetPack 6.0": (_dpkg("36.3.0"), r"found JetPack 6\.0 \(L4T 36\.3\.0\), whose TensorRT 8 is too old"),
    "a later one": (
        _dpkg("40.1.0"),
        rf"found Jetson Linux \(L4T\) 40\.1\.0, which is not known here.*{SUPPORTED}",
    ),
    "no Jetson": (_no_jetson, r"is no Jetson: it has neither .*or say what it is with --platform NAME"),
    "not what was said": (
        lambda *_: ("--platform", "jetpack-7.2"),
        r"holds Jetson Linux \(L4T\) 36\.4\.3\n  expected: jetpack-7\.2 \(L4T 39\.2\), as --platform says",
    ),
    "an unknown name": (
        lambda *_: ("--platform", "jetpack-9"),
        rf"there is no platform 'jetpack-9'\n  {SUPPORTED}",
    ),
    "no Python": (_no_python, r"has no /usr/bin/python3\.10\n  expected: Ubuntu 22\.04"),
    "no wheelhouse": (
        _no_wheels,
        r"there is no wheelhouse .*\n.*\n  do: run wheelhouse\.sh --platform jetpack-6\.2",
    ),
    "missing wheels": (_missing_wheel, r"lacks alpha==1\.2 beta-two==3\.4\n"),
    "a wrong hash": (
        _other_bytes("beta_two-*"),
        r"beta_two-3\.4-.*\.whl has the SHA-256 [0-9a-f]{64}\n  expected: [0-9a-f]{64}, as .*cp310\.txt says",
    ),
    "a changed pip": (_other_bytes("pip-*"), r"pip-.*\.whl has the SHA-256 "),
    "a changed vultus": (
        _other_bytes("vultus-*"),
        r"vultus-1\.0\.0-.*\.whl has the SHA-256 .*SHA256SUMS says",
    ),
    "another vultus": (_unlisted_vultus, r"vultus-1\.0\.1-.*\n  expected: nothing, as .*SHA256SUMS says"),
    "no vultus": (_no_vultus, r"holds no wheel of vultus"),
    "a Debian package": (_deb, r"installed here as a Debian package\n.*\n  do: upgrade it with apt"),
    "no bundle": (
        _no_bundle,
        r"is no installed models bundle\n.*\n  do: make it with: vultus models install",
    ),
    "a changed bundle": (_bad_bundle, r"models/tiny\.onnx: FAILED(.|\n)*is not what its SHA256SUMS says"),
    "models put by hand": (_own_models, r"opt/vultus/models is a folder that install\.sh did not make"),
    "a full disk": (_small_disk, r"0 MB are free below .*\n  expected: \d+ MB\n  do: make room"),
}


@pytest.mark.parametrize("case", CASES)
def test_refused_in_clear_words_and_unchanged(case: str, kit: Kit, tmp_path: Path) -> None:
    change, words = CASES[case]
    root = make_root(tmp_path / "root")
    options = change(kit, root)
    before = listing(root)
    done = run_install(kit, root, *options)
    assert done.returncode == 1
    assert re.search(words, done.stderr, re.DOTALL), done.stderr
    assert listing(root) == before


def test_a_package_is_not_removed_by_the_script(kit: Kit, tmp_path: Path) -> None:
    root = make_root(tmp_path / "root")
    (root / "opt/vultus").mkdir(parents=True)
    (root / "opt/vultus/current").symlink_to("releases/x")
    _deb(kit, root)
    before = listing(root)
    done = run_install(kit, root, "--uninstall", "--purge")
    assert done.returncode == 1
    assert "remove it: apt-get remove vultus" in done.stderr
    assert listing(root) == before


def test_a_removed_package_is_no_hindrance(kit: Kit, tmp_path: Path) -> None:
    root = make_root(tmp_path / "root")
    (root / "var/lib/dpkg/info").mkdir()
    (root / "var/lib/dpkg/info/vultus.list").write_text("/etc\n/etc/vultus\n/etc/vultus/vultus.toml\n")
    done = run_install(kit, root)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--purge"], "--purge goes with --uninstall"),
        (["--rot", "x"], "there is no option '--rot'"),
        (["--models"], "--models needs a value"),
        (["--uninstall", "--purge", "--root", ""], "--root needs a value"),  # a variable that was never set
    ],
)
def test_wrong_command_lines_leave_with_2(kit: Kit, options: list[str], words: str) -> None:
    done = subprocess.run([kit.folder / "install.sh", *options], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert words in done.stderr


def test_this_machine_is_refused_unless_it_is_a_board(kit: Kit) -> None:
    if Path("/etc/nv_tegra_release").exists():
        pytest.skip("this is a Jetson")
    done = subprocess.run(
        [kit.folder / "install.sh", "--dry-run"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert re.search("this machine is no Jetson|cannot be written", done.stderr)


FOUND = {
    "36.4.0": "jetpack-6.1",
    "36.4.2": "jetpack-6.1",
    "36.4.3": "jetpack-6.2",
    "36.4.7": "jetpack-6.2",
    "36.5.0": "jetpack-6.2",
    "38.2.1": "jetpack-7.0",
    "38.4.0": "jetpack-7.1",
    "39.2.0": "jetpack-7.2",
    "36.6.0": None,
    "39.0.0": None,
    "39.10.0": None,
}


def _asked(kit: Kit, code: str) -> subprocess.CompletedProcess[str]:
    script = f'HERE={kit.folder}; source "$HERE/lib/say.sh"; source "$HERE/lib/platform.sh"; {code}'
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script], capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("version", FOUND)
def test_each_release_is_recognised_both_ways(kit: Kit, tmp_path: Path, version: str) -> None:
    root = make_root(tmp_path / "root")
    major, rest = version.split(".", 1)
    for change in (_release(L4T.replace("R36", f"R{major}").replace("4.3", rest)), _dpkg(version)):
        change(kit, root)
        done = _asked(kit, f'platform_of_l4t "$(l4t_version {root})"; echo $PLATFORM')
        assert done.stdout.strip() == (FOUND[version] or "")
        assert bool(done.returncode) == (FOUND[version] is None)


def test_a_removed_package_says_nothing(kit: Kit, tmp_path: Path) -> None:
    root = make_root(tmp_path / "root")
    _dpkg("36.4.3")(kit, root)
    status = root / "var/lib/dpkg/status"
    status.write_text(status.read_text().replace("ok installed\nVersion: 36", "ok config-files\nVersion: 36"))
    assert _asked(kit, f"l4t_version {root}").stdout == ""
