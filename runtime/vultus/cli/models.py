"""`vultus models`: which models there are and what a model file says of itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from vultus.cli.console import ExitCode, clean_exit, error_console, output_console, say
from vultus.cli.verify import install_bundle, verify_bundle
from vultus.errors import VultusError

if TYPE_CHECKING:
    from vultus.spec import AnchorLevel, ModelSpec

__all__ = ["models"]

models = typer.Typer(
    help="Show the installed models and what a model file says of itself.", no_args_is_help=True
)

models.command("verify", epilog="Example: vultus models verify vultus-models.tar.zst --key factory.pub")(
    verify_bundle
)
models.command(
    "install", epilog="Example: vultus models install vultus-models.tar.zst models --key factory.pub"
)(install_bundle)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@models.command("list", epilog="Example: vultus models list")
def _list_models(as_json: AsJson = False) -> None:
    """List the installed models: name, task, input size, precision, licence and card."""
    with clean_exit():
        from vultus.zoo import installed_models

        rows, problems = _rows(installed_models())
        _print_rows(rows, as_json)
        with error_console() as errors:
            for problem in problems or ([] if rows else ["no models are installed; install vultus again"]):
                say(errors, f"vultus: {problem}")
        if problems or not rows:
            raise typer.Exit(ExitCode.ENGINE)


def _rows(paths: list[Path]) -> tuple[list[dict[str, Any]], list[str]]:
    """Return what each usable model says, and a line for each that is not usable."""
    from vultus.onnxfile import spec_from_onnx

    rows, problems = [], []
    for path in paths:
        try:
            rows.append(_row(path, spec_from_onnx(path)))
        except VultusError as error:
            problems.append(str(error))
    return rows, problems


def _row(path: Path, spec: ModelSpec) -> dict[str, Any]:
    from vultus.zoo import card_of

    card = card_of(path)
    return {
        "name": spec.name,
        "version": spec.version,
        "task": spec.task,
        "input": _input_size(spec),
        "mebibytes": round(path.stat().st_size / 2**20, 2),
        "precision": spec.precision,
        "licence": spec.licence,
        "file": str(path),
        "card": str(card) if card else None,
    }


def _input_size(spec: ModelSpec) -> str:
    size = f"{spec.input.width}x{spec.input.height}"
    return f"{size} or like it" if spec.input.multiple else size


def _print_rows(rows: list[dict[str, Any]], as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(rows, indent=2))
        return
    if not rows:
        return
    table = Table(header_style="bold")
    titles = {"name": "name", "version": "version", "task": "task", "input": "input", "mebibytes": "MiB"}
    titles |= {"precision": "precision", "licence": "licence", "card": "card"}
    for title in titles.values():
        table.add_column(title, overflow="fold")
    for row in rows:
        table.add_row(*(escape(str(row[key] or "none")) for key in titles))
    output_console().print(table)


@models.command("show", epilog="Example: vultus models show vultus-det-s --json")
def _show_model(
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="A model file, or the name of an installed model.")
    ],
    as_json: AsJson = False,
) -> None:
    """Show the contract that a model file carries: input, outputs, decoding, precision, licence."""
    with clean_exit():
        from vultus.onnxfile import spec_from_onnx
        from vultus.spec import spec_to_json
        from vultus.zoo import find_model

        path = find_model(file)
        spec = spec_from_onnx(path)
        if as_json:
            typer.echo(json.dumps(json.loads(spec_to_json(spec)), indent=2))
        else:
            _print_spec(path, spec)


def _print_spec(path: Path, spec: ModelSpec) -> None:
    table = Table.grid(padding=(0, 2))
    for key, value in {**_row(path, spec), **_details(spec)}.items():
        table.add_row(f"[bold]{key}[/bold]", escape(str(value or "none")))
    output_console().print(table)


def _details(spec: ModelSpec) -> dict[str, str]:
    """Return input, decoding, heads and origin of a model in words."""
    details = {
        "tensor": f"{spec.input.name}: float32 (batch, 3, height, width), {spec.input.channels}",
        "mean": " ".join(f"{value:g}" for value in spec.input.mean),
        "scale": " ".join(f"{value:g}" for value in spec.input.scale),
    }
    if spec.detector:
        part = spec.detector
        details["decoder"] = f"{part.decoder}, score from {part.min_score:g}, NMS at IoU {part.nms_iou:g}"
        details["levels"] = "\n".join(map(_level, part.levels))
    if spec.heads:
        details["heads"] = "\n".join(f"{head.field}: {head.kind} of {head.output}" for head in spec.heads)
    return {**details, "description": spec.description, "source": spec.source, "schema": str(spec.schema)}


def _level(level: AnchorLevel) -> str:
    """Return a map of a detector in words; detectors without anchors have no sizes."""
    sizes = " ".join(f"{size:g}" for size in level.sizes)
    return f"{level.output} stride {level.stride}{f' anchor sizes {sizes}' if sizes else ''}"
