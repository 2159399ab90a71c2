"""What a fused file is made of, and how it says so in its metadata."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace

from vultus.errors import ModelError, SpecError
from vultus.onnxfile import FUSED_KEY
from vultus.spec import DetectorSpec, ModelSpec, spec_to_json

__all__ = ["FUSED_SCHEMA", "Settings", "detector_of", "face_of", "metadata", "sized"]

FUSED_SCHEMA = 1


@dataclass(frozen=True)
class Settings:
    """What a user may choose.

    max_faces: capacity of the outputs. size: (width, height) of the detector's input, None for the runtime's
    choice by the frame. min_score: least score of a face, None for the detector's own.
    """

    max_faces: int = 32
    size: tuple[int, int] | None = None
    min_score: float | None = None


def detector_of(spec: ModelSpec) -> DetectorSpec:
    """Return the detector part of a spec that can be fused; raises SpecError otherwise."""
    _check_precision(spec)
    if spec.detector is None:
        raise SpecError(f"model {spec.name!r} is no detector; its task is {spec.task!r}; give it as --face")
    if spec.detector.decoder != "anchors":
        raise SpecError(
            f"model {spec.name!r} names the decoder {spec.detector.decoder!r}; only 'anchors' can be fused"
        )
    return spec.detector


def face_of(spec: ModelSpec) -> ModelSpec:
    """Return the spec of a face network; raises SpecError when it is of something else."""
    _check_precision(spec)
    if spec.task != "face":
        raise SpecError(f"model {spec.name!r} is no face network; its task is {spec.task!r}")
    return spec


def sized(spec: ModelSpec, settings: Settings) -> ModelSpec:
    """Return the detector's spec with its input fixed to the size asked for, if one was.

    Raises ModelError when the detector cannot take that size or the capacity or score is impossible.
    """
    detector, size = detector_of(spec), settings.size
    if not 1 <= settings.max_faces <= detector.max_faces:
        raise ModelError(
            f"max-faces must lie between 1 and the detector's own {detector.max_faces}; it is {settings.max_faces}"
        )
    score = detector.min_score if settings.min_score is None else settings.min_score
    if not 0 < score < 1:
        raise ModelError(f"min-score must be above 0 and below 1; it is {score}")
    own = replace(spec, detector=replace(detector, min_score=score))
    if size is None:
        return own
    step, fixed = spec.input.multiple, (spec.input.width, spec.input.height)
    if (min(size) < 1) or (any(side % step for side in size) if step else size != fixed):
        takes = f"sides that are multiples of {step}" if step else f"{fixed[0]}x{fixed[1]} alone"
        raise ModelError(f"detector {spec.name!r} takes {takes}, not --size {size[0]}x{size[1]}")
    return replace(own, input=replace(spec.input, width=size[0], height=size[1], multiple=0))


def _check_precision(spec: ModelSpec) -> None:
    """Refuse what a plain session of ONNX Runtime gets wrong on the CPU: Q/DQ with FP16 scales."""
    if spec.precision == "int8-fp16":
        raise SpecError(
            f"model {spec.name!r} is int8-fp16, for which ONNX Runtime gives wrong numbers on a CPU unless an "
            "optimisation is switched off, and a fused file cannot ask for that; fuse its fp32, fp16 or int8 form"
        )


def metadata(detector: ModelSpec, face: ModelSpec | None, settings: Settings) -> dict[str, str]:
    """Return the metadata entries of a fused file: settings, both specs and the licence of the whole."""
    specs = [spec for spec in (detector, face) if spec]
    licences = {
        spec.licence: [other.name for other in specs if other.licence == spec.licence] for spec in specs
    }
    licence = "; ".join(f"{', '.join(names)}: {text}" for text, names in licences.items())
    raw = {"schema": FUSED_SCHEMA, **asdict(settings), "licence": licence}
    entries = {
        FUSED_KEY: json.dumps(raw, sort_keys=True, separators=(",", ":")),
        f"{FUSED_KEY}.licence": licence,
    }
    entries |= {f"{FUSED_KEY}.{spec.task}": spec_to_json(spec) for spec in specs}
    return dict(sorted(entries.items()))
