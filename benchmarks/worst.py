#!/usr/bin/env python3
"""Draw the worst errors of a task as one picture, for whoever wants to know what goes wrong.

    python benchmarks/worst.py --data DIR --task gender --out DIR

Writes TASK.png: twenty faces, worst first, with the label and the guess beneath each, and lists them. By default
rows of split val are looked at; of sets without any, the train rows that training keeps back. The pictures are other
people's: look at them and leave them out of any repository. Exit codes: 0 drawn, 1 a model or a set cannot be used,
2 usage.
"""

from __future__ import annotations

import argparse
import sys
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np

from harness.asking import add_model_options, watched
from harness.measure import none_of
from harness.provenance import choose_models
from harness.worst_rows import unseen_rows
from harness.worst_sheet import contact_sheet, tile_of
from harness.worst_tasks import BOX_TASKS, FACE_TASKS, SETS_OF, Mistake, box_mistakes, face_mistakes, worst_of
from vultus.errors import VultusError
from vultus.pipeline import Analyzer
from vultus_export.metrics.detection import LOWEST_SCORE
from vultus_export.metrics.faces import SETS, detections_of, measured_faces
from vultus_export.metrics.rows import SPLITS
from vultus_models.data.sets import PictureSet, open_set, set_names


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, draw and list the worst errors; return the exit code."""
    asked = _parser().parse_args(arguments)
    try:
        drawn = draw(asked)
    except (VultusError, OSError, ValueError, KeyError, tarfile.TarError) as error:
        print(f"worst: {error}", file=sys.stderr)
        return 1
    print(f"written: {drawn}" if drawn else f"no error of {asked.task} in split {asked.split}")
    return 0


def draw(asked: argparse.Namespace) -> Path | None:
    """Write the contact sheet and return where it is; None when there is no error to draw."""
    sets = _opened(asked.data, asked.task)
    files = choose_models(asked.models, asked.precision)
    mistakes, looked = (_boxes if asked.task in BOX_TASKS else _faces)(asked, files, sets)
    worst = worst_of(mistakes, asked.count)
    if not worst:
        return None
    tiles = []
    for number, one in enumerate(worst, 1):
        print(f"{number:3} {one.source} {one.row['file']}: {one.truth} | {one.guess}")
        tile = tile_of(sets[one.source].picture(one.row), one)
        tiles.append((tile, (f"{number} {one.truth}", one.guess, f"{one.source} {one.row['file']}")))
    names = ", ".join(path.stem for path in files)
    title = f"{asked.task}, split {asked.split}: {len(worst)} worst of {len(mistakes)} errors in {looked} ({names})"
    path = Path(asked.out) / f"{asked.task}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(cv2.imencode(".png", contact_sheet(title, tiles))[1].tobytes())
    return path


def _opened(data: Path, task: str) -> dict[str, PictureSet]:
    there = set_names(data)
    sets = {name: open_set(data, name) for name in SETS_OF[task] if name in there}
    if not sets:
        raise none_of(data, SETS_OF[task])
    return sets


def _faces(
    asked: argparse.Namespace, files: list[Path], sets: Mapping[str, PictureSet]
) -> tuple[list[Mistake], str]:
    """Return the errors of a face task, and in how many faces."""
    mistakes, faces = [], 0
    with Analyzer(asked.device, files, threads=asked.threads) as analyzer:
        for name, pictures in sets.items():
            choose, whole = SETS[name]
            rows = watched(unseen_rows(pictures, asked.split), name)
            measured = measured_faces(analyzer, pictures, rows, choose, whole)
            mistakes += face_mistakes(asked.task, name, measured)
            faces += len(measured.rows)
    return mistakes, f"{faces} faces"


def _boxes(
    asked: argparse.Namespace, files: list[Path], sets: Mapping[str, PictureSet]
) -> tuple[list[Mistake], str]:
    """Return the errors of a detector's task, and in how many pictures."""
    mistakes, looked = [], 0
    with Analyzer(
        asked.device, files, attributes=(), min_score=LOWEST_SCORE, threads=asked.threads
    ) as finder:
        shipped = finder.specs["detector"].detector
        assert shipped is not None, "an Analyzer's detector has a detector part"
        for name, pictures in sets.items():
            found = detections_of(finder, pictures, watched(unseen_rows(pictures, asked.split), name))
            mistakes += box_mistakes(asked.task, name, found, float(np.float32(shipped.min_score)))
            looked += len(found.rows)
    return mistakes, f"{looked} pictures"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=(__doc__ or "").split("\n\n")[0], epilog="What to make of it: docs/accuracy.md"
    )
    parser.add_argument("--data", type=Path, required=True, help="folder of the picture sets")
    parser.add_argument("--task", required=True, choices=(*FACE_TASKS, *BOX_TASKS))
    parser.add_argument("--out", type=Path, required=True, help="folder for TASK.png")
    parser.add_argument("--split", default="val", choices=SPLITS)
    parser.add_argument("--count", type=_positive, default=20, help="how many errors, 20 by default")
    add_model_options(parser, "look at")
    return parser


def _positive(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r} is no count; expected 1 or more")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
