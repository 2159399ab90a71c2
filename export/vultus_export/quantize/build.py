"""From an FP32 master to FP16, INT8 or INT8 with FP16: lowered, measured, checked, and only then written."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import onnx
from onnx import version_converter

from vultus.engines import Engine, open_engine
from vultus.errors import InputError, ModelError
from vultus.onnxfile import spec_from_onnx
from vultus.spec import ModelSpec
from vultus.stages import DECODERS
from vultus.zoo import default_models
from vultus_export.exporter import OPSET, finish
from vultus_export.files import load_model, save_model
from vultus_export.inputs import picture_files, random_inputs
from vultus_export.parity import Deviation, check_parity
from vultus_export.quantize.caution import cautions_about
from vultus_export.quantize.half import half_precision
from vultus_export.quantize.manifest import Manifest, hashed, manifest_path
from vultus_export.quantize.observe import magnitudes_of
from vultus_export.quantize.qdq import layers, with_qdq
from vultus_export.quantize.search import GOAL, Judge, Kept, Ranges, best_ranges, keep_sensitive
from vultus_export.quantize.work import Tick, Work, no_tick, work_of
from vultus_export.runners import onnx_runner
from vultus_export.tidy import name_unnamed, spec_of
from vultus_export.whole import writable, write_whole

__all__ = ["PRECISIONS", "Quantized", "quantize_file"]

PRECISIONS = ("fp16", "int8", "int8-fp16")
OLDEST_OPSET = 19
HALF_GOAL = 0.1
HELD_OUT = 4
MOST_MEASURED = {"detector": 32, "face": 128}
"""Most pictures that a loss is measured on; a detector looks at all of each."""


@dataclass(frozen=True)
class Quantized:
    """A lowered model that was written, and what was found on the way.

    ranges: how INT8 was calibrated. kept: None for FP16 that was made without pictures to measure on.
    pictures: those used; for a face network, those with faces. cautions: why the pictures say little, if they do.
    """

    path: Path
    size: int
    spec: ModelSpec
    kept: Kept | None
    pictures: int = 0
    ranges: Ranges | None = None
    deviations: tuple[Deviation, ...] = ()
    cautions: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Job:
    """A master with the pictures that decide about it: `seen` for ranges, `held` for the loss."""

    model: onnx.ModelProto
    spec: ModelSpec
    precision: str
    seen: Work | None
    held: Work | None
    tick: Tick

    @property
    def used(self) -> list[Path]:
        """The pictures that decide, in order."""
        return sorted({file for work in (self.seen, self.held) if work for file in work.files})


def quantize_file(
    master: Path,
    precision: str,
    out: Path,
    pictures: Path | None = None,
    detector: Path | None = None,
    count: int = 128,
    tick: Tick = no_tick,
) -> Quantized:
    """Write a lowered copy of an FP32 model, and for INT8 its calibration manifest beside it.

    precision: one of PRECISIONS. pictures: a folder of pictures to calibrate and to measure on; INT8 needs one. Of more
    than `count` pictures some are drawn, always the same. detector: finds and aligns the faces for a face network; by
    default the package's own. tick: hears how far the work is.

    Equal input gives equal bytes. Raises VultusError, and writes nothing, when anything is wrong.
    """
    model, spec = _master(master, precision)
    writable(out)
    if pictures is None and precision != "fp16":
        raise InputError(f"precision {precision!r} is calibrated on pictures; name a folder of them")
    with ExitStack() as stack:
        files = _drawn(pictures, count) if pictures else []
        finder = _detector(spec, detector) if files else None
        engine = stack.enter_context(open_engine(finder, "cpu")) if finder else None
        job = _job(model, spec, precision, files, engine, tick)
        if precision == "fp16":
            return _write_half(job, out)
        return _write_int8(job, out, _manifest(job, master, finder, pictures or Path()))


def _write_half(job: _Job, out: Path) -> Quantized:
    kept: Kept | None = None
    cautions: tuple[str, ...] = ()
    if job.held is not None:
        judge, names = Judge(job.model, job.spec, job.held), [layer.name for layer in layers(job.model)]
        kept = keep_sensitive(
            lambda keep: half_precision(job.model, keep), names, judge, "fp16", job.tick, HALF_GOAL
        )
        cautions = cautions_about(judge.faces)
    layers_kept = kept.layers if kept else ()
    spec = replace(job.spec, precision="fp16", kept_layers=layers_kept)
    model = finish(half_precision(job.model, layers_kept), spec)
    fixed = bool(model.graph.input[0].type.tensor_type.shape.dim[0].dim_value)
    inputs = random_inputs(spec.input, (1,) if fixed else (1, 2, 3))
    found = check_parity(onnx_runner(job.model, job.spec), onnx_runner(model, spec), spec, inputs)
    size, pictures = save_model(model, out), len(job.used)
    return Quantized(out, size, spec, kept, pictures, deviations=tuple(found), cautions=cautions)


def _write_int8(job: _Job, out: Path, manifest: Manifest) -> Quantized:
    assert job.seen is not None
    assert job.held is not None
    found = magnitudes_of(job.model, job.spec, job.seen, job.tick)
    judge = Judge(job.model, job.spec, job.held)

    def lowered(limits: Mapping[str, float], keep: Collection[str] = ()) -> onnx.ModelProto:
        int8 = with_qdq(job.model, limits, keep)
        return half_precision(int8) if job.precision == "int8-fp16" else int8

    ranges = best_ranges(lowered, found, judge, job.precision, job.tick)
    names = [layer.name for layer in layers(job.model)]
    kept = keep_sensitive(
        lambda keep: lowered(ranges.limits, keep), names, judge, job.precision, job.tick, GOAL
    )
    rounded = {name: float(f"{loss:.6g}") for name, loss in ranges.losses.items()}
    manifest = replace(manifest, method=ranges.method, others=ranges.others, losses=rounded)
    spec = replace(job.spec, precision=job.precision, kept_layers=kept.layers, calibration=manifest.digest)
    model = finish(lowered(ranges.limits, kept.layers), spec)
    write_whole(manifest_path(out), manifest.to_json().encode())
    size, pictures = save_model(model, out), len(job.used)
    cautions = cautions_about(judge.faces, pictures, job.seen.files == job.held.files)
    return Quantized(out, size, spec, kept, pictures, ranges, cautions=cautions)


def _manifest(job: _Job, master: Path, detector: Path | None, folder: Path) -> Manifest:
    """Return the manifest as far as it is known before the calibration."""
    own, other = (
        hashlib.sha256(path.read_bytes()).hexdigest() if path else "" for path in (master, detector)
    )
    pictures = hashed(job.used, folder)
    return Manifest(job.spec.name, job.spec.version, job.precision, own, other, pictures, method="")


def _master(path: Path, precision: str) -> tuple[onnx.ModelProto, ModelSpec]:
    if precision not in PRECISIONS:
        raise InputError(f"precision {precision!r} is unknown; expected one of {', '.join(PRECISIONS)}")
    model = load_model(path)
    spec = spec_of(model, str(path))
    if spec.precision != "fp32":
        raise ModelError(f"{path} is {spec.precision} already; lower the FP32 master instead")
    if spec.detector and (spec.detector.cascade or spec.detector.decoder not in DECODERS):
        raise InputError(
            f"{path} is one network of a cascade; such detectors run as they are, in fp32: lower another one"
        )
    version = next(item.version for item in model.opset_import if item.domain == "")
    if version < OLDEST_OPSET:
        try:
            model = version_converter.convert_version(model, OPSET)
        except Exception as error:  # the converter raises what its C++ core throws
            reason = str(error).splitlines()[0]
            raise ModelError(
                f"{path} is of opset {version} and cannot be raised to {OPSET}: {reason}"
            ) from error
    name_unnamed(model)
    return model, spec


def _drawn(folder: Path, count: int) -> list[Path]:
    """Return at most `count` pictures of a folder, drawn by the hash of their names, in order."""
    files = picture_files([folder])
    if not folder.is_dir():
        raise InputError(f"{folder} is no folder; calibration takes a folder of pictures")

    def rank(file: Path) -> str:
        return hashlib.sha256(file.relative_to(folder).as_posix().encode()).hexdigest()

    return sorted(sorted(files, key=rank)[:count])


def _detector(spec: ModelSpec, named: Path | None) -> Path | None:
    """Return the file of the detector that finds the faces for a face network."""
    if spec.task == "detector":
        return None
    if named is not None:
        return named
    found = [path for path in default_models() if path.is_file() and spec_from_onnx(path).task == "detector"]
    if not found:
        raise InputError(
            f"face network {spec.name!r} is calibrated on aligned faces; name a detector to find them"
        )
    return found[0]


def _job(
    model: onnx.ModelProto,
    spec: ModelSpec,
    precision: str,
    files: Sequence[Path],
    engine: Engine | None,
    tick: Tick,
) -> _Job:
    """Split the pictures: every fourth is held out to measure on, unless they are too few to split."""
    if not files:
        return _Job(model, spec, precision, None, None, tick)
    work = work_of(spec, files, engine, tick)
    held = list(work.files[::HELD_OUT]) if len(work.files) >= 2 * HELD_OUT else list(work.files)
    seen = [file for file in work.files if file not in held] or held
    return _Job(model, spec, precision, work.part(seen), work.part(held[: MOST_MEASURED[spec.task]]), tick)
