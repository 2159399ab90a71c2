"""The figures of an ablation: each variant's on the same pictures, with intervals, and its difference to the first."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from harness.figures import FIGURES, Figure, rounded
from vultus.onnxfile import spec_from_onnx
from vultus.pipeline import Analyzer
from vultus_export.metrics.detection import LOWEST_SCORE, Matched, average_precision, match_boxes
from vultus_export.metrics.faces import SETS, Detections, Row, detections_of, measured_faces, true_boxes
from vultus_export.metrics.fields import FIELDS, Metric, Metrics
from vultus_export.metrics.intervals import interval
from vultus_export.metrics.rows import rows_of
from vultus_models.data.sets import PictureSet, open_set
from vultus_models.detector.system import held_back

__all__ = ["Looked", "compared", "looked_at", "rows_in"]

Watch = Callable[[Sequence[Row], str], Iterable[Row]]
DETECTOR = "detector.crowds"


@dataclass(frozen=True)
class Looked:
    """What one variant measured: for each figure how many pictures and its metrics over them."""

    sizes: dict[str, int]
    metrics: dict[str, Metrics]


def rows_in(pictures: PictureSet, split: str) -> tuple[Row, ...]:
    """Return the rows of split val or test; `crowds` has no val, so those that the detector's training keeps back."""
    if pictures.name == "crowds" and split == "val":
        return tuple(row for row in pictures.of("train") if held_back("crowds", row["file"]))
    return rows_of(pictures, split)


def looked_at(
    models: Sequence[Path], detector: Path, data: Path, split: str, figures: Iterable[str], watch: Watch
) -> Looked:
    """Measure the models of one variant on a split, through the runtime as a user would run them."""
    sizes: dict[str, int] = {}
    metrics: dict[str, Metrics] = {}
    for model in models:
        if spec_from_onnx(model).task == "detector":
            found = _detected(model, data, split, watch)
            sizes[DETECTOR], metrics[DETECTOR] = len(found.rows), _precisions(found)
            continue
        wanted = [figure for figure in _figures(figures) if _gives(model, figure)]
        with Analyzer("cpu", [detector, model]) as analyzer:
            for source in dict.fromkeys(figure.source for figure in wanted):
                pictures, (choose, whole) = open_set(data, source), SETS[source]
                rows = watch(rows_in(pictures, split), f"{source} {split}")
                faces = measured_faces(analyzer, pictures, rows, choose, whole)
                for figure in (figure for figure in wanted if figure.source == source and len(faces.rows)):
                    sizes[figure.path] = len(faces.rows)
                    metrics[figure.path] = FIELDS[figure.field].metrics(faces)
    return Looked(sizes, metrics)


def _figures(paths: Iterable[str]) -> list[Figure]:
    known = {figure.path: figure for figure in FIGURES}
    return [known[path] for path in paths if path != DETECTOR]


def _gives(model: Path, figure: Figure) -> bool:
    return figure.field in {head.field for head in spec_from_onnx(model).heads}


def _detected(model: Path, data: Path, split: str, watch: Watch) -> Detections:
    pictures = open_set(data, "crowds")
    with Analyzer("cpu", [model], attributes=(), min_score=LOWEST_SCORE) as analyzer:
        return detections_of(analyzer, pictures, watch(rows_in(pictures, split), f"crowds {split}"))


def _precisions(found: Detections) -> Metrics:
    truth = [true_boxes(row)[0] for row in found.rows]
    triples = list(zip(found.boxes, found.scores, truth, strict=True))
    by_iou = {key: [match_boxes(*one, iou) for one in triples] for key, iou in (("ap50", 0.5), ("ap40", 0.4))}
    return {key: _precision(own) for key, own in by_iou.items()}


def _precision(matched: Sequence[Matched]) -> Metric:
    return lambda at: average_precision([matched[i] for i in at])


def compared(looked: Mapping[str, Looked], path: str, key: str) -> dict[str, dict[str, Any]]:
    """Return a figure of every variant that has it, its 95 % interval, and its difference to the first variant's.

    The difference is taken on the same draws of the same pictures, so its interval is narrower than theirs.
    """
    having = {name: one for name, one in looked.items() if key in one.metrics.get(path, {})}
    found: dict[str, dict[str, Any]] = {}
    for name, one in having.items():
        own, size = one.metrics[path][key], one.sizes[path]
        entry = _with_interval(own, size, f"{path}.{key}")
        first = having[next(iter(having))]
        if one is not first and first.sizes[path] == size:
            against = _difference(own, first.metrics[path][key])
            entry["against_first"] = _with_interval(against, size, f"{path}.{key}")
        found[name] = {**entry, "n": size}
    return found


def _difference(one: Metric, other: Metric) -> Metric:
    return lambda at: one(at) - other(at)


def _with_interval(metric: Metric, size: int, name: str) -> dict[str, Any]:
    sides = interval(metric, size, name)
    value = rounded(metric(np.arange(size)))
    return {"value": value, "ci95": [round(side, 5) for side in sides] if sides else None}
