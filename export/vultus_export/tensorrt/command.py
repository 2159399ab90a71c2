"""`vultus-export engine`: the command line of TensorRT builds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer
from rich.console import Console

from vultus.errors import InputError, VultusError
from vultus_export.console import clear_errors, result_console

if TYPE_CHECKING:
    from vultus_export.tensorrt.bindings import Bindings
    from vultus_export.tensorrt.make import Made
    from vultus_export.tensorrt.request import Request

__all__ = ["app", "engine"]

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, help="Build TensorRT engines.")

Value = TypeVar("Value")


def engine(
    model: Annotated[
        Path,
        typer.Argument(
            help="ONNX model with its spec, or the name of an installed one; its types are the engine's precision."
        ),
    ],
    out: Annotated[Path, typer.Option("--out", help="Folder for NAME.engine and NAME.engine.json.")],
    flavour: Annotated[
        str,
        typer.Option("--flavour", help="auto, tensorrt (the device's own) or tensorrt-rtx (desktop GPUs)."),
    ] = "auto",
    batch: Annotated[
        str | None,
        typer.Option(
            "--batch", metavar="LEAST,BEST,MOST", help="Pictures a call, such as 1,4,8.", show_default=False
        ),
    ] = None,
    size: Annotated[
        str | None,
        typer.Option(
            "--size", metavar="WxH", help="Input size, for a model that takes several.", show_default=False
        ),
    ] = None,
    workspace: Annotated[
        int | None,
        typer.Option("--workspace", min=1, metavar="MIB", help="Most GPU memory a layer may work in."),
    ] = None,
    timing_cache: Annotated[
        Path | None,
        typer.Option("--timing-cache", help="File that keeps kernel timings from build to build."),
    ] = None,
    hardware_compatible: Annotated[
        bool,
        typer.Option("--hardware-compatible", help="Run on every GPU from Ampere on; slower; not on Jetson."),
    ] = False,
    version_compatible: Annotated[
        bool, typer.Option("--version-compatible", help="Run on later TensorRT versions too; slower.")
    ] = False,
    dla: Annotated[
        int | None, typer.Option("--dla", metavar="CORE", help="Run on this Deep Learning Accelerator core.")
    ] = None,
    compute_capability: Annotated[
        str | None,
        typer.Option("--compute-capability", help="TensorRT-RTX: GPUs to build for, such as 8.6,8.9."),
    ] = None,
    rebuild: Annotated[
        bool, typer.Option("--rebuild", help="Build also when the same engine is there.")
    ] = False,
) -> None:
    """Build a TensorRT engine for this device, prove its precision and say what it is.

    Example: vultus-export engine vultus-det-s-fp16 --out engines/
    """
    with clear_errors():
        from vultus.zoo import find_model
        from vultus_export.tensorrt.bindings import CHOICES, load_bindings
        from vultus_export.tensorrt.make import engine_from_onnx
        from vultus_export.tensorrt.report import show
        from vultus_export.tensorrt.request import Request, batch_from_text, size_from_text

        chosen = next((choice for choice in CHOICES if choice == flavour), None)
        if chosen is None:
            raise typer.BadParameter(f"--flavour {flavour!r}: expected one of {', '.join(CHOICES)}")
        request = Request(
            _usable(batch_from_text, batch),
            _usable(size_from_text, size),
            workspace,
            hardware_compatible,
            version_compatible,
            dla,
            tuple(compute_capability.split(",")) if compute_capability else (),
        )
        file, bindings = find_model(model), load_bindings(chosen)
        console = Console(stderr=True, soft_wrap=True, highlight=False)
        console.print(f"{bindings.name}{f', {bindings.why}' if bindings.why else ''}", markup=False)
        made = engine_from_onnx(
            file, out, bindings, request, console, timing_cache=timing_cache, rebuild=rebuild
        )
        times, untimed = _times(bindings, made, request)
        show(made, result_console(), times, untimed)


app.command("engine")(engine)


def _usable(read: Callable[[str | None], Value], text: str | None) -> Value:
    """Return what an option says; a malformed one is an error of usage, not of the model."""
    try:
        return read(text)
    except InputError as error:
        raise typer.BadParameter(str(error)) from error


def _times(bindings: Bindings, made: Made, request: Request) -> tuple[dict[str, float] | None, str]:
    """Return (milliseconds of each layer, "") or (None, why they cannot be measured here)."""
    from vultus.engines.sidecar import Platform, with_gpu
    from vultus_export.tensorrt.clock import layer_times

    here = with_gpu(Platform(bindings.flavour, bindings.version))
    if made.built is None or here.problem:
        return None, here.problem
    size = made.sidecar.spec.input
    shape = (made.sidecar.batch[1], 3, size.height, size.width)
    try:
        return layer_times(bindings, made.built.data, request, size.name, shape), ""
    except VultusError as error:
        return None, str(error)
