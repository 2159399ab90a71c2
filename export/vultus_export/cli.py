"""`vultus-export`: from PyTorch or a foreign ONNX file to a model that the runtime reads."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vultus_export.bundle.command import bundle, bundle_key
from vultus_export.console import clear_errors, result_console
from vultus_export.fuse.command import fuse
from vultus_export.gates.command import check
from vultus_export.pull.command import pull
from vultus_export.tensorrt.command import engine

if TYPE_CHECKING:
    from vultus_export.report import Made

__all__ = ["app", "main"]

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Export models for the edge. Exit codes: 0 written, 1 the model or a file was refused, 2 usage, 130 stopped.",
)


class _Precision(str, Enum):
    """What a master can be lowered to."""

    fp16 = "fp16"
    int8 = "int8"
    int8_fp16 = "int8-fp16"


Out = Annotated[Path, typer.Option("--out", help="ONNX file to write; it appears whole or not at all.")]
Spec = Annotated[Path | None, typer.Option("--spec", help="The model's spec in TOML.")]
Attributes = Annotated[
    str | None, typer.Option("--attributes", help="Keep only these heads, comma-separated: age,smile.")
]
Pictures = Annotated[
    list[Path] | None, typer.Option("--pictures", help="Picture or folder to compare on; may be repeated.")
]


@app.callback()
def _root() -> None:
    """Keep every command a named one, also while there are few."""


@app.command("onnx")
def _onnx(
    out: Out,
    model: Annotated[
        str | None,
        typer.Argument(help="Recipe of a system: its name (detector-s) or a TOML file.", show_default=False),
    ] = None,
    checkpoint: Annotated[
        Path | None, typer.Option("--checkpoint", help="Trained weights, such as runs/detector-s/best.pt.")
    ] = None,
    module: Annotated[
        str | None, typer.Option("--module", help="Your own network: package.module:factory.")
    ] = None,
    spec: Spec = None,
    attributes: Attributes = None,
    pictures: Pictures = None,
) -> None:
    """Export a PyTorch network to ONNX and prove that it answers as PyTorch does.

    Example: vultus-export onnx --module my_package.net:make --spec spec.toml --out mine.onnx
    """
    _check_usage(model, module, checkpoint, spec)
    with clear_errors():
        from vultus_export.build import export_module
        from vultus_export.subjects import from_factory, from_recipe

        if module and spec:
            subject = from_factory(module, spec, checkpoint)
        elif model and checkpoint:
            subject = from_recipe(model, checkpoint)
        heads = _names(attributes)
        _show(export_module(subject.ready, subject.spec, out, heads, pictures or [], subject.trained))


@app.command("adopt")
def _adopt(
    file: Annotated[Path, typer.Argument(help="Foreign ONNX file.")],
    spec: Annotated[Path, typer.Option("--spec", help="The model's spec in TOML.")],
    out: Out,
    attributes: Attributes = None,
    pictures: Pictures = None,
) -> None:
    """Give a foreign ONNX file a spec, so that the runtime reads it.

    Example: vultus-export adopt theirs.onnx --spec spec.toml --out own.onnx --pictures photos/
    """
    with clear_errors():
        from vultus_export.build import adopt_file

        _show(adopt_file(file, spec, out, _names(attributes), pictures or []))


@app.command("quantize")
def _quantize(
    master: Annotated[
        Path, typer.Argument(help="FP32 model with its spec inside, or the name of an installed one.")
    ],
    precision: Annotated[_Precision, typer.Option("--precision", help="What to compute in.")],
    out: Out,
    calibration: Annotated[
        Path | None, typer.Option("--calibration", help="Folder of pictures to calibrate and measure on.")
    ] = None,
    detector: Annotated[
        Path | None,
        typer.Option("--detector", help="Finds the faces for a face network; else the package's own."),
    ] = None,
    count: Annotated[int, typer.Option("--count", min=1, help="Most pictures to use.")] = 128,
) -> None:
    """Lower a model's precision, measured on the task; for INT8 a manifest of the pictures appears beside it.

    Example: vultus-export quantize vultus-det-s --precision int8 --calibration photos/ --out det-int8.onnx
    """
    with clear_errors():
        from vultus.zoo import find_model
        from vultus_export.progress import shown_progress
        from vultus_export.quantize.build import quantize_file
        from vultus_export.quantize.show import show_quantized

        model, finder = find_model(master), find_model(detector) if detector else None
        with shown_progress() as tick:
            made = quantize_file(model, precision.value, out, calibration, finder, count, tick)
        show_quantized(made, result_console())


app.command("bundle")(bundle)
app.command("bundle-key")(bundle_key)
app.command("check")(check)
app.command("engine")(engine)
app.command("fuse")(fuse)
app.command("pull")(pull)


def main() -> None:
    """Run the command line."""
    app()


def _check_usage(model: str | None, module: str | None, checkpoint: Path | None, spec: Path | None) -> None:
    if (model is None) == (module is None):
        raise typer.BadParameter("name either a recipe or --module package.module:factory")
    if model and not checkpoint:
        raise typer.BadParameter("a recipe needs --checkpoint; random weights are never exported")
    if bool(module) != bool(spec):
        raise typer.BadParameter("--module and --spec go together; a recipe brings its own spec")


def _names(attributes: str | None) -> tuple[str, ...] | None:
    return (
        None if attributes is None else tuple(name.strip() for name in attributes.split(",") if name.strip())
    )


def _show(made: Made) -> None:
    from vultus_export.report import show

    show(made, result_console())


if __name__ == "__main__":
    main()
