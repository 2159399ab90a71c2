"""Unpack a seeded sample of labelled sets into a folder of pictures, for calibration or a look.

python -m vultus_models.data.unpack DATA OUT --sets crowds,mtfl --split train --count 64 --seed 1
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from vultus_models.data.sets import open_set, set_names

__all__ = ["main", "unpack"]


def unpack(data: Path, out: Path, sets: list[str], split: str, count: int, seed: int) -> int:
    """Write up to `count` pictures of each set to `out` as SET-FILE; return how many there are.

    The same arguments choose the same pictures. The folder appears whole or not at all; raises
    FileExistsError when it is there already, ValueError when a set has no picture in the split.
    """
    if out.exists():
        raise FileExistsError(f"{out} is there already; name a new folder or remove it")
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}-") as temporary:
        folder = Path(temporary) / "pictures"
        folder.mkdir()
        written = sum(_unpack_set(data, folder, name, split, count, seed) for name in sets)
        os.replace(folder, out)
    return written


def _unpack_set(data: Path, folder: Path, name: str, split: str, count: int, seed: int) -> int:
    pictures = open_set(data, name)
    rows = pictures.of(split)
    if not rows:
        raise ValueError(f"the set {name!r} has no picture in the split {split!r}")
    rng = np.random.default_rng([seed, *name.encode()])
    chosen = rng.permutation(len(rows))[:count]
    with pictures.tar.open("rb") as tar:
        for index in sorted(chosen):
            file = rows[index]["file"]
            offset, size = pictures.places[file]
            tar.seek(offset)
            (folder / f"{name}-{file}").write_bytes(tar.read(size))
    return len(chosen)


def main(
    data: Annotated[Path, typer.Argument(help="Folder of picture sets.", exists=True, file_okay=False)],
    out: Annotated[Path, typer.Argument(help="New folder for the pictures.")],
    sets: Annotated[str, typer.Option(help="Comma-separated names; all sets when left out.")] = "",
    split: Annotated[str, typer.Option(help="train, val or test.")] = "train",
    count: Annotated[int, typer.Option(help="Most pictures of each set.", min=1)] = 64,
    seed: Annotated[int, typer.Option(help="Seed of the choice.")] = 1,
    replace: Annotated[bool, typer.Option("--replace", help="Remove the folder first.")] = False,
) -> None:
    """Unpack a seeded sample of labelled sets into a folder of pictures."""
    if replace and out.is_dir():
        shutil.rmtree(out)
    names = [name.strip() for name in sets.split(",") if name.strip()] or set_names(data)
    try:
        typer.echo(f"{unpack(data, out, names, split, count, seed)} pictures in {out}")
    except (OSError, ValueError) as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from error


if __name__ == "__main__":
    typer.run(main)
