"""Bundles for tests: honest ones of tiny models, and archives of any content whose seal fits."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import zstandard

import tiny
from vultus.bundle.container import BLOCK, RECORD, header_of, members_of_archive, seal_of
from vultus.bundle.manifest import SIGNATURE, SUMS, sums_to_text
from vultus.bundle.signature import key_name
from vultus_export.bundle.signing import SecretKey, sign, write_pair
from vultus_export.quantize.manifest import Manifest, manifest_path

KEY = SecretKey(bytes(range(8)), bytes(range(32)))
OTHER_KEY = SecretKey(bytes(range(8, 16)), bytes(range(32, 64)))
KEY_NAME = key_name(KEY.id)
CALIBRATION = Manifest("tiny-detector", "1.0.0", "int8", "1" * 64, "", {"a.jpg": "2" * 64}, "minmax")


def model_folder(folder: Path) -> list[Path]:
    """Write a tiny detector in FP32 and INT8 with calibration, and a face network under MIT, all with cards."""
    folder.mkdir(parents=True, exist_ok=True)
    files = [folder / name for name in ("tiny-detector.onnx", "tiny-detector-int8.onnx", "tiny-face.onnx")]
    tiny.save_detector(files[0])
    tiny.save_detector(files[1], replace(tiny.DETECTOR, precision="int8", calibration=CALIBRATION.digest))
    tiny.save_face_network(files[2], replace(tiny.FACE_NETWORK, licence="Apache-2.0 AND MIT"))
    for file in files:
        file.with_suffix(".md").write_text(f"# {file.stem}\n\nMade by a test.\n")
    manifest_path(files[1]).write_text(CALIBRATION.to_json())
    (folder / "LICENSES").mkdir(exist_ok=True)
    (folder / "LICENSES" / "MIT.txt").write_text("The terms of MIT.\n")
    return files


def public_key(folder: Path, key: SecretKey = KEY) -> Path:
    """Write a key pair and return the public key's file."""
    return write_pair(folder / f"pair-{key.name}", key)[1]


def parts_in(bundle: Path) -> dict[str, bytes]:
    """Return the files of a bundle."""
    return {member.name: b"".join(member.chunks) for member in members_of_archive(bundle)}


def listed_anew(parts: Mapping[str, bytes], key: SecretKey | None = None) -> dict[str, bytes]:
    """Return the parts with checksums that fit them, signed where a key is given."""
    rest = {name: data for name, data in sorted(parts.items()) if name not in (SUMS, SIGNATURE)}
    sums = sums_to_text({name: hashlib.sha256(data).hexdigest() for name, data in rest.items()}).encode()
    signature = {SIGNATURE: sign(sums, key, "by a test").encode()} if key else {}
    return {SUMS: sums, **signature, **rest}


def pack(path: Path, parts: Mapping[str, bytes]) -> Path:
    """Write the parts in their order, whatever they are, as an archive whose seal fits."""
    return seal(path, tar_of(parts))


def tar_of(parts: Mapping[str, bytes]) -> bytes:
    """Return a tar of plain files as a bundle holds it."""
    body = b"".join(
        header_of(name, len(data)) + data + bytes(-len(data) % BLOCK) for name, data in parts.items()
    )
    return body + bytes(2 * BLOCK + -(len(body) + 2 * BLOCK) % RECORD)


def seal(path: Path, tar: bytes) -> Path:
    """Compress any bytes, close them with a seal that fits, and write them."""
    packed = zstandard.ZstdCompressor(level=1).compress(tar)
    path.write_bytes(packed + seal_of(hashlib.sha256(packed).digest()))
    return path
