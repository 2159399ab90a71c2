"""Models, kernels and a GPU to a pipeline that runs on it, with everything closed again in the right order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from pathlib import Path

from vultus.cuda.driver import Driver, open_driver
from vultus.cuda.modules import load_kernels
from vultus.cuda.pipeline import DevicePipeline
from vultus.engines.device import DeviceEngine, open_device_engine
from vultus.engines.hosted import HostedEngine
from vultus.host import HostPipeline
from vultus.roles import by_task, measurable

__all__ = ["DECODERS", "open_on_device"]

DECODERS = ("anchors",)
"""Detector decoders that have kernels; the maps of any other go to the host and are decoded there."""


def open_on_device(
    models: Sequence[str | Path],
    attributes: Sequence[str] | None,
    min_score: float | None,
    stack: ExitStack,
    open_engine: Callable[[str | Path, Driver], DeviceEngine] = open_device_engine,
) -> DevicePipeline | HostPipeline:
    """Open models on the first GPU; return the fused pipeline, or the host's with engines on the GPU.

    What was opened is closed with the stack. Raises DeviceError when there is no GPU, driver package, engine or
    kernel for this, ModelError, SpecError or InputError when the models do not suit.
    """
    driver = stack.enter_context(closing(open_driver()))
    with driver.current():
        opened = [(str(path), stack.enter_context(closing(open_engine(path, driver)))) for path in models]
        engines = by_task(opened)
        face = engines.get("face")
        wanted = measurable(face.spec if face else None, attributes)
        detector = engines["detector"].spec.detector
        if detector is not None and detector.decoder not in DECODERS:
            return _hosted(driver, engines, attributes, min_score, detector.decoder, stack)
        kernels = stack.enter_context(closing(load_kernels(driver)))
        pipeline = DevicePipeline(driver, kernels, engines["detector"], face, wanted, min_score)
        return stack.enter_context(closing(pipeline))


def _hosted(
    driver: Driver,
    engines: dict[str, DeviceEngine],
    attributes: Sequence[str] | None,
    min_score: float | None,
    decoder: str,
    stack: ExitStack,
) -> HostPipeline:
    hosted = {task: stack.enter_context(HostedEngine(driver, engine)) for task, engine in engines.items()}
    why = f"resampled and decoded on the CPU, since no CUDA kernel decodes {decoder!r}"
    return HostPipeline(hosted, attributes, min_score, why, driver)
