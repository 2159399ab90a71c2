"""The file around a bundle: plain tar in one zstd stream, closed by a seal over its bytes.

The seal is a skippable frame of zstd that holds the SHA-256 of all bytes before it: `tar --zstd` passes over it,
and any byte that changed in transit is seen before anything is unpacked. The tar holds plain files alone, each
header exactly as `header_of` makes it; so links, devices, owners, times and long names have no place to hide.
"""

from __future__ import annotations

import hashlib
import tarfile
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

from vultus.bundle.manifest import check_name
from vultus.errors import DeviceError, ModelError

if TYPE_CHECKING:
    import zstandard

__all__ = ["BLOCK", "CHUNK", "RECORD", "Member", "header_of", "members_of_archive", "seal_of", "zstd"]

BLOCK = tarfile.BLOCKSIZE
RECORD = tarfile.RECORDSIZE
CHUNK = 1 << 20
LARGEST_FILE = 1 << 31
LARGEST_BUNDLE = 1 << 33
LARGEST_WINDOW = 1 << 25
SEAL_HEAD = (0x184D2A5B).to_bytes(4, "little") + (32).to_bytes(4, "little")
SEAL_SIZE = len(SEAL_HEAD) + 32


@dataclass(frozen=True)
class Member:
    """One file of a bundle; read its chunks to the end before asking for the next member."""

    name: str
    size: int
    chunks: Iterator[bytes]


def zstd() -> type[zstandard.ZstdDecompressor]:
    """Return the decompressor; raises DeviceError when the package zstandard is missing."""
    try:
        from zstandard import ZstdDecompressor
    except ImportError as error:
        raise DeviceError(
            "reading a bundle needs the package zstandard: pip install 'vultus[bundle]'"
        ) from error
    return ZstdDecompressor


def seal_of(digest: bytes) -> bytes:
    """Return the seal that closes an archive; `digest` is the SHA-256 of all bytes before it."""
    return SEAL_HEAD + digest


def header_of(name: str, size: int) -> bytes:
    """Return the tar header of a bundle's file: ustar, mode 644, owner 0, time 0."""
    info = tarfile.TarInfo(name)
    info.size, info.mode = size, 0o644
    return info.tobuf(tarfile.USTAR_FORMAT, "ascii", "strict")


def members_of_archive(path: Path) -> Generator[Member, None, None]:
    """Yield the files of an archive in their order, once its seal has been checked.

    Raises ModelError when the file cannot be read, is no bundle, was changed, or holds anything but plain files
    with harmless names and sizes; DeviceError when the package zstandard is missing.
    """
    decompressor = zstd()
    from zstandard import ZstdError

    try:
        with path.open("rb") as stream:
            part = _Part(stream, _sealed_size(stream, path))
            reader = decompressor(max_window_size=LARGEST_WINDOW).stream_reader(
                cast("BinaryIO", part), read_across_frames=True
            )
            yield from _Tar(cast("BinaryIO", reader), path).members()
    except OSError as error:
        raise ModelError(f"the bundle {path} cannot be read: {error.strerror}") from error
    except ZstdError as error:
        raise ModelError(f"{path} cannot be unpacked ({error}); copy or make the bundle again") from error


def _sealed_size(stream: BinaryIO, path: Path) -> int:
    """Check the seal, return the number of bytes before it and go back to the first."""
    size = stream.seek(0, 2) - SEAL_SIZE
    stream.seek(max(size, 0))
    seal = stream.read()
    if size <= 0 or not seal.startswith(SEAL_HEAD):
        raise ModelError(
            f"{path} is not a bundle of vultus, or its end is missing or damaged; copy or make it again"
        )
    stream.seek(0)
    digest, part = hashlib.sha256(), _Part(stream, size)
    while chunk := part.read(CHUNK):
        digest.update(chunk)
    if seal != seal_of(digest.digest()):
        raise ModelError(
            f"{path} was changed or damaged after it was made: its seal does not fit; copy it again"
        )
    stream.seek(0)
    return size


class _Part:
    """The first bytes of a stream, to be read once."""

    def __init__(self, stream: BinaryIO, size: int) -> None:
        self.stream, self.left = stream, size

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes, or none at the end of the part."""
        data = self.stream.read(self.left if size < 0 else min(size, self.left))
        self.left -= len(data)
        return data


class _Tar:
    """Reads the strict tar of a bundle from a stream."""

    def __init__(self, stream: BinaryIO, path: Path) -> None:
        self.stream, self.path, self.position = stream, path, 0

    def members(self) -> Iterator[Member]:
        """Yield the files; raises ModelError at the first thing that is not as `header_of` makes it."""
        while (block := self._exactly(BLOCK)) != bytes(BLOCK):
            name, size = self._file_of(block)
            yield Member(name, size, self._chunks(size))
            if self._exactly(-size % BLOCK).strip(b"\0"):
                raise ModelError(f"{self.path} holds hidden bytes after {name}; do not use this file")
        tail = self._exactly(BLOCK + -(self.position + BLOCK) % RECORD)
        if tail.strip(b"\0") or self.stream.read(1):
            raise ModelError(f"{self.path} holds hidden bytes after its last file; do not use this file")

    def _file_of(self, block: bytes) -> tuple[str, int]:
        try:
            info = tarfile.TarInfo.frombuf(block, "ascii", "surrogateescape")
        except tarfile.HeaderError as error:
            raise ModelError(
                f"{self.path} is damaged inside ({error}); copy or make the bundle again"
            ) from error
        name = check_name(info.name, str(self.path))
        if not 0 <= info.size <= LARGEST_FILE or self.position + info.size > LARGEST_BUNDLE:
            raise ModelError(
                f"{self.path}: {name} says it has {info.size} bytes; a file of a bundle has at most "
                f"{LARGEST_FILE}, a bundle {LARGEST_BUNDLE}. Do not use this file"
            )
        if not info.isreg():
            kind = "a link" if info.issym() or info.islnk() else "no plain file"
            raise ModelError(
                f"{self.path}: {name} is {kind}; a bundle holds plain files alone. Do not use it"
            )
        if block != header_of(name, info.size):
            raise ModelError(f"{self.path}: the header of {name} is not as vultus writes it; make it again")
        return name, info.size

    def _chunks(self, size: int) -> Iterator[bytes]:
        while size > 0:
            chunk = self._exactly(min(size, CHUNK))
            size -= len(chunk)
            yield chunk

    def _exactly(self, size: int) -> bytes:
        data = b""
        while len(data) < size and (more := self.stream.read(size - len(data))):
            data += more
        if len(data) < size:
            raise ModelError(f"{self.path} ends too early; copy or make the bundle again")
        self.position += size
        return data
