"""Draw a small folder of picture sets, for trying recipes where no labelled pictures are at hand.

    python -m vultus_models.data.made DIR --seed 1

Networks learn the drawn faces within a minute.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import cv2
import numpy as np
import numpy.typing as npt
import typer

from vultus.geometry import five_points
from vultus_models.data.drawing import FACE_BOX, Drawn, draw, some_face
from vultus_models.data.sets import Entry, write_set

__all__ = ["MAKERS", "main", "make"]

Array = npt.NDArray[np.float64]
Pixels = npt.NDArray[np.uint8]
Rng = np.random.Generator


def _background(rng: Rng, width: int, height: int) -> Pixels:
    rough = rng.integers(0, 140, (5, 5, 3)).astype(np.uint8)
    return np.asarray(cv2.resize(rough, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)


def _placed(rng: Rng, side: float, x: float, y: float, degrees: float) -> Array:
    """Return the affine (2, 3) of a crop of `side` pixels whose centre lies at x, y, turned at random."""
    turn = np.radians(rng.uniform(-degrees, degrees))
    linear = side * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    return np.column_stack([linear, np.array([x, y]) - linear.sum(axis=1) / 2])


def _close(rng: Rng, face: Drawn, side: int) -> Pixels:
    """Draw a face that fills a square picture, roughly aligned."""
    picture, middle = _background(rng, side, side), (side - 1) / 2
    x, y = middle + rng.normal(0, 0.01 * side, 2)
    draw(picture, face, _placed(rng, side * rng.uniform(0.95, 1.05), x, y, 4), rng)
    return picture


def _photo(rng: Rng, face: Drawn) -> tuple[Pixels, Array]:
    """Draw a face with surroundings and return its landmarks too."""
    picture, side = _background(rng, 128, 128), rng.uniform(56, 90)
    x, y = 64 + rng.uniform(-12, 12, 2)
    return picture, draw(picture, face, _placed(rng, side, x, y, 15), rng)


def _utkface(rng: Rng) -> Entry:
    face = some_face(rng)
    return _close(rng, face, 96), {"age": face.age, "gender": face.gender, "ethnicity": ""}


def _fer2013(rng: Rng) -> Entry:
    face = some_face(rng)
    grey = cv2.cvtColor(_close(rng, face, 48), cv2.COLOR_BGR2GRAY)
    return np.asarray(grey, np.uint8), {"expression": face.expression}


def _mtfl(rng: Rng) -> Entry:
    face = some_face(rng)
    picture, marks = _photo(rng, face)
    names = ("leye", "reye", "nose", "lmouth", "rmouth")
    pairs = zip(names, five_points(marks[None])[0], strict=True)
    places = {f"{name}_{axis}": f"{p[i]:.2f}" for name, p in pairs for i, axis in enumerate("xy")}
    smile, glasses = int(face.expression == "happy"), int(face.glasses)
    return picture, {**places, "gender": face.gender, "smile": smile, "glasses": glasses, "pose": 3}


def _landmarks68(rng: Rng) -> Entry:
    picture, marks = _photo(rng, some_face(rng))
    places = {f"{axis}{k}": f"{p[i]:.2f}" for k, p in enumerate(marks) for i, axis in enumerate("xy")}
    return picture, {"source": "made", **places}


def _crowds(rng: Rng) -> Entry:
    picture, boxes = _background(rng, 192, 128), []
    for column in range(3):
        if column and rng.random() < 0.3:
            continue
        side, x, y = rng.uniform(36, 64), 32 + 64 * column + rng.uniform(-4, 4), 64 + rng.uniform(-24, 24)
        affine = _placed(rng, side, x, y, 6)
        draw(picture, some_face(rng), affine, rng)
        left, top, right, bottom = np.array(FACE_BOX) * side + np.tile(np.array([x, y]) - side / 2, 2)
        boxes.append(f"{left:.0f} {top:.0f} {right:.0f} {bottom:.0f} no_mask")
    return picture, {"boxes": ";".join(boxes)}


def _scenes(rng: Rng) -> Entry:
    return _background(rng, 128, 128), {}


MAKERS: dict[str, tuple[Callable[[Rng], Entry], float, float, float]] = {
    "utkface": (_utkface, 1.0, 0.25, 0.125),
    "fer2013": (_fer2013, 1.0, 0.25, 0.125),
    "mtfl": (_mtfl, 1.0, 0.0, 0.125),
    "landmarks68": (_landmarks68, 1.0, 0.0, 0.125),
    "crowds": (_crowds, 1.0, 0.0, 0.125),
    "scenes": (_scenes, 0.5, 0.0, 0.0),
}
"""Every set: what draws one of its pictures, and how many there are of train, val and test, as shares of `count`."""


def make(out: Path, seed: int, count: int = 160) -> None:
    """Write the made sets into a new folder; the same arguments write the same files.

    Raises FileExistsError when the folder is there already.
    """
    if out.exists():
        raise FileExistsError(f"{out} is there already; name a new folder or remove it")
    out.mkdir(parents=True)
    for name, (maker, *shares) in MAKERS.items():
        rng = np.random.default_rng([seed, *name.encode()])
        splits = zip(("train", "val", "test"), shares, strict=True)
        chosen = [split for split, share in splits for _ in range(int(share * count))]
        drawn = ((maker(rng), split) for split in chosen)
        write_set(out, name, [(picture, {**labels, "split": split}) for (picture, labels), split in drawn])


def main(
    out: Annotated[Path, typer.Argument(help="New folder for the sets.")],
    seed: Annotated[int, typer.Option(help="Seed of every drawing.")] = 1,
    count: Annotated[int, typer.Option(help="Training pictures a set.", min=16)] = 160,
) -> None:
    """Draw a small folder of picture sets, in the form that every recipe reads."""
    try:
        make(out, seed, count)
    except OSError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from error
    typer.echo(f"{', '.join(MAKERS)} in {out}")


if __name__ == "__main__":
    typer.run(main)
