"""Models, kernels and a GPU to a pipeline that runs on it, with everything closed again in the right order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from pathlib import Path

from vultus.cuda.boxes import LARGEST_FACES, LARGEST_LEVELS
from vultus.cuda.code.modules import load_kernels
from vultus.cuda.driver import Driver, open_driver
from vultus.cuda.pipeline import DevicePipeline
from vultus.engines import Engine
from vultus.engines.cascade import join_stages
from vultus.engines.device import DeviceEngine, open_device_engine
from vultus.engines.hosted import HostedEngine
from vultus.host import HostPipeline
from vultus.roles import by_task, measurable
from vultus.spec import ModelSpec

__all__ = ["DECODERS", "open_on_device"]

DECODERS = ("anchors",)
"""Detector decoders that have kernels; the maps of any other go to the host and are decoded there."""


def open_on_device(
    models: Sequence[str | Path],
    attributes: Sequence[str] | None,
    min_score: float | None,
    stack: ExitStack,
    open_engine: Callable[[str | Path, Driver], DeviceEngine] = open_device_engine,
    why: str = "",
) -> DevicePipeline | HostPipeline:
    """Open models on the first GPU; return the fused pipeline, or the host's with engines on the GPU.

    What was opened is closed with the stack. why: what made the GPU the place, for `Result.ran_on`.
    Raises DeviceError when there is no GPU, driver package, engine or kernel for this, ModelError, SpecError or
    InputError when the models do not suit.
    """
    driver = stack.enter_context(closing(open_driver()))
    with driver.current():
        opened = [(str(path), stack.enter_context(closing(open_engine(path, driver)))) for path in models]
        engines = by_task(opened)
        face = engines.get("face")
        wanted = measurable(face.spec if face else None, attributes)
        if lack := _without_kernels(engines["detector"].spec):
            files = {engine.spec.task: path for path, engine in opened}
            hosted = _hosted(driver, engines, Path(files["detector"]), open_engine, stack)
            reasons = "; ".join(filter(None, (why, lack)))
            return HostPipeline(hosted, attributes, min_score, reasons, driver)
        kernels = stack.enter_context(closing(load_kernels(driver)))
        pipeline = DevicePipeline(driver, kernels, engines["detector"], face, wanted, min_score, why=why)
        return stack.enter_context(closing(pipeline))


def _without_kernels(spec: ModelSpec) -> str:
    """Return why a detector's maps are decoded on the host, or an empty string when kernels decode them."""
    detector = spec.detector
    if detector is None or detector.decoder not in DECODERS:
        what = f"decodes {detector.decoder!r}" if detector else "decodes it"
    elif len(detector.levels) > LARGEST_LEVELS or detector.max_faces > LARGEST_FACES:
        what = f"decodes {len(detector.levels)} maps with {detector.max_faces} faces"
    else:
        return ""
    return f"resampled and decoded on the CPU, since no CUDA kernel {what}"


def _hosted(
    driver: Driver,
    engines: dict[str, DeviceEngine],
    detector: Path,
    open_engine: Callable[[str | Path, Driver], DeviceEngine],
    stack: ExitStack,
) -> dict[str, Engine]:
    """Return engines for host arrays; the later networks of a cascade lie beside its first one."""

    def opened(file: Path) -> Engine:
        with ExitStack() as owned:
            engine = owned.enter_context(closing(open_engine(file, driver)))
            return HostedEngine(driver, engine, owned.pop_all())

    hosted: dict[str, Engine] = {}
    for task, engine in engines.items():
        first: Engine = HostedEngine(driver, engine)
        joined = join_stages(first, detector, opened) if task == "detector" else first
        hosted[task] = stack.enter_context(joined)
    return hosted
