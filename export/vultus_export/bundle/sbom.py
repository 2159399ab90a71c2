"""The bill of materials of a bundle in CycloneDX 1.6, with nothing in it that changes from run to run."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from typing import Any
from uuid import UUID, uuid5

from cyclonedx.model import HashAlgorithm, HashType, Property
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.license import DisjunctiveLicense, LicenseExpression
from cyclonedx.output.json import JsonV1Dot6

import vultus
from vultus.errors import InputError
from vultus_export.bundle.contents import Source
from vultus_export.bundle.licences import is_statement

__all__ = ["sbom_of"]

NAMESPACE = UUID("5a8e4d3c-64b0-5c0e-9a35-0d2f7a1c9b11")
EPOCH = "SOURCE_DATE_EPOCH"


def sbom_of(sources: Sequence[Source], sums: Mapping[str, str]) -> bytes:
    """Return the bill of materials as JSON.

    sums: SHA-256 of every other file of the bundle, name -> hexadecimal; the serial number follows from them. A
    time is told only when the environment variable SOURCE_DATE_EPOCH gives one.
    """
    root = Component(
        name="vultus-models",
        version=vultus.__version__,
        type=ComponentType.DATA,
        bom_ref="bundle",
        description="Face models for the vultus runtime, with their specs, cards and licences.",
    )
    digest = hashlib.sha256("".join(f"{name}={sums[name]};" for name in sorted(sums)).encode())
    bom = Bom(serial_number=uuid5(NAMESPACE, digest.hexdigest()))
    bom.metadata.component = root
    for source in sources:
        _add(bom, root, source, sums)
    return _canonical(json.loads(JsonV1Dot6(bom).output_as_string()))


def _add(bom: Bom, root: Component, source: Source, sums: Mapping[str, str]) -> None:
    """Add a model and, where there is one, the data that it was calibrated with."""
    told, spec = source.bundled, source.spec
    facts = {"task": spec.task, "precision": spec.precision, "source": spec.source, "file": told.file}
    model = Component(
        name=spec.name,
        version=spec.version,
        type=ComponentType.MACHINE_LEARNING_MODEL,
        bom_ref=told.file,
        description=spec.description or None,
        licenses=[_licence(spec.licence)],
        hashes=[_hash(sums[told.file])],
        properties=[Property(name=f"vultus:{name}", value=fact) for name, fact in facts.items() if fact],
    )
    bom.components.add(model)
    bom.register_dependency(root, [model])
    if told.calibration:
        data = Component(
            name=f"{source.file.stem} calibration manifest",
            type=ComponentType.DATA,
            bom_ref=told.calibration,
            hashes=[_hash(sums[told.calibration])],
        )
        bom.components.add(data)
        bom.register_dependency(model, [data])


def _licence(licence: str) -> DisjunctiveLicense | LicenseExpression:
    return DisjunctiveLicense(name=licence) if is_statement(licence) else LicenseExpression(licence)


def _hash(digest: str) -> HashType:
    return HashType(alg=HashAlgorithm.SHA_256, content=digest)


def _canonical(bom: dict[str, Any]) -> bytes:
    """Return the document with sorted keys and without the hour at which it was made."""
    del bom["metadata"]["timestamp"]
    epoch = os.environ.get(EPOCH)
    if epoch is not None:
        if not epoch.isdecimal():
            raise InputError(f"{EPOCH} is {epoch!r}; expected whole seconds since 1970")
        bom["metadata"]["timestamp"] = datetime.fromtimestamp(int(epoch), timezone.utc).isoformat()
    return (json.dumps(bom, sort_keys=True, indent=2, ensure_ascii=False) + "\n").encode()
