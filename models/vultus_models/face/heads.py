"""What `vultus-face-s` gives: the heads in output order, shared by the network, its spec and its losses."""

from __future__ import annotations

from typing import Any

from vultus.spec import Head, InputSpec, ModelSpec
from vultus.types import ETHNICITIES, EXPRESSIONS, FACIAL_HAIR, GENDERS
from vultus_models.face.ages import learnt_code, written_code
from vultus_models.face.group_age import GroupAge

__all__ = ["LICENCE", "QUALITY", "age_code", "heads", "learnt_outputs", "outputs_of", "spec"]

LICENCE = (
    "weights for research and non-commercial use: the pictures that they were trained on are published "
    "under such terms"
)
QUALITY = Head("quality", "sigmoid", "quality", ("quality",))
"""The head that is solved when the others are trained, where a recipe asks for it."""

_WIDTHS = {"landmarks": 136, "euler": 3, "percent": 1}


def age_code(config: dict[str, Any]) -> GroupAge:
    """Return the age encoding that the network of a recipe gives to the runtime."""
    return written_code(config)


def heads(config: dict[str, Any]) -> tuple[Head, ...]:
    """Return the heads of the network in the order of its outputs: all, or those of `[model] heads`.

    Quality comes last, where the recipe has a table `[quality]`. Raises ValueError for a head that there is not.
    """
    known = {head.output: head for head in _heads(age_code(config))}
    wanted = config.get("model", {}).get("heads", list(known))
    unknown = [name for name in wanted if name not in known]
    if unknown or not wanted:
        raise ValueError(
            f"heads {', '.join(unknown) or 'none'} are unknown; expected some of {', '.join(known)}"
        )
    solved = (QUALITY,) if "quality" in config else ()
    return (*(head for name, head in known.items() if name in wanted), *solved)


def _heads(code: GroupAge) -> tuple[Head, ...]:
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


def learnt_outputs(head: Head, config: dict[str, Any]) -> int:
    """Return how many numbers a face a head learns with; for an age that may be fewer than it gives."""
    return learnt_code(config).size if head.kind == "group_age" else outputs_of(head)


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
            "Landmarks, head pose, age, gender, ethnicity, expression, smile, attractiveness, eyeglasses"
            f"{', facial hair and quality' if 'quality' in config else ' and facial hair'}"
            " from one aligned face; plain 3x3 convolutions, one trunk"
        ),
        source=str(config.get("source", "trained from scratch with the recipe face-s")),
    )
