"""Seeded work for every kernel: the same inputs on every machine, whatever its numpy.

numpy's RandomState is frozen, so its numbers are the same in every version. Each case returns what its kernels wrote,
by name; places that nothing may write to keep the workspace's poison and are compared like the others.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from vultus.cuda.boxes import BoxDecoder
from vultus.cuda.code.modules import Kernels
from vultus.cuda.draw import BoxDrawer
from vultus.cuda.faces import Aligner, FaceDecoder
from vultus.cuda.preprocess import Crops, Letterbox
from vultus.cuda.tensors import DeviceTensor
from vultus.decode.heads import output_width
from vultus.selftest.workspace import Workspace
from vultus.spec import AnchorLevel, DetectorSpec, Head, InputSpec, ModelSpec
from vultus.types import (
    ATTRIBUTES,
    ETHNICITIES,
    EXPRESSIONS,
    FACE,
    FACIAL_HAIR,
    GENDERS,
    Frame,
    PixelFormat,
    YuvColour,
)

__all__ = ["CASES", "FACE_SPEC", "Case"]

Arrays = dict[str, npt.NDArray[Any]]

FLOAT, INT = np.dtype(np.float32), np.dtype(np.int32)

DETECTOR_SPEC = ModelSpec(
    name="selftest-detector",
    version="1",
    task="detector",
    input=InputSpec("image", 96, 64, multiple=16),
    detector=DetectorSpec(
        "anchors",
        (AnchorLevel("fine", 8, (16.0, 24.0), (2, 1)), AnchorLevel("coarse", 16, (48.0,), (1,))),
        max_faces=24,
    ),
)

FACE_SPEC = ModelSpec(
    name="selftest-face",
    version="1",
    task="face",
    input=InputSpec("crop", 24, 24),
    heads=(
        Head("landmarks", "landmarks", "landmarks", count=68),
        Head("pose", "euler", "pose"),
        Head("age", "group_age", "age", count=101, group=3),
        Head("gender", "softmax", "gender", GENDERS),
        Head("ethnicity", "softmax", "ethnicity", ETHNICITIES),
        Head("expression", "softmax", "expression", EXPRESSIONS),
        Head("smile", "percent", "smile"),
        Head("attractiveness", "percent", "attractiveness"),
        Head("eyeglasses", "sigmoid", "eyeglasses", ("eyeglasses",)),
        Head("facial_hair", "sigmoid", "facial_hair", FACIAL_HAIR),
        Head("quality", "sigmoid", "quality", ("quality",)),
    ),
)

CAPACITY, FACES, START = 8, 6, 2


@dataclass(frozen=True)
class Case:
    """One piece of seeded work. run: does it on a device and returns what was written, by name."""

    name: str
    run: Callable[[Workspace, Kernels], Arrays]


def _random(seed: int) -> np.random.RandomState:
    return np.random.RandomState(seed)


def _frame(format: PixelFormat, width: int, height: int, colour: YuvColour, seed: int) -> Frame:
    """Return a frame of smooth waves with noise: edges, flat parts and every value."""
    rows = height * 3 // 2 if format == "NV12" else height
    channels = 3 if format in ("BGR", "RGB") else 1
    y, x, c = np.mgrid[0:rows, 0:width, 0:channels]
    # Whole numbers alone, so that no libm has a say.
    waves = (x * (3 + c) + y * (5 - c) + (x * y) // 7) % 256
    noise = _random(seed).randint(0, 64, waves.shape)
    pixels = np.where((x // 16 + y // 16) % 3 == 0, (waves + noise) % 256, waves).astype(np.uint8)
    return Frame(pixels if channels == 3 else pixels[..., 0], format, colour=colour)


def _letterbox(
    format: PixelFormat,
    width: int,
    height: int,
    colour: YuvColour = "bt601",
    padding: int = 0,
    spec: InputSpec = DETECTOR_SPEC.input,
    kind: npt.DTypeLike = FLOAT,
) -> Case:
    def run(work: Workspace, kernels: Kernels) -> Arrays:
        frame = work.frame(_frame(format, width, height, colour, width), padding)
        step = Letterbox(work.driver, kernels, spec, width, height, format, colour)
        with closing(step):
            wide, tall = step.size
            out = work.empty((1, 3, tall, wide), kind)
            step.into(frame, out, work.stream)
            return {"input": work.get(out)}

    return Case(f"letterbox {format} {width}x{height} {colour} +{padding} {np.dtype(kind).name}", run)


def _affines(seed: int) -> npt.NDArray[np.float32]:
    """Return (CAPACITY, 2, 3) similarities frame -> crop: small, large, turned, partly outside."""
    random, out = _random(seed), np.zeros((CAPACITY, 2, 3), np.float32)
    for number in range(CAPACITY):
        scale, turn = (0.15, 0.4, 0.7, 1.0, 1.6, 0.3, 2.5, 0.5)[number], random.uniform(-0.5, 0.5)
        out[number, :, :2] = scale * np.array([[1.0, -turn], [turn, 1.0]])
        out[number, :, 2] = random.uniform(-40, 20, 2)
    return out


def _crops(
    format: PixelFormat,
    width: int,
    height: int,
    colour: YuvColour = "bt601",
    padding: int = 0,
    spec: InputSpec = FACE_SPEC.input,
    kind: npt.DTypeLike = FLOAT,
) -> Case:
    def run(work: Workspace, kernels: Kernels) -> Arrays:
        frame = work.frame(_frame(format, width, height, colour, width + 1), padding)
        affines, count = work.put(_affines(height)), work.put(np.array([FACES], np.int32))
        with closing(Crops(work.driver, kernels, spec, CAPACITY)) as step:
            out = work.empty((CAPACITY, 3, spec.height, spec.width), kind)
            step.into(frame, affines, count, START, out, work.stream)
            return {"crops": work.get(out)}

    return Case(f"crops {format} {width}x{height} {colour} +{padding} {np.dtype(kind).name}", run)


def _maps(seed: int) -> dict[str, npt.NDArray[np.float32]]:
    """Return raw maps for the nominal input: clusters of equal scores, numbers that are none, wild sides."""
    random = _random(seed)
    fine = random.uniform(-6, 1.5, (1, 5 * 15, 8, 12)).astype(np.float32)
    coarse = random.uniform(-6, 1.5, (1, 15, 4, 6)).astype(np.float32)
    fine[0, 0, 3, 2:5] = 1.25
    fine[0, 15, 4, 4], fine[0, 17, 5, 5], coarse[0, 0, 1, 1] = np.nan, np.inf, 3.0
    coarse[0, 3, 1, 1], coarse[0, 0, 2, 2], coarse[0, 4, 2, 2] = 60.0, 2.5, -60.0
    return {"fine": fine, "coarse": coarse}


def _boxes(name: str, seed: int, min_score: float) -> Case:
    def run(work: Workspace, kernels: Kernels) -> Arrays:
        size = (DETECTOR_SPEC.input.width, DETECTOR_SPEC.input.height)
        affine = np.array([[0.375, 0.0, -0.3125], [0.0, 0.375, -0.3125]])
        assert DETECTOR_SPEC.detector is not None
        records, count = work.empty((DETECTOR_SPEC.detector.max_faces,), FACE), work.empty((1,), INT)
        maps = {name: work.put(array) for name, array in _maps(seed).items()}
        with closing(BoxDecoder(work.driver, kernels, DETECTOR_SPEC, min_score, size, affine)) as step:
            step.into(maps, records, count, work.stream)
            found = work.get(count)
            return {"count": found, "records": work.get(records)[: max(int(found[0]), 0)]}

    return Case(f"boxes {name}", run)


def _records(seed: int) -> npt.NDArray[np.void]:
    """Return FACES records of faces that stand, lie, and one whose points are all in one place."""
    random, faces = _random(seed), np.zeros(CAPACITY, FACE)
    for name in FACE.names or ():
        faces[name] = -1 if name == "track" else np.nan
    corners = random.uniform(0, 200, (CAPACITY, 1, 2))
    faces["points"] = corners + random.uniform(0, 60, (CAPACITY, 5, 2))
    faces["points"][FACES - 1] = 17.0
    faces["box"] = np.concatenate([corners[:, 0], corners[:, 0] + 60], axis=1)
    faces["score"] = np.linspace(0.95, 0.5, CAPACITY)
    return faces


def _align() -> Case:
    def run(work: Workspace, kernels: Kernels) -> Arrays:
        records, count = work.put(_records(5)), work.put(np.array([FACES], np.int32))
        affines = work.empty((CAPACITY, 2, 3), FLOAT)
        with closing(Aligner(work.driver, kernels, FACE_SPEC, CAPACITY)) as step:
            step.into(records, count, START, affines, work.stream)
            return {"affines": work.get(affines)[: FACES - START]}

    return Case("align", run)


def _faces(name: str, attributes: tuple[str, ...], start: int) -> Case:
    def run(work: Workspace, kernels: Kernels) -> Arrays:
        random = _random(11)
        outputs: dict[str, DeviceTensor] = {}
        for head in FACE_SPEC.heads:
            values = random.uniform(-2, 2, (CAPACITY, output_width(head))).astype(np.float32)
            outputs[head.output] = work.put(values * (0.2 if head.kind in ("landmarks", "euler") else 2))
        records, count = work.put(_records(6)), work.put(np.array([FACES], np.int32))
        affines = work.put(_affines(7))
        with closing(FaceDecoder(work.driver, kernels, FACE_SPEC, attributes, CAPACITY)) as step:
            step.into(outputs, affines, count, start, records, work.stream)
            return {"records": work.get(records)}

    return Case(f"faces {name}", run)


def _draw(
    format: PixelFormat, width: int, height: int, colour: YuvColour = "bt601", padding: int = 0
) -> Case:
    def run(work: Workspace, kernels: Kernels) -> Arrays:
        frame = work.frame(_frame(format, width, height, colour, 9), padding)
        faces = _records(8)
        faces["box"] = faces["box"] / 3 - 5  # some reach over the edges
        faces["track"] = np.arange(CAPACITY) - 1
        records, count = work.put(faces), work.put(np.array([FACES], np.int32))
        with closing(BoxDrawer(work.driver, kernels, CAPACITY, format, colour)) as step:
            step.into(frame, records, count, work.stream)
            assert isinstance(frame.owner, DeviceTensor)
            return {"frame": work.get(frame.owner)}

    return Case(f"boxes drawn into {format} {width}x{height} {colour} +{padding}", run)


UNEVEN = replace(
    DETECTOR_SPEC.input, channels="RGB", mean=(123.7, 116.3, 103.5), scale=(0.0171, 0.0175, 0.0174)
)
"""Numbers whose product in float32 is not the table's, so that the table is read."""

CASES: tuple[Case, ...] = (
    _letterbox("BGR", 200, 120),
    _letterbox("BGR", 41, 67, padding=5),
    _letterbox("BGR", 150, 90, spec=UNEVEN),
    _letterbox("RGB", 96, 64, kind=np.float16),
    _letterbox("GRAY", 133, 50, padding=3),
    _letterbox("NV12", 192, 108, padding=64),
    _letterbox("NV12", 130, 98, "bt709"),
    _letterbox("NV12", 66, 44, "bt601-full"),
    _letterbox("NV12", 100, 60, "bt709-full", kind=np.float16),
    _crops("BGR", 160, 120),
    _crops("RGB", 63, 91, padding=7, kind=np.float16),
    _crops("GRAY", 80, 60, padding=4),
    _crops("NV12", 128, 96, padding=32),
    _crops("NV12", 90, 70, "bt709-full"),
    _crops("BGR", 72, 72, spec=replace(UNEVEN, width=24, height=24)),
    _boxes("of a crowd", 3, 0.3),
    _boxes("of a few", 4, 0.8),
    _boxes("of nobody", 4, 0.99),
    _align(),
    _faces("with all attributes", ATTRIBUTES, 0),
    _faces("with some attributes", ("age", "pose", "gender"), START),
    _draw("BGR", 80, 70, padding=4),
    _draw("RGB", 61, 45),
    _draw("GRAY", 76, 66),
    _draw("NV12", 72, 60, "bt709", 8),
)
