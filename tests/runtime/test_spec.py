"""ModelSpec: it survives JSON, and every fault is named with its place."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

import tiny
from vultus.errors import SpecError
from vultus.spec import ModelSpec, spec_from_json, spec_to_json


@pytest.mark.parametrize("spec", [tiny.DETECTOR, tiny.FACE_NETWORK])
def test_a_spec_survives_json(spec: ModelSpec) -> None:
    text = spec_to_json(spec)
    assert spec_from_json(text) == spec
    assert spec_to_json(spec_from_json(text)) == text


def changed(path: str, value: Any) -> str:
    raw = json.loads(spec_to_json(tiny.DETECTOR))
    *parents, last = path.split(".")
    place = raw
    for parent in parents:
        place = place[int(parent)] if parent.isdigit() else place[parent]
    place[last] = value
    return json.dumps(raw)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"m\.onnx holds a spec that is not JSON"),
        ("{", r"m\.onnx holds a spec that is not JSON"),
        ("[]", r"spec of schema None, this vultus reads schema 1"),
        (changed("schema", 2), r"spec of schema 2, this vultus reads schema 1; export the model again"),
        (
            changed("input.width", "wide"),
            r"malformed spec: Expected `int`, got `str` - at `\$\.input\.width`",
        ),
        (changed("input.width", 0), r"input size 0x240"),
        (changed("task", "car"), r"malformed spec: Invalid enum value 'car' - at `\$\.task`"),
        (changed("colour", 1), r"unknown keys: \$\.colour"),
        (changed("detector.levels.0.depth", 1), r"unknown keys: \$\.detector\.levels\[0\]\.depth"),
        (changed("detector", None), r"a detector, and nothing else, must have a `detector` part"),
        (changed("detector.levels.0.sizes", []), r"level 'cells' needs .* one density for each anchor size"),
    ],
)
def test_a_faulty_spec_is_refused_by_place_and_reason(text: str, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        spec_from_json(text, "m.onnx")


def test_a_head_must_write_to_a_field_of_the_record() -> None:
    head = replace(tiny.FACE_NETWORK.heads[0], field="mood")
    with pytest.raises(SpecError, match="writes to 'mood', which is no field of the FACE record"):
        replace(tiny.FACE_NETWORK, heads=(head,))
