"""The networks of a measurement: the best engine that this machine has, and the same networks on the CPU."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from rich.console import Console

from vultus.cuda.driver import Driver
from vultus.engines import Engine, open_engine
from vultus.engines.device import DEVICE_ENGINES, DeviceEngine
from vultus.errors import DeviceError, VultusError
from vultus.onnxfile import spec_from_onnx
from vultus.preprocess import bgr_from_frame
from vultus.spec import ModelSpec
from vultus.stages import DetectorStage, FaceStage
from vultus.stopwatch import Stopwatch
from vultus.types import Frame, Result

__all__ = ["KINDS", "Networks", "Opener", "open_networks", "reference"]

KINDS = ("tensorrt", "tensorrt-rtx", "onnxruntime", "torch")
"""Engines in the order of preference."""

Opener = Callable[[Path, Driver], DeviceEngine]


@dataclass(frozen=True)
class Networks:
    """Two opened networks. kind: one of KINDS. files: the ONNX files that they were made from, detector first."""

    kind: str
    detector: DeviceEngine
    face: DeviceEngine
    files: tuple[Path, Path]
    refused: dict[str, str]

    def close(self) -> None:
        """Free both."""
        self.face.close()
        self.detector.close()


def open_networks(files: Sequence[Path], driver: Driver, kinds: Sequence[str], cache: Path) -> Networks:
    """Open a detector and a face network with the first of `kinds` that works here; engines are built into `cache`.

    Raises DeviceError with every engine's reason when none does.
    """
    by_task = {spec_from_onnx(path).task: path for path in files}
    pair = by_task["detector"], by_task["face"]
    refused: dict[str, str] = {}
    for kind in kinds:
        try:
            detector, face = _opened(kind, pair, driver, cache)
        except (VultusError, ImportError) as error:
            refused[kind] = str(error)
            continue
        return Networks(kind, detector, face, pair, refused)
    said = "; ".join(f"{kind}: {why}" for kind, why in refused.items())
    raise DeviceError(f"no engine runs these networks here: {said}")


def _opened(
    kind: str, files: tuple[Path, Path], driver: Driver, cache: Path
) -> tuple[DeviceEngine, DeviceEngine]:
    opener = _opener(kind, cache)
    with ExitStack() as stack:
        engines = []
        for path in files:
            engines.append(opener(path, driver))
            stack.callback(engines[-1].close)
        stack.pop_all()
    return engines[0], engines[1]


def _opener(kind: str, cache: Path) -> Opener:
    if kind == "torch":
        opener: Opener = import_module("vultus_export.torch_engine").open_on_device
        return opener
    if kind == "onnxruntime":
        opener = import_module(DEVICE_ENGINES[".onnx"]).open_on_device
        return opener
    return lambda path, driver: _built(kind, path, driver, cache)


def _built(kind: str, path: Path, driver: Driver, cache: Path) -> DeviceEngine:
    """Build an engine with TensorRT, or use the one of an earlier run, and open it."""
    from vultus.engines.tensorrt import open_on_device
    from vultus_export.tensorrt.bindings import load_bindings
    from vultus_export.tensorrt.make import engine_from_onnx
    from vultus_export.tensorrt.request import Request

    bindings = load_bindings("tensorrt-rtx" if kind == "tensorrt-rtx" else "tensorrt")
    widest = (1, 8, 64) if spec_from_onnx(path).task == "face" else (1, 1, 1)
    made = engine_from_onnx(path, cache / kind, bindings, Request(batch=widest), Console(stderr=True))
    return open_on_device(made.path, driver)


class _Seen:
    """A CPU engine under the device engine's spec, so that both see inputs of one size."""

    def __init__(self, engine: Engine, spec: ModelSpec) -> None:
        self._engine, self.spec = engine, spec
        self.device = engine.device
        self.close = engine.close

    def __call__(self, *arguments: object) -> object:
        return self._engine(*arguments)  # type: ignore[arg-type]


@contextmanager
def reference(
    networks: Networks, attributes: Sequence[str], files: Sequence[Path]
) -> Iterator[Callable[[Frame], Result]]:
    """Open the CPU pipeline over `files`, with inputs of the sizes that the device's engines have."""
    engines = (networks.detector, networks.face)
    with ExitStack() as stack:
        opened = [stack.enter_context(open_engine(path, "cpu")) for path in files]
        seen = [_Seen(one, other.spec) for one, other in zip(opened, engines, strict=True)]
        find = DetectorStage(seen[0], None)  # type: ignore[arg-type]
        measure = FaceStage(seen[1], attributes)  # type: ignore[arg-type]

        def analyse(frame: Frame) -> Result:
            bgr, watch = bgr_from_frame(frame), Stopwatch()
            faces = find(bgr, watch)
            measure(bgr, faces, watch)
            return Result(frame.index, frame.time, faces, watch.milliseconds)

        yield analyse
