"""The command `vultus-export check`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from vultus_export.console import clear_errors, result_console

__all__ = ["check"]


def check(
    model: Annotated[
        Path,
        typer.Argument(help="Model to judge, of any precision; a file or the name of an installed model."),
    ],
    against: Annotated[Path, typer.Option("--against", help="Its FP32 master, named in the same way.")],
    data: Annotated[
        Path, typer.Option("--data", help="Folder of labelled sets (NAME.tar + NAME.csv), or of pictures.")
    ],
    detector: Annotated[
        Path | None,
        typer.Option("--detector", help="Finds the faces for a face network; else the package's own."),
    ] = None,
    split: Annotated[str, typer.Option("--split", help="Rows of the sets: val, test or train.")] = "val",
    most: Annotated[int | None, typer.Option("--most", min=1, help="Most pictures of a set to use.")] = None,
    device: Annotated[str, typer.Option("--device", help="auto, cpu or cuda.")] = "cpu",
    threads: Annotated[int | None, typer.Option("--threads", min=1, help="CPU threads.")] = None,
    out: Annotated[Path | None, typer.Option("--json", help="File to write the whole report to.")] = None,
) -> None:
    """Judge a lowered model against its master on real pictures; exit code 1 when it may not be published.

    Example: vultus-export check face-int8.onnx --against face.onnx --data pictures/
    """
    with clear_errors():
        from vultus.zoo import find_model
        from vultus_export.gates.compare import Options, compare
        from vultus_export.gates.report import show
        from vultus_export.progress import shown_progress
        from vultus_export.whole import writable, write_whole

        if out:
            writable(out)
        options = Options(split, most, find_model(detector) if detector else None, device, threads)
        with shown_progress() as tick:
            report = compare(find_model(against), [find_model(model)], data, options, tick)[0]
        if out:
            write_whole(out, (json.dumps(report.to_json(), indent=1, ensure_ascii=False) + "\n").encode())
        show(report, result_console())
    if not report.passed:
        raise typer.Exit(1)
