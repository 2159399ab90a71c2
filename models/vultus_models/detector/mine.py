"""Mine hard negatives: what a trained detector takes for faces where neither truth nor teacher sees any.

    python -m vultus_models.detector.mine RECIPE --data DIR --model vultus-det-s.onnx

writes them beside the recipe's other pictures as the set `hard`: cuts around each false alarm, at the scale at which
it was one, with the labels that reach into the cut. A recipe takes them by a share of `hard` in [data.shares].
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
import typer

from vultus.geometry import box_iou
from vultus.pipeline import Analyzer
from vultus.preprocess import input_size
from vultus.spec import ModelSpec
from vultus_models.detector.cache import Pictures, open_pictures, write_labels
from vultus_models.detector.evaluate import Detect
from vultus_models.detector.labels import Labels
from vultus_models.detector.mosaic import cut
from vultus_models.detector.system import held_back
from vultus_models.train import read_recipe

__all__ = ["HARD", "main", "mine"]

HARD = "hard"
SURE_SETS = ("scenes", "mtfl", "landmarks68", "mebeauty", "video68", "utkface")
"""Sets in which every face is labelled or seen by the teacher; in crowds some masked faces are neither."""

ALARM, APART = 0.4, 0.05
ROOM, SMALLEST_SIDE, MOST_EACH = 5.0, 96, 3

logger = logging.getLogger(__name__)
Pixels = npt.NDArray[np.uint8]


def mine(detect: Detect, model_spec: ModelSpec, sets: list[Pictures], cache: Path) -> int:
    """Write the set `hard` into the cache folder and return how many cuts it holds."""
    files: list[str] = []
    places: list[tuple[int, int, int]] = []
    every: list[Labels] = []
    with (cache / f"{HARD}.u8.part").open("wb") as stream:
        for name, pixels, labels in _alarms(detect, model_spec, sets):
            files.append(name)
            places.append((stream.tell(), *pixels.shape[:2]))
            every.append(labels)
            stream.write(np.ascontiguousarray(pixels).tobytes())
    if not every:
        raise ValueError("the detector gives no false alarm on these pictures: there is nothing to mine")
    os.replace(cache / f"{HARD}.u8.part", cache / f"{HARD}.u8")
    write_labels(cache / f"{HARD}.npz", files, places, every)
    return len(every)


def _alarms(
    detect: Detect, model_spec: ModelSpec, sets: list[Pictures]
) -> Iterator[tuple[str, Pixels, Labels]]:
    rng = np.random.default_rng(0)
    for pictures in sets:
        for index, file in enumerate(pictures.files):
            if held_back(pictures.name, file):
                continue
            pixels, labels = pictures.picture(index), pictures.labels(index)
            boxes = detect(pixels)["box"][: 4 * MOST_EACH].astype(np.float64)
            near = box_iou(boxes, labels.boxes).max(axis=1, initial=0.0)
            width, _ = input_size(pixels.shape[1], pixels.shape[0], model_spec.input)
            for box in boxes[near < APART][:MOST_EACH]:
                yield f"{pictures.name}/{file}", *_around(rng, pixels, labels, box, width / pixels.shape[1])
        logger.info("mined %s", pictures.name)


def _around(
    rng: np.random.Generator, pixels: Pixels, labels: Labels, box: npt.NDArray[np.float64], scale: float
) -> tuple[Pixels, Labels]:
    """Cut the surroundings of a false alarm, at the scale at which the detector saw it."""
    height, width = pixels.shape[:2]
    side = max(ROOM * float((box[2:] - box[:2]).max()), SMALLEST_SIDE / scale)
    middle = (box[:2] + box[2:]) / 2
    left, top = np.clip(middle - side / 2, 0, (width - 1, height - 1)).astype(int).tolist()
    wide, tall = (max(2, int(min(side, n - at))) for at, n in ((left, width), (top, height)))
    size = (max(2, round(wide * scale)), max(2, round(tall * scale)))
    canvas = cut(rng, pixels, labels, (min(left, width - 2), min(top, height - 2), wide, tall), size)
    return canvas.pixels, canvas.labels


def main(
    config: Annotated[Path, typer.Argument(help="Recipe of the detector.", exists=True, dir_okay=False)],
    data: Annotated[Path, typer.Option(help="Folder of picture sets.", exists=True, file_okay=False)],
    model: Annotated[Path, typer.Option(help="Exported detector whose false alarms are mined.", exists=True)],
    sets: Annotated[str, typer.Option(help="Comma-separated sets to mine in.")] = ",".join(SURE_SETS),
) -> None:
    """Mine a detector's false alarms on its training pictures as the set `hard`."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    recipe: dict[str, Any] = read_recipe(config)
    cache, teacher = Path(recipe["data"]["cache"]), data / recipe["data"]["teacher"]
    chosen = [open_pictures(data, name.strip(), cache, teacher) for name in sets.split(",")]
    with Analyzer("cpu", [model], attributes=[], min_score=ALARM, threads=1) as analyzer:
        count = mine(analyzer.detect, analyzer.specs["detector"], chosen, cache)
    typer.echo(f"{count} hard negatives in {cache}")


if __name__ == "__main__":
    typer.run(main)
