"""`vultus bench` as people use it, on the real Analyzer with models whose answers are known."""

from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import pytest
from typer.testing import CliRunner

import tiny
from vultus.bench.files import load_record, load_samples
from vultus.bench.footprint import footprint, installed_packages
from vultus.bench.origin import models_of, version_here
from vultus.bench.samples import needed
from vultus.cli import app
from vultus.errors import DeviceError, ModelError
from vultus.onnxfile import spec_from_onnx
from vultus.zoo import default_models

VULTUS = [sys.executable, "-c", "from vultus.cli import main; main()"]
SHORT = ["--seconds", "0.4", "--threads", "1", "--device", "cpu"]


@pytest.fixture
def models(tiny_models: list[Path]) -> list[str]:
    return [argument for path in tiny_models for argument in ("--models", str(path))]


@pytest.fixture
def picture(tmp_path: Path) -> str:
    path = tmp_path / "squares.png"
    cv2.imwrite(str(path), tiny.squares(320, 240, (32, 64), (160, 32)))
    return str(path)


def invoke(*arguments: str | Path) -> Any:
    return CliRunner().invoke(app, ["bench", *map(str, arguments)])


@pytest.mark.parametrize("name", ["single", "stream", "multistream", "offline"])
def test_a_scenario_leaves_a_record_and_its_samples(
    name: str, models: list[str], picture: str, tmp_path: Path
) -> None:
    out = tmp_path / "out.json"
    done = invoke(name, *SHORT, *models, "--source", picture, "--json", out, "--note", "a test")
    assert done.exit_code == 0, done.output
    record, samples = load_record(out), load_samples(out)
    assert (record.scenario.name, record.scenario.length, record.note) == (name, "custom", "a test")
    assert (record.input.kind, record.input.name, record.input.found) == ("picture", "squares.png", 2)
    assert record.counts.samples == len(samples["end_ns"])
    assert len(samples["stage/detect"]) == record.counts.frames
    assert record.throughput == pytest.approx(record.counts.frames / record.counts.seconds)
    assert record.golden.before == record.golden.after
    # How many queries fit into so short a run is up to the machine: what is told has to follow from the count.
    shares = {"p90": 0.9, "p99": 0.99, "throughput": 0.9}
    too_few = record.counts.samples < needed(shares[record.scenario.headline])
    assert any(reason.startswith("too few samples: ") for reason in record.verdict.reasons) == too_few
    assert record.verdict.valid == (not record.verdict.reasons)
    assert (record.latency is None) == (name == "offline")
    assert (record.counts.offered is None) == (name != "stream")
    assert [model.name for model in record.models] == ["tiny-detector", "tiny-face"]
    assert all("ONNX Runtime" in model.ran_on for model in record.models)
    assert record.footprint.first_frame_s is not None
    assert record.footprint.import_s is not None
    assert 0 < record.footprint.import_s < record.footprint.first_frame_s
    assert "where the time goes" in done.output
    kept = record.arguments
    assert kept["models"] == ["tiny-detector.onnx", "tiny-face.onnx"]
    assert (kept["source"], kept["threads"], kept["device"]) == ("squares.png", 1, "cpu")
    text = out.read_text(encoding="utf-8")
    private = (str(tmp_path), f'"{os.uname().nodename}"', f"{Path.home()}/")
    assert [word for word in private if word in text] == [], "a record names no machine, user or folder"


def test_without_a_scenario_it_is_single(models: list[str], picture: str) -> None:
    done = subprocess.run(
        [*VULTUS, "bench", *SHORT, *models, "--source", picture], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("single, custom (")
    assert done.stderr.startswith(
        "starting fresh processes for the footprint\nwarming up\nmeasuring: 0 of 0.4 s\n"
    )
    assert "tiny-detector (fp32) and tiny-face (fp32) ran on ONNX Runtime" in done.stdout
    verdict = re.search(r"^(valid$|not valid: \w)", done.stdout, re.MULTILINE)
    assert verdict, "figures that are kept without their verdict are quoted"


def test_the_help_says_where_the_options_are_and_names_such_as_there_are() -> None:
    told, all_of_them = (
        CliRunner().invoke(app, [*words, "--help"], env={"COLUMNS": "120"}).output
        for words in (["bench"], ["bench", "single"])
    )
    assert "vultus bench single --help" in told
    named = set(re.findall(r"--[a-z-]+", told)) - {"--help"}
    assert {"--quick", "--source", "--device", "--json"} <= named
    assert [option for option in named if option not in all_of_them] == []


def test_few_samples_end_with_1_only_where_they_must_be_valid(models: list[str], picture: str) -> None:
    done = invoke("stream", "--rate", "5", *SHORT, *models, "--source", picture, "--require-valid")
    assert done.exit_code == 1, "without --require-valid it is 0, as the runs above show"
    assert "not valid: too few samples: 2, p90 takes 64; measure longer" in done.output


def test_a_stream_that_nobody_keeps_up_with_is_not_valid(models: list[str], picture: str) -> None:
    done = invoke("stream", "--rate", "100000", *SHORT, *models, "--source", picture)
    assert done.exit_code == 0, done.output
    assert re.search(r"not valid: too many frames were dropped: \d+ of 40000, 1% is the limit", done.output)


def test_a_person_sees_one_line_of_progress(models: list[str], picture: str) -> None:
    ours, theirs = pty.openpty()
    command = [
        *VULTUS,
        "bench",
        "single",
        "--seconds",
        "1.5",
        "--device",
        "cpu",
        *models,
        "--source",
        picture,
    ]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=theirs) as process:
        os.close(theirs)
        seen = b""
        while True:
            try:
                seen += os.read(ours, 4096)
            except OSError:  # the other side is closed
                break
    os.close(ours)
    assert process.returncode == 0
    assert b"\r\x1b[Kmeasuring: 1 of 1.5 s, " in seen
    assert b"warming up\r\n" not in seen


def test_a_run_that_is_stopped_leaves_nothing(models: list[str], picture: str, tmp_path: Path) -> None:
    out = tmp_path / "results" / "out.json"
    out.parent.mkdir()
    command = [*VULTUS, "bench", "single", "--seconds", "60", "--device", "cpu", *models]
    command += ["--source", picture, "--json", str(out)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        said = iter(process.stderr.readline, "")
        assert any(line.startswith("warming up") for line in said)
        process.send_signal(signal.SIGINT)
        rest = process.stderr.read()
        assert process.wait(30) == 130
    assert "vultus: interrupted" in rest
    assert "Traceback" not in rest
    assert os.listdir(out.parent) == []


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (
            ["--quick", "--publish"],
            2,
            "--quick, --publish and --seconds say how long to measure; give one of them",
        ),
        (["--seconds", "-1"], 2, "seconds must be above 0"),
        (["--rate", "30"], 2, "a frame rate is for the scenario stream, not for single"),
        (["--size", "big"], 2, "a size is written WIDTHxHEIGHT"),
        (["--faces", "9999"], 2, "9999 faces of"),
        (["--source", "none.jpg"], 1, "none.jpg: there is no such file or folder"),
        (["--source", ".", "--faces", "2"], 2, "--faces and --size are for synthetic frames"),
        (["--models", "none.onnx"], 4, "there is no model file none.onnx"),
        (["--device", "cuda"], 4, "device 'cuda' was asked for, but"),
        (["--json", "none/out.json"], 5, "there is no folder none; make it first"),
        (["--json", "out.txt"], 5, "a result must be named *.json"),
        (["--threads", "0"], 2, "threads must be at least 1"),
    ],
)
def test_what_cannot_be_met_ends_with_one_line_before_anything_runs(
    arguments: list[str], code: int, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if "cuda" in arguments:
        from vultus.engines.devices import cuda_problem

        if not cuda_problem():
            pytest.skip("there is a GPU, so the request can be met")
    monkeypatch.chdir(tmp_path)
    done = invoke("single", *arguments)
    assert done.exit_code == code, done.output
    lines = done.output.strip().splitlines()
    assert len(lines) == 1, done.output
    assert said in lines[0]
    assert os.listdir(tmp_path) == []


def test_an_unknown_scenario_is_refused() -> None:
    done = invoke("burst")
    assert done.exit_code == 2
    assert "No such command 'burst'" in done.output


# Footprint and origin


def test_the_footprint_is_that_of_fresh_processes(tiny_models: list[Path]) -> None:
    found = footprint("cpu", tiny_models, 1, attempts=1)
    assert found.import_s is not None
    assert found.first_frame_s is not None
    assert 0 < found.import_s < found.first_frame_s < 60
    assert found.rss_steady is not None
    assert found.rss_peak is not None
    assert 20e6 < found.rss_steady <= found.rss_peak < 1e9
    assert found.gpu_bytes is None
    assert found.leak is None


def test_a_fresh_process_that_fails_is_told_with_its_last_words(tmp_path: Path) -> None:
    with pytest.raises(
        DeviceError, match=r"ended with 1: .*there is no model file|ended with 1: .*none\.onnx"
    ):
        footprint("cpu", [tmp_path / "none.onnx"], 1, attempts=1)


def test_the_packages_are_those_that_the_runtime_needs() -> None:
    found = {package.name: package.size for package in installed_packages()}
    assert {"vultus", "numpy", "opencv-python-headless", "msgspec", "rich", "typer"} <= set(found)
    assert not {"torch", "onnx", "pytest", "mypy", "ruff"} & set(found)
    assert found["numpy"] > 10e6
    assert found["vultus"] > sum(path.stat().st_size for path in default_models())


def test_models_are_named_with_their_hashes(tiny_models: list[Path]) -> None:
    detector, face = models_of(tiny_models, {"detect": "one place", "face": "another"})
    assert (detector.task, detector.file, detector.ran_on) == ("detector", "tiny-detector.onnx", "one place")
    assert (face.task, face.ran_on, face.engine_key) == ("face", "another", None)
    assert detector.sha256 != face.sha256
    assert len(detector.sha256) == 64
    assert detector.version == spec_from_onnx(tiny_models[0]).version
    with pytest.raises(ModelError):
        models_of([Path("none.onnx")], {})


def test_the_commit_is_named_only_in_a_clone_that_holds_the_package(tmp_path: Path) -> None:
    assert version_here(tmp_path).commit is None
    package = tmp_path / "package"
    package.mkdir()
    (package / "__init__.py").write_text("")
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@example.org"]
    subprocess.run([*git, "init", "-q"], check=True)
    assert version_here(package).commit is None, "a clone of something else that vultus was installed into"
    subprocess.run([*git, "add", "."], check=True)
    subprocess.run([*git, "commit", "-qm", "a"], check=True)
    found = version_here(package)
    assert found.commit is not None
    assert len(found.commit) == 40
    assert found.dirty is False
    (package / "__init__.py").write_text("changed = True\n")
    assert version_here(package).dirty is True
