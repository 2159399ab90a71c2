"""Results as JSON: one line a picture or frame, in a versioned form that `result.schema.json` describes.

Keys are the fields of the FACE record. A field with labelled places is an object keyed by its labels, any
other array stays an array, and what was not measured is null. `python -m vultus.schema` prints the schema.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from vultus.abi import FIELD_NOTES
from vultus.types import FACE, LABELS, NO_TRACK, FaceArray, Frame, Result

__all__ = ["RESULT_SCHEMA", "line_from_result", "result_schema", "schema_path", "values_from_faces"]

RESULT_SCHEMA = 1
"""Version of the lines; it rises when a key goes away or changes its meaning, not when one is added."""

DECIMALS = 5

_TOP: dict[str, Any] = {
    "schema": {"const": RESULT_SCHEMA},
    "source": {"type": "string", "description": "the file, as it was named or found"},
    "index": {"type": "integer", "minimum": 0, "description": "position of the frame in its source"},
    "time": {"type": "number", "description": "seconds since the source began"},
    "width": {"type": "integer", "minimum": 1, "description": "frame pixels, after turning it upright"},
    "height": {"type": "integer", "minimum": 1, "description": "frame pixels, after turning it upright"},
    "faces": {"type": "array", "items": {"$ref": "#/$defs/face"}, "description": "by falling score"},
    "milliseconds": {
        "type": "object",
        "additionalProperties": {"type": "number"},
        "description": "wall time by stage",
    },
    "ran_on": {
        "type": "object",
        "additionalProperties": {"type": "string"},
        "description": "engine and device that really ran, by network stage",
    },
}


def line_from_result(source: str, result: Result, frame: Frame) -> bytes:
    """Return a result as one JSON line in UTF-8, its newline included."""
    import msgspec

    values = {
        "schema": RESULT_SCHEMA,
        "source": source,
        "index": result.index,
        "time": round(result.time, 6),
        "width": frame.width,
        "height": frame.height,
        "faces": values_from_faces(result.faces),
        "milliseconds": {stage: round(value, 3) for stage, value in result.milliseconds.items()},
        "ran_on": result.ran_on,
    }
    return msgspec.json.encode(values) + b"\n"


def values_from_faces(faces: FaceArray) -> list[dict[str, Any]]:
    """Return FACE records as plain dictionaries, rounded to 5 decimals, with None for the unmeasured."""
    columns = {name: _column(name, faces[name]) for name in FACE.names or ()}
    return [{name: column[row] for name, column in columns.items()} for row in range(len(faces))]


def _column(name: str, values: Any) -> list[Any]:
    """Return one field of all faces as plain values."""
    if name == "track":
        return [None if track == NO_TRACK else track for track in values.tolist()]
    missing = np.isnan(values)
    rounded = np.round(values.astype(np.float64), DECIMALS).astype(object)
    rounded[missing] = None
    plain: list[Any] = rounded.tolist()
    empty = missing.all(axis=tuple(range(1, missing.ndim)))
    labels = LABELS.get(name)
    rows = [dict(zip(labels, row, strict=True)) for row in plain] if labels else plain
    return [None if gone else row for gone, row in zip(empty, rows, strict=True)]


def schema_path() -> Path:
    """Return where the shipped JSON Schema lies."""
    return Path(__file__).with_name("result.schema.json")


def result_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of one line, made from the FACE record."""
    names = list(FACE.names or ())
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"One line of vultus results, schema {RESULT_SCHEMA}",
        "type": "object",
        "required": list(_TOP),
        "properties": _TOP,
        "$defs": {
            "face": {
                "type": "object",
                "required": names,
                "properties": {name: _field_schema(name) for name in names},
            }
        },
    }


def _field_schema(name: str) -> dict[str, Any]:
    note = FIELD_NOTES[name].replace("VULTUS_NO_TRACK", "null")
    if name == "track":
        return {"type": ["integer", "null"], "description": note}
    if name not in LABELS:
        return {**_shape_schema(FACE[name].shape), "description": note}
    item = _shape_schema(FACE[name].shape[1:])
    labels = LABELS[name]
    return {
        "type": ["object", "null"],
        "required": list(labels),
        "properties": dict.fromkeys(labels, item),
        "description": note,
    }


def _shape_schema(shape: tuple[int, ...]) -> dict[str, Any]:
    if not shape:
        return {"type": ["number", "null"]}
    items = _shape_schema(shape[1:])
    return {"type": ["array", "null"], "items": items, "minItems": shape[0], "maxItems": shape[0]}
