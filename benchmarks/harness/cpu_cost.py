"""What more faces and larger frames cost: frames analysed in turn on one thread, in terms of the usual frame."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.latency import compared, interleaved
from vultus.bench.frames import synthetic
from vultus.pipeline import Analyzer
from vultus_export.metrics.intervals import Index, interval

__all__ = ["FACES", "SIZES", "USUAL", "costs", "line"]

Times = npt.NDArray[np.float64]
Case = tuple[int, int, int]

USUAL: Case = (6, 640, 480)
"""Faces, width and height of the frame that the others are measured by."""

FACES = (0, 1, 2, 8, 16, 32)
SIZES = ((320, 240), (1280, 720), (1920, 1080), (3840, 2160))


def costs(rounds: int, threads: int = 1) -> dict[str, Any]:
    """Measure every case in turn; return each one's time by that of the usual frame, and the line through faces.

    Raises ValueError when a frame does not show as many faces as it holds: its time would be that of another case.
    """
    cases = [USUAL, *((faces, *USUAL[1:]) for faces in FACES), *((USUAL[0], *size) for size in SIZES)]
    with Analyzer(device="cpu", threads=threads) as analyzer:
        times = interleaved({_name(case): _call(analyzer, case) for case in cases}, rounds)
    usual = times[_name(USUAL)]
    by_faces = np.stack([times[_name((faces, *USUAL[1:]))] for faces in FACES])
    return {
        "usual": {"faces": USUAL[0], "width": USUAL[1], "height": USUAL[2]},
        "threads": threads,
        "rounds": rounds,
        "cases": [_row(case, times[_name(case)], usual) for case in dict.fromkeys(cases)],
        "line": line(FACES, by_faces),
    }


def line(faces: Sequence[int], times: Times) -> dict[str, Any]:
    """Fit time = frame + face x faces to times (cases, rounds): the least squares line of each round.

    face_share: median over the rounds of what a face costs, in terms of a frame without faces; r2: how much of the
    medians' spread the line explains.
    """
    counts = np.asarray(faces, np.float64)
    face, frame = np.polyfit(counts, times, 1)
    shares = face / frame

    def middle(at: Index) -> float:
        return float(np.median(shares[at]))

    sides = interval(middle, len(shares), "line")
    return {
        "frame_ms": round(float(np.median(frame)), 4),
        "face_ms": round(float(np.median(face)), 4),
        "face_share": round(middle(np.arange(len(shares))), 4),
        "ci95": [round(side, 4) for side in sides] if sides else None,
        "r2": round(_explained(counts, np.median(times, axis=1)), 5),
    }


def _explained(counts: Times, medians: Times) -> float:
    fitted = np.polyval(np.polyfit(counts, medians, 1), counts)
    return float(1 - ((medians - fitted) ** 2).sum() / ((medians - medians.mean()) ** 2).sum())


def _name(case: Case) -> str:
    return f"{case[1]}x{case[2]}, {case[0]} faces"


def _call(analyzer: Analyzer, case: Case) -> Callable[[], object]:
    frame = synthetic(case[0], case[1:]).frames[0]
    found = len(analyzer(frame).faces)
    if found != case[0]:
        raise ValueError(f"{_name(case)}: {found} faces were found; the case would not be what it is called")
    return partial(analyzer, frame)


def _row(case: Case, times: Times, usual: Times) -> Mapping[str, Any]:
    size = {"faces": case[0], "width": case[1], "height": case[2]}
    return {**size, **compared(times, usual, _name(case))}
