"""The ONNX Runtime engine: right numbers for any batch, strict about devices and contracts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

import tiny
from vultus.engines import open_engine
from vultus.engines.devices import cuda_problem
from vultus.errors import DeviceError, InputError, ModelError, UsageError
from vultus.spec import METADATA_KEY, spec_to_json


def batch(count: int, side: int = 32, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, 3, side, side)).astype(np.float32)


def reference(path: Path, values: np.ndarray) -> dict[str, np.ndarray]:
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, {"image": values}), strict=True))


def test_growing_and_shrinking_batches_give_the_plain_session_s_numbers(tiny_face: Path) -> None:
    with open_engine(tiny_face, "cpu", 1) as engine:
        for seed, count in enumerate([1, 5, 2, 5, 1, 8, 3, 5]):
            values = batch(count, seed=seed)
            found, expected = engine(values), reference(tiny_face, values)
            assert found.keys() == expected.keys()
            for name, array in expected.items():
                np.testing.assert_array_equal(found[name], array)


def test_sizes_may_change_where_the_spec_allows(tiny_detector: Path) -> None:
    with open_engine(tiny_detector, "cpu", 1) as engine:
        for side in (32, 96, 32, 64, 96):
            values = batch(1, side)
            np.testing.assert_array_equal(engine(values)["cells"], reference(tiny_detector, values)["cells"])


@pytest.mark.parametrize(
    "values",
    [
        np.zeros((1, 3, 16, 16), np.float32),
        np.zeros((1, 1, 32, 32), np.float32),
        np.zeros((0, 3, 32, 32), np.float32),
        np.zeros((3, 32, 32), np.float32),
        np.zeros((1, 3, 32, 32), np.float64),
    ],
)
def test_a_wrong_batch_is_refused(tiny_face: Path, values: np.ndarray) -> None:
    with (
        open_engine(tiny_face, "cpu", 1) as engine,
        pytest.raises(InputError, match=r"takes float32 \(n, 3, height, width\), n >= 1, 32 x 32; got"),
    ):
        engine(values)


def test_the_device_is_told(tiny_face: Path) -> None:
    with open_engine(tiny_face, "cpu", 1) as engine:
        assert engine.device == f"ONNX Runtime {onnxruntime.__version__} CPU, 1 thread"


@pytest.mark.skipif(not cuda_problem(), reason="a GPU is here, so asking for it is no error")
def test_a_gpu_that_is_not_there_is_an_error_not_the_cpu(tiny_face: Path) -> None:
    with pytest.raises(DeviceError, match=r"device 'cuda' was asked for, but .*; ask for 'cpu' or 'auto'"):
        open_engine(tiny_face, "cuda")


@pytest.mark.skipif(not cuda_problem(), reason="a GPU is here, so auto takes it")
def test_auto_says_why_it_took_the_cpu(tiny_face: Path) -> None:
    with open_engine(tiny_face, "auto", 2) as engine:
        assert "CPU, 2 threads (chosen because " in engine.device


def test_an_unknown_device_is_refused(tiny_face: Path) -> None:
    with pytest.raises(DeviceError, match="device 'npu' is unknown; expected one of auto, cpu, cuda"):
        open_engine(tiny_face, "npu")


@pytest.mark.parametrize("name", ["model.engine2", "model", "model.pth"])
def test_an_unknown_suffix_is_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / name).touch()
    with pytest.raises(ModelError, match=r"has no known model suffix; expected one of \.engine, \.onnx"):
        open_engine(tmp_path / name)


def test_a_folder_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="is a folder; name the model files in it"):
        open_engine(tmp_path)


def test_a_missing_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"there is no model file .*none\.onnx; `vultus models list`"):
        open_engine(tmp_path / "none.onnx")


def test_a_model_that_breaks_its_contract_is_refused(tiny_face: Path, tmp_path: Path) -> None:
    renamed = tuple(replace(head, output=f"{head.output}_2") for head in tiny.FACE_NETWORK.heads)
    model = onnx.load(tiny_face)
    promise = replace(tiny.FACE_NETWORK, heads=renamed)
    onnx.helper.set_model_props(model, {METADATA_KEY: spec_to_json(promise)})
    path = tmp_path / "odd.onnx"
    onnx.save(model, path)
    with pytest.raises(ModelError, match=r"odd\.onnx does not honour its spec: .*'age_2'"):
        open_engine(path, "cpu")


def test_a_model_with_a_damaged_graph_is_refused(tiny_face: Path, tmp_path: Path) -> None:
    model = onnx.load(tiny_face)
    model.graph.node[0].op_type = "NoSuchOperator"
    (tmp_path / "bad.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(ModelError, match=r"ONNX Runtime cannot open .*bad\.onnx: .*NoSuchOperator"):
        open_engine(tmp_path / "bad.onnx", "cpu")


def test_a_closed_engine_says_so(tiny_face: Path) -> None:
    engine = open_engine(tiny_face, "cpu", 1)
    engine.close()
    engine.close()
    with pytest.raises(UsageError, match=r"the engine of tiny-face\.onnx is closed"):
        engine(batch(1))
