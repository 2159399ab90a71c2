"""The contracts of MTCNN's three networks, with the numbers of its published cascade."""

from __future__ import annotations

from vultus.spec import AnchorLevel, CascadeSpec, DetectorSpec, InputSpec, ModelSpec

__all__ = ["specs"]

LATER = {"mtcnn-refine": 24, "mtcnn-output": 48}
"""The later networks and the sides of their crops."""


def specs(version: str, licence: str = "unknown", source: str = "") -> tuple[ModelSpec, ModelSpec, ModelSpec]:
    """Return the specs of P-, R- and O-Net; the first one, `mtcnn`, speaks for the whole detector."""
    paper = "MTCNN (Zhang et al. 2016)"
    cascade = CascadeSpec(
        stages=tuple(LATER), smallest=20, factor=0.709, min_score=0.6, level_iou=0.5, iou=0.7
    )
    levels = tuple(AnchorLevel(name, 2) for name in ("logit", "box"))
    first = ModelSpec(
        name="mtcnn",
        version=version,
        task="detector",
        input=_input(640, 480, multiple=1),
        detector=DetectorSpec("mtcnn", levels, min_score=0.7, nms_iou=0.7, max_faces=512, cascade=cascade),
        licence=licence,
        description=f"{paper}, a face detector of three networks in a cascade with five points",
        source=source,
    )
    second, third = (
        ModelSpec(
            name=name,
            version=version,
            task="detector",
            input=_input(side, side, multiple=0),
            detector=_judge(("logit", "box", "points")[: place + 2]),
            licence=licence,
            description=f"{paper}, network {place + 2} of 3; runs as part of the model mtcnn",
            source=source,
        )
        for place, (name, side) in enumerate(LATER.items())
    )
    return first, second, third


def _input(width: int, height: int, multiple: int) -> InputSpec:
    mean, scale = (127.5, 127.5, 127.5), (1 / 128, 1 / 128, 1 / 128)
    return InputSpec("images", width, height, "RGB", mean, scale, multiple, enlarge=1.0)


def _judge(outputs: tuple[str, ...]) -> DetectorSpec:
    levels = tuple(AnchorLevel(name, 1) for name in outputs)
    return DetectorSpec("mtcnn-stage", levels, min_score=0.7, nms_iou=0.7)
