"""The overlay of a root file system: the same bytes each time, checked before it is unpacked, harmless to the root."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from jetson_image import JETSON, board_root, called, everything, need, need_root, staging
from vultus_export.bundle.signing import new_key, write_pair

EPOCH = "1700000000"
NAME = "vultus-0.9.0-jetpack-6.2"


def overlay(
    tree: Path, out: Path, *options: str | Path, umask: int = 0o022
) -> subprocess.CompletedProcess[str]:
    need("tar", "zstd")
    environment = {**os.environ, "SOURCE_DATE_EPOCH": EPOCH, "VULTUS_PYTHON": sys.executable}
    script = f'umask {umask:03o}; exec "$0" "$@"'
    command = ["--platform", "jetpack-6.2", "--staging", str(tree), "--out", str(out), *map(str, options)]
    return called(["bash", "-c", script, JETSON / "make_overlay.sh", *command], environment)


def apply(out: Path, root: Path, *options: str | Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "VULTUS_PYTHON": sys.executable}
    return called([JETSON / "apply_overlay.sh", out / f"{NAME}.tar.zst", root, *options], environment)


@pytest.fixture
def made(tmp_path: Path) -> Path:
    done = overlay(staging(tmp_path / "tree"), tmp_path / "out")
    assert done.returncode == 0, done.stderr
    return tmp_path / "out"


@pytest.mark.parametrize("script", ["make_overlay.sh", "make_deb.sh"])
def test_a_time_that_is_none_is_refused_before_anything_is_installed(script: str, tmp_path: Path) -> None:
    environment = {**os.environ, "SOURCE_DATE_EPOCH": "yesterday"}
    command: list[str | Path] = [
        JETSON / script,
        "--platform",
        "jetpack-6.2",
        "--staging",
        tmp_path / "none",
        "--out",
        tmp_path,
    ]
    done = called(command, environment)
    assert done.returncode == 1
    assert done.stderr.splitlines()[0] == f"{script}: no time for the files: SOURCE_DATE_EPOCH is 'yesterday'"
    assert "there is no folder" not in done.stderr


def test_same_input_gives_same_bytes(made: Path, tmp_path: Path) -> None:
    old = os.umask(0o077)  # the second tree has other rights and later times
    try:
        tree = staging(tmp_path / "again")
    finally:
        os.umask(old)
    done = overlay(tree, tmp_path / "second", umask=0o077)
    assert done.returncode == 0, done.stderr
    names = sorted(path.name for path in made.iterdir())
    assert names == [f"{NAME}{end}" for end in (".SHA256SUMS", ".manifest", ".tar.zst")]
    assert everything(made) == everything(tmp_path / "second")


def test_members_are_roots_and_no_system_folder_is_among_them(made: Path) -> None:
    listing = called(
        ["tar", "--zstd", "--list", "--verbose", "--numeric-owner", "--file", made / f"{NAME}.tar.zst"]
    )
    assert listing.returncode == 0, listing.stderr
    lines = [line.split(None, 5) for line in listing.stdout.splitlines()]
    assert {line[1] for line in lines} == {"0/0"}
    assert {line[3] for line in lines} == {"2023-11-14"}
    folders = [line[5].rstrip("/") for line in lines if line[0].startswith("d")]
    assert all(name.startswith(("opt/vultus", "etc/vultus")) for name in folders), folders
    names = [line[5].split(" -> ")[0].rstrip("/") for line in lines]
    assert names == sorted(names)


def test_manifest_lists_every_file_and_link(made: Path, tmp_path: Path) -> None:
    lines = (made / f"{NAME}.manifest").read_text().splitlines()
    assert lines[0] == "# vultus 0.9.0 for jetpack-6.2, Python 3.10"
    told = {name: what for what, name in (line.rsplit("  ", 1) for line in lines[1:])}
    tree = everything(tmp_path / "tree")
    assert told == {name: what for name, what in tree.items() if what != "folder"}


def test_unpacked_over_a_root(made: Path, tmp_path: Path) -> None:
    need("systemd-sysusers")
    need_root()
    root = board_root(tmp_path / "root")
    (root / "etc").chmod(0o711)
    done = apply(made, root)
    assert done.returncode == 0, done.stderr
    assert "anybody may have made it" in done.stderr
    assert (root / "opt/vultus/current/venv/lib/python3.10/site-packages/vultus/__init__.py").is_file()
    assert "vultus" in (root / "etc/passwd").read_text()
    assert (root / "etc").stat().st_mode & 0o777 == 0o711
    hidden = (root / "etc/vultus/vultus.toml").stat()
    assert (hidden.st_mode & 0o777, hidden.st_uid) == (0o640, 0)
    assert f"vultus:x:{hidden.st_gid}:" in (root / "etc/group").read_text()
    link = root / "etc/systemd/system/multi-user.target.wants/vultus.service"
    assert os.readlink(link) == "/usr/lib/systemd/system/vultus.service"


def test_newer_overlay_takes_the_place_and_the_configuration_stays(made: Path, tmp_path: Path) -> None:
    need_root()
    root = board_root(tmp_path / "root")
    assert apply(made, root).returncode == 0
    (root / "etc/vultus/vultus.toml").write_text("schema = 1 # mine\n")
    (root / "opt/vultus/models/old.onnx").write_text("old")
    tree = staging(tmp_path / "newer", release="0.9.0-11111111")
    assert overlay(tree, made).returncode == 0
    done = apply(made, root)
    assert done.returncode == 0, done.stderr
    assert "the overlay's is beside it as vultus.toml.new" in done.stdout
    assert (root / "etc/vultus/vultus.toml").read_text() == "schema = 1 # mine\n"
    assert [path.name for path in (root / "opt/vultus/releases").iterdir()] == ["0.9.0-11111111"]
    assert not (root / "opt/vultus/models/old.onnx").exists()


def test_same_configuration_is_not_put_beside(made: Path, tmp_path: Path) -> None:
    need_root()
    root = board_root(tmp_path / "root")
    for _ in range(2):
        assert apply(made, root).returncode == 0
    assert [path.name for path in (root / "etc/vultus").iterdir()] == ["vultus.toml"]


def test_signature(tmp_path: Path) -> None:
    need_root()
    for name in ("factory", "stranger"):
        write_pair(tmp_path / name, new_key())
    out = tmp_path / "out"
    done = overlay(staging(tmp_path / "tree"), out, "--key", tmp_path / "factory.key")
    assert done.returncode == 0, done.stderr
    first = (out / f"{NAME}.SHA256SUMS.minisig").read_bytes()
    assert overlay(tmp_path / "tree", out, "--key", tmp_path / "factory.key").returncode == 0
    assert (out / f"{NAME}.SHA256SUMS.minisig").read_bytes() == first
    done = apply(out, board_root(tmp_path / "root"), "--key", tmp_path / "factory.pub")
    assert done.returncode == 0, done.stderr
    assert "is signed by key" in done.stdout
    refused = apply(out, board_root(tmp_path / "other"), "--key", tmp_path / "stranger.pub")
    assert refused.returncode == 1
    assert "do not use this overlay" in refused.stderr
    assert not (tmp_path / "other/opt").exists()


def test_unsigned_overlay_is_refused_where_a_key_is_given(made: Path, tmp_path: Path) -> None:
    (tmp_path / "any.pub").write_text("untrusted comment: x\n")
    done = apply(made, board_root(tmp_path / "root"), "--key", tmp_path / "any.pub")
    assert done.returncode == 1
    assert "the signature of" in done.stderr


@pytest.mark.parametrize("end", [".tar.zst", ".manifest"])
def test_changed_byte_is_refused(made: Path, tmp_path: Path, end: str) -> None:
    path = made / f"{NAME}{end}"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    done = apply(made, board_root(tmp_path / "root"))
    assert done.returncode == 1
    assert "its manifest was changed" in done.stderr
    assert not (tmp_path / "root/opt").exists()


@pytest.mark.parametrize(
    ("release", "words"),
    [
        ("R35 (release), REVISION: 5.0", "JetPack 5"),
        ("R39 (release), REVISION: 2.0", "make_overlay.sh --platform jetpack-7.2"),
    ],
)
def test_root_of_another_jetpack_is_refused(made: Path, tmp_path: Path, release: str, words: str) -> None:
    done = apply(made, board_root(tmp_path / "root", release))
    assert done.returncode == 1
    assert words in done.stderr
    assert not (tmp_path / "root/opt").exists()


def test_root_without_jetson_linux_or_with_the_package_is_refused(made: Path, tmp_path: Path) -> None:
    root = board_root(tmp_path / "root")
    (root / "var/lib/dpkg/info").mkdir(parents=True)
    (root / "var/lib/dpkg/info/vultus.list").write_text("/opt/vultus/current\n")
    assert "installed in" in apply(made, root).stderr
    (root / "var/lib/dpkg/info/vultus.list").unlink()
    (root / "etc/nv_tegra_release").unlink()
    assert "run NVIDIA's apply_binaries.sh first" in apply(made, root).stderr
    assert "is no root file system" in apply(made, tmp_path / "nowhere").stderr


def test_root_that_cannot_be_written_is_refused_before_anything_is(made: Path, tmp_path: Path) -> None:
    need("unshare", "mount")
    need_root()
    root = board_root(tmp_path / "root")
    read_only = 'mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" && exec "$0" "$2" "$1"'
    command: list[str | Path] = [
        "unshare",
        "--mount",
        "bash",
        "-c",
        read_only,
        JETSON / "apply_overlay.sh",
        root,
    ]
    done = called([*command, made / f"{NAME}.tar.zst"])
    assert done.returncode == 1
    assert f"{root} cannot be written" in done.stderr
    assert "tar:" not in done.stderr


def test_tree_with_bytecode_is_refused(tmp_path: Path) -> None:
    tree = staging(tmp_path / "tree")
    (tree / "opt/vultus/models/x.pyc").touch()
    done = overlay(tree, tmp_path / "out")
    assert done.returncode == 1
    assert "no bytecode" in done.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ((), 2, "no --platform: one of jetpack-6.1"),
        (("--platform", "jetpack-5"), 1, "there is no platform 'jetpack-5'"),
        (("--nonsense", "x"), 2, "there is no option '--nonsense'"),
        (("--platform",), 2, "--platform needs a value"),
        (("--platform", "jetpack-6.2", "--staging", "/nowhere"), 1, "there is no folder /nowhere"),
        (("--platform", "jetpack-6.2", "--key", "/nowhere/x.key"), 1, "/nowhere/x.key cannot be read"),
    ],
)
def test_wrong_command_lines(arguments: tuple[str, ...], code: int, words: str) -> None:
    done = called([JETSON / "make_overlay.sh", *arguments])
    assert (done.returncode, words in done.stderr) == (code, True), done.stderr


@pytest.mark.parametrize("script", ["make_overlay.sh", "apply_overlay.sh", "make_deb.sh"])
def test_help(script: str) -> None:
    done = called([JETSON / script, "--help"])
    assert done.returncode == 0
    assert done.stdout.startswith(f"Usage: {script}")
