"""Which opened model plays which part, and which attributes it can measure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol, TypeVar

from vultus.errors import InputError
from vultus.spec import ModelSpec
from vultus.stages import check_spec
from vultus.types import ATTRIBUTES

__all__ = ["by_task", "check_attributes", "check_numbers", "measurable"]


class _Opened(Protocol):
    @property
    def spec(self) -> ModelSpec: ...


_Model = TypeVar("_Model", bound=_Opened)


def by_task(models: Iterable[tuple[str, _Model]]) -> dict[str, _Model]:
    """Return opened models, which come with the names of their files, by the task of their specs.

    Raises InputError when there is no detector or two models for one task, SpecError for a model that this vultus
    cannot decode.
    """
    found: dict[str, _Model] = {}
    for where, model in models:
        check_spec(model.spec, where)
        task = model.spec.task
        if task in found:
            raise InputError(
                f"two models for the task {task!r}: {found[task].spec.name} and {model.spec.name}"
            )
        found[task] = model
    if "detector" not in found:
        raise InputError(
            f"no detector among the models; they are for: {', '.join(sorted(found)) or 'nothing'}; "
            "add one, such as vultus-det-s"
        )
    return found


def measurable(spec: ModelSpec | None, attributes: Sequence[str] | None) -> list[str]:
    """Return the attributes to measure in the order of the record: those asked for, or all that the model can.

    Raises InputError when the face network, or its absence, cannot give what was asked for.
    """
    measured = {head.field for head in spec.heads} if spec else set()
    offered = [name for name in ATTRIBUTES if name in measured]
    missing = [name for name in attributes or () if name not in offered]
    if missing:
        has = ", ".join(offered) or "no attributes"
        raise InputError(f"no model here measures {', '.join(missing)}; the models offer: {has}")
    return [name for name in offered if attributes is None or name in attributes]


def check_attributes(attributes: Sequence[str] | None) -> None:
    """Raise InputError for anything but a list of known attributes or None."""
    unknown = [name for name in attributes or () if name not in ATTRIBUTES]
    if isinstance(attributes, str) or unknown:
        shown = attributes if isinstance(attributes, str) else ", ".join(map(repr, unknown))
        raise InputError(
            f"unknown attributes {shown}; expected a list of names out of: {', '.join(ATTRIBUTES)}"
        )


def check_numbers(min_score: float | None, threads: int | None) -> None:
    """Raise InputError for a score or a number of threads that cannot be."""
    if min_score is not None and not 0 < min_score < 1:
        raise InputError(f"min_score must be above 0 and below 1; it is {min_score}")
    if threads is not None and threads < 1:
        raise InputError(f"threads must be at least 1; it is {threads}")
