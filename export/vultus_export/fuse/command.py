"""The command `vultus-export fuse`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from vultus_export.console import clear_errors, result_console

if TYPE_CHECKING:
    from vultus_export.fuse.agree import Agreement
    from vultus_export.fuse.settings import Settings

__all__ = ["Fused", "fuse", "make_fused"]


@dataclass(frozen=True)
class Fused:
    """A fused file that was written: its size in bytes, its outputs, and how well it agrees with the runtime."""

    path: Path
    size: int
    outputs: tuple[str, ...]
    agreements: tuple[Agreement, ...]
    pictures: int


def make_fused(
    detector: Path, face: Path | None, out: Path, settings: Settings, pictures: Sequence[Path] = ()
) -> Fused:
    """Write one ONNX file from a frame to FACE fields once it finds what the runtime finds.

    pictures: files and folders of pictures to compare on, besides made ones. Raises VultusError, and writes
    nothing, when anything is wrong.
    """
    from vultus_export.files import load_model, save_model
    from vultus_export.fuse.assemble import fused_model
    from vultus_export.fuse.prove import made_pictures, prove
    from vultus_export.inputs import picture_files, read_picture
    from vultus_export.whole import writable

    files = picture_files(pictures)
    writable(out)
    networks = load_model(detector), load_model(face) if face else None
    model = fused_model(*networks, settings)
    shown = [*made_pictures(), *map(read_picture, files)]
    agreements = prove(model, *networks, settings, shown)
    names = tuple(output.name for output in model.graph.output)
    return Fused(out, save_model(model, out), names, tuple(agreements), len(files))


def fuse(
    detector: Annotated[
        Path, typer.Option("--detector", help="ONNX file of the detector, or the name of an installed one.")
    ],
    out: Annotated[Path, typer.Option("--out", help="File to write; it appears whole or not at all.")],
    face: Annotated[
        Path | None,
        typer.Option(
            "--face", help="Face network, named in the same way; without it, boxes and points alone."
        ),
    ] = None,
    max_faces: Annotated[
        int, typer.Option("--max-faces", help="Rows of the outputs; the best faces stay.")
    ] = 32,
    size: Annotated[
        str | None,
        typer.Option(
            "--size", help="Detector input WIDTHxHEIGHT; by default chosen by the frame, as in the runtime."
        ),
    ] = None,
    min_score: Annotated[
        float | None,
        typer.Option("--min-score", help="Least score of a face; by default the detector's own."),
    ] = None,
    pictures: Annotated[
        list[Path] | None,
        typer.Option("--pictures", help="Picture or folder to compare on; may be repeated."),
    ] = None,
) -> None:
    """Fuse detector, alignment, face network and decoding into one ONNX file that takes a uint8 frame.

    Example: vultus-export fuse --detector vultus-det-s --face vultus-face-s --out faces.onnx --pictures photos/
    """
    with clear_errors():
        from vultus.zoo import find_model
        from vultus_export.fuse.settings import Settings

        settings = Settings(max_faces, _size(size), min_score)
        networks = find_model(detector), find_model(face) if face else None
        _show(make_fused(*networks, out, settings, pictures or []), result_console())


def _size(text: str | None) -> tuple[int, int] | None:
    """Return (width, height) of `640x480`."""
    if text is None:
        return None
    found = re.fullmatch(r"(\d+)x(\d+)", text)
    if not found:
        raise typer.BadParameter(f"--size takes WIDTHxHEIGHT, such as 640x480, not {text!r}")
    return int(found[1]), int(found[2])


def _show(made: Fused, console: Console) -> None:
    """Print a fused file as one line and a table of its fields."""
    console.print(f"{made.path}: {', '.join(made.outputs)}; {made.size / 1e6:.2f} MB", soft_wrap=True)
    if not made.agreements:
        console.print("no face in the pictures compared on; --pictures names some with faces", soft_wrap=True)
        return
    table = Table(
        "field", "error", "limit", "faces", title=f"Against the runtime, on {made.pictures} pictures"
    )
    for item in made.agreements:
        table.add_row(item.field, f"{item.error:.2g}", f"{item.limit:g}", str(item.faces))
    console.print(table)
