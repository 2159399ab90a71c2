"""Several models that make one detector, opened and closed together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from vultus.errors import ModelError
from vultus.spec import ModelSpec

if TYPE_CHECKING:
    from vultus.engines import Engine, Tensors

__all__ = ["CascadeEngine", "join_stages"]


class CascadeEngine:
    """The first network of a cascade as an Engine, with the later ones beside it in `later`."""

    def __init__(self, first: Engine, later: Sequence[Engine]) -> None:
        self._first = first
        self.later = tuple(later)

    @property
    def spec(self) -> ModelSpec:
        """The contract of the first network, which speaks for the whole cascade."""
        return self._first.spec

    @property
    def device(self) -> str:
        """Engine and device that really run the networks."""
        devices = dict.fromkeys(engine.device for engine in (self._first, *self.later))
        return ", ".join(devices)

    def __call__(self, batch: npt.NDArray[np.float32]) -> Tensors:
        """Run the first network; the returned arrays are valid until its next call."""
        return self._first(batch)

    def close(self) -> None:
        """Free all networks; further calls raise UsageError."""
        for engine in (self._first, *self.later):
            engine.close()

    def __enter__(self) -> CascadeEngine:
        """Return the engine itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the engine."""
        self.close()


def join_stages(first: Engine, path: Path, opened: Callable[[Path], Engine]) -> Engine:
    """Return the engine itself, or a cascade where its spec names later stages; `opened` opens a file.

    Raises ModelError, and closes what was opened, when a stage is missing or belongs to another cascade.
    """
    cascade = first.spec.detector.cascade if first.spec.detector else None
    if cascade is None:
        return first
    with ExitStack() as stack:
        stack.enter_context(first)
        files = [path.with_name(name + path.suffix) for name in cascade.stages]
        missing = [file.name for file in files if not file.is_file()]
        if missing:
            raise ModelError(
                f"{path} is the first of {len(files) + 1} networks; {', '.join(missing)} must lie beside it"
            )
        later = [stack.enter_context(opened(file)) for file in files]
        for engine, name, file in zip(later, cascade.stages, files, strict=True):
            _check_kinship(engine.spec, name, first.spec, file)
        stack.pop_all()
    return CascadeEngine(first, later)


def _check_kinship(spec: ModelSpec, name: str, first: ModelSpec, file: Path) -> None:
    if (spec.name, spec.version) != (name, first.version):
        raise ModelError(
            f"{file} holds {spec.name} {spec.version}; {first.name} {first.version} needs {name} "
            f"{first.version} there; export or copy the files of the cascade together"
        )
