"""Where lines go: files that are turned over and mended, sockets whose clients cannot hold anything up."""

from __future__ import annotations

import os
import re
import socket
import stat
from pathlib import Path

import pytest

from vultus.errors import SinkError
from vultus.service.config import Output
from vultus.service.outputs import JsonLinesOutput, opened
from vultus.service.sockets import MOST_WAITING, SocketOutput

LINE = b'{"a":1}\n'


def texts(folder: Path) -> dict[str, int]:
    """Return how many lines each file of a folder holds."""
    return {path.name: len(path.read_bytes().splitlines()) for path in sorted(folder.iterdir())}


@pytest.mark.parametrize(
    ("keep", "left"),
    [
        (0, {"f": 1}),
        (1, {"f": 1, "f.1": 3}),
        (2, {"f": 1, "f.1": 3, "f.2": 3}),
        (9, {"f": 1, "f.1": 3, "f.2": 3, "f.3": 3}),
    ],
)
def test_a_full_file_is_turned_over(keep: int, left: dict[str, int], tmp_path: Path) -> None:
    output = JsonLinesOutput(tmp_path / "f", 3 * len(LINE), keep)
    for _ in range(10):
        output.write(LINE)
    output.close()
    assert texts(tmp_path) == left
    assert output.warning == ""


def test_a_line_longer_than_a_file_is_written_all_the_same(tmp_path: Path) -> None:
    output = JsonLinesOutput(tmp_path / "f", 4, 1)
    output.write(LINE)
    output.write(LINE)
    output.close()
    assert texts(tmp_path) == {"f": 1, "f.1": 1}


def test_a_former_run_is_gone_on_with_and_half_a_line_is_ended(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(LINE + b'{"a"')
    output = JsonLinesOutput(tmp_path / "f", 1000, 1)
    output.write(LINE)
    output.close()
    assert (tmp_path / "f").read_bytes() == LINE + b'{"a"\n' + LINE


def test_a_failure_is_told_and_tried_again(tmp_path: Path) -> None:
    folder = tmp_path / "d"
    folder.mkdir()
    output = JsonLinesOutput(folder / "f", len(LINE), 1)
    output.write(LINE)
    (folder / "f.1").mkdir()  # in the place where the full file should go
    (folder / "f.1" / "x").touch()
    output.write(LINE)
    assert output.warning.startswith(f"{folder / 'f'}: cannot be written: ")
    (folder / "f.1" / "x").unlink()
    (folder / "f.1").rmdir()
    output.write(LINE)
    assert output.warning == ""
    output.close()


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    said = f"{tmp_path}/no/f: cannot be written: the folder {tmp_path}/no does not exist; make it first"
    with pytest.raises(SinkError, match=f"^{re.escape(said)}$"):
        opened(Output("jsonlines", f"{tmp_path}/no/f"))


def test_the_defaults_of_the_table_output(tmp_path: Path) -> None:
    output = opened(Output("jsonlines", f"{tmp_path}/f", max_mib=2 * len(LINE) / 2**20))
    for _ in range(20):
        output.write(LINE)
    output.tick()
    output.close()
    assert texts(tmp_path) == {"f": 2, "f.1": 2, "f.2": 2, "f.3": 2, "f.4": 2}


# Sockets


def client_of(path: Path) -> socket.socket:
    client = socket.socket(socket.AF_UNIX)
    client.settimeout(5)
    client.connect(str(path))
    return client


def test_every_client_gets_the_lines_from_when_it_came(tmp_path: Path) -> None:
    path = tmp_path / "s"
    output = opened(Output("socket", str(path)))
    assert stat.S_IMODE(path.stat().st_mode) == 0o660
    output.write(b"0\n")
    with client_of(path) as first:
        output.write(b"1\n")
        with client_of(path) as second:
            first.shutdown(socket.SHUT_WR)  # it will only read
            output.tick()
            output.write(b"2\n")
            assert first.recv(99) == b"1\n2\n"
            assert second.recv(99) == b"2\n"
        output.write(b"3\n")
        assert first.recv(99) == b"3\n"
        output.close()
        assert first.recv(99) == b""
    assert not path.exists()


def test_a_client_that_does_not_read_is_cut_off_and_the_others_are_not(tmp_path: Path) -> None:
    output = SocketOutput(tmp_path / "s")
    line = b"x" * 99_999 + b"\n"
    with client_of(tmp_path / "s") as slow, client_of(tmp_path / "s") as quick:
        got = 0
        for _ in range(30):
            output.write(line)
            while got % len(line) or not got:
                got += len(quick.recv(1 << 20))
            got = 0
        kept = b"".join(iter(lambda: slow.recv(1 << 20), b""))  # to its end: it was cut off
        assert len(kept) < 30 * len(line)
    output.close()
    assert 30 * len(line) > MOST_WAITING


def test_a_left_over_socket_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as gone:
        gone.bind(str(path))
    output = SocketOutput(path)
    with client_of(path) as client:
        output.write(b"1\n")
        assert client.recv(9) == b"1\n"
    output.close()


def test_what_a_socket_may_not_replace(tmp_path: Path) -> None:
    path = tmp_path / "s"
    output = SocketOutput(path)
    with pytest.raises(SinkError, match="/s: another program listens there; name another path, or end it"):
        SocketOutput(path)
    output.close()
    path.touch()
    with pytest.raises(
        SinkError, match="/s: is there already and is no socket; name another path, or remove it"
    ):
        SocketOutput(path)
    with pytest.raises(SinkError, match=r"/no/s: the folder .*/no does not exist; make it first"):
        SocketOutput(tmp_path / "no" / "s")
    with pytest.raises(SinkError, match="cannot be listened on: AF_UNIX path too long"):
        SocketOutput(tmp_path / ("x" * 120))
    assert os.listdir(tmp_path) == ["s"]
