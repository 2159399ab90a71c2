"""Every model of the package becomes a TensorRT-RTX engine in every precision, without a GPU."""

from __future__ import annotations

from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from vultus.engines.sidecar import Platform
from vultus.zoo import default_models
from vultus_export.exporter import finish
from vultus_export.files import load_model, save_model
from vultus_export.quantize.half import half_precision
from vultus_export.quantize.qdq import layers, with_qdq
from vultus_export.tensorrt.bindings import load_bindings
from vultus_export.tensorrt.make import engine_from_onnx
from vultus_export.tensorrt.request import Request
from vultus_export.tidy import spec_of

pytest.importorskip(
    "tensorrt_rtx_bindings", reason="needs TensorRT-RTX: pip install 'vultus[rtx]'", exc_type=ImportError
)

# What share of the layers that multiply by weights must compute in the precision: all but what is kept on purpose.
LEAST = {"fp32": 1.0, "fp16": 1.0, "int8": 0.9, "int8-fp16": 0.9}


def lowered(master: Path, precision: str, folder: Path) -> Path:
    """Write the model in a precision; ranges are one number, since types and not answers are looked at here."""
    model = load_model(master)
    spec = spec_of(model, str(master))
    if "int8" in precision:
        model = with_qdq(model, {layer.activation: 4.0 for layer in layers(model)})
    if "fp16" in precision:
        model = half_precision(model)
    path = folder / f"{master.stem}-{precision}.onnx"
    save_model(finish(model, replace(spec, precision=precision)), path)
    return path


@pytest.mark.parametrize("precision", LEAST)
@pytest.mark.parametrize("master", default_models(), ids=lambda path: path.stem)
def test_default_models_build_and_keep_their_precision(tmp_path: Path, master: Path, precision: str) -> None:
    if not master.is_file():
        pytest.skip(f"{master.name} is not in this installation")
    rtx = load_bindings("tensorrt-rtx")
    here = Platform(rtx.flavour, rtx.version, problem="as on a machine without a GPU")
    model = lowered(master, precision, tmp_path)
    made = engine_from_onnx(model, tmp_path, rtx, Request(), Console(file=StringIO()), here)
    assert made.built is not None
    multiplying = [layer.precision for layer in made.built.layers if layer.multiplies]
    assert len(multiplying) > 10
    assert multiplying.count(precision.partition("-")[0]) / len(multiplying) >= LEAST[precision]
