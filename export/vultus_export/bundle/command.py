"""The commands `vultus-export bundle` and `vultus-export bundle-key`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vultus.errors import ModelError
from vultus_export.console import clear_errors

if TYPE_CHECKING:
    from vultus_export.bundle.archive import Written

__all__ = ["bundle", "bundle_key", "make_bundle"]


def make_bundle(
    out: Path, precisions: Sequence[str] = (), models: Sequence[Path] = (), key: Path | None = None
) -> Written:
    """Write a bundle, verify it as a device would, and return what it is.

    precisions and models: as `chosen_models` takes them. key: a secret key file of minisign.

    Raises ModelError when anything that belongs into it is missing or it cannot be written.
    """
    from vultus.bundle.manifest import SBOM
    from vultus_export.bundle.archive import checksums, write_bundle
    from vultus_export.bundle.contents import chosen_models, parts_of
    from vultus_export.bundle.sbom import sbom_of
    from vultus_export.bundle.signing import PASSWORD, secret_key_from_file

    if out.is_dir() or not out.absolute().parent.is_dir():
        raise ModelError(f"cannot write {out}: it is a folder, or its folder does not exist")
    secret = secret_key_from_file(key, os.environ.get(PASSWORD)) if key else None
    sources = chosen_models(models, precisions)
    parts = parts_of(sources)
    parts[SBOM] = sbom_of(sources, checksums(parts))
    return write_bundle(out, parts, secret)


def bundle(
    out: Annotated[Path, typer.Option("--out", help="File to write, such as vultus-models.tar.zst.")],
    precision: Annotated[
        str | None, typer.Option("--precision", help="Precisions, comma-separated: fp16,int8.")
    ] = None,
    models: Annotated[
        list[Path] | None,
        typer.Option(
            "--models",
            help="Model file or installed name; may be repeated. By default the models of the package.",
        ),
    ] = None,
    key: Annotated[
        Path | None,
        typer.Option("--key", help="Secret key that signs it (bundle-key or minisign -G makes one)."),
    ] = None,
) -> None:
    """Pack models, specs, cards, licences, checksums and SBOM into one file for a device, signed with --key.

    Example: vultus-export bundle --precision fp16,int8 --out vultus-models.tar.zst --key factory.key
    """
    names = [name.strip() for name in (precision or "").split(",") if name.strip()]
    with clear_errors() as console:
        made = make_bundle(out, names, models or [], key)
        for name, digest in made.verified.sums.items():
            console.print(f"{digest}  {name}", markup=False)
        signature = made.verified.signature
        signed = f"signed by key {signature.key_name}" if signature else "not signed (--key SECRET signs it)"
        console.print(f"{made.file}: {made.size} bytes, SHA-256 {made.sha256}, {signed}", markup=False)


def bundle_key(
    out: Annotated[
        Path, typer.Option("--out", help="Name of the pair: NAME.key is secret, NAME.pub is not.")
    ],
) -> None:
    """Make a key pair that signs bundles; VULTUS_BUNDLE_PASSWORD in the environment protects the secret one.

    Example: vultus-export bundle-key --out factory
    """
    with clear_errors() as console:
        from vultus_export.bundle.signing import PASSWORD, new_key, write_pair

        password = os.environ.get(PASSWORD)
        key = new_key()
        secret, public = write_pair(out, key, password)
        guard = "protected by your password" if password else f"without password; {PASSWORD} would set one"
        console.print(f"key {key.name}: {secret} is secret ({guard})", markup=False)
        console.print(
            f"{public} goes to the devices: vultus models verify BUNDLE --key {public}", markup=False
        )
