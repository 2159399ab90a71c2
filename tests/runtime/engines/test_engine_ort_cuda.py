"""ONNX Runtime's CUDA engine: its binding over addresses, run for real on the CPU provider and the fake driver."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

import onnxruntime
import pytest

from fake_cuda import run_with_fake

pytest.importorskip("cuda.bindings", reason="needs cuda-bindings")

START = """
import ctypes
from pathlib import Path
import numpy as np
import onnx
import onnxruntime
import tiny
from vultus.cuda.driver import open_driver
from vultus.cuda.tensors import DeviceTensor
from vultus.engines.device import open_device_engine
from vultus.engines.ort_cuda import OrtCudaEngine, open_session
from vultus.errors import VultusError
from vultus.onnxfile import spec_from_onnx

FAKE = ctypes.CDLL("libcuda.so.1")
folder = Path({folder!r})
face = tiny.save_face_network(folder / "tiny-face.onnx")

def opened(driver, path=face):
    # The fake's device memory is the host's, so the CPU provider can bind its addresses.
    spec, stream = spec_from_onnx(path), driver.stream()
    session = open_session(path, spec, "CPUExecutionProvider", {{}})
    return OrtCudaEngine(session, spec, path, driver, stream, memory="cpu")

def pictures(count, seed=0):
    return np.random.default_rng(seed).normal(size=(count, 3, 32, 32)).astype(np.float32)

def on_device(driver, batch):
    stream, memory = driver.stream(), driver.allocate(batch.nbytes)
    driver.copy(memory.pointer, batch.ctypes.data, batch.nbytes, stream)
    stream.synchronise()
    stream.close()
    return DeviceTensor(memory.pointer, batch.shape, batch.dtype, memory)

def told(call, *arguments):
    try:
        call(*arguments)
    except VultusError as error:
        print(type(error).__name__ + ": " + str(error))
    else:
        raise SystemExit("nothing was raised")
"""


def on_the_fake(folder: Path, code: str) -> list[str]:
    return run_with_fake(START.format(folder=str(folder)) + textwrap.dedent(code)).stdout.splitlines()


def test_bindings_keep_their_addresses_and_allocate_once(tmp_path: Path) -> None:
    code = """
    plain = onnxruntime.InferenceSession(str(face), providers=["CPUExecutionProvider"])
    names = [output.name for output in plain.get_outputs()]
    driver = open_driver()
    engine = opened(driver)
    bindings = [(engine.bind(batch), batch) for batch in (on_device(driver, pictures(n)) for n in (1, 5, 3))]
    stream, taken = driver.stream(), driver.allocations
    for seed in (1, 2):
        for binding, batch in bindings:
            values = pictures(batch.shape[0], seed)
            driver.copy(batch.pointer, values.ctypes.data, batch.nbytes, stream)
            stream.synchronise()
            binding.enqueue(stream)
            wanted = dict(zip(names, plain.run(names, {"image": values})))
            assert binding.outputs.keys() == wanted.keys()
            for name, array in wanted.items():
                found = np.empty_like(array)
                driver.copy(found.ctypes.data, binding.outputs[name].pointer, found.nbytes, stream)
                stream.synchronise()
                np.testing.assert_array_equal(found, array)
    assert driver.allocations == taken
    print(engine.device, engine.batch, engine.capturable)
    engine.close()
    engine.close()
    for _, batch in bindings:
        batch.owner.close()
    stream.close()
    driver.close()
    assert FAKE.fake_cuda_live() == 0 and FAKE.fake_cuda_depth() == 0
    """
    (line,) = on_the_fake(tmp_path, code)
    version = re.escape(onnxruntime.__version__)
    assert re.fullmatch(rf"ONNX Runtime {version} CPU on .+, fp32 \(1, 65535\) False", line)


def test_a_caller_s_stream_is_tied_to_the_engine_s_by_events(tmp_path: Path) -> None:
    code = """
    driver = open_driver()
    engine = opened(driver)
    binding = engine.bind(on_device(driver, pictures(2)))
    stream = driver.stream()
    before = [FAKE.fake_cuda_calls(name) for name in (b"cuEventRecord", b"cuStreamWaitEvent", b"cuStreamSynchronize")]
    binding.enqueue(stream)
    after = [FAKE.fake_cuda_calls(name) for name in (b"cuEventRecord", b"cuStreamWaitEvent", b"cuStreamSynchronize")]
    print([b - a for a, b in zip(before, after)])
    """
    assert on_the_fake(tmp_path, code) == ["[2, 2, 0]"]


def test_closed_engines_other_shapes_and_fixed_batches_are_refused(tmp_path: Path) -> None:
    code = """
    driver = open_driver()
    engine = opened(driver)
    told(engine.bind, on_device(driver, pictures(1)[:, :, :16]))
    binding = engine.bind(on_device(driver, pictures(1)))
    binding.close()
    told(binding.enqueue, driver.stream())
    engine.close()
    told(engine.bind, on_device(driver, pictures(1)))
    model = onnx.load(face)
    for value in [*model.graph.input, *model.graph.output]:
        value.type.tensor_type.shape.dim[0].dim_value = 4
    onnx.save(model, folder / "four.onnx")
    told(opened(driver, folder / "four.onnx").bind, on_device(driver, pictures(3)))
    """
    lines = on_the_fake(tmp_path, code)
    assert lines[0].startswith(
        "InputError: tiny-face.onnx takes float32 (n, 3, height, width), n >= 1, 32 x 32; got"
    )
    assert lines[1] == "UsageError: this binding of tiny-face.onnx is closed; bind again"
    assert lines[2] == "UsageError: the engine of tiny-face.onnx is closed; open it again"
    assert lines[3] == "InputError: four.onnx takes 4 pictures at once, got 3"


@pytest.mark.skipif(
    "CUDAExecutionProvider" in onnxruntime.get_available_providers(), reason="this build has the provider"
)
def test_a_cpu_build_of_onnx_runtime_says_what_to_install(tmp_path: Path) -> None:
    code = """
    driver = open_driver()
    live = FAKE.fake_cuda_live()
    told(open_device_engine, face, driver)
    assert FAKE.fake_cuda_live() == live
    """
    (line,) = on_the_fake(tmp_path, code)
    assert re.fullmatch(
        r"DeviceError: tiny-face\.onnx cannot run on .+: this ONNX Runtime has no CUDA provider: pip uninstall "
        r"onnxruntime, then pip install 'vultus\[gpu\]'; on a Jetson build an engine in its place: .*",
        line,
    )


@pytest.mark.skipif(
    "CUDAExecutionProvider" in onnxruntime.get_available_providers(), reason="this build has the provider"
)
def test_a_provider_that_falls_back_to_the_cpu_is_never_taken(tmp_path: Path) -> None:
    code = """
    import warnings
    warnings.simplefilter("ignore")
    told(open_session, face, spec_from_onnx(face), "CUDAExecutionProvider", {})
    """
    (line,) = on_the_fake(tmp_path, code)
    assert re.match(
        r"DeviceError: ONNX Runtime cannot open .*tiny-face\.onnx on the GPU alone: .*fallback", line
    )


def test_a_damaged_graph_is_refused(tmp_path: Path) -> None:
    code = """
    model = onnx.load(face)
    model.graph.node[0].op_type = "NoSuchOperator"
    (folder / "bad.onnx").write_bytes(model.SerializeToString())
    told(opened, open_driver(), folder / "bad.onnx")
    """
    (line,) = on_the_fake(tmp_path, code)
    assert re.match(r"ModelError: ONNX Runtime cannot open .*bad\.onnx: .*NoSuchOperator", line)
