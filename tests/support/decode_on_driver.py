"""Runs the box decoder, the aligner and the face decoder over whatever CUDA driver is there, eagerly and as a graph.

`main` belongs into a process of its own; it writes the records of both ways into the .npz file that is named.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from decoding import detector, random_maps
from vultus.cuda.boxes import BoxDecoder
from vultus.cuda.code.modules import load_kernels
from vultus.cuda.driver import DeviceMemory, Driver, open_driver
from vultus.cuda.faces import Aligner, FaceDecoder
from vultus.cuda.tables import upload
from vultus.cuda.tensors import DeviceTensor
from vultus.geometry import letterbox_affine
from vultus.spec import Head, InputSpec, ModelSpec
from vultus.types import FACE, GENDERS, empty_faces

__all__ = ["FACES", "MIN_SCORE", "SIZE", "face_outputs", "face_spec", "frame_affine", "main"]

SIZE, FRAME, FACES = (96, 64), (1920, 1080), 20
MIN_SCORE = 0.3


def face_spec() -> ModelSpec:
    """A face network of every way in which blocks work."""
    heads = (
        Head("marks", "landmarks", "landmarks", count=68),
        Head("angles", "euler", "pose"),
        Head("years", "group_age", "age", count=101, group=11),
        Head("gender", "softmax", "gender", GENDERS),
    )
    return ModelSpec("test-face", "1", "face", InputSpec("image", 112, 112), heads=heads)


def face_outputs() -> dict[str, npt.NDArray[np.float32]]:
    """Raw outputs for FACES faces."""
    rng, widths = np.random.default_rng(3), {"marks": 136, "angles": 3, "years": 111, "gender": 2}
    return {name: rng.normal(0, 1, (FACES, width)).astype(np.float32) for name, width in widths.items()}


def frame_affine() -> npt.NDArray[np.float64]:
    """Frame -> detector input."""
    return letterbox_affine(*FRAME, SIZE)


def main(target: str) -> None:
    """Decode over the driver, eagerly and replayed, and write both answers."""
    driver = open_driver()
    kernels = load_kernels(driver)
    with driver.current():
        eager, replayed = _both_ways(driver, kernels)
    kernels.close()
    driver.close()
    np.savez(target, eager=eager, replayed=replayed)


def _both_ways(driver: Driver, kernels: Any) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    maps, heads = (_on_device(driver, made) for made in (random_maps(SIZE, 5, 0.0), face_outputs()))
    records, count = upload(driver, empty_faces(FACES)), upload(driver, np.zeros(1, np.int32))
    places = driver.allocate(FACES * 24)
    faces = DeviceTensor(records.pointer, (FACES,), FACE)
    number, affines = DeviceTensor(count.pointer, (1,), np.dtype(np.int32)), _floats(places, (FACES, 2, 3))
    boxes = BoxDecoder(driver, kernels, detector(FACES), MIN_SCORE, SIZE, frame_affine())
    aligner = Aligner(driver, kernels, face_spec(), FACES)
    decoder = FaceDecoder(driver, kernels, face_spec(), ("landmarks", "pose", "age", "gender"), FACES)
    stream = driver.stream()

    def work() -> None:
        boxes.into(maps, faces, number, stream)
        aligner.into(faces, number, 0, affines, stream)
        decoder.into(heads, affines, number, 0, faces, stream)

    def answer() -> npt.NDArray[Any]:
        found, back = np.zeros(FACES, FACE), np.zeros(1, np.int32)
        driver.copy(back.ctypes.data, count.pointer, 4, stream)
        driver.copy(found.ctypes.data, records.pointer, found.nbytes, stream)
        stream.synchronise()
        return found[: back[0]]

    work()
    eager = answer()
    with driver.capture(stream) as graphs:
        work()
    for _ in range(2):
        driver.fill(records.pointer, 0, records.size, stream)
        graphs[0].launch(stream)
    replayed = answer()
    owners: list[Any] = [graphs[0], decoder, aligner, boxes, places, count, records, stream]
    owners += [tensor.owner for tensor in (*maps.values(), *heads.values())]
    for owner in owners:
        owner.close()
    return eager, replayed


def _on_device(driver: Driver, arrays: Mapping[str, npt.NDArray[np.float32]]) -> dict[str, DeviceTensor]:
    return {name: _floats(upload(driver, array), array.shape) for name, array in arrays.items()}


def _floats(memory: DeviceMemory, shape: tuple[int, ...]) -> DeviceTensor:
    return DeviceTensor(memory.pointer, shape, np.dtype(np.float32), memory)
