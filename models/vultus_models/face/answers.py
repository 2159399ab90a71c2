"""What trained networks answer to every cached face, asked once ahead of a training that learns from it.

A face's answer is the mean over all networks of what they say of its crop and of its mirror image, which is better than
each of them (data distillation, Radosavovic et al. 2018). The runtime decodes it, so it is what a user would get.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from vultus.decode.heads import decode_into
from vultus.engines import Engine, open_engine
from vultus.errors import ModelError
from vultus.types import ATTRIBUTES, FaceArray, empty_faces
from vultus_models.face.augment import FLIP_68, mirrored
from vultus_models.face.cache import CROP, Crops
from vultus_models.face.data import Answers, plain_affines, plain_pictures
from vultus_models.face.evaluation import prepared

__all__ = ["TAUGHT", "ask"]

TAUGHT = tuple(name for name in ATTRIBUTES if name not in ("pose", "quality"))
"""The fields that answers are taken of: pose has a teacher of its own, quality is solved when the rest is trained."""

Pictures = npt.NDArray[np.uint8]


def ask(models: Sequence[Path], sets: Sequence[Crops], cache: Path, size: int = 100) -> Answers:
    """Return the mean answers of face networks (ONNX files) to the training faces of the sets.

    What was asked before is read from `cache`. Raises ModelError where a file is not there, is no face network or eats
    other crops than the cached ones.
    """
    if not models:
        raise ModelError(
            "there is no network to learn from; name ONNX files in `models` of the table [teacher]"
        )
    with ExitStack() as opened:
        engines = [opened.enter_context(open_engine(path, "cpu")) for path in models]
        for path, engine in zip(models, engines, strict=True):
            _check(path, engine)
        fields = tuple(name for name in TAUGHT if any(_has(engine, name) for engine in engines))
        files = [path.read_bytes() for path in models]
        found = [_kept(cache / _name(files, one), engines, one, fields, size) for one in sets]
    return Answers(fields, tuple(found))


def _name(models: Sequence[bytes], source: Crops) -> str:
    """Return the file of the answers of these networks to a set as it is cut now."""
    digest = hashlib.sha256(b"".join([*models, source.faces.tobytes()])).hexdigest()
    return f"{source.name}.answers-{digest[:12]}.npy"


def _check(path: Path, engine: Engine) -> None:
    spec = engine.spec
    if spec.task != "face" or not any(_has(engine, name) for name in TAUGHT):
        raise ModelError(f"{path} cannot teach a face network: it answers none of {', '.join(TAUGHT)}")
    if (spec.input.width, spec.input.height) != (CROP, CROP):
        raise ModelError(
            f"{path} eats crops of {spec.input.width}x{spec.input.height} px; the cached ones are {CROP}x{CROP} px"
        )


def _has(engine: Engine, field: str) -> bool:
    return any(head.field == field for head in engine.spec.heads)


def _kept(
    path: Path, engines: Sequence[Engine], source: Crops, fields: Sequence[str], size: int
) -> FaceArray:
    if path.exists():
        return np.asarray(np.load(path))
    logging.getLogger(__name__).info("asking the teachers about %s", source.name)
    answers = empty_faces(len(source.faces))
    asked = np.flatnonzero(~source.faces["val"])
    for start in range(0, len(asked), size):
        part = asked[start : start + size]
        pictures = plain_pictures(source, part)
        said = [(engine, _said(engine, pictures)) for engine in engines]
        for name in fields:
            knowing = [faces[name] for engine, views in said if _has(engine, name) for faces in views]
            answers[name][part] = np.mean(knowing, axis=0)
    unfinished = path.with_suffix(".part")
    with unfinished.open("wb") as file:
        np.save(file, answers)
    unfinished.replace(path)
    return answers


def _said(engine: Engine, pictures: Pictures) -> tuple[FaceArray, FaceArray]:
    """Return what a network says of plain crops (n, CROP, CROP, 3) and of their mirror images, in cached pixels."""
    affines = plain_affines(len(pictures))
    straight = _decoded(engine, pictures, affines)
    turned = _decoded(engine, pictures[:, :, ::-1], mirrored(affines))
    turned["landmarks"] = turned["landmarks"][:, FLIP_68]
    return straight, turned


def _decoded(engine: Engine, pictures: Pictures, affines: npt.NDArray[np.float64]) -> FaceArray:
    faces = empty_faces(len(pictures))
    batch = prepared(torch.from_numpy(np.ascontiguousarray(pictures))).contiguous().numpy()
    decode_into(engine(batch), engine.spec, affines, faces, TAUGHT)
    return faces
