#!/usr/bin/env python3
"""Measure a face detector on the validation part of WIDER FACE as its owners' tools do: easy, medium and hard.

    python benchmarks/widerface.py --images WIDER_val/images --truth ground_truth --json widerface.json

The pictures and the true faces come from the data set's own page and are not part of this package. What is measured,
and how each protocol looks at a picture, stands in docs/widerface.md.
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
from harness.found_faces import NOTHING, Found
from harness.widerface_figures import figures_of
from harness.widerface_predictions import read_found, write_found
from harness.widerface_truth import Truth, read_truth
from vultus_export.inputs import read_picture

SCHEMA = 1


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, write the JSON and print the figures; return the exit code."""
    parser = _parser()
    asked = parser.parse_args(arguments)
    if (asked.images is None) == (asked.predictions is None):
        parser.error("name either --images, to run a detector on, or --predictions, to judge files")
    return run_and_show("widerface", asked, measure, _print)


def measure(asked: argparse.Namespace) -> dict[str, Any]:
    """Return the whole result of one run."""
    began = time.perf_counter()
    pictures = read_truth(asked.truth)
    facts, found = _judged(asked, pictures) if asked.predictions else _detected(asked, pictures)
    return result_of(SCHEMA, facts, {"widerface": figures_of(pictures, found)}, began)


def _detected(asked: argparse.Namespace, pictures: Sequence[Truth]) -> tuple[dict[str, Any], list[Found]]:
    """Run the detector on every picture; write the files of found faces where asked."""
    found: list[Found] = []
    with opened_finder(asked) as (finder, facts):
        files = [_picture(asked.images, one) for one in pictures]
        for one, file in watched(list(zip(pictures, files, strict=True)), "widerface"):
            found.append(finder(read_picture(file)))
            if asked.write:
                write_found(asked.write, one.event, one.name, found[-1])
    return facts, found


def _judged(asked: argparse.Namespace, pictures: Sequence[Truth]) -> tuple[dict[str, Any], list[Found]]:
    """Read files of found faces that some detector has written."""
    read = [read_found(asked.predictions, one.event, one.name) for one in watched(pictures, "widerface")]
    missing = sum(one is None for one in read)
    if missing == len(read):
        raise FileNotFoundError(f"{asked.predictions} holds no EVENT/NAME.txt of any picture of the truth")
    if missing:
        print(
            f"widerface: {missing} pictures have no file of found faces; none was found there",
            file=sys.stderr,
        )
    return judged_facts(missing), [NOTHING if one is None else one for one in read]


def _print(figures: dict[str, Any]) -> None:
    for name, entry in figures.items():
        value = "-" if entry["ap"] is None else f"{entry['ap']:.4f}"
        print(f"{name:<8} AP {value}  ({entry['n']} faces, {entry['pictures']} pictures)")


def _picture(folder: Path, one: Truth) -> Path:
    """Return the file of a picture; the folder may hold the events, or a folder `images` of them."""
    places = [base / one.event / f"{one.name}.jpg" for base in (folder, folder / "images")]
    file = next((place for place in places if place.is_file()), None)
    if file is None:
        raise FileNotFoundError(f"there is no picture {places[0]}; --images names the folder of the events")
    return file


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=(__doc__ or "").split("\n\n")[0], epilog="What is measured: docs/widerface.md"
    )
    parser.add_argument(
        "--truth", type=Path, required=True, help="folder of the .mat files or of the text file"
    )
    parser.add_argument("--images", type=Path, help="folder of the pictures, a folder for each event in it")
    parser.add_argument("--predictions", type=Path, help="judge EVENT/NAME.txt files in this folder instead")
    parser.add_argument("--write", type=Path, help="folder to write EVENT/NAME.txt files of found faces into")
    detector_options(parser)
    return parser


if __name__ == "__main__":
    sys.exit(main())
