"""Specs that users write by hand, in TOML."""

from __future__ import annotations

import json
import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args, get_type_hints

from vultus.errors import SpecError
from vultus.spec import SCHEMA, Head, InputSpec, ModelSpec, spec_from_json

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

CHOICES = {
    name: get_args(get_type_hints(part)[name.rpartition(".")[2]])
    for name, part in {
        "task": ModelSpec,
        "precision": ModelSpec,
        "kind": Head,
        "input.channels": InputSpec,
    }.items()
}
"""Key of a spec that names a choice -> what there is to choose from."""

__all__ = ["keep_attributes", "output_names", "read_spec", "read_toml"]


def read_toml(path: Path, what: str) -> dict[str, Any]:
    """Read a TOML file; raises SpecError that says `what` was wanted and what is wrong with the file."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SpecError(f"cannot read {what} {path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SpecError(f"{path} is not {what} in TOML: {error}") from error


def read_spec(path: Path) -> ModelSpec:
    """Read a ModelSpec whose keys are the fields of `vultus.spec.ModelSpec`; `schema` may be left out."""
    raw = {"schema": SCHEMA, **read_toml(path, "a model spec")}
    try:
        text = json.dumps(raw)
    except TypeError as error:
        raise SpecError(f"{path} holds a value that no spec has: {error}") from error
    try:
        return spec_from_json(text, str(path))
    except SpecError as error:
        raise SpecError(f"{error}{_choices(str(error))}") from error


def _choices(fault: str) -> str:
    """Return what could stand where a spec names a choice that there is not; the parser names the place alone."""
    place = re.search(r"enum value .* at `\$\.(?:\w+\[\d+\]\.)?(\w+(?:\.\w+)?)`", fault)
    known = CHOICES.get(place[1]) if place else None
    return f"; expected one of: {', '.join(known)}" if known else ""


def output_names(spec: ModelSpec) -> tuple[str, ...]:
    """Return the names of the model's outputs in the order of the spec."""
    levels = spec.detector.levels if spec.detector else ()
    return tuple(level.output for level in levels) + tuple(head.output for head in spec.heads)


def keep_attributes(spec: ModelSpec, attributes: tuple[str, ...]) -> ModelSpec:
    """Return the spec of the same face network with the heads of these fields alone.

    Raises SpecError for an attribute that no head of the network measures, and for a detector.
    """
    known = {head.field for head in spec.heads}
    unknown = sorted(set(attributes) - known)
    if unknown or not attributes:
        wanted = ", ".join(unknown) or "nothing"
        has = ", ".join(sorted(known)) or "no heads, it is a detector"
        raise SpecError(f"cannot keep {wanted} of model {spec.name!r}; it has {has}")
    return replace(spec, heads=tuple(head for head in spec.heads if head.field in attributes))
