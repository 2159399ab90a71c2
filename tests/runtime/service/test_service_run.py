"""The whole service as systemd runs it: real models, sockets, signals and files, in a process of its own."""

from __future__ import annotations

import json
import shutil
import signal
import socket
from pathlib import Path

import pytest

from fake_cuda import fake_environment, run_with_fake
from moving_pictures import save_video
from running_service import FACE, RunningService, until
from shim import shim_library
from vultus.service.firstboot import FirstBoot, write_firstboot
from vultus.service.health import service_states

FOLDER = """
[source]
path = "{folder}"
loop = true
rate = 20
[run]
device = "cpu"
threads = 1
"""
LINES = """
[[output]]
kind = "jsonlines"
path = "{folder}/faces.jsonl"
[[output]]
kind = "socket"
path = "{folder}/faces.sock"
"""


def pictures(folder: Path) -> Path:
    """Make a folder with one picture that has a face."""
    made = folder / "pictures"
    made.mkdir()
    shutil.copy(FACE, made)
    return made


def received(client: socket.socket) -> dict[str, object]:
    """Return the first whole line that a client gets."""
    with client.makefile("rb") as stream:
        line: dict[str, object] = json.loads(stream.readline())
    return line


def levels(service: RunningService) -> tuple[int, list[str]]:
    """Return how well service and first boot are, and why not."""
    status = service.status
    assert status is not None
    found, _ = service_states(service.places, status.written)
    return max(state.level for state in found), [state.why for state in found if state.level]


def test_a_life_from_start_to_stop(tmp_path: Path) -> None:
    config = FOLDER.format(folder=pictures(tmp_path)) + LINES.format(folder=tmp_path)
    with RunningService(tmp_path, config) as service:
        service.wait_told("READY=1")
        first = service.wait_status(lambda status: status.frames >= 2, "two frames")
        assert (first.state, first.warnings, first.pid) == ("running", (), service.process.pid)
        assert first.faces == first.frames
        assert "CPU" in first.device["detect"]
        assert levels(service) == (0, [])
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(tmp_path / "faces.sock"))
            line = received(client)
        assert str(line["source"]).endswith("face.png")
        assert len(line["faces"]) == 1  # type: ignore[arg-type]
        service.wait_told("WATCHDOG=1", 3)

        service.reload("[source]\npath = 3\n")
        bad = service.wait_status(lambda status: status.state == "degraded", "the refused configuration")
        assert bad.warnings == (
            "the new configuration was refused, the one before stays in use: "
            f"{service.places.config}:3: source.path: got 3, expected a file, a folder of pictures "
            "or a device such as /dev/video0",
        )
        assert bad.config == first.config
        assert levels(service) == (1, list(bad.warnings))
        more = service.wait_status(lambda status: status.frames > bad.frames, "frames after the bad file")
        assert more.config == first.config

        video = save_video(tmp_path / "grey.mp4")
        service.reload(config.replace(str(tmp_path / "pictures"), str(video)))
        good = service.wait_status(lambda status: status.config != first.config, "the new configuration")
        assert (good.state, good.warnings) == ("running", ())
        until(lambda: "grey.mp4" in (tmp_path / "faces.jsonl").read_text(), "a frame of the video")

        assert service.stop() == 0
        status = service.status
    assert status is not None
    assert (status.state, status.warnings) == ("stopping", ())
    assert service.told.count("RELOADING=1") == 2
    assert service.told[-1] == "STOPPING=1"
    assert any(
        line.startswith("STATUS=DEGRADED | the new configuration was refused") for line in service.told
    )
    assert not (tmp_path / "faces.sock").exists()
    written = (tmp_path / "faces.jsonl").read_text().splitlines()
    assert all(json.loads(line)["schema"] == 1 for line in written)
    assert f"{service.places.config}:3: source.path: got 3" in service.log


def test_it_lives_without_its_source_and_takes_it_when_it_comes(tmp_path: Path) -> None:
    video = tmp_path / "later.mp4"
    config = f'[source]\npath = "{video}"\n[run]\ndevice = "cpu"\nthreads = 1\n'
    with RunningService(tmp_path, config) as service:
        gone = service.wait_status(lambda status: status.warnings, "the missing source")
        service.wait_told("WATCHDOG=1", 4)
        assert gone.state == "degraded"
        assert gone.warnings == (
            f"the source is gone: {video}: the video cannot be read: No such file or directory",
        )
        save_video(tmp_path / "part.mp4", frames=3).rename(video)
        assert service.process.wait(20) == 0  # the source has an end, and it was not to be looped
        status = service.status
    assert status is not None
    assert (status.state, status.frames) == ("stopping", 3)
    assert f"{video}: came to its end" in service.log


def test_it_waits_for_engines_when_it_may_not_use_the_cpu(tmp_path: Path) -> None:
    config = FOLDER.format(folder=pictures(tmp_path)).replace('"cpu"', '"cuda"\ncpu_until_ready = false')
    with RunningService(tmp_path, config) as service:
        write_firstboot(service.places.firstboot, FirstBoot("building", "detector-fp16", 0, 2))
        service.wait_told("READY=1")
        waiting = service.wait_status(lambda status: status.waiting, "the waiting")
        assert waiting.state == "degraded"
        assert waiting.frames == 0
        assert waiting.waiting.endswith("waiting, since run.cpu_until_ready is false")
        assert levels(service)[0] == 1
        service.wait_told("WATCHDOG=1", 2)
        write_firstboot(service.places.firstboot, FirstBoot("failed", "selftest", why="it differs"))
        assert levels(service) == (2, [waiting.waiting, "failed at selftest: it differs"])
        service.reload(config.replace("false", "true"))
        slow = service.wait_status(lambda status: status.frames, "frames on the CPU")
        assert slow.waiting == ""
        assert slow.warnings[0].startswith("runs on the CPU, which is slow: ")
        assert service.stop(signal.SIGINT) == 0
    assert "NOTHING IS ANALYSED" in service.log
    assert "ATTENTION: runs on the CPU, which is slow" in service.log


ENGINES = """
import recorded_engines
trt = recorded_engines.installed("10.3.0")
"""
SAVE = """
from pathlib import Path
from dataclasses import replace
from recorded_engines import saved_engine
from vultus.onnxfile import spec_from_onnx
for model in map(Path, {models}):
    spec = spec_from_onnx(model)
    fixed = replace(spec, input=replace(spec.input, multiple=0))
    saved_engine(Path({folder!r}), model, "10.3.0", batch=(1, 1, 8), spec=fixed)
"""


def test_it_changes_to_the_engines_when_the_first_boot_is_done(
    tmp_path: Path, tiny_models: list[Path]
) -> None:
    """Over the recorded interface of TensorRT and the fake driver: the change is real, the speed is not."""
    pytest.importorskip("cuda.bindings", reason="needs cuda-bindings")
    models = tmp_path / "models"
    models.mkdir()
    for model in tiny_models:
        shutil.copy(model, models)
    config = FOLDER.format(folder=pictures(tmp_path)).replace('"cpu"', '"cuda"') + (
        f'[models]\nfolder = "{models}"\ndetector = "tiny-detector"\nface = "tiny-face"\nprecision = "fp32"\n'
    )
    environment = fake_environment(shim=shim_library(), settings={"CAPABILITY": 87})
    with RunningService(tmp_path, config, environment, ENGINES) as service:
        write_firstboot(service.places.firstboot, FirstBoot("building", "tiny-detector", 0, 2))
        slow = service.wait_status(lambda status: status.frames, "frames on the CPU")
        assert slow.warnings == (
            "runs on the CPU, which is slow: the first boot is not done: building 0 of 2 tiny-detector",
        )
        slot = service.places.state / "engines" / "a"
        slot.mkdir(parents=True)
        run_with_fake(SAVE.format(models=list(map(str, tiny_models)), folder=str(slot)))
        service.places.engines.symlink_to("a")
        write_firstboot(service.places.firstboot, FirstBoot("ready", slot="a"))
        quick = service.wait_status(lambda status: "TensorRT 10.3.0" in str(status.device), "a frame on them")
        assert (quick.state, quick.warnings) == ("running", ())
        assert levels(service) == (0, [])
        assert service.stop() == 0
    assert "opened tiny-detector.engine and tiny-face.engine for device cuda, slot a" in service.log
