"""`vultus selftest`: does this installation give on this machine what it gave where it was made?"""

from __future__ import annotations

import json
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vultus.cli.console import ExitCode, clean_exit, error_console, output_console, say

if TYPE_CHECKING:
    from vultus.selftest import Check

__all__ = ["selftest"]

_MARKS = {"ok": "ok     ", "failed": "FAILED ", "skipped": "skipped"}


class _Device(str, Enum):
    """What can be tested."""

    cuda = "cuda"
    cpu = "cpu"


def selftest(
    device: Annotated[_Device | None, typer.Option(help="What to test; the GPU where there is one.")] = None,
    frames: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Frames of the endurance run.")
    ] = None,
    models: Annotated[
        list[Path] | None,
        typer.Option(
            "--models",
            metavar="FILE",
            help="A model file or installed name to test on the GPU; repeat it for a detector and a face network.",
        ),
    ] = None,
    against: Annotated[
        list[Path] | None,
        typer.Option(
            "--against",
            metavar="FILE",
            help="The ONNX file that an engine was built from, to run on the CPU; an installed one by default.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Compare kernels, models and the whole pipeline with packaged results, and run many frames with flat memory.

    Exit codes: 0 all passed, 1 something differs, 2 usage, 4 the device or a model cannot be used.
    """
    with clean_exit(), error_console() as errors:
        from vultus.engines.devices import cuda_problem
        from vultus.selftest import selftest as run
        from vultus.zoo import find_model

        output = output_console()
        chosen = device.value if device else "cpu" if (problem := cuda_problem()) else "cuda"
        if (models or against) and chosen == "cpu":
            why = "" if device else f", and {problem}"
            raise typer.BadParameter(
                f"--models and --against are for a GPU alone{why}; leave them out to test the CPU"
            )
        files = [find_model(model) for model in models or ()] or None

        def show(check: Check) -> None:
            if not as_json:
                say(output, _line(check))

        report = run(chosen, frames, files, show, [find_model(model) for model in against or ()])
        if as_json:
            typer.echo(json.dumps(report.values(), indent=2))
        say(errors, f"{report.device}: {'passed' if report.passed else 'FAILED'}")
        if not report.passed:
            raise typer.Exit(ExitCode.FAILED)


def _line(check: Check) -> str:
    figures = ", ".join(f"{name} {value:.4g}" for name, value in check.figures.items() if value)
    said = "; ".join(filter(None, (check.detail, figures)))
    return f"{_MARKS[check.status]} {check.part}: {check.name}{f' ({said})' if said else ''}"
