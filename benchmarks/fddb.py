#!/usr/bin/env python3
"""Measure a face detector on FDDB as its owners' tool does: found faces against the number of false positives.

    python benchmarks/fddb.py --images originalPics --truth FDDB-folds --json fddb.json

The pictures and the true faces come from the data set's own page and are not part of this package. What is measured
stands in docs/fddb.md.
Exit codes: 0 measured, 1 files or the model cannot be used, 2 usage.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from harness.asking import watched
from harness.detector_runs import detector_options, judged_facts, opened_finder, result_of, run_and_show
from harness.fddb_figures import AT, KINDS, figures_of
from harness.fddb_overlap import overlap_ratios
from harness.fddb_predictions import read_found, write_found
from harness.fddb_protocol import steps_of
from harness.fddb_truth import FOLDS, Truth, folds_of, read_truth
from harness.found_faces import NOTHING, Found
from vultus_export.inputs import read_picture

SCHEMA = 1

Size = tuple[int, int]
"""Width and height of a picture."""

Run = tuple[dict[str, Any], list[Found], list[Size]]
"""What the result says of the run, and for each picture what was found there and its size."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, write the JSON and print the figures; return the exit code."""
    parser = _parser()
    asked = parser.parse_args(arguments)
    if asked.predictions and (asked.detector or asked.write):
        parser.error("--predictions judges files as they are; leave out --detector and --write")
    return run_and_show("fddb", asked, measure, _print)


def measure(asked: argparse.Namespace) -> dict[str, Any]:
    """Return the whole result of one run."""
    began = time.perf_counter()
    pictures = read_truth(asked.truth)
    folds = list(folds_of(pictures))
    if len(folds) < FOLDS:
        _warn(f"{asked.truth} holds {len(folds)} of {FOLDS} folds; official figures are over all of them")
    facts, found, sizes = _judged(asked, pictures) if asked.predictions else _detected(asked, pictures)
    steps = [
        steps_of(overlap_ratios(boxes, one.ellipses, size), scores)
        for one, (boxes, scores), size in zip(pictures, found, sizes, strict=True)
    ]
    figures = figures_of(steps, [len(one.ellipses) for one in pictures])
    return result_of(SCHEMA, {**facts, "folds": folds}, {"fddb": figures}, began)


def _detected(asked: argparse.Namespace, pictures: Sequence[Truth]) -> Run:
    """Run the detector on every picture; write the files of found faces where asked."""
    found: list[Found] = []
    sizes: list[Size] = []
    with opened_finder(asked) as (finder, facts):
        for file in watched(_files(asked.images, pictures), "fddb"):
            pixels = read_picture(file)
            found.append(finder(pixels))
            sizes.append((pixels.shape[1], pixels.shape[0]))
    if asked.write:
        write_found(asked.write, pictures, found)
    return facts, found, sizes


def _judged(asked: argparse.Namespace, pictures: Sequence[Truth]) -> Run:
    """Read files of found faces that some detector has written; of the pictures only their sizes matter."""
    read = read_found(asked.predictions, pictures)
    missing = sum(one is None for one in read)
    if missing:
        _warn(f"{missing} pictures stand in no file of found faces; none was found there")
    shapes = [read_picture(file).shape for file in watched(_files(asked.images, pictures), "fddb")]
    found = [NOTHING if one is None else one for one in read]
    return judged_facts(missing), found, [(shape[1], shape[0]) for shape in shapes]


def _files(folder: Path, pictures: Sequence[Truth]) -> list[Path]:
    """Return the files of the pictures; the folder may hold the years, or a folder `originalPics` of them."""
    files = []
    for one in pictures:
        places = [base / f"{one.name}.jpg" for base in (folder, folder / "originalPics")]
        file = next((place for place in places if place.is_file()), None)
        if file is None:
            raise FileNotFoundError(
                f"there is no picture {places[0]}; --images names the folder of the years"
            )
        files.append(file)
    return files


def _warn(words: str) -> None:
    print(f"fddb: {words}", file=sys.stderr)


def _print(figures: dict[str, Any]) -> None:
    for kind in KINDS:
        rates = [figures[f"{kind}_{false}"] for false in AT]
        row = "  ".join(
            f"{false}: {'-' if rate is None else f'{rate:.4f}'}"
            for false, rate in zip(AT, rates, strict=True)
        )
        print(f"{kind:<10} TPR at false positives  {row}")
    print(
        f"{figures['n']} faces, {figures['pictures']} pictures, {figures['false_positives']} false positives"
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=(__doc__ or "").split("\n\n")[0], epilog="What is measured: docs/fddb.md"
    )
    parser.add_argument(
        "--truth", type=Path, required=True, help="folder of the FDDB-fold-XX-ellipseList.txt files"
    )
    parser.add_argument(
        "--images", type=Path, required=True, help="folder of the pictures, a folder for each year in it"
    )
    parser.add_argument(
        "--predictions", type=Path, help="judge fold-XX-out.txt files in this folder instead of a detector"
    )
    parser.add_argument(
        "--write", type=Path, help="folder to write fold-XX-out.txt files of found faces into"
    )
    detector_options(parser)
    return parser


if __name__ == "__main__":
    sys.exit(main())
