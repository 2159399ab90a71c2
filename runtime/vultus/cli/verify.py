"""`vultus models verify` and `vultus models install`: bundles on the device."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from vultus.cli.console import clean_exit, output_console, say

if TYPE_CHECKING:
    from vultus.bundle.verify import Verified

__all__ = ["install_bundle", "verify_bundle"]

Bundle = Annotated[
    Path, typer.Argument(metavar="BUNDLE", help="A bundle, or the folder where it was installed.")
]
Key = Annotated[
    Path | None,
    typer.Option("--key", metavar="FILE", help="Public key of the signer; the bundle must be signed by it."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def verify_bundle(bundle: Bundle, key: Key = None, as_json: AsJson = False) -> None:
    """Check every byte of a bundle of models and, with --key, who made it.

    Exit code: 0 whole (and signed by that key), 4 changed, incomplete, or not signed by that key.
    """
    with clean_exit():
        from vultus.bundle.verify import verify_bundle as verify

        _show(bundle, verify(bundle, key), as_json)


def install_bundle(
    bundle: Bundle,
    directory: Annotated[
        Path, typer.Argument(metavar="DIRECTORY", help="New folder, which appears whole or not at all.")
    ],
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Verify a bundle of models and unpack it into a new folder.

    Exit code: 0 installed, 4 refused, with nothing left behind.
    """
    with clean_exit():
        from vultus.bundle.load import install

        _show(directory, install(bundle, directory, key).verified, as_json)


def _show(place: Path, verified: Verified, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(_values(place, verified), indent=2))
        return
    table = Table(header_style="bold")
    for title in ("model", "version", "task", "precision", "licence", "file"):
        table.add_column(title, overflow="fold")
    for model in verified.manifest.models:
        told = (model.name, model.version, model.task, model.precision, model.licence, model.file)
        table.add_row(*map(escape, told))
    console = output_console()
    console.print(table)
    say(console, f"{place}: all {len(verified.sums)} files are as they were made; {_origin(verified)}")


def _origin(verified: Verified) -> str:
    if verified.signature is None:
        return "not signed, so anybody may have made it"
    name = verified.signature.key_name
    if verified.authentic:
        return f"signed by key {name} ({verified.signature.comment})"
    return f"its signature, said to be of key {name}, was not checked: give --key FILE"


def _values(place: Path, verified: Verified) -> dict[str, object]:
    from dataclasses import asdict

    signature = verified.signature
    return {
        "bundle": str(place),
        "authentic": verified.authentic,
        "key": signature.key_name if signature else None,
        "made_by": verified.manifest.made_by,
        "models": [asdict(model) for model in verified.manifest.models],
        "files": verified.sums,
    }
