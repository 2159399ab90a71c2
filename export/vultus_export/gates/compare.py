"""Candidates against their master: pictures through the runtime once for all of them, then one report each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from vultus.engines import open_engine
from vultus.errors import InputError, ModelError
from vultus.geometry import crop_affines, template_points
from vultus.onnxfile import spec_from_onnx
from vultus.pipeline import Analyzer
from vultus.preprocess import crops, letterbox
from vultus.spec import ModelSpec
from vultus.zoo import default_models
from vultus_export.files import load_model
from vultus_export.gates.boxes import compare_boxes
from vultus_export.gates.detections import detect
from vultus_export.gates.faces import compare_faces, describe
from vultus_export.gates.judge import Comparison, judge
from vultus_export.gates.layers import layer_errors
from vultus_export.gates.limits import limit_for
from vultus_export.gates.report import Report
from vultus_export.gates.sources import Source, sources_in
from vultus_export.metrics.fields import FIELDS
from vultus_export.metrics.identity import model_entry
from vultus_export.quantize.manifest import check_manifest, manifest_path, read_manifest

__all__ = ["Options", "Tick", "compare"]

Tick = Callable[[str, int, int], None]
Tensor = npt.NDArray[np.float32]

LAYER_INPUTS, LAYER_FACES = 4, 8
"""Pictures on which layers are compared, and the most faces of each."""


def _no_tick(what: str, done: int, total: int) -> None:
    """Report nothing."""


@dataclass(frozen=True)
class Options:
    """How to judge: the rows (see `sources_in`), the detector that finds the faces for a face network, the device."""

    split: str = "val"
    most: int | None = None
    detector: Path | None = None
    device: str = "cpu"
    threads: int | None = None


def compare(
    master: Path,
    candidates: Sequence[Path],
    data: Path,
    options: Options | None = None,
    tick: Tick = _no_tick,
) -> list[Report]:
    """Return the report on each candidate.

    data: a folder of labelled sets or of pictures (see `sources_in`). tick: hears what is being done, how many pictures
    are done and how many there are. Raises VultusError when the models or the pictures cannot be compared.
    """
    asked = options or Options()
    spec = _checked(master, candidates)
    sources = _fitting(sources_in(data, asked.split, asked.most), spec, data)
    models = [master, *candidates]
    make = _detector_case if spec.task == "detector" else _face_case
    case = make(models, sources, asked, tick)
    return [_report(case, place, asked) for place in range(1, len(models))]


@dataclass(frozen=True)
class _Case:
    """All that was run: models (the master first), sources, what compares model `place`, inputs for the layers."""

    models: Sequence[Path]
    sources: Sequence[Source]
    comparisons: Callable[[int], tuple[list[Comparison], list[str]]]
    batches: Sequence[Tensor]


def _named(tick: Tick, source: Source) -> Callable[[int], None]:
    return lambda done: tick(source.name, done, len(source.rows))


def _checked(master: Path, candidates: Sequence[Path]) -> ModelSpec:
    """Return the master's spec; refuse what is no pair of master and candidate."""
    spec = spec_from_onnx(master)
    if spec.precision != "fp32":
        raise ModelError(
            f"{master} is of precision {spec.precision}; models are judged against an FP32 master"
        )
    for path in candidates:
        other = spec_from_onnx(path)
        limit_for("score", other.precision)
        if other.task != spec.task:
            raise ModelError(
                f"{path} is for the task {other.task!r}, its master {master} for {spec.task!r}; name two of one task"
            )
        _check_calibration(path, other)
        if spec.heads and not _fields(spec) & _fields(other):
            raise ModelError(f"{path} measures nothing that its master {master} measures")
    return spec


def _check_calibration(path: Path, spec: ModelSpec) -> None:
    """Raise ModelError when the manifest beside a calibrated model is not its own."""
    manifest = manifest_path(path)
    if spec.calibration and manifest.is_file():
        check_manifest(spec, read_manifest(manifest), str(manifest))


def _fields(spec: ModelSpec) -> set[str]:
    return {head.field for head in spec.heads}


def _fitting(sources: list[Source], spec: ModelSpec, data: Path) -> list[Source]:
    """Return the sources that say something of this model: for a face network, sets that label one of its fields."""
    if spec.task == "detector":
        return sources
    columns = {column for name in _fields(spec) & set(FIELDS) for column in FIELDS[name].columns}
    fitting = [one for one in sources if one.chosen == "all pictures" or columns & set(one.labels)]
    if not fitting:
        raise InputError(
            f"no set of {data} labels what {spec.name} measures ({', '.join(sorted(_fields(spec)))}); "
            f"its sets are: {', '.join(one.name for one in sources)}"
        )
    return fitting


def _default_detector(spec: ModelSpec) -> Path:
    for path in default_models():
        if path.is_file() and spec_from_onnx(path).task == "detector":
            return path
    raise InputError(
        f"face network {spec.name!r} is judged on faces that a detector finds; name one with --detector"
    )


def _detector_case(models: Sequence[Path], sources: Sequence[Source], asked: Options, tick: Tick) -> _Case:
    found = [detect(models, one, asked.device, asked.threads, _named(tick, one)) for one in sources]
    batches = [letterbox(picture, spec_from_onnx(models[0]).input)[0] for picture in _few(sources)]
    return _Case(models, sources, lambda place: (compare_boxes(found, place), []), batches)


def _face_case(models: Sequence[Path], sources: Sequence[Source], asked: Options, tick: Tick) -> _Case:
    spec = spec_from_onnx(models[0])
    finder = asked.detector or _default_detector(spec)
    found = [describe(models, finder, one, asked.device, asked.threads, _named(tick, one)) for one in sources]

    def comparisons(place: int) -> tuple[list[Comparison], list[str]]:
        both = _fields(spec) & _fields(spec_from_onnx(models[place]))
        made, notes = compare_faces(found, place, both)
        lacking = ", ".join(sorted(_fields(spec) - both))
        why = f"the model has no head for {lacking}, which its master measures"
        return made, [*notes, why] if lacking else notes

    return _Case(models, sources, comparisons, list(_aligned(sources, finder, spec)))


def _few(sources: Sequence[Source]) -> Iterator[npt.NDArray[np.uint8]]:
    """Yield a few pictures, from as many sources as there are."""
    for number in range(LAYER_INPUTS):
        source = sources[number % len(sources)]
        yield source.picture(source.rows[number // len(sources) % len(source.rows)])


def _aligned(sources: Sequence[Source], finder: Path, spec: ModelSpec) -> Iterator[Tensor]:
    """Yield the crops of the faces in a few pictures; the middle of a picture where no face is found."""
    with Analyzer("cpu", [finder]) as analyzer:
        for picture in _few(sources):
            faces = analyzer.detect(picture)[:LAYER_FACES]
            points = faces["points"] if len(faces) else template_points(min(picture.shape[:2]))[None]
            yield crops(picture, crop_affines(points, spec.input.width), spec.input)


def _report(case: _Case, place: int, asked: Options) -> Report:
    master, candidate = case.models[0], case.models[place]
    comparisons, notes = case.comparisons(place)
    judged = judge(comparisons, spec_from_onnx(candidate).precision)
    with open_engine(candidate, asked.device, asked.threads) as engine:
        ran_on = engine.device
    try:
        layers = layer_errors(load_model(master), load_model(candidate), case.batches)
        notes += [] if layers else ["the graphs share no named layer with weights, so no layer can be named"]
    except ModelError as error:
        layers, notes = [], [*notes, f"the layers cannot be compared: {error}"]
    about = {one.name: {"rows": one.chosen, "pictures": len(one.rows)} for one in case.sources}
    entries = model_entry(candidate), model_entry(master)
    return Report(*entries, ran_on, about, tuple(judged), tuple(layers), tuple(notes))
