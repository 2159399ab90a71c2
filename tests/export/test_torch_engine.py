"""The torch engine: the numbers of ONNX Runtime for every model that is shipped, and the rules of the device path."""

from __future__ import annotations

import re
import textwrap
from collections import Counter
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper

import precision_nets
import tiny
from fake_cuda import run_with_fake
from vultus.errors import DeviceError, InputError, ModelError, UsageError
from vultus.spec import ModelSpec
from vultus.zoo import default_models, installed_models
from vultus_export.parity import check_parity, output_kinds
from vultus_export.torch_engine import TorchEngine, open_model

Batch = npt.NDArray[np.float32]

FLOAT = [path for path in installed_models() if "int8" not in path.name]
INTEGER = [path for path in installed_models() if "int8" in path.name]


def pictures(spec: ModelSpec, count: int, seed: int = 0) -> Batch:
    """Return pictures as the network eats them: smooth, in -1 ... 1; three by five multiples where sides are free."""
    taken = spec.input
    height, width = (
        (3 * taken.multiple, 5 * taken.multiple) if taken.multiple else (taken.height, taken.width)
    )
    rng = np.random.default_rng(seed)
    coarse = torch.from_numpy(rng.uniform(-1, 1, (count, 3, 8, 8)).astype(np.float32))
    smooth: Batch = torch.nn.functional.interpolate(coarse, (height, width), mode="bilinear").numpy()
    return smooth


def reference(path: Path, batch: Batch, plain: bool = False) -> dict[str, Batch]:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    if plain:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, {session.get_inputs()[0].name: batch}), strict=True))


def find_master(path: Path) -> Path:
    """Return the file that a lowered one was made of, which some systems leave out of the package."""
    return path.with_name(path.name.replace("-fp16", ""))


def test_the_package_s_models_of_all_precisions_are_tested() -> None:
    counts = Counter(open_model(path, "cpu").spec.precision for path in FLOAT + INTEGER)
    masters = [path for path in FLOAT if "fp16" not in path.name]
    lone = [path for path in FLOAT if "fp16" in path.name and find_master(path) not in masters]
    assert counts == {"fp32": len(masters), "int8": len(masters), "fp16": len(masters) + len(lone)}
    assert {path.name for path in default_models()} <= {path.name for path in masters}


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("path", FLOAT, ids=lambda path: path.stem)
def test_shipped_models_answer_as_under_onnx_runtime(path: Path, channels_last: bool) -> None:
    with open_model(path, "cpu", channels_last=channels_last) as engine:
        batches = [pictures(engine.spec, count, count) for count in (1, 3)]
        found = check_parity(partial(reference, path), engine, engine.spec, batches)
    assert {deviation.output for deviation in found} >= set(output_kinds(engine.spec))


@pytest.mark.parametrize("path", INTEGER, ids=lambda path: path.stem)
def test_integer_models_lie_within_their_own_rounding(path: Path) -> None:
    # A sum that differs in its last bit may round to the next of 255 steps, so single values may jump a step.
    with open_model(path, "cpu") as engine:
        batch = pictures(engine.spec, 16 if engine.spec.task == "face" else 2)
        wanted, found = reference(path, batch, plain=True), engine(batch)
    for name, array in wanted.items():
        assert np.abs(found[name] - array).mean() < 0.03 * np.abs(array).mean() + 1e-3, name


@pytest.mark.parametrize("precision", precision_nets.PRECISIONS)
def test_small_networks_of_each_precision_answer_too(tmp_path: Path, precision: str) -> None:
    for path in (
        precision_nets.save_face(tmp_path / "face.onnx", precision),
        precision_nets.save_detector(tmp_path / "detector.onnx", precision),
    ):
        with open_model(path, "cpu") as engine:
            batch = pictures(engine.spec, 2)
            for name, array in reference(path, batch, plain=True).items():
                np.testing.assert_allclose(engine(batch)[name], array, rtol=2e-2, atol=2e-2)


def test_exported_networks_of_the_tests_run(
    face_model: onnx.ModelProto, detector_model: onnx.ModelProto, tmp_path: Path
) -> None:
    for name, model in (("face", face_model), ("detector", detector_model)):
        path = tmp_path / f"{name}.onnx"
        path.write_bytes(model.SerializeToString())
        with open_model(path, "cpu") as engine:
            batches = [pictures(engine.spec, 2)]
            check_parity(partial(reference, path), engine, engine.spec, batches)


def test_the_tiny_models_of_all_tests_run(tiny_models: list[Path]) -> None:
    for path in tiny_models:
        with open_model(path, "cpu") as engine:
            batches = [pictures(engine.spec, 2)]
            check_parity(partial(reference, path), engine, engine.spec, batches)


def edited(path: Path, out: Path, kind: str, **attributes: object) -> Path:
    """Write a copy of a model in which attributes of the first node of an operator differ, or its operator."""
    model = onnx.load(path)
    node = next(node for node in model.graph.node if node.op_type == kind)
    for name, value in attributes.items():
        if name == "operator":
            node.op_type = str(value)
            continue
        for attribute in [a for a in node.attribute if a.name == name]:
            node.attribute.remove(attribute)
        node.attribute.append(helper.make_attribute(name, value))
    out.write_bytes(model.SerializeToString())
    return out


@pytest.mark.parametrize(
    ("operator", "attributes", "message"),
    [
        (
            "Relu",
            {"operator": "Selu"},
            r"is of operator 'Selu', which the torch engine does not have; it has: Add, ",
        ),
        (
            "Resize",
            {"mode": "linear"},
            r"Resize with mode='linear' is not known to the torch engine, only 'nearest'",
        ),
        ("Resize", {"nearest_mode": "ceil"}, r"Resize with nearest_mode='ceil' is not known .* only 'floor'"),
        (
            "Conv",
            {"auto_pad": "SAME_UPPER"},
            r"Conv with auto_pad='SAME_UPPER' is not known to the torch engine",
        ),
    ],
)
def test_what_is_not_known_is_refused_by_name(
    tmp_path: Path, operator: str, attributes: dict[str, object], message: str
) -> None:
    path = next(path for path in FLOAT if path.stem == "vultus-det-s")
    with pytest.raises(ModelError, match=message):
        open_model(edited(path, tmp_path / "odd.onnx", operator, **attributes), "cpu")


def test_an_operator_of_another_domain_is_refused(tmp_path: Path) -> None:
    path = precision_nets.save_with_foreign_node(tmp_path / "foreign.onnx")
    with pytest.raises(
        ModelError, match=r"node 'strange_node' is of operator 'example\.foreign\.Frobnicate'"
    ):
        open_model(path, "cpu")


def test_a_shape_that_is_computed_is_refused(tmp_path: Path) -> None:
    model = onnx.load(next(path for path in FLOAT if path.stem == "vultus-face-s"))
    node = next(node for node in model.graph.node if node.op_type == "Reshape")
    model.graph.node.insert(0, helper.make_node("Cast", ["image"], ["sides"], to=TensorProto.INT64))
    node.input[1] = "sides"
    (tmp_path / "computed.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(
        ModelError, match=r"input 1 of Reshape .* is computed; the torch engine takes constants"
    ):
        open_model(tmp_path / "computed.onnx", "cpu")


def test_uneven_pads_are_kept(tmp_path: Path) -> None:
    path = edited(
        tiny.save_detector(tmp_path / "plain.onnx"), tmp_path / "padded.onnx", "Conv", pads=[1, 2, 3, 14]
    )
    batch = np.random.default_rng(0).normal(size=(1, 3, 96, 64)).astype(np.float32)
    np.testing.assert_allclose(
        open_model(path, "cpu")(batch)["cells"], reference(path, batch)["cells"], rtol=1e-4, atol=1e-4
    )


@pytest.fixture
def engine(tiny_face: Path) -> TorchEngine:
    return open_model(tiny_face, "cpu")


def test_device_and_precision_are_told(engine: TorchEngine) -> None:
    assert engine.device == f"torch {torch.__version__} cpu, fp32"
    assert open_model(INTEGER[0], "cpu").device.endswith("cpu, int8, Q/DQ in floating point")


def test_a_wrong_batch_and_a_closed_engine_are_refused(engine: TorchEngine) -> None:
    with pytest.raises(
        InputError, match=r"tiny-face\.onnx takes float32 \(n, 3, height, width\), n >= 1, 32 x 32"
    ):
        engine(np.zeros((1, 3, 16, 16), np.float32))
    engine.close()
    with pytest.raises(UsageError, match=r"the engine of tiny-face\.onnx is closed"):
        engine(np.zeros((1, 3, 32, 32), np.float32))


@pytest.mark.skipif(torch.cuda.is_available(), reason="torch has a GPU here")
def test_a_gpu_that_torch_does_not_have_is_an_error(tiny_face: Path) -> None:
    with pytest.raises(
        DeviceError, match=r"'cuda' was asked for, but torch .* (is a CPU build|finds no GPU); install"
    ):
        open_model(tiny_face, "cuda")


START = """
import ctypes
from pathlib import Path
import numpy as np
import onnxruntime
import tiny
from vultus.cuda.driver import open_driver
from vultus.cuda.tensors import DeviceTensor
from vultus.engines.hosted import HostedEngine
from vultus.errors import VultusError
from vultus_export.torch_engine import open_model, open_on_device

FAKE = ctypes.CDLL("libcuda.so.1")
folder = Path({folder!r})
face = tiny.save_face_network(folder / "tiny-face.onnx")

def pictures(count, seed=0):
    return np.random.default_rng(seed).normal(size=(count, 3, 32, 32)).astype(np.float32)

def told(call, *arguments, **more):
    try:
        call(*arguments, **more)
    except VultusError as error:
        print(type(error).__name__ + ": " + str(error))
    else:
        raise SystemExit("nothing was raised")
"""


def on_the_fake(folder: Path, code: str) -> list[str]:
    return run_with_fake(START.format(folder=str(folder)) + textwrap.dedent(code)).stdout.splitlines()


def test_device_memory_goes_in_and_comes_out(tmp_path: Path) -> None:
    pytest.importorskip("cuda.bindings", reason="needs cuda-bindings")
    code = """
    driver = open_driver()
    engine = open_on_device(face, driver, "cpu")
    print(engine.device, engine.batch, engine.capturable)
    reference, stream = open_model(face, "cpu"), driver.stream()
    memory = driver.allocate(pictures(3).nbytes)
    binding = engine.bind(DeviceTensor(memory.pointer, (3, 3, 32, 32), np.dtype(np.float32), memory))
    taken = driver.allocations
    for seed in (1, 2):
        batch = pictures(3, seed)
        driver.copy(memory.pointer, batch.ctypes.data, batch.nbytes, stream)
        binding.enqueue(stream)
        for name, wanted in reference(batch).items():
            found = np.empty_like(wanted)
            driver.copy(found.ctypes.data, binding.outputs[name].pointer, found.nbytes, stream)
            stream.synchronise()
            np.testing.assert_array_equal(found, wanted)
    assert driver.allocations == taken
    with HostedEngine(driver, engine) as hosted:
        np.testing.assert_allclose(hosted(batch)["age"], reference(batch)["age"], rtol=1e-5, atol=1e-6)
    binding.close()
    told(binding.enqueue, stream)
    engine.close()
    told(engine.bind, DeviceTensor(memory.pointer, (3, 3, 32, 32), np.dtype(np.float32), memory))
    told(open_on_device, face, driver)
    memory.close()
    stream.close()
    driver.close()
    assert FAKE.fake_cuda_live() == 0 and FAKE.fake_cuda_depth() == 0
    """
    lines = on_the_fake(tmp_path, code)
    assert re.fullmatch(r"torch .+ on the host, fp32 \(1, 65535\) False", lines[0])
    assert lines[1] == "UsageError: this binding of tiny-face.onnx is closed; bind again"
    assert lines[2] == "UsageError: the engine of tiny-face.onnx is closed; open it again"
    assert re.match(
        r"DeviceError: tiny-face\.onnx was to run on .+, but torch .+; install a CUDA build", lines[3]
    )
