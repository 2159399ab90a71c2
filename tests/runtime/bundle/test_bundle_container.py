"""Archives made to harm: every one has a seal that fits, and every one is refused before it writes anything."""

from __future__ import annotations

import io
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path
from shutil import which

import pytest

import bundles
from vultus.bundle import container
from vultus.bundle.container import BLOCK, header_of
from vultus.bundle.load import install
from vultus.bundle.verify import verify_bundle
from vultus.errors import ModelError


def header(name: str, **changes: object) -> bytes:
    """Return the header of an empty file with some of its fields changed."""
    info = tarfile.TarInfo(name)
    info.mode = 0o644
    for field, value in changes.items():
        setattr(info, field, value)
    return info.tobuf(tarfile.USTAR_FORMAT, "ascii", "strict")


def long_name() -> bytes:
    """Return a file whose name of many letters comes in an extended header."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as archive:
        archive.addfile(tarfile.TarInfo("m" * 200))
    return stream.getvalue()


HARMFUL = {
    "traversal": (header("../outside"), r"a file named '\.\./outside'; .* never lead outside"),
    "traversal inside": (header("models/../../outside"), "never lead outside"),
    "absolute": (header("/etc/passwd"), "a file named '/etc/passwd'"),
    "backslash": (header("models\\x"), "never lead outside"),
    "hidden": (header(".ssh"), "a file named '.ssh'"),
    "deep": (header("a/b/c/d"), "at most two folders"),
    "symbolic link": (
        header("models/x", type=tarfile.SYMTYPE, linkname="/etc/passwd"),
        "models/x is a link; a bundle holds plain files alone",
    ),
    "hard link": (header("models/x", type=tarfile.LNKTYPE, linkname="models/y"), "models/x is a link"),
    "folder": (header("models", type=tarfile.DIRTYPE), "models is no plain file"),
    "device": (header("null", type=tarfile.CHRTYPE), "null is no plain file"),
    "pipe": (header("pipe", type=tarfile.FIFOTYPE), "pipe is no plain file"),
    "extended header": (long_name(), "is no plain file|never lead outside"),
    "setuid": (header("x", mode=0o4755), "the header of x is not as vultus writes it"),
    "owner": (header("x", uid=1000), "the header of x is not as vultus writes it"),
    "time": (header("x", mtime=1), "the header of x is not as vultus writes it"),
    "oversize": (
        header("x", size=(1 << 31) + 1),
        "x says it has 2147483649 bytes; a file of a bundle has at most",
    ),
    "no header": (b"x" * BLOCK, r"is damaged inside \(bad checksum\)|is damaged inside"),
    "cut short": (header_of("SHA256SUMS", 99999), "ends too early"),
}


@pytest.mark.parametrize("case", HARMFUL)
def test_a_harmful_archive_is_refused(tmp_path: Path, case: str) -> None:
    block, message = HARMFUL[case]
    tar = bundles.tar_of({})
    file = bundles.seal(tmp_path / "harm.tar.zst", block + tar)
    with pytest.raises(ModelError, match=message):
        install(file, tmp_path / "installed")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["harm.tar.zst"]


HIDDEN: dict[str, Callable[[bytes], bytes]] = {
    "after the end": lambda tar: tar + bytes(BLOCK),
    "in the end": lambda tar: tar[:-1] + b"x",
    "a second archive": lambda tar: tar + tar,
}


@pytest.mark.parametrize("case", HIDDEN)
def test_hidden_bytes_are_refused(parts: dict[str, bytes], tmp_path: Path, case: str) -> None:
    file = bundles.seal(tmp_path / "b.tar.zst", HIDDEN[case](bundles.tar_of(parts)))
    with pytest.raises(ModelError, match=r"b\.tar\.zst holds hidden bytes after its last file"):
        verify_bundle(file)


def test_hidden_bytes_between_files_are_refused(parts: dict[str, bytes], tmp_path: Path) -> None:
    tar = bytearray(bundles.tar_of(parts))
    tar[BLOCK + len(parts["SHA256SUMS"])] = 1
    with pytest.raises(ModelError, match="holds hidden bytes after SHA256SUMS"):
        verify_bundle(bundles.seal(tmp_path / "b.tar.zst", bytes(tar)))


def test_a_large_text_is_refused_before_it_is_read(tmp_path: Path) -> None:
    file = bundles.pack(tmp_path / "b.tar.zst", {"SHA256SUMS": bytes((1 << 20) + 1)})
    with pytest.raises(ModelError, match="SHA256SUMS has 1048577 bytes, and 1048576 at most are expected"):
        verify_bundle(file)


def test_many_files_may_not_add_up_to_too_much(
    parts: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(container, "LARGEST_BUNDLE", 60_000)
    with pytest.raises(ModelError, match="a bundle 60000"):
        verify_bundle(bundles.pack(tmp_path / "b.tar.zst", parts))


def test_a_stream_that_is_no_zstd_is_refused(tmp_path: Path) -> None:
    import hashlib

    file = tmp_path / "b.tar.zst"
    file.write_bytes(b"no zstd" + container.seal_of(hashlib.sha256(b"no zstd").digest()))
    with pytest.raises(ModelError, match=r"b\.tar\.zst cannot be unpacked"):
        verify_bundle(file)


@pytest.mark.skipif(which("zstd") is None, reason="the command zstd is not installed")
def test_the_command_zstd_reads_a_bundle(signed: Path) -> None:
    tar = subprocess.run(["zstd", "-dc", signed], check=True, capture_output=True).stdout
    with tarfile.open(fileobj=io.BytesIO(tar)) as archive:
        assert archive.getnames() == list(bundles.parts_in(signed))
