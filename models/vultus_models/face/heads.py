"""What `vultus-face-s` gives: the heads in output order, shared by the network, its spec and its losses."""

from __future__ import annotations

from typing import Any

from vultus.spec import Head, InputSpec, ModelSpec
from vultus.types import ETHNICITIES, EXPRESSIONS, FACIAL_HAIR, GENDERS
from vultus_models.face.group_age import GroupAge

__all__ = ["LICENCE", "age_code", "heads", "outputs_of", "spec"]

LICENCE = (
    "weights for research and non-commercial use: the pictures that they were trained on are published "
    "under such terms"
)
_WIDTHS = {"landmarks": 136, "euler": 3, "percent": 1}


def age_code(config: dict[str, Any]) -> GroupAge:
    """Return the age encoding that a recipe asks for in its [model] table."""
    model = config.get("model", {})
    return GroupAge(0, int(model.get("ages", 101)), int(model.get("age_group", 11)))


def heads(config: dict[str, Any]) -> tuple[Head, ...]:
    """Return the heads of the network in the order of its outputs."""
    code = age_code(config)
    return (
        Head("landmarks", "landmarks", "landmarks", count=68),
        Head("pose", "euler", "pose"),
        Head("age", "group_age", "age", first=code.first, count=code.count, group=code.group),
        Head("gender", "softmax", "gender", GENDERS),
        Head("ethnicity", "softmax", "ethnicity", ETHNICITIES),
        Head("expression", "softmax", "expression", EXPRESSIONS),
        Head("smile", "percent", "smile"),
        Head("attractiveness", "percent", "attractiveness"),
        Head("eyeglasses", "sigmoid", "eyeglasses", ("eyeglasses",)),
        Head("facial_hair", "sigmoid", "facial_hair", FACIAL_HAIR),
    )


def outputs_of(head: Head) -> int:
    """Return how many numbers a face a head gives."""
    if head.kind == "group_age":
        return head.count + head.group - 1
    return _WIDTHS.get(head.kind) or len(head.labels)


def spec(config: dict[str, Any]) -> ModelSpec:
    """Return the contract that an exported network of this recipe carries."""
    side = int(config.get("model", {}).get("side", 112))
    return ModelSpec(
        name=str(config.get("name", "vultus-face-s")),
        version=str(config.get("version", "0.1.0")),
        task="face",
        input=InputSpec("image", side, side),
        heads=heads(config),
        licence=LICENCE,
        description=(
            "Landmarks, head pose, age, gender, ethnicity, expression, smile, attractiveness, eyeglasses and "
            "facial hair from one aligned face; plain 3x3 convolutions, one trunk"
        ),
        source=str(config.get("source", "trained from scratch with the recipe face-s")),
    )
