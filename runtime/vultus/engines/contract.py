"""What every engine checks: that a model keeps its spec, and that a batch is one that the model takes."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from vultus.errors import InputError, ModelError
from vultus.spec import ModelSpec

__all__ = ["check_batch", "check_contract", "check_count"]


def check_batch(shape: Sequence[int], dtype: np.dtype[Any], spec: ModelSpec, name: str) -> None:
    """Raise InputError, naming the model file, unless it takes a batch of this shape and type."""
    taken, multiple = spec.input, spec.input.multiple
    fits = len(shape) == 4 and shape[1] == 3 and shape[0] > 0 and dtype == np.float32
    if fits and multiple:
        fits = shape[2] % multiple == 0 and shape[3] % multiple == 0
    elif fits:
        fits = tuple(shape[2:]) == (taken.height, taken.width)
    if not fits:
        sides = f"sides in multiples of {multiple}" if multiple else f"{taken.height} x {taken.width}"
        raise InputError(
            f"{name} takes float32 (n, 3, height, width), n >= 1, {sides}; got {dtype} {tuple(shape)}"
        )


def check_count(count: int, taken: tuple[int, int], name: str) -> None:
    """Raise InputError, naming the model file, unless it takes so many pictures at once; taken: least and most."""
    least, most = taken
    if not least <= count <= most:
        raise InputError(f"{name} takes {least} pictures at once, got {count}")


def check_contract(inputs: Sequence[str], outputs: Collection[str], spec: ModelSpec, where: str) -> None:
    """Raise ModelError, naming the file, unless its inputs and outputs are those of its spec."""
    wanted = {level.output for level in spec.detector.levels} if spec.detector else set()
    wanted |= {head.output for head in spec.heads}
    if list(inputs) != [spec.input.name] or wanted - set(outputs):
        raise ModelError(
            f"{where} does not honour its spec: it has inputs {list(inputs)} and outputs {sorted(outputs)}, "
            f"the spec names input {spec.input.name!r} and outputs {sorted(wanted)}; export it again"
        )
