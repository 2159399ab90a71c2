"""What trained networks answer to every cached face, asked once ahead of a training that learns from it.

A face's answer is the mean over all networks of what they say of its crop and of its mirror image, which is better than
each of them (data distillation, Radosavovic et al. 2018). The runtime decodes it, so it is what a user would get.
"""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Mapping, Sequence
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
Trust = float | Mapping[str, float]


def ask(
    models: Sequence[Path], sets: Sequence[Crops], cache: Path, trust: Sequence[Trust] = (), size: int = 100
) -> Answers:
    """Return the mean answers of face networks (ONNX files) to the training faces of the sets.

    trust: how much each network counts in the mean, all alike where it is empty; a table {field: number} for one that
    is heard about these fields alone. What a network was asked before is read from `cache`. Raises ModelError where a
    file is not there, is no face network or eats other crops than the cached ones, and where `trust` is not one number
    above 0 a network, or a table of such numbers for fields that the network answers.
    """
    if not models:
        raise ModelError(
            "there is no network to learn from; name ONNX files in `models` of the table [teacher]"
        )
    _check_trust(trust, len(models))
    for path in models:
        with open_engine(path, "cpu") as engine:
            _check(path, engine)
    said = [_asked(path, sets, cache, size) for path in models]
    heard = [
        _heard(path, one.fields, share)
        for path, one, share in zip(models, said, trust or [1.0] * len(said), strict=True)
    ]
    fields = tuple(name for name in TAUGHT if any(name in one for one in heard))
    return Answers(fields, tuple(_mean(said, heard, place) for place in range(len(sets))))


def _check_trust(trust: Sequence[Trust], count: int) -> None:
    if trust == ():
        return
    numbers = isinstance(trust, Sequence) and all(_is_trust(one) for one in trust)
    if not numbers or len(trust) != count:
        raise ModelError(
            f"`trust` of the table [teacher] is {trust!r}; expected a number above 0, or a table of such numbers by "
            f"field, for each of {count} models"
        )


def _is_trust(one: object) -> bool:
    if isinstance(one, Mapping):
        return bool(one) and all(_is_number(number) for number in one.values())
    return _is_number(one)


def _is_number(one: object) -> bool:
    return isinstance(one, int | float) and one > 0


def _heard(path: Path, fields: Sequence[str], trust: Trust) -> Mapping[str, float]:
    """Return how much a network counts in each field that it is heard about."""
    if not isinstance(trust, Mapping):
        return dict.fromkeys(fields, trust)
    if unknown := [name for name in trust if name not in fields]:
        raise ModelError(
            f"`trust` of the table [teacher] hears {path} about {', '.join(unknown)}, which it does not answer; it "
            f"answers {', '.join(fields)}"
        )
    return trust


def _asked(path: Path, sets: Sequence[Crops], cache: Path, size: int) -> Answers:
    """Return what one network answers to every set."""
    file = path.read_bytes()
    with open_engine(path, "cpu") as engine:
        fields = tuple(name for name in TAUGHT if _has(engine, name))
        return Answers(
            fields, tuple(_kept(cache / _name(file, one), engine, one, fields, size) for one in sets)
        )


def _mean(said: Sequence[Answers], heard: Sequence[Mapping[str, float]], place: int) -> FaceArray:
    """Return the mean answers to one set; of each field, over the networks that are heard about it."""
    found = empty_faces(len(said[0].sets[place]))
    for name in TAUGHT:
        knowing = [
            (one.sets[place][name], shares[name])
            for one, shares in zip(said, heard, strict=True)
            if name in shares
        ]
        if knowing:
            answers, weights = zip(*knowing, strict=True)
            found[name] = np.average(answers, axis=0, weights=weights)
    return found


def _name(model: bytes, source: Crops) -> str:
    """Return the file of the answers of a network to a set as it is cut now."""
    digest = hashlib.sha256(model + source.faces.tobytes()).hexdigest()
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


def _kept(path: Path, engine: Engine, source: Crops, fields: Sequence[str], size: int) -> FaceArray:
    if path.exists():
        return np.asarray(np.load(path))
    logging.getLogger(__name__).info("asking %s about %s", engine.spec.name, source.name)
    answers = empty_faces(len(source.faces))
    asked = np.flatnonzero(~source.faces["val"])
    for start in range(0, len(asked), size):
        part = asked[start : start + size]
        views = _said(engine, plain_pictures(source, part))
        for name in fields:
            answers[name][part] = np.mean([faces[name] for faces in views], axis=0)
    unfinished = path.with_suffix(f".{os.getpid()}.part")  # two trainings may ask the same
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
