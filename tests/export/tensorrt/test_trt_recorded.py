"""The builder against the recorded interfaces of TensorRT 10 and 11: flags, proof, refusals; no GPU needed."""

from __future__ import annotations

import sys
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

import precision_nets
import recorded_tensorrt
from vultus.engines.sidecar import Platform, load_engine
from vultus.errors import DeviceError, InputError, ModelError
from vultus_export.tensorrt.bindings import Bindings, load_bindings
from vultus_export.tensorrt.builder import build_engine
from vultus_export.tensorrt.make import Made, engine_from_onnx
from vultus_export.tensorrt.progress import BuildState
from vultus_export.tensorrt.request import Request

ORIN = ("8.7", "Orin", "12.6")
VERSIONS = recorded_tensorrt.VERSIONS


class Bench:
    """One recorded TensorRT on an Orin, with a folder for models and engines."""

    def __init__(self, folder: Path, version: str, **board: Any) -> None:
        self.folder = folder
        self.trt = recorded_tensorrt.module(version, **board)
        self.bindings = Bindings(self.trt, "tensorrt", version)
        self.here = Platform("tensorrt", version, *ORIN)
        self.said = StringIO()

    def make(self, precision: str = "fp32", request: Request | None = None, **others: Any) -> Made:
        model = precision_nets.save_face(self.folder / f"{precision}.onnx", precision)
        console = Console(file=self.said, width=300)
        return engine_from_onnx(
            model, self.folder / "out", self.bindings, request or Request(), console, self.here, **others
        )

    @property
    def config(self) -> Any:
        return self.trt.board.configs[-1]


@pytest.fixture
def bench(tmp_path: Path) -> Callable[..., Bench]:
    return lambda version="10.3.0", **board: Bench(tmp_path, version, **board)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("precision", precision_nets.PRECISIONS)
def test_every_version_keeps_the_types_of_the_model(
    bench: Callable[..., Bench], version: str, precision: str
) -> None:
    here = bench(version)
    made = here.make(precision)
    low = precision.partition("-")[0]
    assert made.sidecar.layers[low] >= 3
    assert made.sidecar.proof == "engine inspector"
    assert made.sidecar.compute_capabilities == ("8.7",)
    assert (made.sidecar.device, made.sidecar.cuda) == ("Orin", "12.6")
    assert here.config._set == []  # no precision flag, on versions that have them either
    assert here.config._cleared == [here.trt.BuilderFlag.TF32]
    (profile,) = here.config._profiles
    assert profile._shapes == {"image": ((1, 3, 32, 32), (4, 3, 32, 32), (32, 3, 32, 32))}


def test_the_bit_of_a_strongly_typed_network_is_asked_for_by_name() -> None:
    bits = {v: Bindings(recorded_tensorrt.module(v), "tensorrt", v).creation_flags() for v in VERSIONS}
    assert bits == {"10.0.1": 2, "10.3.0": 2, "10.16.1.11": 2, "11.4.0.106": 1}


def test_a_network_that_lost_its_types_is_caught_by_the_inspector(
    bench: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Bindings, "creation_flags", lambda self: 0)
    here = bench("10.3.0")
    message = "did not keep the precision of conv-face: the model says 'int8', but none of .* they read fp32"
    with pytest.raises(ModelError, match=message):
        here.make("int8")
    assert not list((here.folder / "out").iterdir())


@pytest.mark.parametrize(("version", "mebibytes"), [("10.0.1", 4), ("10.16.1.11", 5), ("11.4.0.106", 5)])
def test_gpu_memory_is_read_by_the_name_that_the_version_has(
    bench: Callable[..., Bench], version: str, mebibytes: int
) -> None:
    made = bench(version).make()
    assert made.built is not None
    assert made.built.memory == mebibytes << 20


@pytest.mark.parametrize("version", ["10.3.0", "11.4.0.106"])
def test_an_engine_that_does_not_load_is_no_engine(bench: Callable[..., Bench], version: str) -> None:
    here = bench(version, refuses_engines=True)
    message = f"TensorRT {version} built an engine that it cannot load: Serialization assertion failed"
    with pytest.raises(ModelError, match=message):
        here.make()
    assert not list((here.folder / "out").iterdir())


def test_a_failed_build_says_what_tensorrt_said(bench: Callable[..., Bench]) -> None:
    here = bench(build_error="Error Code 10: no implementation for node_deep")
    with pytest.raises(
        ModelError, match="cannot build conv-face: Error Code 10: no implementation for node_deep"
    ):
        here.make()


def test_options_reach_the_builder(bench: Callable[..., Bench]) -> None:
    here = bench("10.3.0", dla_cores=2)
    request = Request((4, 4, 4), None, 256, True, True, 1)
    made = here.make("fp16", request)
    trt, config = here.trt, here.config
    assert config._pools == {trt.MemoryPoolType.WORKSPACE: 256 << 20}
    assert config._set == [trt.BuilderFlag.VERSION_COMPATIBLE, trt.BuilderFlag.GPU_FALLBACK]
    assert config.hardware_compatibility_level == trt.HardwareCompatibilityLevel.AMPERE_PLUS
    assert (config.default_device_type, config.DLA_core) == (trt.DeviceType.DLA, 1)
    (runtime,) = trt.board.runtimes
    assert (runtime.engine_host_code_allowed, runtime.DLA_core) == (True, 1)
    assert made.sidecar.compute_capabilities == ("8.0+",)
    assert made.sidecar.flags == ("hardware-compatible", "version-compatible", "dla=1", "workspace=256")


@pytest.mark.parametrize(
    ("board", "request_", "message"),
    [
        (
            {},
            Request(dla=0),
            "DLA core 0 was asked for, TensorRT 10.3.0 offers 0 on this board; leave --dla out",
        ),
        ({"dla_cores": 2}, Request(dla=2), "DLA core 2 was asked for, TensorRT 10.3.0 offers 2"),
        (
            {"hardware_levels": False},
            Request(hardware_compatible=True),
            r"refuses hardware compatibility here \(Jetson has none\)",
        ),
        (
            {},
            Request(compute_capabilities=("8.6",)),
            "builds for the GPU that is there; leave --compute-capability out",
        ),
    ],
)
def test_hardware_that_is_not_there_is_refused(
    bench: Callable[..., Bench], board: dict[str, Any], request_: Request, message: str
) -> None:
    batch = Request((1, 1, 1), dla=request_.dla) if request_.dla is not None else request_
    with pytest.raises(DeviceError, match=message):
        bench("10.3.0", **board).make("fp32", batch)


def test_a_dla_takes_one_batch_size(bench: Callable[..., Bench]) -> None:
    with pytest.raises(InputError, match="--dla needs one batch size, got 1,4,8; give --batch 4"):
        bench(dla_cores=1).make("fp16", Request((1, 4, 8), dla=0))


def test_the_timing_cache_is_begun_used_and_begun_anew(bench: Callable[..., Bench]) -> None:
    here = bench()
    cache = here.folder / "caches" / "orin.timing"
    for old, warns in ((None, False), (b"of this GPU", False), (b"of another GPU", True), (b"damaged", True)):
        if old is not None:
            cache.write_bytes(old)
        built = here.make("fp32", timing_cache=cache, rebuild=True).built
        assert built is not None
        assert (
            any("timing cache is of another GPU or TensorRT, or damaged" in text for text in built.warnings)
            == warns
        )
        assert cache.read_bytes() == b"timings of this GPU"
    assert [path.name for path in cache.parent.iterdir()] == ["orin.timing"]


def test_a_stopped_build_ends_at_the_next_step(bench: Callable[..., Bench]) -> None:
    here, state = bench(), BuildState()
    model = precision_nets.save_face(here.folder / "x.onnx")
    state.stop()
    with pytest.raises(InputError, match="the build was stopped; nothing was written"):
        build_engine(here.bindings, here.here, model.read_bytes(), precision_nets.FACE, Request(), state)


def test_bindings_without_a_progress_monitor_still_build(bench: Callable[..., Bench]) -> None:
    here = bench()
    assert here.bindings.monitors
    del here.trt.IProgressMonitor
    assert not here.bindings.monitors
    assert here.make("int8").sidecar.layers["int8"] == 3


def test_a_node_that_the_parser_does_not_know_is_named(bench: Callable[..., Bench]) -> None:
    here = bench("11.4.0.106")
    model = precision_nets.save_with_foreign_node(here.folder / "foreign.onnx")
    with pytest.raises(
        ModelError, match=r"cannot read conv-face: node 'strange_node' \(Frobnicate\): Plugin not found"
    ):
        engine_from_onnx(model, here.folder, here.bindings, Request(), Console(file=here.said), here.here)


def test_the_engine_of_an_orin_is_refused_on_another_device(bench: Callable[..., Bench]) -> None:
    made = bench().make("int8")
    desktop = Platform("tensorrt", "11.4.0.106", "12.0", "RTX 5090", "13.0")
    with pytest.raises(DeviceError) as caught:
        load_engine(made.path, desktop)
    assert str(caught.value) == (
        "int8.engine was built for compute capability 8.7 and TensorRT 10.3.0, this is compute capability 12.0 and "
        "TensorRT 11.4.0.106: run vultus-export engine int8.onnx --out DIR"
    )


def test_another_device_builds_anew_and_says_why(bench: Callable[..., Bench]) -> None:
    bench("10.3.0").make("int8")
    here = bench("10.16.1.11")
    made = here.make("int8")
    assert made.built is not None
    assert (
        "int8.engine is built anew: the engine there was built for compute capability 8.7 and TensorRT 10.3.0, this "
        "is compute capability 8.7 and TensorRT 10.16.1.11\n"
    ) in here.said.getvalue()


@pytest.mark.parametrize(("version", "jetpack"), [("8.5.2.2", "5"), ("8.6.2", "6.0")])
def test_tensorrt_8_is_refused(monkeypatch: pytest.MonkeyPatch, version: str, jetpack: str) -> None:
    trt = recorded_tensorrt.module("10.0.1")
    trt.__version__ = version
    monkeypatch.setitem(sys.modules, "tensorrt", trt)
    with pytest.raises(
        DeviceError, match=rf"TensorRT {version} is too old: .* JetPack 6.1 or later .*{jetpack}"
    ):
        load_bindings("tensorrt")


def test_without_a_gpu_tensorrt_does_not_build(bench: Callable[..., Bench]) -> None:
    absent = Platform("tensorrt", "10.3.0", problem="the NVIDIA driver finds no GPU")
    message = (
        "TensorRT 10.3.0 builds an engine on the GPU that is to run it, but the NVIDIA driver finds no GPU; "
        "build on the device itself"
    )
    with pytest.raises(DeviceError, match=message):
        bench().bindings.platform(absent)


def test_no_tensorrt_at_all_says_how_to_get_one(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("tensorrt", "tensorrt_rtx", "tensorrt_rtx_bindings"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(
        DeviceError, match=r"no TensorRT can build here: .*apt install.*pip install 'vultus\[rtx\]'"
    ):
        load_bindings()


def test_names_that_a_version_does_not_have_are_errors() -> None:
    """The recorded interface is only worth something when it refuses what the bindings would refuse."""
    eleven, ten = recorded_tensorrt.module("11.4.0.106"), recorded_tensorrt.module("10.0.1")
    assert hasattr(ten.BuilderFlag, "FP16")
    assert not hasattr(eleven.BuilderFlag, "FP16")
    with pytest.raises(
        AttributeError, match=r"IBuilderConfig of TensorRT 11.4.0.106 has no 'int8_calibrator'"
    ):
        eleven.IBuilderConfig().int8_calibrator = None
    with pytest.raises(
        AttributeError, match=r"ICudaEngine of TensorRT 10.0.1 has no 'device_memory_size_v2'"
    ):
        _ = ten.ICudaEngine({"tensors": []}).device_memory_size_v2
