"""Writing a bundle: checksums, signature, tar, zstd and seal, the same bytes for the same parts."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from vultus.bundle.container import BLOCK, CHUNK, RECORD, header_of, seal_of
from vultus.bundle.manifest import SIGNATURE, SUMS, check_name, sums_to_text
from vultus.bundle.verify import Verified, verify_bundle
from vultus.errors import ModelError
from vultus_export.bundle.contents import Part
from vultus_export.bundle.signing import SecretKey, sign

__all__ = ["Written", "checksums", "write_bundle"]

LEVEL = 12
COMMENT = "vultus bundle"


@dataclass(frozen=True)
class Written:
    """A bundle that was written: its size in bytes, its SHA-256 and what its verification proved."""

    file: Path
    size: int
    sha256: str
    verified: Verified


def checksums(parts: Mapping[str, Part]) -> dict[str, str]:
    """Return the SHA-256 of every part, name -> hexadecimal."""
    return {name: _digest(part) for name, part in parts.items()}


def write_bundle(path: Path, parts: Mapping[str, Part], key: SecretKey | None = None) -> Written:
    """Write the parts with their checksums, signed where a key is given, and verify them as a device would.

    Times, owners, rights, order, compression level and threads are fixed, so equal parts and keys give equal
    bytes with one version of zstd. The file appears whole and verified, or not at all. Raises ModelError when it
    cannot be written, or when a part changed while it was.
    """
    listed = sums_to_text(checksums(parts)).encode()
    head: dict[str, Part] = {SUMS: listed}
    if key:
        head[SIGNATURE] = sign(listed, key, COMMENT).encode()
    try:
        with _whole(path) as unfinished:
            digest = _write(unfinished, [*head.items(), *sorted(parts.items())])
            verified = verify_bundle(unfinished)
            size = unfinished.stat().st_size
        return Written(path, size, digest, verified)
    except OSError as error:
        raise ModelError(f"the bundle {path} cannot be written: {error.strerror}") from error


def _write(path: Path, parts: Iterable[tuple[str, Part]]) -> str:
    """Write tar, zstd and seal, flushed to the disk, and return the SHA-256 of it all."""
    from zstandard import ZstdCompressionParameters, ZstdCompressor

    settings = ZstdCompressionParameters.from_level(LEVEL, write_checksum=True, threads=0)
    with path.open("wb") as stream:
        out = _Hashing(stream)
        target = cast("BinaryIO", out)
        with ZstdCompressor(compression_params=settings).stream_writer(target, closefd=False) as packed:
            for chunk in _tar(parts):
                packed.write(chunk)
        out.write(seal_of(out.digest.digest()))
        stream.flush()
        os.fsync(stream.fileno())
    return out.digest.hexdigest()


def _tar(parts: Iterable[tuple[str, Part]]) -> Iterator[bytes]:
    """Yield the bytes of a tar of plain files."""
    written = 0
    for name, part in parts:
        size = len(part) if isinstance(part, bytes) else part.stat().st_size
        yield header_of(check_name(name, "the bundle"), size)
        yield from _chunks(part)
        yield bytes(-size % BLOCK)
        written += BLOCK + size + -size % BLOCK
    yield bytes(2 * BLOCK + -(written + 2 * BLOCK) % RECORD)


def _chunks(part: Part) -> Iterator[bytes]:
    if isinstance(part, bytes):
        yield part
        return
    try:
        with part.open("rb") as stream:
            while chunk := stream.read(CHUNK):
                yield chunk
    except OSError as error:
        raise ModelError(
            f"{part}, which belongs into the bundle, cannot be read: {error.strerror}"
        ) from error


def _digest(part: Part) -> str:
    digest = hashlib.sha256()
    for chunk in _chunks(part):
        digest.update(chunk)
    return digest.hexdigest()


class _Hashing:
    """Writes to a stream and hashes what passes."""

    def __init__(self, stream: BinaryIO) -> None:
        self.stream, self.digest = stream, hashlib.sha256()

    def write(self, data: bytes) -> int:
        """Write and hash the data."""
        self.digest.update(data)
        return self.stream.write(data)

    def flush(self) -> None:
        """Pass the flush on."""
        self.stream.flush()


@contextmanager
def _whole(path: Path) -> Iterator[Path]:
    """Give a hidden file beside `path`, which takes its place when all went well."""
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.absolute().parent)
    os.close(handle)
    try:
        yield Path(name)
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(name, 0o666 & ~umask)
        os.replace(name, path)
    finally:
        Path(name).unlink(missing_ok=True)
