"""Face networks through the runtime: one detector finds the faces, every network measures the same ones."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vultus.errors import InputError
from vultus.pipeline import Analyzer
from vultus.types import ATTRIBUTES, FaceArray, empty_faces
from vultus_export.gates.agreement import field_agreement, measured
from vultus_export.gates.groups import groups_of
from vultus_export.gates.judge import Comparison
from vultus_export.gates.sources import Row, Source
from vultus_export.metrics.faces import SETS, Choice, Measured, largest_face, matching_face, whole_face
from vultus_export.metrics.fields import FIELDS, LabelledField, Metrics

__all__ = ["Described", "choice_for", "compare_faces", "describe", "metric_kind"]

Tick = Callable[[int], None]

ERRORS = ("mae", "nme_eye", "nme_outer")
"""Metrics of which smaller is better."""


@dataclass(frozen=True)
class Described:
    """What several face networks measured on the same faces of a source.

    rows: the row of each face. faces: for each network its records, equally long.
    """

    source: Source
    rows: tuple[Row, ...]
    faces: tuple[FaceArray, ...]


def metric_kind(name: str) -> str:
    """Return the kind of limit of a metric against labels."""
    return "error" if name in ERRORS else "score"


def choice_for(source: Source) -> tuple[Choice, bool]:
    """Return which face of a picture is the labelled one, and whether a picture without a face is taken whole."""
    if source.name in SETS:
        return SETS[source.name]
    pointed = {"leye_x", "x0"} & set(source.labels)
    return (matching_face, False) if pointed else (largest_face, False)


def describe(
    models: Sequence[Path], detector: Path, source: Source, device: str, threads: int | None, tick: Tick
) -> Described:
    """Measure the faces of a source with every network; in a plain folder all faces, in a set the labelled one."""
    rows: list[Row] = []
    records: list[list[FaceArray]] = [[] for _ in models]
    with ExitStack() as stack:
        finder = stack.enter_context(Analyzer(device, [detector], threads=threads))
        networks = [
            stack.enter_context(Analyzer(device, [detector, path], threads=threads)) for path in models
        ]
        for done, row in enumerate(source.rows, start=1):
            picture = source.picture(row)
            detected = finder.detect(picture)
            faces = _labelled(source, row, detected, picture.shape[1], picture.shape[0])
            rows += [row] * len(faces)
            for network, kept in zip(networks, records, strict=True):
                kept.append(network.describe(picture, faces) if len(faces) else faces)
            tick(done)
    joined = tuple(np.concatenate([empty_faces(), *kept]) for kept in records)
    return Described(source, tuple(rows), joined)


def _labelled(source: Source, row: Row, detected: FaceArray, width: int, height: int) -> FaceArray:
    """Return the faces of a row that count."""
    if not source.labels:
        return detected
    choose, whole = choice_for(source)
    place = choose(detected, row)
    if place is not None:
        return detected[place : place + 1]
    return whole_face(width, height) if whole else detected[:0]


def compare_faces(
    described: Sequence[Described], place: int, fields: Collection[str]
) -> tuple[list[Comparison], list[str]]:
    """Return the comparisons of network `place` with network 0 (the master), and what could not be compared.

    fields: the attributes that both measure. Raises InputError when there was no face in any picture.
    """
    if not any(len(one.rows) for one in described):
        raise InputError("the detector finds no face in any picture; give pictures of people")
    found: list[Comparison] = []
    notes: list[str] = []
    for one in described:
        for name in _labelled_fields(one.source, fields):
            comparisons, note = _against_labels(one, FIELDS[name], place)
            found += comparisons
            notes += [note] if note else []
    rows = [row for one in described for row in one.rows]
    master, candidate = (np.concatenate([one.faces[i] for one in described]) for i in (0, place))
    wanted = [name for name in ATTRIBUTES if name in fields]
    return found + field_agreement(wanted, master, candidate, groups_of(rows)), notes


def _labelled_fields(source: Source, fields: Collection[str]) -> Iterator[str]:
    for name, labelled in FIELDS.items():
        if name in fields and set(labelled.columns) & set(source.labels):
            yield name


def _against_labels(one: Described, labelled: LabelledField, place: int) -> tuple[list[Comparison], str]:
    """Return a field's metrics over the faces that both networks measured, or the reason why there are none."""
    both = measured(one.faces[0], labelled.field) & measured(one.faces[place], labelled.field)
    if not both.any():
        return [], ""
    rows = tuple(row for row, kept in zip(one.rows, both, strict=True) if kept)
    try:
        master, candidate = (_metrics(labelled, rows, one.faces[i][both]) for i in (0, place))
    except KeyError as error:
        return [], f"{labelled.field} on {one.source.name}: the set has no column {error}"
    except ValueError as error:
        return [], f"{labelled.field} on {one.source.name}: its labels cannot be read: {error}"
    groups = groups_of(rows)
    return [
        Comparison(
            f"{labelled.field}.{one.source.name}.{name}",
            metric_kind(name),
            len(rows),
            master[name],
            candidate[name],
            groups,
        )
        for name in master
    ], ""


def _metrics(labelled: LabelledField, rows: tuple[Row, ...], faces: FaceArray) -> Metrics:
    return labelled.metrics(Measured(rows, faces, len(rows), 0, {}))
