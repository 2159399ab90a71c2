"""Verification of a bundle, packed or installed: the same checks, in the same order, on the same names.

First the checksums, then their signature, and only then the files they name, each against its checksum; no file
may be missing and none may be added.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import BinaryIO

from vultus.bundle.container import CHUNK, Member, members_of_archive
from vultus.bundle.manifest import (
    INDEX,
    SIGNATURE,
    SUMS,
    Manifest,
    check_name,
    manifest_from_json,
    sums_from_text,
)
from vultus.bundle.signature import PublicKey, Signature, public_key_from_file, signature_from_text, verify
from vultus.errors import ModelError

__all__ = ["Keep", "Verified", "verify_bundle"]

LARGEST_TEXT = 1 << 20

Keep = Callable[[str], AbstractContextManager[BinaryIO]]


@dataclass(frozen=True)
class Verified:
    """What a bundle proved: its index, its checksums, and who signed it.

    authentic: the signature was checked against a key that the caller gave; without it only the bundle's
    wholeness is proved, and anybody may have made it.
    """

    manifest: Manifest
    sums: dict[str, str]
    signature: Signature | None
    authentic: bool


def verify_bundle(bundle: Path, key: Path | None = None, keep: Keep | None = None) -> Verified:
    """Check every byte of a bundle, which is an archive or the folder it was installed in.

    key: a public key file of minisign; the bundle must then be signed by that key. keep: opens a place for the
    file of a given name, to which it is written before its checksum is known to fit: the caller throws all
    away when this raises.

    Raises ModelError naming the file that is missing, added, changed or forbidden, or the key that does not
    fit; DeviceError when a package that is needed is missing.
    """
    public = public_key_from_file(key) if key else None
    if not bundle.exists():
        raise ModelError(f"there is no bundle {bundle}")
    with closing(_members_of_folder(bundle) if bundle.is_dir() else members_of_archive(bundle)) as members:
        return _verify(members, str(bundle), public, keep)


def _verify(members: Iterator[Member], where: str, key: PublicKey | None, keep: Keep | None) -> Verified:
    first = next(members, None)
    if first is None or first.name != SUMS:
        raise ModelError(
            f"{where}: {SUMS} is missing; this is not a bundle of vultus, or not the whole of it"
        )
    listed = _text(first, where, keep)
    sums = sums_from_text(listed, where)
    second = next(members, None)
    signature = None
    if second is not None and second.name == SIGNATURE:
        signature = signature_from_text(_text(second, where, keep), f"{where}: {SIGNATURE}")
        second = None
    _check_origin(listed, signature, key, where)
    index = _check_files(chain([second] if second else [], members), sums, where, keep)
    manifest = manifest_from_json(index, where)
    _check_index(manifest, sums, where)
    return Verified(manifest, sums, signature, key is not None)


def _check_origin(listed: bytes, signature: Signature | None, key: PublicKey | None, where: str) -> None:
    if key is None:
        return
    if signature is None:
        raise ModelError(
            f"{where} is not signed, and a signature of key {key.name} ({key.where}) is demanded; "
            "ask its maker for a signed bundle, or sign it with: vultus-export bundle --key SECRET"
        )
    verify(listed, signature, key, f"{where}: {SUMS}")


def _check_files(members: Iterator[Member], sums: dict[str, str], where: str, keep: Keep | None) -> bytes:
    """Check every listed file against its checksum, refuse any other, and return the index."""
    index = b""
    for name in sums:
        member = next(members, None)
        if member is None or member.name > name:
            raise ModelError(f"{where}: {name} is missing, though {SUMS} lists it; copy the bundle again")
        if member.name < name:
            raise _extra(member.name, where)
        digest, text = _taken(member, where, keep, as_text=name == INDEX)
        if digest != sums[name]:
            raise ModelError(
                f"{where}: {name} was changed or damaged: its SHA-256 is {digest}, {SUMS} says {sums[name]}. "
                "Do not use it; copy the bundle again"
            )
        index = text or index
    extra = next(members, None)
    if extra is not None:
        raise _extra(extra.name, where)
    if INDEX not in sums:
        raise ModelError(f"{where}: {INDEX} is missing; make the bundle again")
    return index


def _extra(name: str, where: str) -> ModelError:
    return ModelError(f"{where} holds {name}, which {SUMS} does not list; remove it or copy the bundle again")


def _check_index(manifest: Manifest, sums: dict[str, str], where: str) -> None:
    """Refuse an index that names absent files, or that leaves out a model."""
    named = {file for model in manifest.models for file in model.files}
    absent = sorted(named - set(sums))
    unnamed = sorted(name for name in sums if name.startswith("models/") and name not in named)
    if absent or unnamed or not manifest.models:
        what = f"names {absent[0]}, which is missing" if absent else "names no model"
        what = f"does not name {unnamed[0]}" if unnamed and not absent else what
        raise ModelError(f"{where}: {INDEX} {what}; make the bundle again")


def _text(member: Member, where: str, keep: Keep | None) -> bytes:
    return _taken(member, where, keep, as_text=True)[1]


def _taken(member: Member, where: str, keep: Keep | None, as_text: bool) -> tuple[str, bytes]:
    """Read a member to its end: its SHA-256 in hexadecimal and, for a text, its bytes."""
    if as_text and member.size > LARGEST_TEXT:
        raise ModelError(
            f"{where}: {member.name} has {member.size} bytes, and {LARGEST_TEXT} at most are expected. "
            "Do not use this file"
        )
    digest, text = hashlib.sha256(), bytearray()
    with keep(member.name) if keep else nullcontext() as out:
        for chunk in member.chunks:
            digest.update(chunk)
            if out:
                out.write(chunk)
            if as_text:
                text += chunk
    return digest.hexdigest(), bytes(text)


def _members_of_folder(folder: Path) -> Generator[Member, None, None]:
    """Yield the files under a folder in an archive's order; raises ModelError at a link or anything unusual."""
    found = {}
    for root, folders, files in os.walk(folder):
        for path in (Path(root, name) for name in folders + files):
            if path.is_symlink() or not (path.is_file() or path.is_dir()):
                raise ModelError(f"{path} is a link or no plain file; a bundle holds plain files alone")
            if path.is_file():
                found[check_name(path.relative_to(folder).as_posix(), str(folder))] = path
    for name in sorted(found, key=lambda name: (name != SUMS, name != SIGNATURE, name)):
        try:
            with found[name].open("rb") as stream:
                yield Member(name, found[name].stat().st_size, iter(lambda: stream.read(CHUNK), b""))
        except OSError as error:
            raise ModelError(f"{found[name]} cannot be read: {error.strerror}") from error
