"""What a bundle says of itself: the names of its parts, its index of models and its list of checksums.

SHA256SUMS names every other file with its SHA-256; SHA256SUMS.minisig, where there is one, signs it; bundle.json
says which file is which model. In the order of their names the first two come first, so a reader knows what to
expect, and from whom, before it reads anything else.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from vultus.errors import ModelError

__all__ = [
    "INDEX",
    "SBOM",
    "SCHEMA",
    "SIGNATURE",
    "SUMS",
    "BundledModel",
    "Manifest",
    "check_name",
    "manifest_from_json",
    "manifest_to_json",
    "sums_from_text",
    "sums_to_text",
]

SCHEMA = 1
SUMS = "SHA256SUMS"
SIGNATURE = "SHA256SUMS.minisig"
INDEX = "bundle.json"
SBOM = "sbom.cdx.json"

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*(/[A-Za-z0-9][A-Za-z0-9._+-]*){0,2}")
LONGEST_NAME = 100
LINE = re.compile(r"([0-9a-f]{64})  (\S+)")


@dataclass(frozen=True)
class BundledModel:
    """One model of a bundle: what it is, and where in the bundle its files lie."""

    name: str
    version: str
    task: str
    precision: str
    licence: str
    file: str
    spec: str
    card: str
    calibration: str | None = None

    @property
    def files(self) -> tuple[str, ...]:
        """Every file of the bundle that belongs to this model."""
        return tuple(file for file in (self.file, self.spec, self.card, self.calibration) if file)


@dataclass(frozen=True)
class Manifest:
    """The index of a bundle: who made it and which models it holds."""

    made_by: str
    models: tuple[BundledModel, ...]
    schema: int = SCHEMA


def manifest_to_json(manifest: Manifest) -> str:
    """Return the index as JSON with sorted keys, so equal indexes give equal bytes."""
    import json

    return json.dumps(asdict(manifest), sort_keys=True, indent=2) + "\n"


def manifest_from_json(text: bytes, where: str) -> Manifest:
    """Read an index; `where` names the bundle in messages.

    Raises ModelError when it is malformed, of another schema or not exactly as `manifest_to_json` writes it.
    """
    import msgspec

    try:
        raw = msgspec.json.decode(text)
        schema = raw.get("schema") if isinstance(raw, dict) else None
        if schema != SCHEMA:
            raise ModelError(
                f"{where}: {INDEX} is of schema {schema}, this vultus reads schema {SCHEMA}; "
                "make the bundle again or install the matching vultus"
            )
        manifest = msgspec.convert(raw, Manifest)
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise ModelError(f"{where}: {INDEX} is malformed: {error}") from error
    if manifest_to_json(manifest).encode() != text:
        raise ModelError(f"{where}: {INDEX} is not as vultus writes it; make the bundle again")
    return manifest


def sums_to_text(sums: Mapping[str, str]) -> str:
    """Return checksums as `sha256sum --check` reads them, in the order of the names."""
    return "".join(f"{sums[name]}  {name}\n" for name in sorted(sums))


def sums_from_text(text: bytes, where: str) -> dict[str, str]:
    """Read checksums, name -> SHA-256 in hexadecimal; raises ModelError when a line is malformed or displaced."""
    sums: dict[str, str] = {}
    for number, line in enumerate(text.decode("ascii", "replace").splitlines(), 1):
        match = LINE.fullmatch(line)
        if match is None:
            raise ModelError(f"{where}: line {number} of {SUMS} is malformed; copy or make the bundle again")
        sums[check_name(match[2], where)] = match[1]
    if not sums or sums_to_text(sums).encode() != text:
        raise ModelError(
            f"{where}: {SUMS} is empty, or not sorted, or names a file twice; make the bundle again"
        )
    return sums


def check_name(name: str, where: str) -> str:
    """Return the name of a bundle's file; raises ModelError when it could lead out of the bundle's folder."""
    if len(name) > LONGEST_NAME or not NAME.fullmatch(name):
        raise ModelError(
            f"{where} holds a file named {name[:LONGEST_NAME]!r}; a bundle's names have letters, digits and "
            f"._+- in at most two folders, and never lead outside. Do not use this file"
        )
    return name
