"""A fused file and the runtime on the same pictures, before anything is written."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx

from vultus.engines.ort import session_options
from vultus.pipeline import Analyzer
from vultus.spec import ModelSpec
from vultus.types import FaceArray, empty_faces
from vultus_export.files import save_model
from vultus_export.fuse.agree import Agreement, agreement
from vultus_export.fuse.assemble import COUNT, FRAME
from vultus_export.fuse.settings import Settings, sized
from vultus_export.parity import ParityError
from vultus_export.tidy import spec_of, stamp

__all__ = ["made_pictures", "prove", "run_fused"]

Pixels = npt.NDArray[np.uint8]


def prove(
    model: onnx.ModelProto,
    detector: onnx.ModelProto,
    face: onnx.ModelProto | None,
    settings: Settings,
    pictures: Iterable[Pixels],
) -> list[Agreement]:
    """Run the fused file and the runtime's Analyzer on BGR pictures and say how well they agree, field by field.

    Raises ParityError that names every field beyond its limit, or the face that only one of the two finds.
    """
    spec = sized(spec_of(detector), settings)
    run = run_fused(model)
    pairs = []
    with tempfile.TemporaryDirectory() as folder:
        files = _model_files(Path(folder), detector, face, spec)
        with Analyzer("cpu", files, min_score=spec.detector.min_score if spec.detector else None) as analyzer:
            for picture in pictures:
                pairs.append((analyzer(picture).faces[: settings.max_faces], run(picture)))
    found = agreement(pairs, spec, settings.max_faces)
    failed = [str(item) for item in found if not item.passed]
    if failed:
        raise ParityError("the fused file does not answer as the runtime does:\n  " + "\n  ".join(failed))
    return found


def run_fused(model: onnx.ModelProto) -> Callable[[Pixels], FaceArray]:
    """Return a function that runs a fused file on a BGR picture and gives what it found as FACE records."""
    import onnxruntime as ort

    options = session_options(len(os.sched_getaffinity(0)))
    session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]

    def run(picture: Pixels) -> FaceArray:
        outputs = dict(zip(names, session.run(names, {FRAME: picture}), strict=True))
        faces = empty_faces(int(outputs.pop(COUNT)))
        for name, value in outputs.items():
            faces[name] = value[: len(faces)]
        return faces

    return run


def _model_files(
    folder: Path, detector: onnx.ModelProto, face: onnx.ModelProto | None, spec: ModelSpec
) -> list[Path]:
    """Write the networks as the runtime reads them, the detector with the input size of the fused file."""
    own = onnx.ModelProto.FromString(detector.SerializeToString())
    stamp(own, spec)
    models = {"detector.onnx": own} | ({"face.onnx": face} if face else {})
    for name, model in models.items():
        save_model(model, folder / name)
    return [folder / name for name in models]


def made_pictures(seed: int = 0) -> list[Pixels]:
    """Return noise of sizes on which resampling breaks first: a single row, odd sides, wide and tall."""
    random = np.random.default_rng(seed)
    sizes = [(1, 2), (2, 1), (37, 53), (480, 640), (601, 399), (40, 1000)]
    return [random.integers(0, 256, (*size, 3)).astype(np.uint8) for size in sizes]
