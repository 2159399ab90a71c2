"""Measuring the sets of a folder: one pass each, every figure filled or empty with the reason."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from harness.crowd import crowd_figures, scene_figures
from harness.entries import nothing, rounded
from harness.figures import FIGURES, figure_or_note
from vultus_export.metrics.faces import SETS, AnalyzerLike, Detections, Row, detections_of, measured_faces
from vultus_export.metrics.rows import rows_of
from vultus_models.data.sets import PictureSet, open_set, set_names

__all__ = ["ALL_SETS", "NOT_ASKED", "Sets", "measure_detector", "measure_faces", "sets_in"]

DETECTOR_SETS = ("crowds", "scenes")
ALL_SETS = (*DETECTOR_SETS, *SETS)
NOT_ASKED = "was not asked for"
CROWD_KEYS = ("ap50", "ap40", "recall", "recall_10fp")

Sets = Mapping[str, "PictureSet | str"]
"""Each known set, opened, or the reason why it is not measured."""

Watch = Callable[[Sequence[Row], str], Iterable[Row]]
"""Passes rows through while showing how far the set of that name is."""


def sets_in(data: Path, asked: Sequence[str]) -> dict[str, PictureSet | str]:
    """Open the asked sets of a folder; the others come with the reason why they are left out.

    Raises FileNotFoundError when the folder has none of the asked sets.
    """
    there = set_names(data)
    sets: dict[str, PictureSet | str] = {}
    for name in ALL_SETS:
        if name not in asked:
            sets[name] = f"set {name} {NOT_ASKED}"
        elif name not in there:
            sets[name] = f"set {name} is not in the data folder"
        else:
            opened = open_set(data, name)
            sets[name] = opened if rows_of(opened) else f"set {name} has no rows of split test"
    if all(isinstance(found, str) for found in sets.values()):
        raise none_of(data, asked)
    return sets


def none_of(data: Path, asked: Sequence[str]) -> FileNotFoundError:
    """Return the error of a folder that holds none of the asked sets."""
    there = ", ".join(set_names(data)) or "no set"
    return FileNotFoundError(f"{data} holds none of {', '.join(asked)}; it holds: {there}")


def measure_detector(analyzer: AnalyzerLike, sets: Sets, shipped: float, watch: Watch) -> dict[str, Any]:
    """Return the entries of the detector; `analyzer` must report scores far below `shipped`."""
    found: dict[str, Detections] = {}
    ran_on: dict[str, str] = {}
    for name in DETECTOR_SETS:
        pictures = sets[name]
        if not isinstance(pictures, str):
            found[name] = detections_of(analyzer, pictures, watch(rows_of(pictures), name))
            ran_on |= analyzer(pictures.picture(rows_of(pictures)[0])).ran_on
    # The runtime compares float32 scores, so the limit must be rounded as theirs are.
    limit = float(np.float32(shipped))
    crowds, scenes = found.get("crowds"), found.get("scenes")
    entry = crowd_figures(crowds, scenes, limit) if crowds else nothing(CROWD_KEYS, str(sets["crowds"]))
    if crowds and scenes is None:
        entry["note"] = f"recall_10fp: {sets['scenes']}"
    alarms = scene_figures(scenes, limit) if scenes else nothing(("false_alarms",), str(sets["scenes"]))
    return {"detector": {"crowds": entry, "scenes": alarms}, "ran_on": ran_on}


def measure_faces(analyzer: AnalyzerLike, sets: Sets, watch: Watch) -> dict[str, Any]:
    """Return the entries of points and attributes, the shares found and taken whole, and `ran_on`."""
    result: dict[str, Any] = {"found": {}, "taken_whole": {}, "ran_on": {}}
    for name, (choose, whole) in SETS.items():
        pictures = sets[name]
        if isinstance(pictures, str):
            _add(result, name, lambda figure, why=pictures: nothing(figure.keys, why))
            continue
        rows = watch(rows_of(pictures), name)
        faces = measured_faces(analyzer, pictures, rows, choose, whole)
        _add(result, name, lambda figure, faces=faces: figure_or_note(figure, faces))
        result["found"][name] = rounded((len(faces.rows) - faces.whole) / faces.total)
        result["taken_whole"][name] = rounded(faces.whole / faces.total)
        result["ran_on"].update(faces.ran_on)
    return result


def _add(result: dict[str, Any], source: str, entry: Callable[..., dict[str, Any]]) -> None:
    """Put the entries of all figures of a set where their paths say."""
    for figure in FIGURES:
        if figure.source == source:
            group, _, leaf = figure.path.partition(".")
            result.setdefault(group, {})[leaf] = entry(figure)
