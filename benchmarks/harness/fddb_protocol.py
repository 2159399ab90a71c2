"""The arithmetic of FDDB's own evaluation.

It is that of section 6 of Jain and Learned-Miller 2010, "FDDB: A Benchmark for Face Detection in Unconstrained
Settings", with what the owners' tool does beyond the text:

- At each score that a picture's detections have, those of that score and above are paired anew with its faces, one to
  one, so that the ratios of overlap sum up to the most. A pair without overlap is none.
- The discrete score of a pair is 1 where its ratio is above .5, else 0; the continuous score is the ratio.
- A detection without a discrete score of 1 is a false positive, on both curves: one that overlaps a little adds to the
  continuous score and is false all the same.
- Pictures are summed at each score of any of them, a picture of no such score at its last one above.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from harness.assignment import growing_pairs

__all__ = ["IOU", "Curve", "Steps", "Summed", "steps_of"]

Array = npt.NDArray[np.float64]
IOU = 0.5


@dataclass(frozen=True)
class Steps:
    """What stands at each of a picture's scores (k,), falling, with all detections from that score on.

    discrete: (k,) sum of discrete scores. continuous: (k,) of continuous ones. false: (k,) false positives.
    """

    scores: Array
    discrete: Array
    continuous: Array
    false: Array


@dataclass(frozen=True)
class Curve:
    """Sums over pictures as the score falls, from nothing found on: (k,) each, as `Steps` has them."""

    discrete: Array
    continuous: Array
    false: Array
    faces: int

    def rate_at(self, kind: str, false: int) -> float:
        """Return the greatest rate of true positives that costs no more than so many false ones; NaN without a face.

        kind: "discrete" or "continuous". Where the curve ends before, its end counts.
        """
        if not self.faces:
            return float("nan")
        sums: Array = {"discrete": self.discrete, "continuous": self.continuous}[kind]
        return float(sums[self.false <= false].max() / self.faces)


def steps_of(ratios: npt.NDArray[np.floating], scores: npt.NDArray[np.floating]) -> Steps:
    """Return what one picture's detections come to; ratios (n, m) of detections and faces, scores (n,)."""
    order = np.argsort(-scores, kind="stable")
    ratios, scores = np.asarray(ratios, np.float64)[order], np.asarray(scores, np.float64)[order]
    # Detections that touch no face change no pair.
    touching = (ratios > 0).any(axis=1)
    sums = np.array([(0.0, 0.0), *_pair_sums(ratios[touching])])
    last = _last_of_equal(scores)
    discrete, continuous = sums[np.cumsum(touching)[last]].T
    return Steps(scores[last], discrete, continuous, last + 1 - discrete)


def _last_of_equal(scores: Array) -> npt.NDArray[np.intp]:
    """Return where each run of equal scores (n,) ends."""
    return np.flatnonzero(np.append(scores[1:] != scores[:-1], True)[: len(scores)])


def _pair_sums(ratios: Array) -> list[tuple[float, float]]:
    """Return the sums of discrete and continuous scores with the first detection, the first two, and so on."""
    sums = []
    for pairs in growing_pairs(ratios):
        paired = np.flatnonzero(pairs >= 0)
        each = ratios[paired, pairs[paired]]
        sums.append((float((each > IOU).sum()), float(each.sum())))
    return sums


class Summed:
    """The steps of all pictures in one order, to sum them with any weights."""

    def __init__(self, steps: Sequence[Steps]) -> None:
        rises = [
            np.diff(np.stack([one.discrete, one.continuous, one.false]), axis=1, prepend=0.0) for one in steps
        ]
        scores = np.concatenate([np.empty(0), *(one.scores for one in steps)])
        order = np.argsort(-scores, kind="stable")
        self._rises = np.concatenate([np.empty((3, 0)), *rises], axis=1)[:, order]
        self._picture = np.repeat(np.arange(len(steps)), [len(one.scores) for one in steps])[order]
        falling = scores[order]
        self._last = _last_of_equal(falling)

    def curve(self, weights: Array, faces: int) -> Curve:
        """Return the curve of the pictures, each as often as its weight (pictures,) says."""
        sums = np.cumsum(self._rises * weights[self._picture], axis=1)[:, self._last]
        discrete, continuous, false = np.concatenate([np.zeros((3, 1)), sums], axis=1)
        return Curve(discrete, continuous, false, faces)
