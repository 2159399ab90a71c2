"""The self-test: it knows a right answer from a wrong one, and says which device it looked at."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from typer.testing import CliRunner

from vultus.cli import app
from vultus.cuda.code.sources import kernel_sources, sources_hash
from vultus.decode import anchors
from vultus.engines import open_engine
from vultus.errors import DeviceError, InputError, ModelError, UsageError
from vultus.onnxfile import spec_from_onnx
from vultus.pipeline import Analyzer
from vultus.preprocess import letterbox
from vultus.selftest import golden, selftest, soak
from vultus.selftest.agreement import LIMITS, agreement, require_agreement
from vultus.selftest.golden import load_golden, save_golden
from vultus.selftest.kernels import differing_words
from vultus.selftest.models import model_hashes
from vultus.selftest.pictures import collage, face_tile, nv12_from_bgr
from vultus.selftest.reference import open_reference
from vultus.selftest.report import Check, Report, checked
from vultus.selftest.soak import check_frames
from vultus.types import FaceArray, Frame, Result, empty_faces
from vultus.zoo import default_models


def faces(count: int = 2) -> FaceArray:
    found = empty_faces(count)
    corners = np.arange(count)[:, None] * 200 + np.array([10.0, 20.0])
    found["box"] = np.concatenate([corners, corners + 100], axis=1)
    found["points"] = corners[:, None] + 30
    found["score"], found["age"], found["pose"] = 0.9, 30, (10, 0, 179)
    return found


def test_packaged_results_are_of_these_kernels_and_models() -> None:
    origin = load_golden().origin
    again = "run: PYTHONPATH=benchmarks python -m gpu.golden"
    assert origin["kernels"] == sources_hash(kernel_sources()), f"kernels changed; {again}"
    assert origin["models"] == model_hashes(), f"models changed; {again}"


def test_packaged_results_are_small_and_hold_faces() -> None:
    assert (golden.FOLDER / "golden.npz").stat().st_size < 500_000
    found = load_golden().under("models/fp32")
    assert {name: len(faces) for name, faces in found.items()} == {"one": 1, "six": 6}


def test_models_that_have_no_results_are_refused_on_the_cpu() -> None:
    done = CliRunner().invoke(app, ["selftest", "--device", "cpu", "--models", "vultus-det-s"])
    assert done.exit_code == 2
    assert "--models and --against are for a GPU alone; leave them out" in " ".join(
        done.output.replace("│", " ").split()
    )
    with pytest.raises(UsageError, match=r"^models are tested on a GPU alone: ask for device 'cuda'"):
        selftest("cpu", models=["vultus-det-s.onnx"])
    with pytest.raises(DeviceError, match=r"^device 'auto' cannot be tested; expected one of cuda, cpu$"):
        selftest("auto")


def test_damaged_and_missing_results_are_named(tmp_path: Path) -> None:
    save_golden({"a/b": np.arange(3)}, {"kernels": "x"}, tmp_path)
    np.testing.assert_array_equal(load_golden(tmp_path).under("a")["b"], [0, 1, 2])
    other = tmp_path / "other"
    shutil.copytree(tmp_path, other)
    with (other / "golden.npz").open("ab") as file:
        file.write(b"x")
    with pytest.raises(ModelError, match="the self-test's results are damaged: their SHA-256 is"):
        load_golden(other)
    with pytest.raises(ModelError, match=r"cannot be read: .*; install vultus again"):
        load_golden(tmp_path / "none")


def test_equal_results_give_equal_bytes(tmp_path: Path) -> None:
    arrays = {"b": np.ones(4), "a": np.zeros(2)}
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        save_golden(dict(sorted(arrays.items(), reverse=name == "two")), {}, tmp_path / name)
    assert (tmp_path / "one/golden.npz").read_bytes() == (tmp_path / "two/golden.npz").read_bytes()


@pytest.mark.parametrize(
    ("width", "height", "count"),
    [(320, 240, 0), (320, 240, 1), (640, 480, 5), (1280, 720, 32), (480, 640, 3)],
)
def test_collages_have_the_faces_that_were_asked_for(width: int, height: int, count: int) -> None:
    picture = collage(width, height, count)
    assert picture.shape == (height, width, 3)
    with Analyzer(device="cpu", attributes=[]) as analyzer:
        assert len(analyzer(picture).faces) == count


def test_unscaled_portraits_are_the_tile_itself_and_its_mirror() -> None:
    picture, tile = collage(440, 230, 2, 210), face_tile()
    assert (picture[10:220, 5:215] == tile).all()
    assert (picture[10:220, 225:435] == tile[:, ::-1]).all()
    with pytest.raises(InputError, match="9 faces of 210 pixels do not fit into 440 x 230"):
        collage(440, 230, 9, 210)


def test_nv12_is_the_same_picture() -> None:
    picture = collage(320, 240, 1)
    frame = nv12_from_bgr(picture)
    assert (frame.format, frame.width, frame.height) == ("NV12", 320, 240)
    with Analyzer(device="cpu") as analyzer:
        # Chroma has half the resolution, so faces agree loosely.
        require_agreement(analyzer(picture).faces, analyzer(frame).faces, slack=8)


def moved(field: str, by: float) -> Callable[[FaceArray], None]:
    def change(found: FaceArray) -> None:
        found[field][0] += by

    return change


def unmeasured(found: FaceArray) -> None:
    found["age"][1] = np.nan


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda found: None, None),
        (moved("age", 1.4), None),
        (moved("age", 1.6), r"^age differs by 1\.6 \(limit 1\.5\)$"),
        (moved("pose", -358.5), None),
        (moved("pose", 3), "pose differs by 3 "),
        (moved("points", 0.9), None),
        (moved("points", 1.1), r"points differs by 0\.011 \(limit 0\.01\)"),
        (moved("box", 90), "2 faces have no partner"),
        (unmeasured, "age differs by inf"),
    ],
)
def test_agreement_knows_near_from_far(change: Callable[[FaceArray], None], problem: str | None) -> None:
    expected, found = faces(), faces()
    change(found)
    if problem is None:
        assert require_agreement(expected, found).faces == 2
        return
    with pytest.raises(AssertionError, match=problem):
        require_agreement(expected, found)


def test_agreement_needs_every_face_and_takes_any_order() -> None:
    assert agreement(faces(2), faces(2)[::-1]).problems() == []
    assert agreement(faces(3), faces(2)).problems() == ["1 faces have no partner"]
    assert agreement(faces(0), faces(0)).problems() == []
    assert set(agreement(faces(), faces()).fields) == set(LIMITS)
    assert agreement(faces(), faces()).problems(slack=0) == []


F4, I4, U1, F2 = np.float32, np.int32, np.uint8, np.float16


@pytest.mark.parametrize(
    ("expected", "found", "differing", "largest"),
    [
        (np.array([1, 2], F4), np.array([1, 2], F4), 0, 0),
        (np.array([1, 2], F4), np.array([1, 2.00002], F4), 1, 1e-5),
        (np.array([0.0], F4), np.array([-0.0], F4), 1, 0),
        (np.array([np.nan], F4), np.array([np.nan], F4), 0, 0),
        (np.array([np.nan], F4), np.array([1], F4), 1, np.inf),
        (np.array([np.inf], F4), np.array([-np.inf], F4), 1, np.inf),
        (np.array([3], I4), np.array([4], I4), 1, np.inf),
        (np.array([-1], I4), np.array([0], I4), 1, np.inf),
        (np.arange(5, dtype=U1), np.array([0, 1, 2, 3, 5], U1), 1, np.inf),
        (np.array([1], F2), np.array([1.001], F2), 1, np.inf),
    ],
)
def test_words_are_compared_bit_for_bit_and_floats_by_distance(
    expected: npt.NDArray[Any], found: npt.NDArray[Any], differing: int, largest: float
) -> None:
    _, count, gap = differing_words(expected, found)
    assert count == differing
    assert gap == pytest.approx(largest, rel=0.2)


def test_words_of_another_shape_are_no_answer() -> None:
    with pytest.raises(AssertionError, match=r"shape \(2,\) float32, expected \(3,\) float32"):
        differing_words(np.zeros(3, F4), np.zeros(2, F4))


def analyse(frame: Frame) -> Result:
    return Result(0, 0.0, faces(int(frame.pixels[0, 0, 0])))


def frames_of(*counts: int) -> list[Frame]:
    return [Frame(np.full((4, 4, 3), count, np.uint8)) for count in counts]


def only(*arguments: Any, **options: Any) -> Check:
    (check,) = check_frames(*arguments, **options)
    return check


def test_flat_memory_passes_and_a_leak_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []

    def counted(frame: Frame) -> Result:
        calls.append(1)
        return analyse(frame)

    monkeypatch.setattr(soak, "WARMUP", 4)
    flat = only(counted, frames_of(1, 2), 10, {"allocations": lambda: 7.0})
    assert (flat.status, flat.figures["frames"], flat.figures["allocations"]) == ("ok", 10, 0)
    assert len(calls) == 2 + 4 + 10
    leak = only(counted, frames_of(1, 2), 10, {"allocations": lambda: float(len(calls))})
    assert leak.status == "failed"
    assert leak.detail == "after 10 frames these have grown: allocations by 10 (limit 0)"


def test_an_answer_that_changes_is_found_and_time_ends_a_run() -> None:
    calls: list[int] = []

    def forgetful(frame: Frame) -> Result:
        calls.append(1)
        return analyse(frame) if len(calls) < 12 else Result(0, 0.0, faces(0))

    check = only(forgetful, frames_of(1, 2), 10, {})
    assert check.status == "failed"
    assert "has 0 faces; the same picture had" in check.detail
    assert only(analyse, frames_of(1), 10_000_000, {}, seconds=0.05).figures["frames"] < 10_000_000


def test_a_report_passes_when_something_was_checked_and_nothing_failed() -> None:
    checks: list[Check] = []
    with checked(checks, "kernels", "good") as figures:
        figures["words"] = 3
    assert Report("CPU", checks).passed
    assert not Report("CPU").passed
    with checked(checks, "kernels", "bad"):
        raise ValueError("reason")
    report = Report("CPU", checks)
    assert not report.passed
    assert report.values()["checks"][1]["detail"] == "ValueError: reason"
    assert report.values()["checks"][0]["figures"] == {"words": 3}


def run(*arguments: str) -> Any:
    return CliRunner().invoke(app, ["selftest", *arguments])


def test_the_command_checks_the_installed_models_on_the_cpu() -> None:
    done = run("--device", "cpu", "--frames", "3", "--json")
    assert done.exit_code == 0, done.output
    report = json.loads(done.stdout)
    assert (report["passed"], report["device"], report["schema"]) == (True, "CPU", 1)
    assert [check["part"] for check in report["checks"]] == ["models"] * 3 + ["frames"]
    assert all(check["figures"]["faces"] == 7 for check in report["checks"][:3])


def test_the_command_finds_models_that_are_not_the_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    real = load_golden()
    arrays = {name: array.copy() for name, array in real.arrays.items()}
    arrays["models/fp32/six"]["age"][2] += 40
    origin = {**real.origin, "models": {**real.origin["models"], "vultus-face-s-fp16.onnx": "0"}}
    monkeypatch.setattr("vultus.selftest.models.load_golden", lambda: golden.Golden(arrays, origin))
    done = run("--device", "cpu", "--frames", "1")
    assert done.exit_code == 1
    names = " and ".join(path.stem for path in default_models())
    assert f"FAILED  models: {names} on the CPU (age differs by 40" in done.output
    assert "vultus-face-s-fp16.onnx is not the file that this vultus came with" in done.output


def test_cuda_without_a_gpu_is_an_error_and_no_fallback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vultus.cuda.driver.cuda_problem", lambda: "the NVIDIA driver finds no GPU")
    done = run("--device", "cuda")
    assert done.exit_code == 4
    assert "no CUDA device can be used: the NVIDIA driver finds no GPU" in done.output


@pytest.mark.parametrize("wide", [(1280, 720), (640, 480), (320, 640)])
def test_the_reference_takes_the_size_that_the_device_was_built_for(wide: tuple[int, int]) -> None:
    (detector, *_), frame = default_models(), collage(*wide, 1)
    spec = spec_from_onnx(detector)
    assert spec.detector
    fixed = replace(spec, input=replace(spec.input, multiple=0, width=416, height=416))
    with ExitStack() as stack:
        reference = open_reference({"detector": fixed}, [], stack)
        (found,) = reference.detect(frame)
        engine = stack.enter_context(open_engine(detector, "cpu"))
        tensor, affine = letterbox(frame, fixed.input)
        assert tensor.shape == (1, 3, 416, 416)
        (expected,) = anchors.decode(engine(tensor), 0, fixed, affine, spec.detector.min_score)
    np.testing.assert_array_equal(found["box"], expected["box"])


def test_there_is_no_reference_for_a_model_that_is_not_there() -> None:
    spec = replace(spec_from_onnx(default_models()[0]), name="other")
    with (
        ExitStack() as stack,
        pytest.raises(ModelError, match=r"^other at fp32 is not among the models .*--against$"),
    ):
        open_reference({"detector": spec}, default_models(), stack)
