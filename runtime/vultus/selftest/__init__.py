"""The self-test: does an installed vultus give on this machine what it gave where it was made?"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from pathlib import Path

from vultus.errors import DeviceError, UsageError
from vultus.selftest.report import Check, Report

__all__ = ["FRAMES", "Check", "Report", "selftest"]

FRAMES = {"cuda": 3000, "cpu": 100}
"""Frames of the short endurance run, by device."""

Watch = Callable[[Check], None]


def selftest(
    device: str = "cuda",
    frames: int | None = None,
    models: Sequence[str | Path] | None = None,
    watch: Watch = lambda check: None,
    against: Sequence[str | Path] = (),
) -> Report:
    """Run every check on a device and return the report.

    device: "cuda" compares each kernel with packaged results, the pipeline with the CPU's, and runs some thousand
    frames; "cpu" compares the installed models with packaged results and runs a hundred frames. frames: how many
    instead. models: files instead of the default ones, for the device. watch: is shown each check as it ends.
    against: ONNX files of those models, to run on the CPU beside them; those of `models` by default, else installed
    ones.
    Raises DeviceError when the device cannot be used at all, UsageError for models on the CPU, where only the
    installed ones have results to compare with; a check that fails is in the report.
    """
    if device not in FRAMES:
        raise DeviceError(f"device {device!r} cannot be tested; expected one of {', '.join(FRAMES)}")
    if models and device != "cuda":
        raise UsageError("models are tested on a GPU alone: ask for device 'cuda', or leave the models out")
    frames = FRAMES[device] if frames is None else frames
    report = Report(_name_of(device))
    for check in _on_gpu(frames, models, against) if device == "cuda" else _on_cpu(frames):
        report.checks.append(check)
        watch(check)
    return report


def _name_of(device: str) -> str:
    if device != "cuda":
        return "CPU"
    from vultus.cuda.driver import open_driver

    with closing(open_driver()) as driver:
        info = driver.info
        return f"{info.name}, compute capability {'.'.join(map(str, info.compute_capability))}, CUDA {info.driver}"


def _on_cpu(frames: int) -> Iterator[Check]:
    from vultus.pipeline import Analyzer
    from vultus.selftest.models import check_models
    from vultus.selftest.soak import check_frames, gauges, soak_frames

    yield from check_models()
    with Analyzer(device="cpu") as analyzer:
        yield from check_frames(analyzer, soak_frames(), frames, gauges(None))


def _on_gpu(
    frames: int, models: Sequence[str | Path] | None, against: Sequence[str | Path]
) -> Iterator[Check]:
    from vultus.cuda.code.modules import load_kernels
    from vultus.cuda.driver import open_driver
    from vultus.selftest.kernels import check_kernels

    with closing(open_driver()) as driver, closing(load_kernels(driver)) as kernels:
        yield from check_kernels(driver, kernels)
    yield from _pipeline(frames, models, against)


def _pipeline(
    frames: int, models: Sequence[str | Path] | None, against: Sequence[str | Path]
) -> Iterator[Check]:
    from vultus.errors import VultusError
    from vultus.pipeline import Analyzer
    from vultus.selftest.models import SLACK
    from vultus.selftest.pipeline import compare_pictures, pictures
    from vultus.selftest.reference import open_reference
    from vultus.selftest.soak import check_frames, gauges, soak_frames

    with ExitStack() as stack:
        try:
            analyzer = stack.enter_context(Analyzer(device="cuda", models=models))
            files = against or [model for model in models or () if Path(model).suffix == ".onnx"]
            reference = open_reference(analyzer.specs, files, stack)
        except VultusError as error:
            yield Check("pipeline", "starts on the device", "failed", str(error))
            return
        slack = SLACK.get(analyzer.specs["detector"].precision, 1.0)
        yield from compare_pictures(reference, analyzer, pictures(), slack)
        yield from check_frames(analyzer, soak_frames(), frames, gauges(analyzer.driver))
