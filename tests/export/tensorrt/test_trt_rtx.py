"""Real TensorRT-RTX engines, built without a GPU: precision, profiles, cache, messages, Ctrl-C, the command."""

from __future__ import annotations

import _thread
import hashlib
import json
import os
import subprocess
import sys
import time
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner

import precision_nets
import tiny
from vultus.engines.devices import cuda_problem
from vultus.engines.sidecar import Platform, load_engine, mismatch, read_sidecar, sidecar_path
from vultus.errors import DeviceError, InputError, ModelError, SpecError
from vultus_export.tensorrt import make as make_module
from vultus_export.tensorrt.bindings import Bindings, load_bindings
from vultus_export.tensorrt.command import app
from vultus_export.tensorrt.make import Made, engine_from_onnx
from vultus_export.tensorrt.progress import BuildState
from vultus_export.tensorrt.request import Request

pytest.importorskip(
    "tensorrt_rtx_bindings", reason="needs TensorRT-RTX: pip install 'vultus[rtx]'", exc_type=ImportError
)

TARGETS = ("8.0", "8.6", "8.9", "12.0", "12.1+")
NO_GPU = Platform("tensorrt_rtx", problem="this test builds as on a machine without a GPU")


@pytest.fixture(scope="module")
def rtx() -> Bindings:
    return load_bindings("tensorrt-rtx")


def build(
    rtx: Bindings, model: Path, request: Request | None = None, said: StringIO | None = None, **more: Any
) -> Made:
    here = Platform(rtx.flavour, rtx.version, problem=NO_GPU.problem)
    console = Console(file=said or StringIO(), width=300)
    return engine_from_onnx(model, model.parent / "out", rtx, request or Request(), console, here, **more)


@pytest.mark.parametrize("precision", precision_nets.PRECISIONS)
def test_each_precision_becomes_an_engine_that_has_it(rtx: Bindings, tmp_path: Path, precision: str) -> None:
    made = build(rtx, precision_nets.save_face(tmp_path / "face.onnx", precision))
    sidecar, data = made.sidecar, made.path.read_bytes()
    assert made.built is not None
    multiplying = {layer.precision for layer in made.built.layers if layer.multiplies}
    # The heads' matrix product keeps the types between the quantised convolutions.
    assert (
        multiplying
        == {"fp32": {"fp32"}, "fp16": {"fp16"}, "int8": {"int8", "fp32"}, "int8-fp16": {"int8", "fp16"}}[
            precision
        ]
    )
    assert sidecar == read_sidecar(made.path)
    assert sidecar.proof == "build log"
    assert sidecar.layers == {
        name: sum(x.precision == name for x in made.built.layers) for name in sidecar.layers
    }
    assert (sidecar.engine_sha256, sidecar.engine_size) == (hashlib.sha256(data).hexdigest(), len(data))
    assert sidecar.onnx_sha256 == hashlib.sha256((tmp_path / "face.onnx").read_bytes()).hexdigest()
    assert (sidecar.compute_capabilities, sidecar.batch) == (TARGETS, (1, 4, 32))
    assert sorted(path.name for path in made.path.parent.iterdir()) == ["face.engine", "face.engine.json"]


def test_the_tiny_models_of_all_tests_build(rtx: Bindings, tmp_path: Path) -> None:
    face = build(rtx, tiny.save_face_network(tmp_path / "tiny-face.onnx"))
    detector = build(rtx, tiny.save_detector(tmp_path / "tiny-detector.onnx"))
    assert (face.sidecar.spec.task, detector.sidecar.spec.task) == ("face", "detector")


def test_a_dynamic_size_is_fixed_by_the_one_profile(rtx: Bindings, tmp_path: Path) -> None:
    model = precision_nets.save_detector(tmp_path / "det.onnx", "int8")
    made = build(rtx, model, Request((1, 2, 4), (128, 96)))
    taken = made.sidecar.spec.input
    assert (taken.width, taken.height, taken.multiple) == (128, 96, 0)
    assert made.sidecar.batch == (1, 2, 4)


def test_a_fixed_batch_is_kept_and_another_refused(rtx: Bindings, tmp_path: Path) -> None:
    model = precision_nets.save_face(tmp_path / "fixed.onnx", batch=2)
    assert build(rtx, model).sidecar.batch == (2, 2, 2)
    with pytest.raises(InputError, match="--batch 1,4,8: conv-face has the fixed batch 2; leave --batch out"):
        build(rtx, model, Request((1, 4, 8)))


def test_named_gpus_are_built_for_and_no_other(rtx: Bindings, tmp_path: Path) -> None:
    model = precision_nets.save_face(tmp_path / "face.onnx", "fp16")  # 7.5 has no FP32 matrix products
    made = build(rtx, model, Request(compute_capabilities=("7.5",)))
    ampere = Platform("tensorrt_rtx", rtx.version, "8.6", "RTX 3090", "13.0")
    assert made.sidecar.compute_capabilities == ("7.5",)
    assert mismatch(made.sidecar, ampere).startswith("built for compute capability 7.5 and TensorRT-RTX")
    with pytest.raises(DeviceError, match=r"face.engine was built for compute capability 7.5"):
        load_engine(made.path, ampere)


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (
            Request(compute_capabilities=("8.7",)),
            "does not build for compute capability 8.7; it offers 7.5, 8.0, 8.6",
        ),
        (
            Request(hardware_compatible=True),
            "has no hardware compatibility level; leave it out: its engines run on all",
        ),
        (Request(version_compatible=True), "run on that version alone; leave --version-compatible out"),
        (Request((1, 1, 8), dla=0), "TensorRT-RTX .* builds for GPUs alone and has no DLA; leave --dla out"),
    ],
)
def test_what_rtx_does_not_offer_is_refused(
    rtx: Bindings, tmp_path: Path, request_: Request, message: str
) -> None:
    with pytest.raises(DeviceError, match=message):
        build(rtx, precision_nets.save_face(tmp_path / "face.onnx"), request_)


def test_rtx_keeps_no_timing_cache(rtx: Bindings, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="times no kernels while it builds; leave --timing-cache out"):
        build(rtx, precision_nets.save_face(tmp_path / "face.onnx"), timing_cache=tmp_path / "t")


@pytest.mark.parametrize(
    ("precision", "claimed", "message"),
    [
        (
            "fp32",
            "int8",
            "its graph has no QuantizeLinear to INT8, and TensorRT keeps the types of the graph",
        ),
        ("int8", "int8-fp16", "its graph has no FP16 tensor"),
        ("fp32", "fp16", "its graph has no FP16 tensor"),
    ],
)
def test_a_precision_that_the_graph_does_not_have_is_an_error(
    rtx: Bindings, tmp_path: Path, precision: str, claimed: str, message: str
) -> None:
    model = precision_nets.save_face(tmp_path / "face.onnx", precision, claimed=claimed)
    with pytest.raises(ModelError, match=f"conv-face says '{claimed}', but {message}"):
        build(rtx, model)
    assert not list((tmp_path / "out").iterdir())


def test_a_node_that_tensorrt_does_not_know_is_named(rtx: Bindings, tmp_path: Path) -> None:
    model = precision_nets.save_with_foreign_node(tmp_path / "foreign.onnx")
    with pytest.raises(
        ModelError, match=r"cannot read conv-face: node 'strange_node' \(Frobnicate\): .*Plugin"
    ):
        build(rtx, model)


def test_a_build_that_fails_says_what_tensorrt_said(rtx: Bindings, tmp_path: Path) -> None:
    model = precision_nets.save_face(tmp_path / "face.onnx", "int8")
    model_request = Request((64, 64, 64), workspace=1)
    with pytest.raises(ModelError, match=r"cannot build conv-face: .*workspace"):
        build(rtx, model, model_request)


@pytest.mark.parametrize(
    ("data", "error", "message"),
    [(b"", ModelError, "is not an ONNX model"), (b"hello", ModelError, "is not an ONNX model")],
)
def test_what_is_no_model_is_refused(
    rtx: Bindings, tmp_path: Path, data: bytes, error: type[Exception], message: str
) -> None:
    (tmp_path / "x.onnx").write_bytes(data)
    with pytest.raises(error, match=message):
        build(rtx, tmp_path / "x.onnx")


def test_a_model_without_a_spec_is_refused(rtx: Bindings, tmp_path: Path) -> None:
    import onnx

    model = onnx.load(precision_nets.save_face(tmp_path / "x.onnx"))
    del model.metadata_props[:]
    onnx.save(model, tmp_path / "x.onnx")
    with pytest.raises(SpecError, match="carries no vultus spec"):
        build(rtx, tmp_path / "x.onnx")


def test_the_same_engine_is_used_again_and_another_profile_is_not(rtx: Bindings, tmp_path: Path) -> None:
    model, said = precision_nets.save_face(tmp_path / "face.onnx", "fp16"), StringIO()
    first = build(rtx, model, said=said)
    again = build(rtx, model, said=said)
    assert first.built is not None
    assert (again.built, again.sidecar) == (None, first.sidecar)
    assert "anew" not in said.getvalue()
    other = build(rtx, model, Request((1, 1, 2)), said)
    assert other.built is not None
    assert "face.engine is built anew: the engine there is of another model, profile" in said.getvalue()


def test_a_corrupt_engine_is_built_anew_with_a_word(rtx: Bindings, tmp_path: Path) -> None:
    model, said = precision_nets.save_face(tmp_path / "face.onnx"), StringIO()
    first = build(rtx, model)
    data = bytearray(first.path.read_bytes())
    data[len(data) // 2] ^= 1
    first.path.write_bytes(data)
    again = build(rtx, model, said=said)
    assert again.built is not None
    assert "face.engine is built anew: " in said.getvalue()
    assert "is damaged" in said.getvalue()
    assert build(rtx, model).built is None


def _until_stopping(state: BuildState) -> None:
    for _ in range(500):
        if not state.stopping:
            time.sleep(0.01)


def test_ctrl_c_during_a_build_leaves_the_old_engine_and_nothing_else(
    rtx: Bindings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = precision_nets.save_face(tmp_path / "face.onnx", "int8")
    before = build(rtx, model).path.read_bytes()
    steps: list[str] = []

    class Impatient(BuildState):
        """Presses Ctrl-C at the tenth step that TensorRT reports, then waits for it to arrive."""

        def step_complete(self, name: str, step: int) -> bool:
            steps.append(name)
            if len(steps) == 10:
                _thread.interrupt_main()
                _until_stopping(self)
            return super().step_complete(name, step)

    monkeypatch.setattr(make_module, "BuildState", Impatient)
    with pytest.raises(KeyboardInterrupt):
        build(rtx, model, Request((1, 2, 3)))
    assert len(steps) == 10
    assert (tmp_path / "out" / "face.engine").read_bytes() == before
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["face.engine", "face.engine.json"]


@pytest.mark.skipif(not cuda_problem(), reason="says what is said where there is no GPU")
def test_the_command_builds_reports_and_finds_it_again(tmp_path: Path) -> None:
    model = precision_nets.save_face(tmp_path / "face-int8.onnx", "int8")
    arguments = [str(model), "--out", str(tmp_path / "out"), "--batch", "1,4,8"]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    assert "face-int8.engine: started" in done.stderr
    assert "built in" in done.stdout
    assert "int8" in done.stdout
    assert "time per layer not measured: " in done.stdout
    again = CliRunner().invoke(app, arguments)
    assert "used again: same model, TensorRT, GPU, profile and flags" in again.stdout
    forced = CliRunner().invoke(app, [*arguments, "--rebuild"])
    assert "face-int8.engine is built anew: it was asked for" in forced.stderr
    assert json.loads(sidecar_path(tmp_path / "out" / "face-int8.engine").read_text())["batch"] == [1, 4, 8]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["nothing.onnx"], 1, "error: there is no model file nothing.onnx; installed models: "),
        (["nothing.onnx", "--batch", "8,1"], 2, "--batch '8,1': expected LEAST,BEST,MOST"),
        (["nothing.onnx", "--size", "8"], 2, "--size '8': expected WIDTHxHEIGHT"),
        (["nothing.onnx", "--flavour", "openvino"], 2, "expected one of auto, tensorrt, tensorrt-rtx"),
        (["vultus-det-s", "--flavour", "tensorrt"], 1, "error: TensorRT cannot be imported"),
    ],
)
def test_the_command_says_what_was_wrong(
    monkeypatch: pytest.MonkeyPatch, arguments: list[str], code: int, message: str
) -> None:
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    done = CliRunner().invoke(app, [*arguments, "--out", "unused"])
    assert done.exit_code == code
    assert message in " ".join(done.stderr.replace("│", " ").split())
    assert not Path("unused").exists()


def test_ctrl_c_ends_the_command_with_exit_code_130(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Impatient(BuildState):
        def step_complete(self, name: str, step: int) -> bool:
            if not self.stopping:
                _thread.interrupt_main()
                _until_stopping(self)
            return super().step_complete(name, step)

    monkeypatch.setattr(make_module, "BuildState", Impatient)
    model = precision_nets.save_face(tmp_path / "face.onnx")
    done = CliRunner().invoke(app, [str(model), "--out", str(tmp_path / "out"), "--flavour", "tensorrt-rtx"])
    assert done.exit_code == 130
    assert "stopped; nothing half-written is left" in done.stderr
    assert not list((tmp_path / "out").iterdir())


def test_building_needs_neither_torch_nor_onnx(tmp_path: Path) -> None:
    """A device that builds its engines has TensorRT and no training packages."""
    model = precision_nets.save_face(tmp_path / "face.onnx")
    code = (
        "import sys\n"
        "for name in ('torch', 'onnx', 'onnxruntime', 'cv2'): sys.modules[name] = None\n"
        "from vultus_export.tensorrt.command import app\n"
        f"app([{str(model)!r}, '--out', {str(tmp_path)!r}, '--flavour', 'tensorrt-rtx'])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=dict(os.environ))
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "face.engine").is_file()
