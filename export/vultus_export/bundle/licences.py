"""The licences of a bundle's models: known, and with their texts."""

from __future__ import annotations

import re
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from vultus.errors import ModelError

__all__ = ["is_statement", "licence_texts"]

OWN = "Apache-2.0"
FEWEST_WORDS = 4
REFERENCE = re.compile(r"LicenseRef-[A-Za-z0-9.-]+")


def licence_texts(models: Iterable[tuple[Path, str]]) -> dict[str, bytes]:
    """Return the texts of all licences that the models name: licences/ID.txt -> text.

    models: (file, licence) of each, an SPDX expression or a statement in words. The text of Apache-2.0 comes with
    vultus, that of any other identifier from the file LICENSES/ID.txt beside the model; a statement is its own
    text, licences/NAME.txt with the model's name. Raises ModelError for a model without a licence or a licence
    without a text.
    """
    found: dict[str, bytes] = {}
    for file, licence in models:
        if is_statement(licence):
            found[f"licences/{file.stem}.txt"] = f"{licence}\n".encode()
            continue
        for identifier in _identifiers(file, licence):
            found[f"licences/{identifier}.txt"] = _text(file, identifier)
    return found


def is_statement(licence: str) -> bool:
    """Tell a licence that is stated in words from an SPDX expression, which may be mistyped but has operators."""
    words = licence.split()
    return len(words) >= FEWEST_WORDS and not {"AND", "OR", "WITH"} & set(words)


def _identifiers(file: Path, expression: str) -> list[str]:
    """Return the SPDX identifiers of an expression such as `Apache-2.0 AND MIT`."""
    from license_expression import (  # type: ignore[import-untyped]
        ExpressionError,
        get_spdx_licensing,
    )

    licensing = get_spdx_licensing()
    try:
        names = list(map(str, licensing.license_keys(expression)))
        unknown = set(map(str, licensing.unknown_license_keys(expression)))
    except ExpressionError as error:
        raise _no_expression(file, expression, str(error)) from error
    if not names or "unknown" in (name.lower() for name in names):
        raise ModelError(
            f"the licence of {file} is unknown, and a bundle is made to be passed on; put its SPDX identifier, "
            "or its terms in words, into its spec and export or adopt it again"
        )
    foreign = sorted(name for name in unknown if not REFERENCE.fullmatch(name))
    if foreign:
        raise _no_expression(file, expression, f"{foreign[0]!r} is not on the list; LicenseRef-NAME may be")
    return names


def _no_expression(file: Path, expression: str, why: str) -> ModelError:
    return ModelError(
        f"the licence of {file}, {expression!r}, is no SPDX expression ({why}) and no statement of at least "
        f"{FEWEST_WORDS} words; correct its spec and export or adopt it again"
    )


def _text(file: Path, licence: str) -> bytes:
    path = file.parent / "LICENSES" / f"{licence}.txt"
    if path.is_file():
        return path.read_bytes()
    own = _own_text() if licence == OWN else None
    if own is None:
        raise ModelError(f"the text of the licence {licence} of {file} is missing; put it into {path}")
    return own.encode()


def _own_text() -> str | None:
    """Return the text of vultus' own licence, which every distribution of it carries."""
    try:
        return distribution("vultus").read_text("licenses/LICENSE")
    except PackageNotFoundError:
        return None
