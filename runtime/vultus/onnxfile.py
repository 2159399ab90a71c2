"""A model's contract out of an ONNX file with no ONNX package: one walk over the protobuf's top level.

ModelProto keeps metadata in field 14, entries of key (field 1) and value (field 2); every other field is
skipped by its length, so the cost does not grow with the model.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from vultus.errors import ModelError, SpecError
from vultus.spec import METADATA_KEY, ModelSpec, spec_from_json

__all__ = ["FUSED_KEY", "metadata_from_onnx", "spec_from_onnx"]

METADATA_FIELD = 14
FUSED_KEY = "vultus.fused"


def spec_from_onnx(path: Path) -> ModelSpec:
    """Return the spec that an ONNX file carries.

    Raises ModelError when the file is missing or no ONNX, SpecError when it carries no usable spec.
    """
    metadata = metadata_from_onnx(path)
    if FUSED_KEY in metadata:
        raise SpecError(
            f"{path} is a fused model, which plain ONNX Runtime runs; "
            "vultus runs the detector and the face network that it was made of"
        )
    if METADATA_KEY not in metadata:
        raise SpecError(
            f"{path} carries no vultus spec (metadata key {METADATA_KEY!r}); "
            f"give it one with: vultus-export adopt {path.name} --spec SPEC.toml"
        )
    return spec_from_json(metadata[METADATA_KEY], str(path))


def metadata_from_onnx(path: Path) -> dict[str, str]:
    """Return the metadata entries of an ONNX file; raises ModelError when it cannot be read as one."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ModelError(f"the model file {path} cannot be read: {error.strerror}") from error
    try:
        fields = list(_fields(data))
        if not data or not any(number == 7 for number, _ in fields):
            raise ValueError("it holds no graph")
        entries = (dict(_fields(value)) for number, value in fields if number == METADATA_FIELD)
        return {entry[1].decode(): entry[2].decode() for entry in entries}
    except (ValueError, IndexError, KeyError) as error:
        raise ModelError(
            f"{path} is not an ONNX model or is damaged ({error}); copy or export it again"
        ) from error


def _fields(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield (field number, bytes) of one protobuf message; numbers that are not bytes come as b''."""
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        number, wire = tag >> 3, tag & 7
        size = 0
        if wire == 0:
            _, at = _varint(data, at)
        elif wire == 2:
            size, at = _varint(data, at)
        elif wire in (1, 5):
            at += 8 if wire == 1 else 4
        else:
            raise ValueError(f"unknown wire type {wire}")
        if number == 0 or at + size > len(data):
            raise ValueError("it ends too early")
        yield number, data[at : at + size]
        at += size


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at
        if shift > 63:
            raise ValueError("a number is too long")
