"""A script for the fake driver: uploads frames, and the device's letterbox, crops and boxes against the host's."""

from __future__ import annotations

from contextlib import ExitStack, closing
from typing import Any, get_args

import numpy as np
import numpy.typing as npt

from vultus.cuda.code.modules import Kernels, load_kernels
from vultus.cuda.draw import BoxDrawer, palette_for
from vultus.cuda.driver import Driver, Stream, open_driver
from vultus.cuda.preprocess import Crops, Letterbox
from vultus.cuda.tables import upload
from vultus.cuda.tensors import DeviceFrame, DeviceTensor
from vultus.preprocess import bgr_from_frame, crops, letterbox
from vultus.spec import InputSpec
from vultus.types import FACE, Frame, PixelFormat, empty_faces

__all__ = ["main"]

Array = npt.NDArray[Any]
SPEC = InputSpec("image", 96, 64, channels="RGB", mean=(123.675, 116.28, 103.53), multiple=16)
CROP = InputSpec("image", 24, 20)
FACES, SLOTS = 3, 4


class Bench:
    """Puts arrays onto the device and takes tensors back."""

    def __init__(self, driver: Driver, kernels: Kernels, stream: Stream, stack: ExitStack) -> None:
        self.driver, self.kernels, self.stream, self.stack = driver, kernels, stream, stack

    def put(self, array: Array) -> DeviceTensor:
        memory = self.stack.enter_context(closing(upload(self.driver, array)))
        return DeviceTensor(memory.pointer, array.shape, array.dtype)

    def get(self, tensor: DeviceTensor) -> Array:
        out: Array = np.empty(tensor.shape, tensor.dtype)
        self.driver.copy(out.ctypes.data, tensor.pointer, out.nbytes, self.stream)
        self.stream.synchronise()
        return out

    def frame(self, host: Frame) -> tuple[DeviceFrame, DeviceTensor]:
        pixels = self.put(host.pixels)
        pitch = host.pixels[0].nbytes
        chroma = pixels.pointer + pitch * host.height if host.format == "NV12" else 0
        where = (pixels.pointer, host.width, host.height, pitch)
        return DeviceFrame(*where, host.format, chroma, host.colour), pixels


def frame_of(format: PixelFormat, width: int, height: int) -> Frame:
    rows = height * 3 // 2 if format == "NV12" else height
    shape = (rows, width, 3) if format in ("BGR", "RGB") else (rows, width)
    return Frame(np.random.default_rng(width).integers(0, 256, shape, np.uint8), format, colour="bt709")


def letterboxed(bench: Bench, host: Frame) -> None:
    expected, affine = letterbox(bgr_from_frame(host), SPEC)
    frame, _ = bench.frame(host)
    out = bench.put(np.full(expected.shape, 777, np.float32))
    size = (host.width, host.height, host.format, host.colour)
    with closing(Letterbox(bench.driver, bench.kernels, SPEC, *size)) as step:
        step.into(frame, out, bench.stream)
        np.testing.assert_array_equal(bench.get(out), expected)
        np.testing.assert_array_equal(step.affine, affine)


def cropped(bench: Bench, host: Frame) -> None:
    affines = np.array([[[s, 0.1, 3], [-0.1, s, 2]] for s in (1.0, 0.4, 0.7, 0.2)], np.float32)
    expected = crops(bgr_from_frame(host), affines, CROP)
    frame, _ = bench.frame(host)
    out, count = bench.put(np.full(expected.shape, 777, np.float32)), bench.put(np.array([FACES], np.int32))
    with closing(Crops(bench.driver, bench.kernels, CROP, SLOTS)) as step:
        step.into(frame, bench.put(affines), count, 0, out, bench.stream)
        got = bench.get(out)
    # An OpenCV that rounds places to 1/32 pixel is up to 8 grey levels off in noise; see test_cuda_crops.
    np.testing.assert_allclose(got[:FACES], expected[:FACES], atol=8 / 128)
    assert (got[FACES:] == 777).all()


def boxed(bench: Bench, host: Frame) -> None:
    faces = empty_faces(1)
    assert faces.dtype == FACE
    faces["box"] = 2, 3, host.width - 3, host.height - 2
    frame, pixels = bench.frame(host)
    with closing(BoxDrawer(bench.driver, bench.kernels, 1, host.format, host.colour)) as drawer:
        drawer.into(frame, bench.put(faces), bench.put(np.array([1], np.int32)), bench.stream)
        got = bench.get(pixels)[: host.height]
    # The line is 2 pixels wide, the outer one outside.
    colour = palette_for(host.format, host.colour)[0][: got[0, 0].size]
    for line in (got[2:4, 2:-2], got[-2:, 2:-2], got[3:-2, 1:3], got[3:-2, -3:-1]):
        assert (line.reshape(-1, colour.size) == colour).all()
    assert (got[0] == host.pixels[0]).all()


def main() -> None:
    """Raise where the device's answers differ."""
    driver = open_driver()
    with driver.current(), ExitStack() as stack:
        stream = stack.enter_context(closing(driver.stream()))
        kernels = stack.enter_context(closing(load_kernels(driver)))
        bench = Bench(driver, kernels, stream, stack)
        for format in get_args(PixelFormat):
            for size in ((58, 42), (60, 40), (200, 18)):
                host = frame_of(format, *size)
                for step in (letterboxed, cropped, boxed):
                    step(bench, host)
    driver.close()


if __name__ == "__main__":
    main()
