"""ModelSpec: the contract that a model carries in its own file.

It is written once beside the network and travels as JSON under one ONNX metadata key, so the runtime
never guesses from shapes or names. JSON is read and validated by msgspec at the edge; inside, specs are
plain frozen dataclasses that can be compared and never touch a device.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from vultus.errors import SpecError
from vultus.types import FACE

__all__ = [
    "METADATA_KEY",
    "SCHEMA",
    "AnchorLevel",
    "CascadeSpec",
    "DetectorSpec",
    "Head",
    "InputSpec",
    "ModelSpec",
    "spec_from_json",
    "spec_to_json",
]

SCHEMA = 1
METADATA_KEY = "vultus.spec"

Task = Literal["detector", "face"]
HeadKind = Literal["softmax", "sigmoid", "group_age", "landmarks", "euler", "percent"]


@dataclass(frozen=True)
class InputSpec:
    """What the network eats: one tensor (batch, 3, height, width), (pixel - mean) * scale, float32.

    multiple: 0 when only width x height fits; else any sides that are multiples of it do, and width x height
    is the nominal size. enlarge: the most a frame may be scaled up to fill the input.
    """

    name: str
    width: int
    height: int
    channels: Literal["BGR", "RGB"] = "BGR"
    mean: tuple[float, float, float] = (128.0, 128.0, 128.0)
    scale: tuple[float, float, float] = (1 / 128, 1 / 128, 1 / 128)
    multiple: int = 0
    enlarge: float = 2.0


@dataclass(frozen=True)
class AnchorLevel:
    """One output map of a detector, with a cell for every stride x stride pixels of the input.

    Decoder `anchors`: (batch, anchors * (1 + 4 + 10), height / stride, width / stride). sizes: anchor sides in
    input pixels. densities: each size is tiled density x density times a cell, as FaceBoxes (Zhang et al. 2017)
    does, so small anchors lie as close as large ones.
    A decoder without anchors leaves both empty; one that reads several maps a stride wants a level for each, in
    the order that its module (`vultus.decode`) states.
    """

    output: str
    stride: int
    sizes: tuple[float, ...] = ()
    densities: tuple[int, ...] = ()


@dataclass(frozen=True)
class CascadeSpec:
    """What the first network of a cascade says of the whole (MTCNN, Zhang et al. 2016).

    stages: names of the models that judge what this one proposes, in order. Their files lie beside this one's under
    these names with the same suffix; each carries a spec with its own crop size, least score and `nms_iou`.
    smallest: side in frame pixels of the smallest face that is looked for. factor: sides of a level of the pyramid
    as a share of those of the level before. min_score: least score of a proposal. level_iou, iou: overlaps beyond
    which a proposal falls to a better one of its level, and of any level.
    """

    stages: tuple[str, ...]
    smallest: int = 20
    factor: float = 0.709
    min_score: float = 0.6
    level_iou: float = 0.5
    iou: float = 0.7


@dataclass(frozen=True)
class DetectorSpec:
    """How a detector's raw maps become boxes: the decoder's name and its numbers.

    cascade: only where several models make one detector; the other numbers are then those of its last step.
    """

    decoder: str
    levels: tuple[AnchorLevel, ...]
    variances: tuple[float, float] = (0.1, 0.2)
    min_score: float = 0.5
    nms_iou: float = 0.4
    max_faces: int = 512
    cascade: CascadeSpec | None = None


@dataclass(frozen=True)
class Head:
    """How one output of a face network becomes a field of the FACE record.

    softmax, sigmoid: logits (batch, len(labels)), written in the order of the record's own labels.
    group_age: logits (batch, count + group - 1) of overlapping age groups (AGEn, Tan et al. 2017); the ages
    are first ... first + count - 1.
    landmarks: (batch, 2 * count) as shares of the crop's side from its centre.
    euler: (batch, 3) yaw, pitch, roll in units of 90 degrees, in the crop's frame.
    percent: one logit a face, 0-100 after the sigmoid.
    """

    output: str
    kind: HeadKind
    field: str
    labels: tuple[str, ...] = ()
    first: int = 0
    count: int = 0
    group: int = 1


@dataclass(frozen=True)
class ModelSpec:
    """Everything that the runtime and a reader must know of a model file.

    kept_layers: layers that compute in a higher precision than `precision`, because they proved sensitive.
    calibration: SHA-256 of the manifest of the pictures that an INT8 model was calibrated with.
    """

    name: str
    version: str
    task: Task
    input: InputSpec
    detector: DetectorSpec | None = None
    heads: tuple[Head, ...] = ()
    precision: str = "fp32"
    kept_layers: tuple[str, ...] = ()
    calibration: str = ""
    licence: str = "unknown"
    description: str = ""
    source: str = ""
    schema: int = SCHEMA

    def __post_init__(self) -> None:
        """Refuse a spec whose parts contradict each other."""
        problem = _problem_in(self)
        if problem:
            raise SpecError(f"the spec of model {self.name!r} is not usable: {problem}")


def _problem_in(spec: ModelSpec) -> str:
    """Return what is wrong with a spec in one clause, or an empty string."""
    if spec.schema != SCHEMA:
        return (
            f"it is of schema {spec.schema}, this vultus reads schema {SCHEMA}; "
            "export the model again or install the matching vultus"
        )
    if (spec.task == "detector") != (spec.detector is not None):
        return "a detector, and nothing else, must have a `detector` part"
    if (spec.task == "face") != bool(spec.heads):
        return "a face network, and nothing else, must have `heads`"
    size = spec.input
    if min(size.width, size.height) < 1 or size.multiple < 0:
        return f"its input size {size.width}x{size.height} (multiple {size.multiple}) is impossible"
    for level in spec.detector.levels if spec.detector else ():
        if len(level.sizes) != len(level.densities) or level.stride < 1:
            return f"level {level.output!r} needs a stride of at least 1 and one density for each anchor size"
    cascade = spec.detector.cascade if spec.detector else None
    if cascade and (not cascade.stages or cascade.smallest < 1 or not 0 < cascade.factor < 1):
        return "a cascade needs later stages, faces of at least 1 pixel and a factor between 0 and 1"
    for head in spec.heads:
        if head.field not in (FACE.names or ()):
            return f"head {head.output!r} writes to {head.field!r}, which is no field of the FACE record"
    return ""


def spec_to_json(spec: ModelSpec) -> str:
    """Return the spec as canonical JSON: sorted keys, no spaces, so equal specs give equal bytes."""
    import json

    raw = asdict(spec)
    if spec.detector and spec.detector.cascade is None:
        del raw["detector"]["cascade"]  # so that models written before there were cascades keep their bytes
    return json.dumps(raw, sort_keys=True, separators=(",", ":"))


def spec_from_json(text: str | bytes, where: str = "the model") -> ModelSpec:
    """Read a spec from JSON; `where` names the file in messages.

    Raises SpecError with the place and the reason when the JSON is malformed, of another schema, has unknown
    keys or values of the wrong type.
    """
    import msgspec

    try:
        raw = msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        raise SpecError(f"{where} holds a spec that is not JSON: {error}") from error
    schema = raw.get("schema") if isinstance(raw, dict) else None
    if schema != SCHEMA:
        raise SpecError(
            f"{where} has a spec of schema {schema}, this vultus reads schema {SCHEMA}; "
            "export the model again or install the matching vultus"
        )
    try:
        spec = msgspec.convert(raw, ModelSpec)
    except SpecError as error:
        raise SpecError(f"{where}: {error}") from error
    except msgspec.ValidationError as error:
        raise SpecError(f"{where} has a malformed spec: {error}") from error
    unknown = _unknown_keys(raw, msgspec.to_builtins(spec))
    if unknown:
        raise SpecError(f"{where} has a spec with unknown keys: {', '.join(unknown)}")
    return spec


def _unknown_keys(raw: Any, known: Any, path: str = "$") -> list[str]:
    """List the keys of `raw` that the parsed spec did not take."""
    if isinstance(raw, dict) and isinstance(known, dict):
        found = [f"{path}.{key}" for key in raw if key not in known]
        shared = (key for key in raw if key in known)
        return found + [
            name for key in shared for name in _unknown_keys(raw[key], known[key], f"{path}.{key}")
        ]
    if isinstance(raw, list) and isinstance(known, (list, tuple)):
        pairs = enumerate(zip(raw, known, strict=True))
        return [name for i, (one, two) in pairs for name in _unknown_keys(one, two, f"{path}[{i}]")]
    return []
