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
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import track

from harness.provenance import commit_of, write_json
from harness.widerface_figures import DRAWS, figures_of
from harness.widerface_find import PROTOCOLS, Finder
from harness.widerface_predictions import Found, read_found, write_found
from harness.widerface_truth import Truth, read_truth
from vultus import __version__
from vultus.engines import open_engine
from vultus.errors import VultusError
from vultus.onnxfile import spec_from_onnx
from vultus.zoo import default_models, find_model
from vultus_export.inputs import read_picture
from vultus_export.metrics.detection import LOWEST_SCORE
from vultus_export.metrics.identity import model_entry
from vultus_export.metrics.intervals import SEED

SCHEMA = 1
COUNTED = Console(stderr=True)
NOTHING: Found = np.empty((0, 4)), np.empty(0)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, write the JSON and print the figures; return the exit code."""
    parser = _parser()
    asked = parser.parse_args(arguments)
    if (asked.images is None) == (asked.predictions is None):
        parser.error("name either --images, to run a detector on, or --predictions, to judge files")
    try:
        result = measure(asked)
        if asked.json:
            write_json(asked.json, result)
    except (VultusError, OSError, ValueError) as error:
        print(f"widerface: {error}", file=sys.stderr)
        return 1
    for name, entry in result["widerface"].items():
        value = "-" if entry["ap"] is None else f"{entry['ap']:.4f}"
        print(f"{name:<8} AP {value}  ({entry['n']} faces, {entry['pictures']} pictures)")
    return 0


def measure(asked: argparse.Namespace) -> dict[str, Any]:
    """Return the whole result of one run."""
    began = time.perf_counter()
    pictures = read_truth(asked.truth)
    facts, found = _judged(asked, pictures) if asked.predictions else _detected(asked, pictures)
    return {
        "schema": SCHEMA,
        "vultus": __version__,
        "commit": commit_of(),
        **facts,
        "widerface": figures_of(pictures, found),
        "bootstrap": {"draws": DRAWS, "seed": SEED},
        "seconds": round(time.perf_counter() - began, 1),
    }


def _detected(asked: argparse.Namespace, pictures: Sequence[Truth]) -> tuple[dict[str, Any], list[Found]]:
    """Run the detector on every picture; write the files of found faces where asked."""
    path = _detector(asked.detector)
    files = [_picture(asked.images, one) for one in pictures]
    found: list[Found] = []
    with open_engine(path, asked.device, asked.threads) as engine:
        finder = Finder(engine, asked.protocol, LOWEST_SCORE)
        for one, file in _watch(list(zip(pictures, files, strict=True))):
            found.append(finder(read_picture(file)))
            if asked.write:
                write_found(asked.write, one.event, one.name, found[-1])
        facts = {
            "precision": engine.spec.precision,
            "models": [model_entry(path)],
            "ran_on": {"detect": engine.device},
            "protocol": asked.protocol,
            "min_score": LOWEST_SCORE,
        }
    return facts, found


def _judged(asked: argparse.Namespace, pictures: Sequence[Truth]) -> tuple[dict[str, Any], list[Found]]:
    """Read files of found faces that some detector has written."""
    read = [read_found(asked.predictions, one.event, one.name) for one in _watch(pictures)]
    missing = sum(one is None for one in read)
    if missing == len(read):
        raise FileNotFoundError(f"{asked.predictions} holds no EVENT/NAME.txt of any picture of the truth")
    if missing:
        print(
            f"widerface: {missing} pictures have no file of found faces; none was found there",
            file=sys.stderr,
        )
    facts = {
        "precision": "unknown",
        "models": [],
        "ran_on": {},
        "protocol": "predictions",
        "missing": missing,
    }
    return facts, [NOTHING if one is None else one for one in read]


def _detector(asked: Path | None) -> Path:
    if asked is not None:
        return find_model(asked)
    return next(path for path in default_models() if spec_from_onnx(path).task == "detector")


def _picture(folder: Path, one: Truth) -> Path:
    """Return the file of a picture; the folder may hold the events, or a folder `images` of them."""
    places = [base / one.event / f"{one.name}.jpg" for base in (folder, folder / "images")]
    file = next((place for place in places if place.is_file()), None)
    if file is None:
        raise FileNotFoundError(f"there is no picture {places[0]}; --images names the folder of the events")
    return file


def _watch(items: Sequence[Any]) -> Iterable[Any]:
    return track(items, description="widerface", console=COUNTED)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=(__doc__ or "").split("\n\n")[0], epilog="What is measured: docs/widerface.md"
    )
    parser.add_argument(
        "--truth", type=Path, required=True, help="folder of the .mat files or of the text file"
    )
    parser.add_argument("--images", type=Path, help="folder of the pictures, a folder for each event in it")
    parser.add_argument("--predictions", type=Path, help="judge EVENT/NAME.txt files in this folder instead")
    parser.add_argument(
        "--detector", type=Path, help="model file or name of an installed model; by default ours"
    )
    parser.add_argument(
        "--protocol", choices=sorted(PROTOCOLS), default="vga", help="how pictures are looked at"
    )
    parser.add_argument("--write", type=Path, help="folder to write EVENT/NAME.txt files of found faces into")
    parser.add_argument("--json", type=Path, help="file to write the result to")
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    parser.add_argument("--threads", type=int, help="CPU threads; by default as many as the engine chooses")
    return parser


if __name__ == "__main__":
    sys.exit(main())
