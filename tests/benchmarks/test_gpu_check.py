"""scripts/gpu-check: its sums by hand, its refusals, and all of it on the tests' driver."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from fake_cuda import fake_environment, run_with_fake
from gpu.floors import crops_bytes, floor_bytes, letterbox_bytes
from gpu.parts import PARTS
from gpu.results import RESULTS, merged, parts_from, refuse_untrue
from gpu.sanitizer import sanitize, summary_of
from gpu.timing import spread
from harness.gpu_table import GPU_NOT_MEASURED, gpu_table
from made_once import made_once
from repository import ROOT
from shim import shim_library
from vultus.errors import SinkError
from vultus.selftest.pictures import collage, nv12_from_bgr
from vultus.spec import InputSpec
from vultus.types import Frame, empty_faces

RUN = """
import os, sys
from vultus.engines.device import DEVICE_ENGINES
DEVICE_ENGINES[".onnx"] = "host_device_engine"  # ONNX Runtime's CPU on the driver's memory
sys.path.insert(0, {benchmarks!r})
from gpu.__main__ import main
sys.exit(main({arguments!r}))
"""


def check(*arguments: str) -> tuple[int, str]:
    script = RUN.format(benchmarks=str(ROOT / "benchmarks"), arguments=list(arguments))
    done = run_with_fake(script, shim=shim_library(), check=False, timeout=600)
    return done.returncode, done.stdout + done.stderr


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    def make(folder: Path) -> None:
        common = ("--quick", "--engine", "onnxruntime", "--precision", "fp32")
        code, said = check("--frames", "4", *common, "--json", str(folder / "fake.json"))
        assert code == 0, said

    path = made_once(tmp_path_factory, "gpu-check", make) / "fake.json"
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def test_every_part_runs_and_says_where_it_comes_from(result: dict[str, Any]) -> None:
    assert list(result["parts"]) == list(PARTS)
    assert result["device"]["fake"] is True
    for part, entries in result["parts"].items():
        (key,) = entries
        assert key == ("any" if part in ("kernels", "sanitizer") else "fp32")
        entry = entries[key]
        assert entry["quick"] is True
        assert entry["passed"] in ((None, True) if part == "sanitizer" else (True,))
        assert {"vultus", "commit", "seconds"} <= set(entry)
        if key == "fp32":
            assert entry["engine"] == "onnxruntime"
            assert [model["precision"] for model in entry["models"]] == ["fp32", "fp32"]


def test_figures_of_the_parts_hang_together(result: dict[str, Any]) -> None:
    parts = {name: next(iter(entries.values())) for name, entries in result["parts"].items()}
    assert parts["kernels"]["worst"]["differing"] == 0
    assert parts["pipeline"]["checks"] == parts["pipeline"]["pictures"] >= 4
    assert parts["graphs"]["engines_capturable"] == {"detector": True, "face": True}
    assert (parts["frames"]["frames"], parts["frames"]["allocations"]) == (4, 0)
    timings = parts["timings"]
    kernels = timings["kernels"]["formats"]["NV12"]
    measured = {name for names in kernels for name in names.split(" + ")}
    assert measured >= {"vultus_letterbox_nv12", "vultus_crops_nv12", "vultus_align", "vultus_attributes"}
    letterbox = kernels["vultus_letterbox_nv12"]
    bandwidth = timings["copies"]["device_gb_per_s"]
    assert letterbox["floor"] == pytest.approx(letterbox["bytes"] / bandwidth / 1e6, abs=1e-5)
    whole = timings["pipeline"]["720p, 8 faces"]
    assert whole["faces"] == 8
    assert whole["networks"] == pytest.approx(
        timings["networks"]["detector"]["720p"]["p50"] + timings["networks"]["face"]["8"]["p50"], abs=1e-4
    )
    assert whole["over_networks"] == pytest.approx(whole["device"] / whole["networks"], abs=1e-3)
    assert timings["usual"]["720p, 1 faces"]["problems"] == []


def test_a_run_on_the_fake_is_never_a_result(tmp_path: Path) -> None:
    code, said = check("--parts", "a")
    assert code == 1
    assert "is not written: it ran on the tests' stand-in for a GPU; name another file with --json" in said
    assert not list(RESULTS.glob("gpu-fake*"))


@pytest.mark.parametrize(
    ("fake", "quick", "path", "refused"),
    [
        (True, False, RESULTS / "gpu-x.json", "stand-in"),
        (False, True, RESULTS / "gpu-x.json", "quick run measures nothing"),
        (False, False, RESULTS / "gpu-x.json", ""),
        (True, True, ROOT / "out" / "gpu-x.json", ""),
        (True, False, RESULTS / ".." / "results" / "gpu-x.json", "stand-in"),
    ],
)
def test_only_whole_runs_on_a_gpu_go_among_the_results(
    fake: bool, quick: bool, path: Path, refused: str
) -> None:
    session: Any = SimpleNamespace(fake=fake, asked=SimpleNamespace(quick=quick))
    with pytest.raises(SinkError, match=refused) if refused else nullcontext():
        refuse_untrue(session, path)


def test_without_a_gpu_the_command_says_so_and_ends_with_4() -> None:
    environment = {name: value for name, value in os.environ.items() if name != "LD_LIBRARY_PATH"}
    done = subprocess.run(
        [str(ROOT / "scripts/gpu-check"), "--parts", "a"], env=environment, capture_output=True, text=True
    )
    if done.returncode == 0:
        pytest.skip("there is a GPU here")
    assert done.returncode == 4, done.stderr
    assert "gpu-check: no CUDA device can be used" in done.stderr


def test_a_missing_engine_is_told_with_its_reason(tmp_path: Path) -> None:
    code, said = check("--parts", "c", "--quick", "--engine", "tensorrt", "--json", str(tmp_path / "x.json"))
    assert code == 4
    assert "gpu-check: no engine runs these networks here: tensorrt: " in said


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("a", ["kernels"]),
        ("f,a", ["kernels", "frames"]),
        ("timings, b", ["pipeline", "timings"]),
        (",".join(PARTS), list(PARTS)),
    ],
)
def test_parts_have_names_and_letters(text: str, parts: list[str]) -> None:
    assert parts_from(text, list(PARTS)) == parts


def test_unknown_parts_are_a_usage_error() -> None:
    with pytest.raises(ValueError, match="no part 'g'; parts: kernels, pipeline,"):
        parts_from("a,g", list(PARTS))


def test_parts_of_later_runs_replace_their_own_entries_alone(tmp_path: Path) -> None:
    path, device = tmp_path / "gpu.json", {"name": "X"}
    path.write_text(json.dumps(merged(path, device, {"timings": {"fp16": {"n": 1}}, "kernels": {"any": {}}})))
    later = merged(path, device, {"timings": {"fp32": {"n": 2}}})
    assert later["parts"] == {"timings": {"fp16": {"n": 1}, "fp32": {"n": 2}}, "kernels": {"any": {}}}
    assert merged(path, device, {"timings": {"fp16": {"n": 3}}})["parts"]["timings"] == {"fp16": {"n": 3}}
    with pytest.raises(SinkError, match="is of X, not of Y; name another file"):
        merged(path, {"name": "Y"}, {})


SPEC = InputSpec("image", 640, 480, multiple=32)


def test_floors_count_what_is_looked_at_and_what_is_written() -> None:
    frame = Frame(np.zeros((1080, 1920, 3), np.uint8))
    written = 3 * 736 * 416 * 4
    assert (
        letterbox_bytes(frame, SPEC, (736, 416)) == 2 * 414 * 1920 * 3 + written
    )  # 1920 x 1080 fits as 736 x 414
    nv12 = nv12_from_bgr(collage(640, 480, 0))
    assert letterbox_bytes(nv12, SPEC, (640, 480)) == 640 * 480 * 3 // 2 + 3 * 640 * 480 * 4
    crop = InputSpec("crop", 100, 100)
    faces = empty_faces(2)
    template = np.array([[36.06, 41.4], [62.94, 41.4], [49.5, 56.7], [38.4, 72.2], [60.6, 72.2]])
    faces["points"] = np.stack([template, template * 2])  # crops of 100 and of 200 frame pixels
    assert crops_bytes(frame, faces, crop) == pytest.approx(
        3 * (100**2 + 200**2) + 2 * 3 * 100**2 * 4, rel=1e-3
    )
    specs = (SPEC, crop)
    assert floor_bytes("vultus_align", frame, faces, specs, (736, 416)) is None
    assert floor_bytes("vultus_crops_nv12", frame, faces, specs, (736, 416)) == crops_bytes(
        frame, faces, crop
    )


def test_spread_is_median_and_upper_percentiles() -> None:
    assert spread(list(range(101))) == {"p50": 50, "p90": 90, "p99": None, "n": 101}
    assert spread(list(range(1001))) == {"p50": 500, "p90": 900, "p99": 990, "n": 1001}
    assert spread([3.0]) == {"p50": 3.0, "p90": None, "p99": None, "n": 1}


@pytest.mark.parametrize(
    ("text", "errors"),
    [
        ("========= ERROR SUMMARY: 0 errors", 0),
        ("a\n========= ERROR SUMMARY: 12 errors\n", 12),
        ("========= RACECHECK SUMMARY: 3 hazards displayed (1 error, 2 warnings)", 3),
        ("========= RACECHECK SUMMARY: 0 hazards displayed (0 errors, 0 warnings)", 0),
        ("Error: Device not supported", None),
    ],
)
def test_summaries_of_the_sanitizer_are_read(text: str, errors: int | None) -> None:
    assert summary_of(text) == errors


@pytest.mark.parametrize(
    ("script", "passed"),
    [
        ("echo '========= ERROR SUMMARY: 0 errors'", True),
        ("echo '========= ERROR SUMMARY: 2 errors'; exit 9", False),
        ("echo 'Device not supported'; exit 1", False),
    ],
)
def test_the_sanitizer_runs_the_kernels_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, passed: bool
) -> None:
    program = tmp_path / "compute-sanitizer"
    program.write_text(f'#!/bin/sh\necho "$@" >>{tmp_path}/asked\n{script}\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    session: Any = None
    found = sanitize(session)
    assert found["passed"] is passed
    asked = (tmp_path / "asked").read_text().splitlines()
    assert [line.split()[1] for line in asked] == ["memcheck", "racecheck"]
    assert all("-m gpu --parts kernels --quick" in line for line in asked)


def test_the_kernels_part_runs_by_itself_as_the_sanitizer_starts_it() -> None:
    environment = fake_environment(shim=shim_library()) | {"PYTHONPATH": str(ROOT / "benchmarks")}
    command = [sys.executable, "-m", "gpu"]
    done = subprocess.run(
        [*command, "--parts", "kernels", "--quick", "--json", os.devnull],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "kernels: passed" in done.stdout


def test_the_table_shows_frames_and_checks(result: dict[str, Any]) -> None:
    text = gpu_table([result])
    whole = result["parts"]["timings"]["fp32"]["pipeline"]["720p, 8 faces"]
    row = f"| Fake CUDA device 0 | fp32, onnxruntime | 720p, 8 faces | {whole['wall']['p50']:.2f} / "
    assert row in text
    assert "kernels passed (25), pipeline passed (4), graphs passed (3)" in text
    assert "frames passed (4 frames)" in text
    assert "times the memory floor: letterbox_nv12 " in text
    assert gpu_table([]) == f"{GPU_NOT_MEASURED}\n"
    failed = json.loads(json.dumps(result))
    failed["parts"]["graphs"]["fp32"]["passed"] = False
    assert "graphs **failed** (3)" in gpu_table([failed])
