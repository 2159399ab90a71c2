"""What may be lowered, and how: by measured task loss, never by hand."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

import onnx

from vultus.spec import ModelSpec
from vultus_export.quantize.loss import Loss, detector_loss, face_loss
from vultus_export.quantize.ranges import METHODS, Magnitudes, limit_of
from vultus_export.quantize.work import RunnerEngine, Tick, Work
from vultus_export.runners import onnx_runner

__all__ = ["Judge", "Kept", "Ranges", "best_ranges", "keep_sensitive", "limits_of"]

GOAL = 0.4
"""Task loss that is aimed at: less than half of what may be lost unseen, since a loss that is small over all faces may
lie upon few of them."""
MOST_KEPT = 0.34
"""Share of the layers that may stay in higher precision; beyond it the lower precision is not worth its name."""

Lowered = Callable[[Collection[str]], onnx.ModelProto]
"""Layers to keep -> the model with all others lowered."""


class Judge:
    """Measures models against the master on the same work; `faces` is how many faces the master has there."""

    def __init__(self, master: onnx.ModelProto, spec: ModelSpec, work: Work) -> None:
        self.spec, self.work = spec, work
        self._wanted = work(RunnerEngine(spec, onnx_runner(master, spec)))
        self.faces = sum(map(len, self._wanted))

    def __call__(self, model: onnx.ModelProto, precision: str) -> Loss:
        """Return the loss of a model that computes at a precision."""
        got = self.work(RunnerEngine(self.spec, onnx_runner(model, self.spec, precision)))
        if self.spec.detector:
            return detector_loss(self._wanted, got, self.spec.detector.min_score)
        return face_loss(self._wanted, got, dict.fromkeys(head.field for head in self.spec.heads))


@dataclass(frozen=True)
class Kept:
    """The layers that stay in higher precision, the loss that is left, and the loss that each layer causes alone.

    before: the loss with every layer lowered. sensitivity: empty where that was small enough already.
    """

    layers: tuple[str, ...]
    before: Loss
    loss: Loss
    sensitivity: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Ranges:
    """The magnitude that becomes the largest integer, of every activation, and how it was chosen.

    method: the calibration method of all activations but those in `others` (activation -> its method). losses: task
    loss of each method, all activations alike.
    """

    limits: Mapping[str, float]
    method: str
    losses: Mapping[str, float]
    others: Mapping[str, str]


def limits_of(found: Mapping[str, Magnitudes], method: str) -> dict[str, float]:
    """Return activation -> the magnitude that becomes the largest integer."""
    return {name: limit_of(magnitudes, method) for name, magnitudes in found.items()}


def best_ranges(
    lowered: Callable[[Mapping[str, float]], onnx.ModelProto],
    found: Mapping[str, Magnitudes],
    judge: Judge,
    precision: str,
    tick: Tick,
) -> Ranges:
    """Return the limits with the least task loss.

    The method that is best for all activations alike comes first. Then each activation in turn, in the order of the
    graph, takes another method's limit where that lowers the loss: what one layer may clip another needs, since values
    that only few faces reach, a baby's among adults, are the largest.
    """
    tried = {method: limits_of(found, method) for method in METHODS}
    losses: dict[str, float] = {}
    total = len(METHODS) + len(found)
    for method in METHODS:
        losses[method] = judge(lowered(tried[method]), precision).total
        tick("choosing the calibration", len(losses), total)
    best = min(METHODS, key=losses.__getitem__)
    limits, least = tried[best], losses[best]
    others: dict[str, str] = {}
    for done, name in enumerate(found, start=1):
        ways = {tried[method][name]: method for method in METHODS if tried[method][name] != limits[name]}
        for limit, method in ways.items():
            loss = judge(lowered({**limits, name: limit}), precision).total
            if loss < least:
                limits, least, others = {**limits, name: limit}, loss, {**others, name: method}
        tick("choosing the calibration", len(METHODS) + done, total)
    return Ranges(limits, best, losses, others)


def keep_sensitive(
    lowered: Lowered, names: Sequence[str], judge: Judge, precision: str, tick: Tick, goal: float = GOAL
) -> Kept:
    """Return the fewest layers to keep that bring the task loss down to the goal, worst first.

    The order is that of the loss which each layer causes when it alone is lowered. Where MOST_KEPT of the layers do not
    suffice, the best loss on the way decides.
    """
    before = judge(lowered(()), precision)
    if before.total <= goal or not names:
        return Kept((), before, before)
    alone = {}
    for done, name in enumerate(names, start=1):
        alone[name] = judge(lowered([other for other in names if other != name]), precision).total
        tick("measuring layers", done, len(names))
    order = sorted(names, key=lambda name: -alone[name])
    most = max(1, int(MOST_KEPT * len(names)))
    best = Kept((), before, before, alone)
    for count in range(1, most + 1):
        kept = tuple(name for name in names if name in order[:count])
        loss = judge(lowered(kept), precision)
        if loss.total < best.loss.total:
            best = Kept(kept, before, loss, alone)
        enough = loss.total <= goal
        tick("keeping sensitive layers", most if enough else count, most)
        if enough:
            break
    return best
