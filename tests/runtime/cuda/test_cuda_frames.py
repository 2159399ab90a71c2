"""Pictures of other libraries as device frames: addresses, pitches, streams, ownership and refusals."""

from __future__ import annotations

import gc
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from device_arrays import DlpackArray, dlpack_capsule
from vultus import Frame, InputError
from vultus.cuda.frames import DeviceArray, device_frame, geometry_of, lies_on_device
from vultus.cuda.tensors import DeviceFrame

STREAM = 77
HD = DeviceFrame(4096, 1920, 1080, 2048, "NV12", 4096 + 2048 * 1080)


def array(shape: tuple[int, ...], strides: tuple[int, ...] | None = None, **changes: Any) -> Any:
    """Return something with a CUDA array interface at address 4096; nobody reads it here."""
    interface = {"shape": shape, "strides": strides, "data": (4096, False), "typestr": "|u1", "version": 3}
    return SimpleNamespace(__cuda_array_interface__=interface | changes)


def dlpack(shape: tuple[int, ...], strides: tuple[int, ...], **options: Any) -> DlpackArray:
    return DlpackArray(SimpleNamespace(shape=shape, strides=strides, pointer=4096), **options)


@pytest.mark.parametrize(
    ("shape", "strides", "format", "size", "pitch"),
    [
        ((4, 6, 3), None, "BGR", (6, 4), 18),
        ((4, 6, 3), (18, 3, 1), "RGB", (6, 4), 18),
        ((4, 6, 3), (64, 3, 1), "BGR", (6, 4), 64),
        ((4, 6), (8, 1), "GRAY", (6, 4), 8),
        ((6, 6), (32, 1), "NV12", (6, 4), 32),
        ((1, 6, 3), (0, 3, 1), "BGR", (6, 1), 18),
        ((4, 1, 3), (5, 99, 1), "BGR", (1, 4), 5),
        ((4, 1), (7, 99), "GRAY", (1, 4), 7),
    ],
)
def test_strides_become_a_pitch(
    shape: tuple[int, ...], strides: tuple[int, ...] | None, format: Any, size: tuple[int, int], pitch: int
) -> None:
    frame = device_frame(DeviceArray(array(shape, strides), format, 3, 0.25, "bt709"), 0, STREAM)
    assert (frame.pointer, frame.width, frame.height, frame.pitch) == (4096, *size, pitch)
    assert (frame.format, frame.index, frame.time, frame.colour) == (format, 3, 0.25, "bt709")
    assert frame.chroma == (4096 + 4 * pitch if format == "NV12" else 0)


@pytest.mark.parametrize(
    ("changes", "stream"),
    [({}, 1), ({"stream": None}, 1), ({"stream": 2}, 2), ({"stream": 9000}, 9000), ({"version": 2}, 1)],
)
def test_work_of_a_producer_is_waited_for_in_its_stream(changes: dict[str, Any], stream: int) -> None:
    assert device_frame(array((4, 6, 3), **changes), 0, STREAM).stream == stream


def test_dlpack_is_asked_for_our_stream_and_given_back_once() -> None:
    picture = dlpack((4, 6, 3), (32, 3, 1))
    frame: DeviceFrame | None = device_frame(picture, 0, STREAM)
    assert frame is not None
    assert (frame.pointer, frame.pitch, frame.stream) == (4096, 32, None)
    assert picture.asked == [STREAM]
    gc.collect()
    assert picture.released == 0
    del frame
    gc.collect()
    assert picture.released == 1


def test_dlpack_without_strides_and_with_an_offset() -> None:
    picture = dlpack((4, 6, 3), (18, 3, 1))
    shifted = SimpleNamespace(
        __dlpack_device__=lambda: (2, 0), __dlpack__=lambda stream: dlpack_capsule(picture, 64)
    )
    assert device_frame(shifted, 0, STREAM).pointer == 4096


def test_dlpack_goes_before_the_array_interface_because_it_orders_streams() -> None:
    picture: Any = dlpack((4, 6, 3), (18, 3, 1))
    picture.__cuda_array_interface__ = array((2, 2, 3)).__cuda_array_interface__
    assert device_frame(picture, 0, STREAM).width == 6


def test_a_device_frame_is_taken_as_it_is() -> None:
    assert device_frame(HD, 0, STREAM) is HD
    assert geometry_of(HD) == geometry_of(DeviceFrame(8192, 1920, 1080, 4096, "NV12", 9000))
    assert geometry_of(HD) != geometry_of(DeviceFrame(4096, 1920, 1080, 2048, "GRAY"))


@pytest.mark.parametrize(
    ("picture", "answer"),
    [
        (np.zeros((2, 2, 3), np.uint8), False),  # numpy offers DLPack too
        (Frame(np.zeros((2, 2, 3), np.uint8)), False),
        (HD, True),
        (DeviceArray(None), True),
        (array((2, 2, 3)), True),
        (dlpack((2, 2, 3), (6, 3, 1)), True),
        (dlpack((2, 2, 3), (6, 3, 1), device=(13, 0)), True),
        (dlpack((2, 2, 3), (6, 3, 1), device=(1, 0)), False),
        ("a.png", False),
        (None, False),
    ],
)
def test_what_lies_on_a_device(picture: object, answer: bool) -> None:
    assert lies_on_device(picture) is answer


@pytest.mark.parametrize(
    ("picture", "message"),
    [
        (array((4, 6, 3), typestr="<f4"), "must be uint8; the types.SimpleNamespace has type '<f4'"),
        (array((4, 6, 3), version=1), "version 1 of the CUDA array interface; 2 or 3 can be read"),
        (array((4, 6, 3), mask=array((4, 6))), "is masked; hand in the array without its mask"),
        (array((4, 6)), r"a BGR picture must have shape \(height, width, 3\), not \(4, 6\); see DeviceArray"),
        (array((4, 6, 4)), r"not \(4, 6, 4\)"),
        (array((3, 4, 6)), r"not \(3, 4, 6\)"),
        (array((0, 6, 3)), r"must hold at least one pixel; its shape is \(0, 6, 3\)"),
        (
            array((4, 6, 3), (3, 12, 1)),
            r"one behind the other.*strides \(3, 12, 1\) bytes; make a contiguous copy",
        ),
        (array((4, 6, 3), (18, 3, -1)), "one behind the other"),
        (array((4, 6, 3), (-18, 3, 1)), "rows from top to bottom"),
        (array((4, 6, 3), (9, 3, 1)), "rows from top to bottom"),
        (array((4, 6, 3), data=(0, False)), "needs the address"),
        (DeviceArray(array((4, 6, 3)), "GRAY"), r"a GRAY picture must have shape \(height, width\)"),
        (DeviceArray(array((4, 6)), "NV12"), r"\(height \* 3 / 2, width\) with even sides, not \(4, 6\)"),
        (DeviceArray(array((4, 6)), "YUYV"), "pixel format 'YUYV' is unknown"),  # type: ignore[arg-type]
        (
            DeviceArray(
                array(
                    (4, 6),
                ),
                "GRAY",
                colour="red",
            ),
            "colour 'red' is unknown",
        ),
        (DeviceArray([1, 2]), "must be a numpy array, a vultus.Frame, a DeviceFrame or a device array"),
        (DeviceArray(np.zeros((2, 2, 3), np.uint8)), "must be a numpy array, a vultus.Frame.*not ndarray"),
        (
            dlpack((4, 6, 3), (18, 3, 1), device=(1, 0)),
            r"DLPack device type 1, which is not CUDA.*numpy\.from_dlpack",
        ),
        (
            dlpack((4, 6, 3), (18, 3, 1), device=(2, 3)),
            "lies on CUDA device 3, this Analyzer runs on device 0",
        ),
        (dlpack((4, 6, 3), (18, 3, 1), code=2, bits=32), "must be uint8; .* has DLPack type code 2, 32 bits"),
        (dlpack((4, 6, 3), (18, 3, 1), lanes=4), "4 lanes"),
        (dlpack((4, 6, 3), (72, 12, 4)), "one behind the other"),
        (DeviceFrame(4096, 6, 4, 17), "pitch is 17"),
        (DeviceFrame(4096, 6, 3, 6, "NV12", 9000), "even sides"),
        (DeviceFrame(4096, 6, 4, 6, "NV12"), "address of each of its planes"),
        (DeviceFrame(4096, 0, 4, 18), "at least one pixel"),
    ],
)
def test_what_cannot_be_read_is_refused(picture: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        device_frame(picture, 0, STREAM)


def test_a_refused_dlpack_array_is_given_back() -> None:
    picture = dlpack((4, 6, 3), (18, 3, 1), bits=16)
    with pytest.raises(InputError, match="must be uint8"):
        device_frame(picture, 0, STREAM)
    gc.collect()
    assert picture.released == 1


def test_a_producer_that_refuses_is_quoted() -> None:
    def refuse(stream: int) -> object:
        raise BufferError("it requires grad")

    picture = SimpleNamespace(__dlpack_device__=lambda: (2, 0), __dlpack__=refuse)
    with pytest.raises(InputError, match="does not hand itself over by DLPack: it requires grad"):
        device_frame(picture, 0, STREAM)


def test_a_torch_tensor_on_the_cpu_is_told_where_to_go() -> None:
    torch = pytest.importorskip("torch")
    with pytest.raises(InputError, match=r"torch\.Tensor lies on DLPack device type 1.*numpy\.from_dlpack"):
        device_frame(DeviceArray(torch.zeros((2, 2, 3), dtype=torch.uint8)), 0, STREAM)
