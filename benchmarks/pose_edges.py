#!/usr/bin/env python3
"""Fit the yaw edges that part the five pose classes, on training rows of the set mtfl.

    python benchmarks/pose_edges.py --data DIR

Prints edges for vultus_export/metrics/pose.py and what they reach on these rows, beside those that stand there now.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from rich.progress import track

from vultus.errors import VultusError
from vultus.pipeline import Analyzer
from vultus_export.metrics.faces import SETS, measured_faces
from vultus_export.metrics.pose import YAW_EDGES, fit_edges, yaw_classes
from vultus_export.metrics.scores import accuracy, balanced_accuracy
from vultus_models.data.sets import open_set


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure yaw on training rows, print the fitted edges and return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of the picture sets")
    parser.add_argument("--models", type=Path, nargs="+", help="model files instead of the default")
    parser.add_argument("--rows", type=int, default=10000, help="most training rows to use")
    asked = parser.parse_args(arguments)
    try:
        pictures = open_set(asked.data, "mtfl")
        with Analyzer(models=asked.models, attributes=["pose"]) as analyzer:
            rows = track(pictures.of("train")[: asked.rows], description="mtfl train")
            found = measured_faces(analyzer, pictures, rows, *SETS["mtfl"])
    except (VultusError, OSError) as error:
        print(f"pose_edges: {error}", file=sys.stderr)
        return 1
    yaw, truth = found.faces["pose"][:, 0], found.numbers("pose").astype(np.intp)
    fits = {"fitted": fit_edges(yaw, truth), "fitted, classes alike": fit_edges(yaw, truth, balanced=True)}
    for name, edges in {**fits, "in use": YAW_EDGES}.items():
        guess = yaw_classes(yaw, edges)
        figures = (
            f"accuracy {accuracy(guess, truth):.4f}, macro recall {balanced_accuracy(guess, truth, 6):.4f}"
        )
        print(f"{name}: ({', '.join(f'{edge:.1f}' for edge in edges)}), {figures}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
