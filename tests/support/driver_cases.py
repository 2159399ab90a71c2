"""What every driver layer must do, as functions that run on the fake driver in a process of their own.

`python driver_cases.py CARRIER` runs them all and prints {case: "" or what went wrong} as JSON.
"""

from __future__ import annotations

import ctypes
import gc
import json
import sys
import threading
import traceback
from collections.abc import Callable

import numpy as np
import pytest

from vultus.cuda.driver import Argument, Driver, Stream, open_driver
from vultus.cuda.driver.libcuda import LibCuda
from vultus.errors import DeviceError

__all__ = ["CASES", "opened", "probe"]

Case = Callable[[Driver], None]
CASES: dict[str, Case] = {}
IMAGE = b"\x7fELF of a test"
POISON = 0xCD


def probe(name: str, *arguments: object) -> int:
    """Ask the fake itself."""
    result: int = getattr(ctypes.CDLL("libcuda.so.1"), f"fake_cuda_{name}")(*arguments)
    return result


def fail(verb: str, code: int, nth: int = 1, sticky: bool = False) -> None:
    """Let the nth call of a driver function from now on fail; 0: every call."""
    probe("fail", verb.encode(), nth, code, int(sticky))


def opened(carrier: str) -> Driver:
    """Open the device over cuda-bindings, pycuda or the plain library."""
    if carrier != "libcuda":
        return open_driver(package=carrier)
    from vultus.cuda.driver import over_bindings

    return over_bindings.open_device(cuda=LibCuda())


def case(function: Case) -> Case:
    """Enter a function into the table."""
    CASES[function.__name__] = function
    return function


def sent(driver: Driver, values: np.ndarray, stream: Stream) -> int:
    """Put bytes on the device for good; return their address."""
    memory = driver.allocate(values.nbytes)
    KEPT.append(memory)
    driver.copy(memory.pointer, values.ctypes.data, values.nbytes, stream)
    return memory.pointer


KEPT: list[object] = []


@case
def the_device_is_described(driver: Driver) -> None:
    info = driver.info
    assert (info.index, info.name, info.compute_capability) == (0, "Fake CUDA device 0", (8, 7))
    assert (info.memory, info.integrated, info.driver, info.multiprocessors) == (1 << 30, False, "13.0", 8)
    assert driver.package.split()[0] in ("cuda-bindings", "pycuda")
    assert len(driver.package.split()) == 2


@case
def bytes_go_there_and_back(driver: Driver) -> None:
    stream, values = driver.stream(), np.arange(1000, dtype=np.uint8)
    address = sent(driver, values, stream)
    values[:] = 0  # pageable bytes are taken away before copy returns
    back = driver.allocate_host(1000)
    driver.copy(back.pointer, address, 1000, stream)
    assert set(back.array) == {POISON}, "the stream has not run yet"
    stream.synchronise()
    assert np.array_equal(back.array, np.arange(1000, dtype=np.uint8))


@case
def rows_of_other_pitches_are_copied(driver: Driver) -> None:
    stream, values = driver.stream(), np.arange(120, dtype=np.uint8).reshape(6, 20)
    address, back = sent(driver, values, stream), driver.allocate_host(6 * 32)
    driver.copy_rows(back.pointer, 32, address, 20, 17, 6, stream)
    stream.synchronise()
    rows = back.array.reshape(6, 32)
    assert np.array_equal(rows[:, :17], values[:, :17])
    assert set(rows[:, 17:].ravel()) == {POISON}


@case
def fills_set_bytes(driver: Driver) -> None:
    stream, back = driver.stream(), np.zeros(10, np.uint8)
    address = sent(driver, back, stream)
    driver.fill(address + 2, 7, 5, stream)
    driver.copy(back.ctypes.data, address, 10, stream)
    stream.synchronise()
    assert back.tolist() == [0, 0, 7, 7, 7, 7, 7, 0, 0, 0]


@case
def copies_past_an_end_are_refused(driver: Driver) -> None:
    stream, memory = driver.stream(), driver.allocate(100)
    with pytest.raises(DeviceError, match=r"^cuMemcpyAsync failed: CUDA_ERROR_INVALID_VALUE$"):
        driver.copy(memory.pointer + 50, memory.pointer, 51, stream)


@case
def mapped_memory_has_a_device_address(driver: Driver) -> None:
    assert driver.allocate_host(10).device_pointer == 0
    mapped = driver.allocate_host(10, mapped=True)
    assert mapped.device_pointer
    view = mapped.array
    del mapped
    gc.collect()
    view[:] = 3  # a view keeps the memory
    assert view.tolist() == [3] * 10


@case
def allocations_are_counted_and_freed_once(driver: Driver) -> None:
    count, live = driver.allocations, probe("live")
    memory, host = driver.allocate(10), driver.allocate_host(10)
    driver.allocate(10)  # forgotten at once
    gc.collect()
    assert (driver.allocations - count, probe("live") - live) == (3, 2)
    for thing in (memory, host, memory, host):
        thing.close()
    assert probe("live") == live
    assert memory.size == 10
    for size in (0, -1):
        with pytest.raises(DeviceError, match=f"^{size} bytes were asked for; expected one or more$"):
            driver.allocate(size)


@case
def full_memory_tells_what_was_asked_for(driver: Driver) -> None:
    unused = driver.free_memory()
    expected = rf"OUT_OF_MEMORY \({2 << 30} bytes were asked for, {unused} of the GPU's {1 << 30} were free\)"
    with pytest.raises(DeviceError, match=f"^cuMemAlloc failed: CUDA_ERROR_{expected}; close other programs"):
        driver.allocate(2 << 30)
    fail("cuMemHostAlloc", 2)
    with pytest.raises(DeviceError, match=r"cuMemHostAlloc failed: CUDA_ERROR_OUT_OF_MEMORY \(10 bytes"):
        driver.allocate_host(10)
    driver.allocate(10).close()


@case
def events_order_streams(driver: Driver) -> None:
    first, second, event = driver.stream(), driver.stream(), driver.event()
    address, back = sent(driver, np.zeros(4, np.uint8), first), driver.allocate_host(4)
    first.synchronise()
    driver.fill(address, 5, 4, first)
    event.record(first)
    second.wait(event)
    driver.copy(back.pointer, address, 4, second)
    assert not event.done()
    second.synchronise()
    assert event.done()
    assert back.array.tolist() == [5] * 4


@case
def events_measure(driver: Driver) -> None:
    stream, early, late = driver.stream(), driver.event(timing=True), driver.event(timing=True)
    early.record(stream)
    late.record(stream)
    late.synchronise()
    assert 0 <= late.milliseconds_since(early) < 1000
    untimed = driver.event()
    untimed.record(stream)
    with pytest.raises(DeviceError, match="cuEventElapsedTime failed: CUDA_ERROR_INVALID_HANDLE"):
        untimed.milliseconds_since(early)


@case
def kernels_run_with_their_arguments(driver: Driver) -> None:
    stream, module, back = driver.stream(), driver.load(IMAGE), np.zeros(100, np.float32)
    address = sent(driver, np.arange(100, dtype=np.float32), stream)
    function = module.function("vultus_test_scale")
    assert function.name == "vultus_test_scale"
    arguments: list[Argument] = [
        ctypes.c_void_p(address),
        ctypes.c_int(90),
        ctypes.c_float(0.5),
        ctypes.c_uint(3),
    ]
    driver.launch(function, (4, 1, 1), (32, 1, 1), arguments, stream)
    for argument in arguments:
        argument.value = 0  # the driver took the values at launch
    driver.copy(back.ctypes.data, address, back.nbytes, stream)
    expected = np.arange(100, dtype=np.float32)
    expected[:90] = expected[:90] * 0.5 + 3
    assert np.array_equal(back, expected)
    with pytest.raises(
        DeviceError, match=r"cuModuleGetFunction failed: CUDA_ERROR_NOT_FOUND \(the module has no"
    ):
        module.function("vultus_test_nothing")
    with pytest.raises(
        DeviceError, match=r"cuLaunchKernel failed: CUDA_ERROR_INVALID_VALUE \(vultus_test_scale\)"
    ):
        driver.launch(function, (1, 1, 1), (2048, 1, 1), arguments, stream)
    module.close()
    assert probe("modules") == 0


@case
def code_for_other_devices_is_explained(driver: Driver) -> None:
    for code, message in {
        200: "CUDA_ERROR_INVALID_IMAGE; the file with the GPU code is damaged",
        209: "CUDA_ERROR_NO_BINARY_FOR_GPU; the code was built for other GPUs",
        222: "CUDA_ERROR_UNSUPPORTED_PTX_VERSION; the driver is older than this code: update the NVIDIA driver",
    }.items():
        fail("cuModuleLoadData", code)
        with pytest.raises(DeviceError, match=f"^cuModuleLoadData failed: {message}"):
            driver.load(IMAGE)
    with pytest.raises(DeviceError, match="CUDA_ERROR_INVALID_IMAGE"):
        driver.load(b"not code")


@case
def graphs_replay(driver: Driver) -> None:
    stream, back = driver.stream(), driver.allocate_host(4)
    address = sent(driver, np.zeros(4, np.uint8), stream)
    with driver.capture(stream) as graphs:
        assert graphs == []
        driver.fill(address, 9, 4, stream)
        driver.copy(back.pointer, address, 4, stream)
    stream.synchronise()
    assert set(back.array) == {POISON}, "capturing runs nothing"
    for _ in range(2):
        back.array[:] = 0
        graphs[0].launch(stream)
        stream.synchronise()
        assert back.array.tolist() == [9] * 4
    graphs[0].close()
    assert probe("graphs") == 0


@case
def a_capture_keeps_other_streams_in_order(driver: Driver) -> None:
    stream, side, fork, join = driver.stream(), driver.stream(), driver.event(), driver.event()
    address, back = sent(driver, np.zeros(4, np.uint8), stream), driver.allocate_host(4)
    with driver.capture(stream) as graphs:
        fork.record(stream)
        side.wait(fork)
        driver.fill(address, 4, 4, side)
        join.record(side)
        stream.wait(join)
        driver.copy(back.pointer, address, 4, stream)
    graphs[0].launch(stream)
    stream.synchronise()
    assert back.array.tolist() == [4] * 4


@case
def allocating_in_a_capture_is_refused(driver: Driver) -> None:
    stream = driver.stream()
    message = "cuMemAlloc failed: CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED; this cannot be part of a CUDA graph"
    with pytest.raises(DeviceError, match=message), driver.capture(stream):
        driver.allocate(10)
    stream.synchronise()  # the stream captures no longer
    assert probe("graphs") == 0


@case
def a_capture_that_raises_leaves_none_behind(driver: Driver) -> None:
    stream = driver.stream()
    with pytest.raises(ZeroDivisionError), driver.capture(stream):
        raise ZeroDivisionError
    assert probe("graphs") == 0
    with driver.capture(stream) as graphs:
        pass
    assert len(graphs) == 1


@case
def what_is_forgotten_in_a_capture_is_freed_after_it(driver: Driver) -> None:
    stream, memory, live = driver.stream(), [driver.allocate(10)], probe("live")
    with driver.capture(stream) as graphs:
        memory.clear()
        gc.collect()
        assert probe("live") == live
    assert probe("live") == live - 1
    assert len(graphs) == 1


@case
def the_context_is_put_back(driver: Driver) -> None:
    depth = probe("depth")
    with driver.current():
        assert probe("depth") == depth + 1
        with driver.current():
            driver.allocate(10).close()
            assert probe("depth") == depth + 1
    driver.allocate(10).close()
    assert probe("depth") == depth


@case
def closing_inside_leaves_no_context_behind(driver: Driver) -> None:
    depth = probe("depth")
    with driver.current():
        driver.close()
    assert probe("depth") == depth
    other = opened(sys.argv[1])
    thread = threading.Thread(target=other.close)
    thread.start()
    thread.join()
    assert (probe("depth"), probe("retained", 0)) == (depth, 0)


@case
def another_context_is_put_back(driver: Driver) -> None:
    library, other, seen = LibCuda(), ctypes.c_void_p(), ctypes.c_void_p()
    raw = ctypes.CDLL("libcuda.so.1")
    assert raw.cuCtxCreate_v2(ctypes.byref(other), 0, 0) == 0
    try:
        with driver.current():
            raw.cuCtxGetCurrent(ctypes.byref(seen))
            assert seen.value != other.value
            with driver.current():
                pass
        driver.stream().close()
        assert library.cuCtxGetCurrent() == (0, other.value)  # type: ignore[attr-defined]
    finally:
        raw.cuCtxDestroy_v2(other)


@case
def steps_of_a_frame_do_not_ask_for_the_context(driver: Driver) -> None:
    stream, event, asked = driver.stream(), driver.event(), b"cuCtxGetCurrent"
    address = sent(driver, np.zeros(4, np.uint8), stream)

    def work() -> None:
        driver.fill(address, 1, 4, stream)
        event.record(stream)
        stream.wait(event)
        event.synchronise()

    before = probe("calls", asked)
    with driver.current():
        once = probe("calls", asked) - before
        work()
        assert probe("calls", asked) - before == once
        thread = threading.Thread(target=work)  # another thread is not sure of its context
        thread.start()
        thread.join()
        assert probe("calls", asked) - before >= once + 4
    before = probe("calls", asked)
    work()
    assert probe("calls", asked) - before >= 4


@case
def a_context_left_behind_inside_is_noticed(driver: Driver) -> None:
    stream, event, other = driver.stream(), driver.event(), ctypes.c_void_p()
    function = driver.load(IMAGE).function("vultus_test_scale")
    address = sent(driver, np.ones(4, np.float32), stream)
    numbers: list[Argument] = [ctypes.c_int(4), ctypes.c_float(3), ctypes.c_uint(0)]
    arguments = [ctypes.c_void_p(address), *numbers]
    back, raw = np.zeros(4, np.float32), ctypes.CDLL("libcuda.so.1")
    with driver.current():
        raw.cuCtxCreate_v2(ctypes.byref(other), 0, 0)
        driver.launch(function, (1, 1, 1), (32, 1, 1), arguments, stream)
        event.record(stream)
        driver.copy(back.ctypes.data, address, back.nbytes, stream)
        stream.synchronise()
        memory = driver.allocate(10)
        raw.cuCtxDestroy_v2(other)  # memory made in it would be gone
        driver.fill(memory.pointer, 0, 10, stream)
        stream.synchronise()
        with pytest.raises(DeviceError, match="cuLaunchKernel failed: CUDA_ERROR_INVALID_VALUE"):
            driver.launch(function, (1, 1, 1), (2048, 1, 1), arguments, stream)
    assert back.tolist() == [3] * 4


@case
def every_thread_may_use_it(driver: Driver) -> None:
    answers: list[object] = []

    def work(value: int) -> None:
        try:
            stream, back = driver.stream(), driver.allocate_host(64)
            memory = driver.allocate(64)
            for _ in range(20):
                driver.fill(memory.pointer, value, 64, stream)
                driver.copy(back.pointer, memory.pointer, 64, stream)
                stream.synchronise()
                assert set(back.array) == {value}
            memory.close()
            answers.append(probe("depth"))
        except BaseException as error:
            answers.append(error)

    threads = [threading.Thread(target=work, args=(value,)) for value in range(1, 9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [0] * 8


@case
def memory_of_one_thread_is_freed_in_another(driver: Driver) -> None:
    live, things = (
        probe("live"),
        [driver.allocate(10), driver.allocate_host(10), driver.stream(), driver.event()],
    )
    thread = threading.Thread(target=things.clear)
    thread.start()
    thread.join()
    gc.collect()
    assert probe("live") == live


@case
def things_of_another_package_are_refused(driver: Driver) -> None:
    class Foreign:
        def record(self) -> None: ...

    with pytest.raises(DeviceError, match=r"^Foreign came from another driver package; expected BoundEvent$"):
        driver.stream().wait(Foreign())  # type: ignore[arg-type]


@case
def a_lost_device_says_so_at_every_verb(driver: Driver) -> None:
    stream, event, memory = driver.stream(), driver.event(), driver.allocate(10)
    host, module = driver.allocate_host(10), driver.load(IMAGE)
    fail("cuStreamSynchronize", 700, sticky=True)
    lost = "CUDA_ERROR_ILLEGAL_ADDRESS.*; the GPU's context is lost with all its memory: .* make a new one"
    with pytest.raises(DeviceError, match=f"^cuStreamSynchronize failed: {lost}"):
        stream.synchronise()
    verbs: list[Callable[[], object]] = [
        lambda: driver.allocate(10),
        lambda: driver.allocate_host(10),
        lambda: driver.copy(memory.pointer, host.pointer, 10, stream),
        lambda: driver.fill(memory.pointer, 0, 10, stream),
        lambda: event.record(stream),
        event.done,
        event.synchronise,
        lambda: stream.wait(event),
        driver.stream,
        driver.event,
        lambda: module.function("vultus_test_scale"),
        driver.free_memory,
        lambda: driver.current().__enter__(),
        lambda: driver.capture(stream).__enter__(),
    ]
    for verb in verbs:
        with pytest.raises(DeviceError, match=lost):
            verb()
    for thing in (stream, event, memory, host, module):
        thing.close()
    driver.close()


@case
def a_new_driver_works_after_a_loss(driver: Driver) -> None:
    a_lost_device_says_so_at_every_verb(driver)
    fresh = opened(sys.argv[1])
    fresh.allocate(10).close()
    fresh.close()


@case
def a_closed_driver_says_so(driver: Driver) -> None:
    memory, stream = driver.allocate(10), driver.stream()
    driver.close()
    driver.close()
    assert (probe("retained", 0), probe("live")) == (0, 0)
    with pytest.raises(DeviceError, match=r"^cuMemAlloc is impossible: this driver is closed; open another$"):
        driver.allocate(10)
    memory.close()
    stream.close()


def main(carrier: str) -> None:
    """Run every case with a driver of its own."""
    results = {}
    for name, function in CASES.items():
        driver = opened(carrier)
        try:
            function(driver)
            results[name] = ""
        except BaseException:
            results[name] = traceback.format_exc()
        KEPT.clear()
        driver.close()
    json.dump(results, sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1])
