"""`vultus health` over what service, first boot and board say, and the doctor's section on the first boot."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from recorded_boards import BOARDS, unpack
from vultus.cli import app
from vultus.doctor.firstboot import firstboot_checks
from vultus.errors import SinkError, SourceError
from vultus.service.config import Health
from vultus.service.events import RecentEvents
from vultus.service.files import write_json
from vultus.service.firstboot import FirstBoot, read_firstboot, write_firstboot
from vultus.service.health import health
from vultus.service.judging import Meter, source_warning
from vultus.service.places import Places, places
from vultus.service.report import Reporter
from vultus.service.status import STALE, Status, Wanted, read_status, write_status
from vultus.sources.feed import PictureFeed
from vultus.sources.latest import LatestFrame
from vultus.telemetry.events import counter_files, read_events

NOW = 1_800_000_000.0
CPU = {"detect": "ONNX Runtime CPU", "face": "TensorRT 10.3.0"}


@pytest.fixture
def where(tmp_path: Path) -> Places:
    """Return the places of a device below a folder."""
    found = places(tmp_path)
    found.runtime.mkdir(parents=True)
    found.state.mkdir(parents=True)
    return found


def status(**changes: Any) -> Status:
    return Status(
        **{"state": "running", "pid": os.getpid(), "started": NOW - 99, "written": NOW - 1, **changes}
    )


def dead() -> int:
    """Return the id of a process that has ended."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        pass
    return process.pid


@pytest.mark.parametrize(
    ("told", "first", "level", "why"),
    [
        (status(), None, 0, ()),
        (status(), FirstBoot("ready", slot="a"), 0, ()),
        (status(state="starting"), None, 1, ("is starting",)),
        (
            status(state="starting", failures=3),
            None,
            2,
            ("starts again, ended by itself 3 times in a row; see",),
        ),
        (status(state="degraded", warnings=("a", "b")), None, 1, ("a", "b")),
        (status(device=CPU), None, 0, ()),
        (
            status(device=CPU, wanted=Wanted("cuda")),
            None,
            1,
            ("cuda was asked for, but it runs detect on ONNX Runtime CPU",),
        ),
        (None, None, 2, ("is not running: there is no {status}; systemctl start vultus",)),
        (status(written=NOW - STALE - 5), None, 2, ("said nothing for 20 s (process {pid} is there); see",)),
        (status(written=NOW + STALE + 5), None, 2, ("said nothing for -20 s (process {pid} is there); see",)),
        (status(state="stopping"), None, 2, ("is stopping",)),
        (status(), FirstBoot("building", "x", 1, 3), 1, ("building 1 of 3 x",)),
        (status(), FirstBoot("failed", "x", why="no room"), 1, ("failed at x: no room",)),
        (status(waiting="waits"), FirstBoot("importing"), 1, ("waits", "importing")),
        (status(waiting="waits"), FirstBoot("failed", why="w"), 2, ("waits", "failed at its beginning: w")),
        (status(waiting="waits"), None, 2, ("waits",)),
    ],
)
def test_what_is_well_and_what_is_not(
    told: Status | None,
    first: FirstBoot | None,
    level: int,
    why: tuple[str, ...],
    where: Places,
    tmp_path: Path,
) -> None:
    if told is not None:
        write_status(where.status, told)
    if first is not None:
        write_firstboot(where.firstboot, first)
    found = [state for state in health(tmp_path, now=NOW) if state.level]
    assert max((state.level for state in found), default=0) == level
    assert len(found) == len(why)
    for state, text in zip(found, why, strict=True):
        assert state.why.startswith(text.format(status=where.status, pid=os.getpid()))


def test_a_process_that_is_gone(where: Places, tmp_path: Path) -> None:
    pid = dead()
    write_status(where.status, status(pid=pid))
    assert health(tmp_path, now=NOW)[0].why.startswith(
        f"process {pid} is gone without a word; see journalctl"
    )
    write_status(where.status, status(pid=pid, state="stopping", warnings=("ModelError: x",)))
    found = health(tmp_path, now=NOW)[0]
    assert (found.level, found.why) == (2, "was stopped; ModelError: x; systemctl start vultus")


@pytest.mark.parametrize(
    ("before", "failures"),
    [
        (None, 0),
        ({"state": "stopping"}, 0),
        ({"state": "stopping", "failures": 4}, 4),
        ({"state": "running"}, 1),
        ({"state": "degraded", "failures": 1}, 2),
    ],
)
def test_ends_that_nobody_asked_for_are_counted(
    before: dict[str, Any] | None, failures: int, where: Places
) -> None:
    if before is not None:
        write_status(where.status, status(pid=dead(), **before))
    reporter = Reporter(where.status)
    reporter.starting()
    assert last(where) == ("starting", failures, ())
    reporter.stopping("OSError: x")
    assert last(where) == ("stopping", failures + 1, ("OSError: x",))
    Reporter(where.status).stopping("")
    assert last(where) == ("stopping", 0, ())


def last(where: Places) -> tuple[str, int, tuple[str, ...]]:
    told = read_status(where.status)
    assert told is not None
    return told.state, told.failures, told.warnings


def test_they_are_forgotten_when_it_has_run_for_long(where: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    write_status(where.status, status(pid=dead(), failures=2))
    reporter = Reporter(where.status)
    assert reporter.failures == 3
    monkeypatch.setattr("vultus.service.report.STEADY", 0.0)
    assert reporter.failures == 0


def test_a_service_that_runs_already_did_not_end(where: Places) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        write_status(where.status, status(pid=other.pid, failures=2))
        assert Reporter(where.status).failures == 0
        other.communicate(b"\n")
    assert Reporter(where.status).failures == 3


def test_a_service_that_ends_over_and_over_is_down_with_how_often_and_why(
    where: Places, tmp_path: Path
) -> None:
    config = tmp_path / "vultus.toml"
    output = "[[output]]\nkind = 'jsonlines'\npath = '/none/f'\n"
    config.write_text(f"schema = 1\n[source]\npath = 'a'\n[run]\ndevice = 'cpu'\n{output}")
    places_told = {"STATE_DIRECTORY": str(where.state), "RUNTIME_DIRECTORY": str(where.runtime)}
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-m", "vultus", "service", "--config", str(config)],
            env=os.environ | places_told, capture_output=True, text=True, timeout=60,
        )  # fmt: skip
        assert done.returncode == 5, done.stderr
    found = health(tmp_path)[0]
    assert found.level == 2
    assert found.why.startswith("ended by itself, 2 times in a row; SinkError: /none/f: cannot be written: ")
    assert found.why.endswith("; see journalctl -u vultus")


def test_a_process_that_ended_and_is_not_buried_yet_is_gone(where: Places, tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", ""], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.read()  # ends with the process, which nobody has waited for
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        write_status(where.status, status(pid=process.pid))
        assert health(tmp_path, now=NOW)[0].why.startswith(f"process {process.pid} is gone without a word")


def test_a_service_by_hand_makes_its_folder_or_tells_that_it_is_not_seen(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    made = places(tmp_path).runtime
    made.parent.mkdir()
    Reporter(made / "status.json").starting()
    assert read_status(made / "status.json") is not None
    nowhere = tmp_path / "none" / "vultus" / "status.json"
    Reporter(nowhere).starting()
    said = f"{nowhere}: cannot be written: No such file or directory; `vultus health` knows nothing of this service"
    assert said in capfd.readouterr().err


def test_broken_files_are_told(where: Places, tmp_path: Path) -> None:
    where.status.write_text('{"state":')
    where.firstboot.write_text('{"schema": 2, "state": "ready"}')
    service, first, *_ = health(tmp_path, now=NOW)
    assert (service.level, first.level) == (2, 1)
    assert service.why.startswith(f"{where.status}: is malformed: Input data was truncated; its writer is")
    assert first.why.startswith(f"{where.firstboot}: is malformed: Invalid enum value 2")


@pytest.mark.parametrize("board", [board for board in BOARDS if "jp" in board])
def test_a_board_is_judged_beside_the_service(board: str, tmp_path: Path) -> None:
    """Recorded files of a board, not a board."""
    root = unpack(board, tmp_path)
    places(root).runtime.mkdir(parents=True)
    write_status(places(root).status, status(wanted=Wanted("cuda", "no such mode")))
    found = {state.subject: state for state in health(root, now=NOW)}
    assert found["service"].level == 0
    assert found["temperature"].level == 0
    assert found["power mode"].level == 1
    assert found["power mode"].why.startswith("no such mode is wanted, the board runs")


def test_over_current_counts_from_ten_minutes_ago(tmp_path: Path) -> None:
    root = unpack("orin-nano-jp6", tmp_path)
    now = {found.name: found.count for found in read_events(root)}
    assert now["oc1"] is not None
    places(root).runtime.mkdir(parents=True)
    for before, why in ((now["oc1"], ""), (now["oc1"] - 2, "2x oc1 (under-voltage)"), (now["oc1"] + 9, "")):
        write_status(places(root).status, status(events={"oc1": before}))
        found = {state.subject: state for state in health(root, now=NOW)}
        assert found["power events"].why == why


def test_counts_are_kept_for_ten_minutes(tmp_path: Path) -> None:
    root = unpack("orin-nano-jp6", tmp_path)
    (file,) = counter_files(root)[:1]
    recent, name = RecentEvents(root), file.name.removesuffix("_event_cnt")
    found = []
    for minute in range(21):
        file.write_text(f"{minute}\n")
        found.append(recent.before(60.0 * minute)[name])
    assert found[:11] == [0] * 11
    assert found[11:] == list(range(1, 11))


# The command


def asked(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["health", *arguments])
    return done.exit_code, done.output


def test_the_command_tells_people_and_probes(where: Places, tmp_path: Path) -> None:
    code, output = asked("--root", str(tmp_path))
    assert code == 2
    assert output.startswith(
        f"DOWN      service: is not running: there is no {where.status}; systemctl start vultus\n"
    )
    import time

    write_status(where.status, status(written=time.time(), warnings=("the source is gone: x",)))
    code, output = asked("--root", str(tmp_path), "--json")
    told = json.loads(output)
    assert (code, told["level"], told["state"]) == (1, 1, "degraded")
    assert told["states"][0] == {
        "subject": "service", "level": 1, "state": "degraded", "why": "the source is gone: x",
    }  # fmt: skip
    write_status(where.status, status(written=time.time()))
    code, output = asked("--root", str(tmp_path))
    assert code == 0
    assert output.splitlines()[:2] == ["well      service", "well      first boot"]


# The files


def test_files_come_back_as_they_were_written(where: Places) -> None:
    told = status(
        frames=3, device=CPU, warnings=("ä",), last_frame=1.5, engines="b", wanted=Wanted("cpu", "15W")
    )
    write_status(where.status, told)
    assert read_status(where.status) == told
    first = FirstBoot("selftest", "x", 1, 2, "detail", 1.0, 2.0, "b", "why")
    write_firstboot(where.firstboot, first)
    assert read_firstboot(where.firstboot) == first
    assert where.status.stat().st_mode & 0o777 == 0o644
    assert sorted(path.name for path in where.state.iterdir()) == ["firstboot.json"]


def test_files_that_cannot_be_written_or_read(tmp_path: Path) -> None:
    with pytest.raises(SinkError, match=r"/no/x: cannot be written: No such file or directory"):
        write_json(tmp_path / "no" / "x", 1)
    (tmp_path / "d").mkdir()
    with pytest.raises(SinkError, match=r"/d: cannot be written: Is a directory"):
        write_json(tmp_path / "d", 1)
    with pytest.raises(SourceError, match=r"/d: cannot be read: Is a directory"):
        read_status(tmp_path / "d")
    assert read_status(tmp_path / "x") is None
    assert [path.name for path in tmp_path.iterdir()] == ["d"]


def test_places_are_where_systemd_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("STATE_DIRECTORY", "/s")
    monkeypatch.setenv("RUNTIME_DIRECTORY", "/r")
    assert (places().status, places().ready) == (Path("/r/status.json"), Path("/s/ready"))
    assert places(tmp_path).status == tmp_path / "run/vultus/status.json"
    monkeypatch.delenv("STATE_DIRECTORY")
    assert places().engines == Path("/var/lib/vultus/engines/current")


# Frames


def test_rates_are_those_of_the_last_ten_seconds() -> None:
    meter = Meter(100.0)
    for second in range(20):
        for _ in range(2 if second < 10 else 5):
            meter.add(100.0 + second, faces=3)
        meter.mark(101.0 + second)
    assert (meter.frames, meter.faces, meter.settled) == (70, 210, True)
    assert meter.fps == pytest.approx(5.0)
    assert meter.idle(125.0) == 6.0
    assert not Meter(1.0).settled
    assert Meter(1.0).idle(3.0) == 2.0


def test_frames_that_do_not_come_or_too_few(tmp_path: Path) -> None:
    reader, meter = LatestFrame(PictureFeed("f")), Meter(0.0)
    wanted = Health(stall_s=5, least_fps=3)
    assert source_warning(reader, meter, wanted, 4.0) == ""
    assert source_warning(reader, meter, wanted, 6.0) == "f: no frame for 6 s, one is expected within 5 s"
    for second in range(1, 13):
        meter.add(second, 0)
        meter.mark(second)
    assert (
        source_warning(reader, meter, wanted, 12.0)
        == "1.0 frames a second are analysed, at least 3 are wanted"
    )
    assert source_warning(reader, meter, Health(), 12.0) == ""


# The doctor


@pytest.mark.parametrize(
    ("told", "status", "value"),
    [
        (FirstBoot("building", "a", 0, 2, "7 %", written=NOW - 3), "absent", "building 0 of 2 a (7 %), said 3 seconds"),
        (FirstBoot("ready", slot="b", written=NOW - 7200), "ok", "ready, engines in slot b, said 2 hours ago"),
        (FirstBoot("failed", "a", why="x", written=NOW - 200), "problem", "failed at a: x, said 3 minutes ago"),
        (FirstBoot("failed", written=NOW + 9), "problem", "failed at its beginning: no reason was written, said 0 sec"),
    ],
)  # fmt: skip
def test_the_doctor_tells_of_the_first_boot(told: FirstBoot, status: str, value: str, where: Places) -> None:
    assert firstboot_checks(where, NOW) == []
    write_firstboot(where.firstboot, told)
    state, engines = firstboot_checks(where, NOW)
    assert (state.section, state.name, state.status) == ("first boot", "state", status)
    assert state.value.startswith(value)
    assert bool(state.fix) is (status == "problem")
    assert (engines.status, engines.value) == ("absent", f"none in {where.engines} yet")
    (where.state / "engines/b").mkdir(parents=True)
    (where.state / "engines/b/x-fp16.engine").touch()
    where.engines.symlink_to("b")
    assert firstboot_checks(where, NOW)[1].value == "slot b: x-fp16"


def test_the_doctor_tells_of_a_broken_file(where: Places) -> None:
    where.firstboot.write_text("?")
    (check,) = firstboot_checks(where)
    assert check.status == "problem"
    assert check.fix.startswith(f"remove {where.firstboot}; see journalctl -u vultus-firstboot")
