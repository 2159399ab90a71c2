"""The export commands' work: make the model, prove it, and only then write it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import onnx
from torch import nn

from vultus.spec import ModelSpec
from vultus_export.adopt import onnx_with_spec
from vultus_export.exporter import deployed, onnx_from_module
from vultus_export.files import load_model, save_model
from vultus_export.free import free_sizes
from vultus_export.inputs import picture_files, picture_inputs, random_inputs
from vultus_export.parity import check_parity
from vultus_export.report import Made
from vultus_export.runners import Runner, onnx_runner, torch_runner
from vultus_export.specfile import output_names, read_spec
from vultus_export.tidy import spec_of
from vultus_export.whole import writable

__all__ = ["adopt_file", "export_module"]


def export_module(
    module: nn.Module,
    spec: ModelSpec,
    out: Path,
    attributes: Sequence[str] | None = None,
    pictures: Iterable[Path] = (),
    reference: nn.Module | None = None,
) -> Made:
    """Write the ONNX file of a network once it answers as PyTorch does.

    pictures: files and folders of real pictures to compare on, besides random ones. reference: the network as it
    was trained, where `module` is a form of it for inference. Raises VultusError, and writes nothing, when
    anything is wrong.
    """
    files = picture_files(pictures)
    writable(out)
    model = onnx_from_module(module, spec, attributes)
    trained = torch_runner(deployed(reference or module), output_names(spec))
    return _prove(model, trained, files, out)


def adopt_file(
    file: Path, spec: Path, out: Path, attributes: Sequence[str] | None = None, pictures: Iterable[Path] = ()
) -> Made:
    """Write a foreign ONNX file again with a spec inside, once it answers as it did before."""
    contract, files = read_spec(spec), picture_files(pictures)
    writable(out)
    foreign = load_model(file)
    model = onnx_with_spec(foreign, contract, attributes)
    free_sizes(foreign, contract)
    return _prove(model, onnx_runner(foreign, contract), files, out)


def _prove(model: onnx.ModelProto, reference: Runner, files: Sequence[Path], out: Path) -> Made:
    """Compare a model with its reference on random and real pictures, write it, and say how it went."""
    spec = spec_of(model)
    fixed = bool(model.graph.input[0].type.tensor_type.shape.dim[0].dim_value)
    inputs = [*random_inputs(spec.input, (1,) if fixed else (1, 2, 3)), *picture_inputs(spec.input, files)]
    deviations = check_parity(reference, onnx_runner(model, spec), spec, inputs)
    return Made(out, save_model(model, out), spec, tuple(deviations), len(files))
