"""Cases of the device pipeline: pictures in every format and from every kind of memory, on the fake driver.

The networks, the kernels, the driver layer and the pipeline are the shipped ones. Nothing here is a GPU's result.
"""

from __future__ import annotations

import re
from dataclasses import replace

import cv2
import numpy as np
import pytest

from device_arrays import CudaArray, DlpackArray
from fake_device import (
    Pixels,
    assert_same_faces,
    both,
    calls,
    crowd,
    driver_of,
    nothing_left,
    same,
    tiny_models,
)
from vultus import Frame, InputError
from vultus.cuda.frames import DeviceArray
from vultus.cuda.pipeline import DevicePipeline
from vultus.cuda.tensors import DeviceFrame
from vultus.types import PixelFormat, YuvColour


def nv12(picture: Pixels) -> Pixels:
    """Return a BGR picture of even sides as NV12."""
    height, width = picture.shape[:2]
    planar = cv2.cvtColor(picture, cv2.COLOR_BGR2YUV_I420)
    out = np.empty((height * 3 // 2, width), np.uint8)
    out[:height] = planar[:height]
    chroma = planar[height:].reshape(2, height // 2, width // 2)
    out[height:] = chroma.transpose(1, 2, 0).reshape(height // 2, width)
    return out


def formats() -> dict[PixelFormat, Pixels]:
    """Return one picture in every pixel format."""
    picture = crowd(6, 160, 96)
    picture[..., 1] //= 2
    picture[..., 0] //= 3
    return {
        "BGR": picture,
        "RGB": picture[..., ::-1].copy(),
        "GRAY": crowd(6, 160, 96)[..., 0].copy(),
        "NV12": nv12(picture),
    }


def host_formats() -> None:
    with tiny_models(min_score=0.001) as models, both(models) as (host, device):
        for name, pixels in formats().items():
            colours: tuple[YuvColour, ...] = ("bt601", "bt709-full") if name == "NV12" else ("bt601",)
            for colour in colours:
                frame = Frame(pixels, name, 1, 2.0, colour)
                want = host(frame)
                assert len(want.faces) == 6
                same(device(frame), want)
        apart = np.zeros((96, 200, 3), np.uint8)
        apart[:, 20:180] = formats()["BGR"]
        same(device(apart[:, 20:180]), host(apart[:, 20:180]))
    nothing_left()


def device_formats() -> None:
    """Pictures that lie on the device: addresses with a pitch, DLPack, the array interface in versions 2 and 3."""
    with tiny_models(min_score=0.001) as models, both(models) as (host, device), driver_of(device).current():
        driver = driver_of(device)
        stream, pipeline = driver.stream(), device._pipeline
        assert isinstance(pipeline, DevicePipeline)
        for name, pixels in formats().items():
            want = host(Frame(pixels, name)).faces
            assert len(want) == 6
            for gap in (0, 40):
                array = CudaArray(driver, pixels, gap)
                height = 96
                chroma = array.pointer + array.pitch * height if name == "NV12" else 0
                frame = DeviceFrame(array.pointer, 160, height, array.pitch, name, chroma, index=4, time=1.5)
                result = device(frame)
                assert (result.index, result.time) == (4, 1.5)
                assert_same_faces(result.faces, want)
                assert result.ran_on["upload"].endswith("(nothing to copy, the pixels are there)"), (
                    result.ran_on
                )
                assert "upload" not in result.milliseconds
                assert_same_faces(device(replace(frame, stream=stream.handle)).faces, want)
                for version, where in ((2, "absent"), (3, None), (3, stream.handle)):
                    array.version, array.stream = version, where
                    assert_same_faces(device(DeviceArray(array, name)).faces, want)
                dlpack = DlpackArray(array)
                assert_same_faces(device(DeviceArray(dlpack, name)).faces, want)
                assert dlpack.asked == [pipeline.stream.handle]
                assert dlpack.released == 1
                if name == "BGR":
                    assert_same_faces(device(array).faces, want)
                    assert_same_faces(device(DlpackArray(array)).faces, want)
                array.close()
        stream.close()
    nothing_left()


def device_order() -> None:
    """A producer whose copy still waits in its own stream is waited for on the device, not by the host."""
    picture = crowd(3, 160, 96)
    with tiny_models() as models, both(models) as (host, device), driver_of(device).current():
        driver = driver_of(device)
        stream, staging = driver.stream(), driver.allocate_host(picture.nbytes)
        staging.array[:] = picture.ravel()
        array = CudaArray(driver, np.zeros_like(picture))
        array.version, array.stream = 3, stream.handle
        blank = CudaArray(driver, np.zeros_like(picture))
        assert len(device(blank).faces) == 0  # the geometry is prepared
        driver.copy(array.pointer, staging.pointer, picture.nbytes, stream)
        before = calls("cuStreamSynchronize")
        assert_same_faces(device(array).faces, host(picture).faces)
        assert calls("cuStreamSynchronize") == before
        for thing in (array, blank, staging, stream):
            thing.close()
    nothing_left()


def refusals() -> None:
    """Pictures that cannot be read; the Analyzer goes on with the next."""
    picture = crowd(1, 160, 96)
    with tiny_models() as models, both(models) as (host, device), driver_of(device).current():
        array = CudaArray(driver_of(device), picture)
        elsewhere = DlpackArray(array, device=(2, 1))
        on_host = DlpackArray(array, device=(1, 0))
        cases: list[tuple[object, str]] = [
            (elsewhere, "lies on CUDA device 1, this Analyzer runs on device 0"),
            (DeviceArray(on_host), "which is not CUDA; hand a picture on the CPU in as a numpy array"),
            (DeviceArray(array, "NV12"), "a NV12 picture must have shape (height, width), not (96, 160, 3)"),
            (DeviceFrame(0, 160, 96, 480), "needs the address"),
            (np.zeros((4, 4), np.float32), "must be uint8"),
            ("a.png", "must be a numpy array, not str"),
        ]
        for wrong, message in cases:
            with pytest.raises(InputError, match=re.escape(message)):
                device(wrong)
            assert len(device(picture).faces) == 1
        message = "takes pictures from the host, the CudaArray lies on a GPU; ask for device='cuda'"
        with pytest.raises(InputError, match=message):
            host(array)
        array.close()
    nothing_left()
