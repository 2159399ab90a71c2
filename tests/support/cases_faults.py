"""Cases of the device pipeline: streams, threads, and everything that can go wrong, on the fake driver.

The networks, the kernels, the driver layer and the pipeline are the shipped ones. Nothing here is a GPU's result.
"""

from __future__ import annotations

import ctypes
import gc
import itertools
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import host_device_engine
from device_arrays import CudaArray, DlpackArray
from fake_device import (
    Pixels,
    assert_same_faces,
    both,
    calls,
    crowd,
    driver_of,
    fail,
    fake,
    nothing_left,
    same,
    tiny_models,
)
from vultus import Analyzer, DeviceError, Frame, InputError, UsageError
from vultus.cuda.driver import Stream


def stream() -> None:
    """The same results in the same order; the next frame's work is enqueued before the host waits for the last."""
    pictures = [Frame(crowd(count), index=i, time=i / 10) for i, count in enumerate((1, 0, 9, 70, 2, 2, 1))]
    waits: list[int] = []
    pulled: list[int] = []

    def source() -> Iterator[Frame]:
        for frame in pictures:
            waits.append(calls("cuEventSynchronize"))
            pulled.append(frame.index)
            yield frame

    with tiny_models() as models, both(models) as (host, device):
        want = [host(frame) for frame in pictures]
        began = calls("cuEventSynchronize")
        got = []
        for result in device.stream(source()):
            assert len(pulled) == min(result.index + 2, len(pictures)), "one frame is taken ahead, not more"
            got.append(result)
            assert_same_faces(device(pictures[1]).faces, want[1].faces)  # calls in between are fine
        for one, other in zip(got, want, strict=True):
            same(one, other)
        assert waits[:2] == [began, began], "the second frame was enqueued before the first was waited for"
        assert [result.index for result in host.stream(pictures)] == list(range(len(pictures)))
        assert list(device.stream([])) == []
    nothing_left()


def stream_ends() -> None:
    """The consumer leaves, the source raises, a picture is wrong: results before it come first."""

    def broken() -> Iterator[Pixels]:
        yield crowd(1)
        yield crowd(2)
        raise OSError("the camera is gone")

    wrong = [crowd(1), crowd(2), np.zeros((3, 3)), crowd(3)]
    with tiny_models() as models, both(models) as (host, device):
        for analyzer in (host, device):
            for pictures, kind, message in (
                (broken(), OSError, "the camera is gone"),
                (wrong, InputError, "must be uint8"),
            ):
                seen: list[int] = []
                with pytest.raises(kind, match=message):
                    seen.extend(len(result.faces) for result in analyzer.stream(pictures))
                assert seen == [1, 2], seen
            results = analyzer.stream(crowd(2) for _ in itertools.count())
            assert len(next(results).faces) == 2
            results.close()
            assert len(analyzer(crowd(5)).faces) == 5
        array = DlpackArray(CudaArray(driver_of(device), crowd(1)))
        results = device.stream([crowd(1), array, crowd(1)])
        next(results)
        assert array.released == 0, "the device may still read it"
        results.close()
        assert array.released == 1, "nobody wants it any more"
        array.array.close()
        left = device.stream(crowd(1) for _ in range(3))
        next(left)
    with pytest.raises(UsageError, match="the pipeline was closed before it was read"):
        next(left)
    del left
    nothing_left()


def threads() -> None:
    """Two Analyzers in two threads on one device; one Analyzer in two threads is refused."""
    with tiny_models() as models:
        with Analyzer("cpu", models, threads=1) as host:
            want = {count: host(crowd(count)).faces for count in (1, 4, 20)}
        problems: list[str] = []

        def work(order: list[int]) -> None:
            try:
                with Analyzer("cuda", models) as device:
                    for count in order * 5:
                        assert_same_faces(device(crowd(count)).faces, want[count])
                    results = device.stream(crowd(count) for count in order)
                    for count, result in zip(order, results, strict=True):
                        assert_same_faces(result.faces, want[count])
            except BaseException as error:
                problems.append(repr(error))

        workers = [threading.Thread(target=work, args=(order,)) for order in ([1, 4, 20], [20, 1, 4])]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        assert not problems, problems
        with Analyzer("cuda", models) as device:
            device(crowd(1))

            def intrude() -> None:
                try:
                    device(crowd(1))
                except UsageError as error:
                    problems.append(str(error))

            worker = threading.Thread(target=intrude)
            worker.start()
            worker.join()
            assert problems == [
                "this Analyzer belongs to another thread; make one in each thread that analyses"
            ]
    nothing_left()


def fork() -> None:
    """The child of a fork may not use its parent's device, and closing there frees nothing."""
    with tiny_models() as models, Analyzer("cuda", models) as device:
        device(crowd(1))
        if (child := os.fork()) == 0:
            code = 1
            try:
                device(crowd(1))
            except UsageError as error:
                code = 0 if "was made before a fork; make one in each process" in str(error) else 2
            device.close()
            os._exit(code)
        assert os.waitpid(child, 0)[1] == 0
        assert len(device(crowd(2)).faces) == 2
    nothing_left()


def closing() -> None:
    """Closing twice, use after close, a pending stream at close."""
    with tiny_models() as models:
        device = Analyzer("cuda", models)
        device(crowd(1))
        device.close()
        device.close()
        for use in (lambda: device(crowd(1)), lambda: device.detect(crowd(1)), lambda: device.stream([])):
            with pytest.raises(UsageError, match="this Analyzer is closed; make another one"):
                use()
        forgotten = Analyzer("cuda", models)
        forgotten(crowd(1))
        del forgotten
    nothing_left()


def lost() -> None:
    """A device that is lost in mid-stream: one clear error a call, no hang, a quiet close."""
    with tiny_models() as models:
        device = Analyzer("cuda", models)
        pictures = (crowd(1) for _ in range(10))
        results = device.stream(pictures)
        next(results)
        fail("cuLaunchKernel", 1, 719, lost=True)
        told = []
        for use in (lambda: list(results), lambda: device(crowd(1)), lambda: device.detect(crowd(2))):
            try:
                use()
            except DeviceError as error:
                told.append(str(error))
        device.close()
    assert len(told) == 3, told
    assert all("CUDA_ERROR_LAUNCH_FAILED" in text for text in told), told
    with tiny_models() as models, Analyzer("cuda", models) as device:
        assert len(device(crowd(3)).faces) == 3, "once the lost one is closed another starts afresh"


def out_of_memory() -> None:
    """Whatever fails at start, nothing stays; under "auto" the CPU takes over and says why."""
    with tiny_models() as models:
        with Analyzer("cuda", models) as device:
            device(crowd(1))
        nothing_left()
        tried = 0
        for name, code in (
            ("cuMemAlloc", 2),
            ("cuMemHostAlloc", 2),
            ("cuStreamCreate", 2),
            ("cuEventCreate", 2),
            ("cuModuleGetFunction", 500),
        ):
            tried += each_failure(name, code, models)
        assert tried > 60, tried
        with Analyzer("auto", models) as analyzer:
            ran = analyzer(crowd(1)).ran_on
            assert all("on Fake" in ran[stage] for stage in ("detect", "face")), ran
            assert all(
                ran[stage].endswith("(chosen because a GPU is there)") for stage in ("detect", "face")
            ), ran
        fail("cuMemAlloc", 3, 2)
        with Analyzer("auto", models, threads=1) as analyzer:
            result = analyzer(crowd(3))
            assert len(result.faces) == 3
            for words in ("CPU", "chosen because", "CUDA_ERROR_OUT_OF_MEMORY"):
                assert words in result.ran_on["detect"], result.ran_on
    nothing_left()


def each_failure(name: str, code: int, models: list[Path]) -> int:
    """Let the first call fail, then the second, until opening succeeds; return how many there were."""
    # Every one of the first calls, then some of the many that are alike.
    for nth in (*range(1, 16), *range(16, 400, 7)):
        fail(name, nth, code)
        try:
            Analyzer("cuda", models).close()
        except DeviceError as error:
            text = str(error)
            del error
            assert text.startswith("device 'cuda' was asked for, but "), text
            nothing_left()
        else:
            fail(name, 10**9, 0)
            return int(nth) - 1
    raise AssertionError(f"{name} fails for ever")


def recovers() -> None:
    """A frame that the device has no room for is an error of that frame alone."""
    with tiny_models() as models, both(models) as (host, device):
        same(device(crowd(1)), host(crowd(1)))
        fail("cuMemAlloc", 1, 2)
        with pytest.raises(DeviceError, match="921600 bytes were asked for"):
            device(crowd(2, 640, 480))
        for count in (1, 5):
            same(device(crowd(count)), host(crowd(count)))
        same(device(crowd(2, 640, 480)), host(crowd(2, 640, 480)))
        picture = DlpackArray(CudaArray(driver_of(device), crowd(1)))
        device(picture)
        waits: list[int] = []
        before = calls("cuStreamSynchronize")
        picture.on_release = lambda: waits.append(calls("cuStreamSynchronize") - before)
        fail("cuGraphLaunch", 1, 1)
        with pytest.raises(DeviceError, match="cuGraphLaunch"):
            device(picture)
        gc.collect()
        assert waits == [2], "a picture is given back only when nothing that was enqueued can read it"
        picture.array.close()
    nothing_left()


def uncapturable() -> None:
    """An engine that refuses only inside of a capture is enqueued for good, with the same answers, and says why."""

    def enqueue(self: host_device_engine.HostBinding, stream: Stream) -> None:
        status = ctypes.c_int()
        ctypes.CDLL("libcuda.so.1").cuStreamIsCapturing(ctypes.c_void_p(stream.handle), ctypes.byref(status))
        if status.value:
            raise DeviceError("this engine waits for its stream")
        plain(self, stream)

    binding = host_device_engine.HostBinding
    plain = binding.enqueue
    binding.enqueue = enqueue  # type: ignore[method-assign]
    refused = "without a CUDA graph: this engine waits for its stream"
    with tiny_models() as models, both(models) as (host, device):
        for count in (1, 3, 0, 7, 2, 2):
            answer = device(crowd(count))
            same(answer, host(crowd(count)))
        assert [refused in answer.ran_on[stage] for stage in ("detect", "face")] == [True, True]
        assert "CUDA graph" not in answer.ran_on["letterbox"]
        assert int(fake.fake_cuda_graphs()) == 0
    binding.enqueue = plain  # type: ignore[method-assign]
    with tiny_models() as models:
        fail("cuGraphInstantiate", 0, 2)
        with Analyzer("cuda", models) as device:
            assert "cuGraphInstantiate failed: CUDA_ERROR_OUT_OF_MEMORY" in device(crowd(2)).ran_on["face"]
        fail("cuGraphInstantiate", 0, 0)
    nothing_left()
