"""Secret keys and signatures in the format of minisign, so that its own command signs and verifies them too."""

from __future__ import annotations

import base64
import hashlib
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from vultus.bundle.signature import LEGACY, PREHASHED, TRUSTED, UNTRUSTED, key_name
from vultus.errors import InputError, ModelError

__all__ = ["PASSWORD", "SecretKey", "new_key", "secret_key_from_file", "sign", "write_pair"]

PASSWORD = "VULTUS_BUNDLE_PASSWORD"
SCRYPT, PLAIN, CHECKSUM = b"Sc", b"\0\0", b"B2"
OPERATIONS, MEMORY = 1 << 22, 1 << 27  # of scrypt, as libsodium counts them: half a second on one core


@dataclass(frozen=True)
class SecretKey:
    """An Ed25519 key pair with its id; it never prints its secret."""

    id: bytes
    seed: bytes

    def __repr__(self) -> str:
        """Return the id alone."""
        return f"SecretKey({self.name})"

    @property
    def name(self) -> str:
        """The id as minisign prints it."""
        return key_name(self.id)

    @property
    def public(self) -> bytes:
        """The 32 bytes of the public key."""
        return self.signer.public_key().public_bytes_raw()

    @property
    def signer(self) -> Ed25519PrivateKey:
        """The key as the package cryptography uses it."""
        return Ed25519PrivateKey.from_private_bytes(self.seed)


def new_key() -> SecretKey:
    """Return a new random key."""
    return SecretKey(secrets.token_bytes(8), secrets.token_bytes(32))


def sign(data: bytes, key: SecretKey, comment: str) -> str:
    """Return the text of a signature file for `data`; `comment` is signed with it. Equal input, equal text."""
    signature = key.signer.sign(hashlib.blake2b(data).digest())
    both = key.signer.sign(signature + comment.encode())
    return (
        f"{UNTRUSTED}signature of vultus key {key.name}\n{_encoded(PREHASHED + key.id + signature)}\n"
        f"{TRUSTED}{comment}\n{_encoded(both)}\n"
    )


def write_pair(name: Path, key: SecretKey, password: str | None = None) -> tuple[Path, Path]:
    """Write NAME.key, which only its owner can read, and NAME.pub, and return both paths.

    password: protects the secret key. Raises InputError when either file exists: a key is never overwritten.
    """
    secret, public = name.with_name(f"{name.name}.key"), name.with_name(f"{name.name}.pub")
    texts = {secret: _secret_text(key, password), public: _public_text(key)}
    for path in texts:
        if path.exists():
            raise InputError(f"{path} exists, and a key is never overwritten; choose another --out")
    for path, text in texts.items():
        try:
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600 if path is secret else 0o644)
        except OSError as error:
            raise InputError(f"the key file {path} cannot be written: {error.strerror}") from error
        with os.fdopen(handle, "w") as stream:
            stream.write(text)
    return secret, public


def secret_key_from_file(path: Path, password: str | None = None) -> SecretKey:
    """Read a secret key file of minisign; raises ModelError when it is something else or the password is wrong."""
    try:
        lines = path.read_text("utf-8", "replace").splitlines()
        raw = base64.b64decode(lines[1], validate=True) if len(lines) > 1 else b""
    except OSError as error:
        raise ModelError(f"the key file {path} cannot be read: {error.strerror}") from error
    except ValueError:
        raw = b""
    if len(raw) != 158 or raw[:2] != LEGACY or raw[4:6] != CHECKSUM or raw[2:4] not in (SCRYPT, PLAIN):
        raise ModelError(f"{path} is not a secret key of minisign; make one with: vultus-export bundle-key")
    body = raw[54:]
    if raw[2:4] == SCRYPT:
        body = _unlocked(raw, path, password)
    key = SecretKey(body[:8], body[8:40])
    if key.public != body[40:72]:
        raise ModelError(f"{path} is damaged: its two halves do not belong together")
    return key


def _unlocked(raw: bytes, path: Path, password: str | None) -> bytes:
    if not password:
        raise ModelError(f"{path} is protected by a password; give it in the environment variable {PASSWORD}")
    operations, memory = (int.from_bytes(raw[at : at + 8], "little") for at in (38, 46))
    body = _xor(raw[54:], _scrypt(password, raw[6:38], operations, memory))
    if _check(body) != body[72:]:
        raise ModelError(f"the password in {PASSWORD} does not open {path}")
    return body


def _secret_text(key: SecretKey, password: str | None) -> str:
    body = key.id + key.seed + key.public
    if not password:
        text = LEGACY + PLAIN + CHECKSUM + bytes(48) + body + bytes(32)
        return f"{UNTRUSTED}vultus secret key {key.name}, without password\n{_encoded(text)}\n"
    salt = secrets.token_bytes(32)
    locked = _xor(body + _check(body), _scrypt(password, salt, OPERATIONS, MEMORY))
    costs = OPERATIONS.to_bytes(8, "little") + MEMORY.to_bytes(8, "little")
    return f"{UNTRUSTED}vultus secret key {key.name}\n{_encoded(LEGACY + SCRYPT + CHECKSUM + salt + costs + locked)}\n"


def _public_text(key: SecretKey) -> str:
    return f"{UNTRUSTED}vultus public key {key.name}\n{_encoded(LEGACY + key.id + key.public)}\n"


def _check(body: bytes) -> bytes:
    return hashlib.blake2b(LEGACY + body[:72], digest_size=32).digest()


def _scrypt(password: str, salt: bytes, operations: int, memory: int) -> bytes:
    """Return 104 bytes of key stream; libsodium's two costs fix scrypt's N and p, with r = 8."""
    operations = max(operations, 1 << 15)
    by_memory = operations >= memory // 32
    rows = 1 << max(1, ((memory // 1024 if by_memory else operations // 32) // 2).bit_length())
    parallel = operations // 4 // rows // 8 if by_memory else 1
    try:
        return hashlib.scrypt(
            password.encode(), salt=salt, n=rows, r=8, p=parallel, maxmem=rows * 1024 + (1 << 24), dklen=104
        )
    except (ValueError, MemoryError, OverflowError) as error:
        raise ModelError(f"the secret key asks for an impossible effort of its password: {error}") from error


def _xor(one: bytes, two: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(one, two, strict=True))


def _encoded(raw: bytes) -> str:
    return base64.b64encode(raw).decode()
