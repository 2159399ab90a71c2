"""The JSON form of results: complete, plain, and as its schema says."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vultus.schema import RESULT_SCHEMA, line_from_result, result_schema, schema_path, values_from_faces
from vultus.types import EXPRESSIONS, FACE, GENDERS, LABELS, Frame, Result, empty_faces

FRAME = Frame(np.zeros((4, 6, 3), np.uint8))


def measured(count: int) -> Any:
    """Return records in which every field holds something."""
    faces = empty_faces(count)
    rng = np.random.default_rng(5)
    for name in FACE.names or ():
        shape = faces[name].shape
        faces[name] = rng.integers(0, 9, shape) if name == "track" else rng.uniform(-50, 900, shape)
    return faces


def problems(value: Any, schema: dict[str, Any], root: dict[str, Any], where: str = "$") -> list[str]:
    """List what in `value` is against `schema`: the few words of JSON Schema that the result's uses."""
    if "$ref" in schema:
        return problems(value, root["$defs"][schema["$ref"].rpartition("/")[2]], root, where)
    if "const" in schema:
        return [] if value == schema["const"] else [f"{where} is not {schema['const']}"]
    types = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    if kind_of(value) not in types and not (kind_of(value) == "integer" and "number" in types):
        return [f"{where} is {kind_of(value)}, not {types}"]
    found = []
    if isinstance(value, dict):
        found += [f"{where}.{key} is missing" for key in schema.get("required", []) if key not in value]
        known, rest = schema.get("properties", {}), schema.get("additionalProperties")
        for key, item in value.items():
            if key not in known and rest is None:
                found.append(f"{where}.{key} is not described")
            else:
                found += problems(item, known.get(key, rest), root, f"{where}.{key}")
    if isinstance(value, list):
        if not schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", len(value)):
            found.append(f"{where} has {len(value)} items")
        found += [
            p for i, item in enumerate(value) for p in problems(item, schema["items"], root, f"{where}[{i}]")
        ]
    return found


def kind_of(value: Any) -> str:
    kinds = {
        dict: "object",
        list: "array",
        str: "string",
        int: "integer",
        float: "number",
        type(None): "null",
    }
    return kinds[type(value)]


@pytest.mark.parametrize("faces", [empty_faces(), empty_faces(2), measured(1), measured(3)])
def test_lines_follow_the_schema(faces: Any) -> None:
    result = Result(3, 0.12, faces, {"detect": 12.34567}, {"detect": "ONNX Runtime CPU"})
    line = line_from_result("a/b.jpg", result, FRAME)
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    value = json.loads(line)
    assert problems(value, result_schema(), result_schema()) == []
    assert (value["schema"], value["source"], value["index"]) == (RESULT_SCHEMA, "a/b.jpg", 3)
    assert (value["width"], value["height"], len(value["faces"])) == (6, 4, len(faces))
    assert value["milliseconds"] == {"detect": 12.346}
    assert value["ran_on"] == {"detect": "ONNX Runtime CPU"}


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"schema": 2}, "$.schema is not 1"),
        ({"width": None}, "$.width is null"),
        ({"more": 1}, "$.more is not described"),
        ({"faces": [{}]}, "$.faces[0].box is missing"),
    ],
)
def test_the_schema_refuses_other_lines(change: dict[str, Any], problem: str) -> None:
    value = json.loads(line_from_result("a", Result(0, 0.0, empty_faces(1)), FRAME)) | change
    assert any(found.startswith(problem) for found in problems(value, result_schema(), result_schema()))


def test_the_unmeasured_is_null_and_never_nan() -> None:
    line = line_from_result("a", Result(0, 0.0, empty_faces(1)), FRAME)
    assert b"NaN" not in line
    assert set(json.loads(line)["faces"][0].values()) == {None}


def test_labelled_fields_are_objects_and_parts_may_be_null() -> None:
    faces = empty_faces(2)
    faces["gender"][1] = (0.25, 0.75)
    faces["expression"][1] = np.arange(7) / 21
    faces["pose"][1, 0] = -12.5
    faces["points"][1, 2] = (3, 4)
    faces["track"][1] = 0
    first, second = values_from_faces(faces)
    assert first["gender"] is None
    assert second["gender"] == dict(zip(GENDERS, (0.25, 0.75), strict=True))
    assert list(second["expression"]) == list(EXPRESSIONS)
    assert second["pose"] == {"yaw": -12.5, "pitch": None, "roll": None}
    assert second["points"]["nose_tip"] == [3.0, 4.0]
    assert (first["track"], second["track"]) == (None, 0)


def test_keys_are_the_fields_of_the_record_and_values_are_near() -> None:
    faces = measured(1)
    value = values_from_faces(faces)[0]
    assert tuple(value) == FACE.names
    for name in ("box", "landmarks", "age", "score"):
        np.testing.assert_allclose(value[name], faces[name][0], atol=1e-5)


def test_the_shipped_schema_is_the_generated_one() -> None:
    assert json.loads(schema_path().read_text()) == result_schema()
    done = subprocess.run([sys.executable, "-m", "vultus.schema"], capture_output=True, text=True, check=True)
    assert done.stdout == schema_path().read_text()


def test_the_documentation_names_every_key_and_label() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "json-schema.md").read_text()
    labels = [label for names in LABELS.values() for label in names]
    wanted = [*result_schema()["properties"], *(FACE.names or ()), *labels]
    assert [name for name in wanted if f"`{name}`" not in page] == []
