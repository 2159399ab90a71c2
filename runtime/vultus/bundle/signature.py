"""Signatures of bundles in the format of minisign: Ed25519 over the BLAKE2b-512 hash of the signed text.

https://jedisct1.github.io/minisign/ describes the format. A signature names its key by an 8-byte id and carries
a trusted comment, which a second signature covers together with the first. The arithmetic is the package
cryptography's, imported when a signature is checked.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import dataclass
from pathlib import Path

from vultus.errors import DeviceError, ModelError

__all__ = ["PublicKey", "Signature", "key_name", "public_key_from_file", "signature_from_text", "verify"]

LEGACY = b"Ed"
PREHASHED = b"ED"
TRUSTED = "trusted comment: "
UNTRUSTED = "untrusted comment: "
LARGEST_KEY_FILE = 4096


@dataclass(frozen=True)
class PublicKey:
    """An Ed25519 public key with its id, and the file it came from."""

    id: bytes
    key: bytes
    where: str = "the key"

    @property
    def name(self) -> str:
        """The id as minisign prints it."""
        return key_name(self.id)


@dataclass(frozen=True)
class Signature:
    """A signature, the id of the key that made it, and its signed comment."""

    key_id: bytes
    signature: bytes
    comment: str
    comment_signature: bytes

    @property
    def key_name(self) -> str:
        """The key's id as minisign prints it."""
        return key_name(self.key_id)


def key_name(key_id: bytes) -> str:
    """Return a key's id as minisign prints it: 16 hexadecimal digits, the last byte first."""
    return key_id[::-1].hex().upper()


def public_key_from_file(path: Path) -> PublicKey:
    """Read a public key file of minisign; raises ModelError when it is missing or something else."""
    try:
        with path.open("rb") as stream:
            lines = stream.read(LARGEST_KEY_FILE).decode("utf-8", "replace").splitlines()
    except OSError as error:
        raise ModelError(f"the key file {path} cannot be read: {error.strerror}") from error
    raw = _decoded(lines[1]) if len(lines) >= 2 and lines[0].startswith(UNTRUSTED) else b""
    if len(raw) == 158:
        raise ModelError(f"{path} is a secret key; give the public one (its name ends in .pub)")
    if len(raw) != 42 or raw[:2] != LEGACY:
        raise ModelError(
            f"{path} is not a public key of minisign; make a pair with: vultus-export bundle-key"
        )
    return PublicKey(raw[2:10], raw[10:], str(path))


def signature_from_text(text: bytes, where: str) -> Signature:
    """Read a signature file of minisign; raises ModelError naming `where` when it is malformed."""
    lines = text.decode("utf-8", "replace").split("\n")
    shaped = len(lines) == 5 and not lines[4] and lines[0].startswith(UNTRUSTED) and TRUSTED in lines[2]
    first, second = (_decoded(lines[1]), _decoded(lines[3])) if shaped else (b"", b"")
    if first[:2] == LEGACY and len(first) == 74:
        raise ModelError(f"{where} is a signature of the old kind, without prehash; sign again without -l")
    if first[:2] != PREHASHED or len(first) != 74 or len(second) != 64 or not lines[2].startswith(TRUSTED):
        raise ModelError(f"{where} is not a signature of minisign, or it is damaged; get the bundle again")
    return Signature(first[2:10], first[10:], lines[2][len(TRUSTED) :], second)


def verify(data: bytes, signature: Signature, key: PublicKey, where: str) -> None:
    """Check that `key` signed `data` and the signature's comment.

    Raises ModelError naming `where` when another key signed it, or when the data, the signature or the comment
    was changed; DeviceError when the package cryptography is missing.
    """
    if signature.key_id != key.id:
        raise ModelError(
            f"{where} is signed by key {signature.key_name}, and {key.where} is key {key.name}; "
            "give the signer's public key, or do not use this bundle"
        )
    if not _fits(key, signature.signature, hashlib.blake2b(data).digest()):
        raise ModelError(
            f"the signature of {where} does not fit: the file, or its signature, was changed after key "
            f"{key.name} signed it, or the key in {key.where} is not the signer's. Do not use this bundle"
        )
    if not _fits(key, signature.comment_signature, signature.signature + signature.comment.encode()):
        raise ModelError(
            f"the trusted comment in the signature of {where} was changed after key {key.name} signed it. "
            "Do not use this bundle"
        )


def _fits(key: PublicKey, signature: bytes, message: bytes) -> bool:
    try:
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    except ImportError as error:
        raise DeviceError(
            "checking a signature needs the package cryptography: pip install 'vultus[bundle]'"
        ) from error
    try:
        Ed25519PublicKey.from_public_bytes(key.key).verify(signature, message)
    except InvalidSignature:
        return False
    return True


def _decoded(line: str) -> bytes:
    """Return the bytes of one base64 line in its only spelling, or nothing."""
    try:
        raw = base64.b64decode(line, validate=True)
    except (binascii.Error, ValueError):
        return b""
    return raw if base64.b64encode(raw).decode() == line else b""
