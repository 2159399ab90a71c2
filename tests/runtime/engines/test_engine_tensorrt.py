"""TensorRT engines over recorded interfaces and the fake driver: the calls exist, the rules are kept, faults are told.

What runs here is the engine's own code; the numbers come from ONNX Runtime in the fake driver's memory.
"""

from __future__ import annotations

import inspect
import re
import textwrap
from pathlib import Path
from typing import Any

import pytest

import recorded_tensorrt
import sidecars
from fake_cuda import run_with_fake
from recorded_tensorrt import RECORD, RTX, VERSIONS
from vultus.engines import open_engine
from vultus.engines.devices import cuda_problem
from vultus.errors import DeviceError, ModelError
from vultus.pipeline import Analyzer

pytest.importorskip("cuda.bindings", reason="needs cuda-bindings")

ALL = (*VERSIONS, RTX)
SIGNATURES: dict[str, dict[str, str]] = RECORD["signatures"]

START = """
import ctypes, json, sys
from pathlib import Path
import numpy as np
import onnxruntime
import tiny
from recorded_engines import installed, saved_engine
from vultus.cuda.driver import open_driver
from vultus.cuda.tensors import DeviceTensor
from vultus.engines import open_engine
from vultus.engines.device import open_device_engine
from vultus.errors import VultusError

FAKE = ctypes.CDLL("libcuda.so.1")
folder = Path({folder!r})
face = tiny.save_face_network(folder / "tiny-face.onnx")

def expected(batch, path=face):
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, {{"image": batch}})))

def pictures(count, seed=0):
    return np.random.default_rng(seed).normal(size=(count, 3, 32, 32)).astype(np.float32)

def on_device(driver, batch):
    stream, memory = driver.stream(), driver.allocate(batch.nbytes)
    driver.copy(memory.pointer, batch.ctypes.data, batch.nbytes, stream)
    stream.synchronise()
    stream.close()
    return DeviceTensor(memory.pointer, batch.shape, batch.dtype, memory)

def fetched(driver, binding, stream):
    found = {{name: np.empty(t.shape, t.dtype) for name, t in binding.outputs.items()}}
    for name, array in found.items():
        driver.copy(array.ctypes.data, binding.outputs[name].pointer, array.nbytes, stream)
    stream.synchronise()
    return found

def same(found, wanted):
    assert found.keys() == wanted.keys()
    for name, array in wanted.items():
        np.testing.assert_array_equal(found[name], array)

def told(call, *arguments):
    try:
        call(*arguments)
    except VultusError as error:
        print(type(error).__name__ + ": " + str(error))
    else:
        raise SystemExit("nothing was raised")
"""


def on_the_fake(folder: Path, code: str, **more: Any) -> str:
    script = START.format(folder=str(folder)) + textwrap.dedent(code)
    settings = {"CAPABILITY": 87, **more.pop("settings", {})}
    return run_with_fake(script, settings=settings, **more).stdout


def recorded_names(method: str, version: str) -> set[str]:
    """Return the argument lists, as words, that a method takes in a version."""
    index = ALL.index(version)
    return {names for names, mask in SIGNATURES[method].items() if mask[index] == "x"}


@pytest.mark.parametrize("version", ALL)
def test_the_recorded_classes_take_the_arguments_of_the_bindings(version: str) -> None:
    trt = recorded_tensorrt.module(version)
    for method in SIGNATURES:
        owner, name = method.split(".")
        found: Any = getattr(getattr(trt, owner, None), name, None)
        wanted = recorded_names(method, version)
        assert (found is not None) == bool(wanted), method
        if wanted:
            given = " ".join(list(inspect.signature(found).parameters)[1:])
            assert given in wanted, method


def test_the_record_of_tensorrt_rtx_is_what_its_bindings_have() -> None:
    rtx = pytest.importorskip("tensorrt_rtx_bindings", exc_type=ImportError)
    if rtx.__version__ != RTX:
        pytest.skip(f"TensorRT-RTX {rtx.__version__} is here, {RTX} is recorded")
    for name, words in RECORD["rtx"]["classes"].items():
        assert set(words.split()) == {word for word in dir(getattr(rtx, name)) if word[0] != "_"}
    for method in SIGNATURES:
        owner, name = method.split(".")
        text = getattr(getattr(rtx, owner), name).__doc__
        overloads = re.findall(rf"{name}\(self: [\w.]+(?:, )?(.*?)\) -> ", text)
        names = {" ".join(re.findall(r"(?:^|, )(\w+): ", overload)) for overload in overloads}
        assert recorded_names(method, RTX) <= names, method


def test_every_version_runs_and_leaves_nothing_behind(tmp_path: Path) -> None:
    code = f"""
    for version in {ALL}:
        installed(version)
        path = saved_engine(folder, face, version)
        driver = open_driver()
        engine = open_device_engine(path, driver)
        print(engine.device, engine.batch, engine.capturable)
        stream, bindings = driver.stream(), []
        for count in (1, 8, 3):
            batch = on_device(driver, pictures(count, count))
            bindings.append((engine.bind(batch), batch, count))
        taken = driver.allocations
        for _ in range(2):
            for binding, batch, count in bindings:
                binding.enqueue(stream)
                same(fetched(driver, binding, stream), expected(pictures(count, count)))
        assert driver.allocations == taken
        bindings[0][0].close()
        engine.close()
        engine.close()
        for _, batch, _ in bindings:
            batch.owner.close()
        stream.close()
        driver.close()
        assert FAKE.fake_cuda_live() == 0 and FAKE.fake_cuda_depth() == 0
    """
    lines = on_the_fake(tmp_path, code).splitlines()
    names = [f"TensorRT {version}" for version in VERSIONS] + [f"TensorRT-RTX {RTX}"]
    for line, name in zip(lines, names, strict=True):
        assert re.fullmatch(rf"{re.escape(name)} on .+, fp32 \(1, 8\) True", line)


@pytest.mark.parametrize("version", ["10.3.0", RTX])
def test_the_host_engine_fills_up_and_splits(tmp_path: Path, version: str) -> None:
    code = f"""
    installed({version!r})
    path = saved_engine(folder, face, {version!r}, (2, 4, 8))
    with open_engine(path, "cuda") as engine:
        for count in (1, 5, 8, 2, 19, 1):
            same(engine(pictures(count, count)), expected(pictures(count, count)))
        print(engine.device)
        told(engine, pictures(1)[:, :, :16])
    told(engine, pictures(1))
    assert FAKE.fake_cuda_live() == 0
    """
    lines = on_the_fake(tmp_path, code).splitlines()
    assert lines[0].endswith(", fp32")
    assert lines[1].startswith(
        "InputError: model 'tiny-face' takes float32 (n, 3, height, width), n >= 1, 32 x 32;"
    )
    assert lines[2] == "UsageError: the engine of 'tiny-face' is closed; open it again"


def test_what_the_profile_does_not_hold_is_refused(tmp_path: Path) -> None:
    code = """
    installed("10.3.0")
    driver = open_driver()
    engine = open_device_engine(saved_engine(folder, face, "10.3.0"), driver)
    told(engine.bind, on_device(driver, pictures(9)))
    told(engine.bind, on_device(driver, pictures(1)[:, :, :16]))
    binding = engine.bind(on_device(driver, pictures(2)))
    binding.close()
    binding.close()
    told(binding.enqueue, driver.stream())
    engine.close()
    told(engine.bind, on_device(driver, pictures(1)))
    """
    lines = on_the_fake(tmp_path, code).splitlines()
    assert lines[0] == (
        "InputError: tiny-face.engine was built for batches from (1, 3, 32, 32) to (8, 3, 32, 32), got "
        "(9, 3, 32, 32); bind within that, or build it with other --batch LEAST,BEST,MOST or --size WxH: "
        "vultus-export engine"
    )
    assert lines[1].startswith(
        "InputError: tiny-face.engine takes float32 (n, 3, height, width), n >= 1, 32 x 32; got"
    )
    assert lines[2] == "UsageError: this binding of tiny-face.engine is closed; bind again"
    assert lines[3] == "UsageError: the engine of tiny-face.engine is closed; open it again"


@pytest.mark.parametrize(
    ("board", "message"),
    [
        (
            {"refuses_engines": True},
            r"ModelError: TensorRT 10\.3\.0 on .+ cannot load tiny-face\.engine: Serialization assertion failed: "
            r"version mismatch; run vultus-export engine tiny-face\.onnx --out DIR",
        ),
        (
            {"load_error": "Error Code 1: Cuda Runtime (out of memory)"},
            r"DeviceError: TensorRT .* cannot load tiny-face\.engine: .*\(out of memory\); free GPU memory, or bind "
            r"fewer pictures at once",
        ),
        (
            {"context_error": "Error Code 2: OutOfMemory"},
            r"DeviceError: TensorRT .* cannot make an execution context for tiny-face\.engine: .*OutOfMemory; free GPU",
        ),
        (
            {"run_error": "Error Code 1: Cuda Runtime (an illegal memory access was encountered)"},
            r"DeviceError: TensorRT .* does not run tiny-face\.engine: .*illegal memory access",
        ),
    ],
)
def test_what_tensorrt_refuses_is_one_clear_error(
    tmp_path: Path, board: dict[str, Any], message: str
) -> None:
    code = f"""
    installed("10.3.0", **{board!r})
    path = saved_engine(folder, face, "10.3.0")
    driver = open_driver()
    batch = on_device(driver, pictures(2))
    live = FAKE.fake_cuda_live()
    told(lambda: open_device_engine(path, driver).bind(batch))
    assert FAKE.fake_cuda_live() == live and FAKE.fake_cuda_depth() == 0
    """
    assert re.match(message, on_the_fake(tmp_path, code))


@pytest.mark.parametrize("nth", [1, 2, 5])
def test_memory_that_runs_out_in_bind_leaves_nothing_behind(tmp_path: Path, nth: int) -> None:
    code = f"""
    installed("11.4.0.106")
    driver = open_driver()
    engine = open_device_engine(saved_engine(folder, face, "11.4.0.106"), driver)
    batch = on_device(driver, pictures(2))
    live = FAKE.fake_cuda_live()
    FAKE.fake_cuda_fail(b"cuMemAlloc", ctypes.c_long({nth}), 2, 0)
    told(engine.bind, batch)
    assert FAKE.fake_cuda_live() == live and FAKE.fake_cuda_depth() == 0
    binding, stream = engine.bind(batch), driver.stream()
    binding.enqueue(stream)
    same(fetched(driver, binding, stream), expected(pictures(2)))
    """
    assert re.match(
        r"DeviceError: cuMemAlloc failed: CUDA_ERROR_OUT_OF_MEMORY \(\d+ bytes", on_the_fake(tmp_path, code)
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"compute_capabilities": ("9.0",)},
            r"DeviceError: tiny-face\.engine was built for compute capability 9\.0 and TensorRT 10\.3\.0, this is "
            r"compute capability 8\.7 and TensorRT 10\.3\.0: run vultus-export engine tiny-face\.onnx --out DIR",
        ),
        (
            {"version": "10.7.0"},
            r"DeviceError: .* built for .* TensorRT 10\.7\.0, this is .* TensorRT 10\.3\.0: run",
        ),
        (
            {"engine_size": 7},
            r"ModelError: .*tiny-face\.engine is damaged: \d+ bytes that are not the 7 that were",
        ),
        (
            {"flavour": "tensorrt_rtx"},
            r"DeviceError: .* this is compute capability 8\.7 without TensorRT-RTX: pip",
        ),
    ],
)
def test_an_engine_of_another_device_or_a_damaged_one_is_refused(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    code = f"""
    sys.modules["tensorrt_rtx_bindings"] = None
    trt = installed("10.3.0")
    driver = open_driver()
    told(open_device_engine, saved_engine(folder, face, "10.3.0", **{changes!r}), driver)
    assert not trt.board.runtimes  # refused before any TensorRT object
    """
    assert re.match(message, on_the_fake(tmp_path, code))


def test_an_engine_that_breaks_its_contract_is_refused(tmp_path: Path) -> None:
    code = """
    from dataclasses import replace
    installed("10.3.0")
    odd = replace(tiny.FACE_NETWORK, heads=tuple(replace(h, output=h.output + "_2") for h in tiny.FACE_NETWORK.heads))
    told(open_device_engine, saved_engine(folder, face, "10.3.0", spec=odd), open_driver())
    """
    assert "ModelError: tiny-face.engine does not honour its spec: " in on_the_fake(tmp_path, code)


@pytest.mark.parametrize(
    ("version", "board", "flags", "capturable"),
    [
        ("10.3.0", {}, (), True),
        ("10.3.0", {}, ("dla=0",), False),
        (RTX, {}, (), True),
        (RTX, {"refuses_capture": True}, (), False),
    ],
)
def test_whether_a_graph_can_hold_a_run_is_known_after_bind(
    tmp_path: Path, version: str, board: dict[str, Any], flags: tuple[str, ...], capturable: bool
) -> None:
    code = f"""
    trt = installed({version!r}, **{board!r})
    driver = open_driver()
    engine = open_device_engine(saved_engine(folder, face, {version!r}, flags={flags!r}), driver)
    engine.bind(on_device(driver, pictures(1)))
    print(engine.capturable, getattr(trt.board.runtimes[0], "DLA_core", None))
    """
    assert on_the_fake(tmp_path, code).split() == [str(capturable), "0" if flags else "None"]


def test_a_captured_run_is_replayed(tmp_path: Path) -> None:
    code = """
    installed("10.3.0")
    driver = open_driver()
    engine, stream = open_device_engine(saved_engine(folder, face, "10.3.0"), driver), driver.stream()
    batch = on_device(driver, pictures(2))
    binding = engine.bind(batch)
    with driver.capture(stream) as graphs:
        binding.enqueue(stream)
    for seed in (3, 4):
        values = pictures(2, seed)
        driver.copy(batch.pointer, values.ctypes.data, values.nbytes, stream)
        graphs[0].launch(stream)
        same(fetched(driver, binding, stream), expected(values))
    """
    on_the_fake(tmp_path, code)


def test_a_version_compatible_engine_may_bring_its_own_runtime(tmp_path: Path) -> None:
    code = """
    trt = installed("10.16.1.11")
    flags = ("version-compatible",)
    path = saved_engine(folder, face, "10.16.1.11", version="10.3.0", flags=flags)
    engine = open_device_engine(path, open_driver())
    print(engine.device, trt.board.runtimes[0].engine_host_code_allowed)
    """
    assert re.match(r"TensorRT 10\.16\.1\.11 on .*, fp32 True", on_the_fake(tmp_path, code))


def test_the_cpu_is_refused_for_an_engine(tmp_path: Path) -> None:
    path = sidecars.saved(tmp_path, sidecars.ORIN)
    with pytest.raises(DeviceError, match=r"^tiny-face\.engine runs on a GPU alone: give the \.onnx file"):
        open_engine(path, "cpu")


@pytest.mark.skipif(not cuda_problem(), reason="a GPU is here")
def test_auto_says_how_it_came_to_the_cpu(tmp_path: Path) -> None:
    path = sidecars.saved(tmp_path, sidecars.ORIN)
    with pytest.raises(
        DeviceError, match=r" runs on a GPU alone: .* \(the CPU was chosen because the NVIDIA "
    ):
        Analyzer("auto", [path])


@pytest.mark.skipif(not cuda_problem(), reason="a GPU is here")
@pytest.mark.parametrize("device", ["auto", "cuda"])
def test_without_a_gpu_no_tensorrt_object_is_made(tmp_path: Path, device: str) -> None:
    with pytest.raises(DeviceError, match="no CUDA device can be used: "):
        open_engine(sidecars.saved(tmp_path, sidecars.ORIN), device)


def test_a_missing_engine_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"there is no model file .*none\.engine"):
        open_engine(tmp_path / "none.engine")


def test_the_real_tensorrt_rtx_that_will_not_load_an_engine_is_told(tmp_path: Path) -> None:
    pytest.importorskip("tensorrt_rtx_bindings", reason="needs TensorRT-RTX", exc_type=ImportError)
    code = """
    from rich.console import Console
    from vultus.engines.sidecar import Platform
    from vultus_export.tensorrt.bindings import load_bindings
    from vultus_export.tensorrt.make import engine_from_onnx
    from vultus_export.tensorrt.request import Request

    rtx = load_bindings("tensorrt-rtx")
    here = Platform(rtx.flavour, rtx.version, problem="builds as without a GPU")
    made = engine_from_onnx(face, folder, rtx, Request(), Console(stderr=True), here)
    told(open_device_engine, made.path, open_driver())
    """
    said = on_the_fake(tmp_path, code, settings={"CAPABILITY": 86})
    assert re.match(
        r"ModelError: TensorRT-RTX [\d.]+ on .+ cannot load tiny-face\.engine: .*Cuda Runtime.*; run vultus-export "
        r"engine tiny-face\.onnx --out DIR",
        said,
    )
