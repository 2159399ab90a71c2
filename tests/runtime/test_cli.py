"""The command itself: help, version, quick start, and no traceback."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from vultus import __version__
from vultus.cli import app


def commands_of(group: typer.Typer, path: tuple[str, ...] = ()) -> Iterator[list[str]]:
    """Yield the words of every group and command below a group."""
    yield list(path)
    for command in group.registered_commands:
        yield [*path, str(command.name or getattr(command.callback, "__name__", ""))]
    for inner in group.registered_groups:
        assert inner.typer_instance is not None
        yield from commands_of(inner.typer_instance, (*path, str(inner.name)))


COMMANDS = list(commands_of(app))


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_has_help_with_an_example(command: list[str]) -> None:
    shown = CliRunner().invoke(app, [*command, "--help"], env={"COLUMNS": "100"})
    assert shown.exit_code == 0
    assert f"Usage: vultus {' '.join(command)}".strip() in shown.output
    assert "Example: vultus " in shown.output


def test_the_commands_are_those_of_the_documentation() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "cli.md").read_text()
    assert [
        " ".join(command) for command in COMMANDS if f"vultus {' '.join(command)}".strip() not in page
    ] == []
    assert {"run", "doctor", "models", "models list", "models show"} <= {
        " ".join(words) for words in COMMANDS
    }


def test_the_version_is_printed() -> None:
    shown = CliRunner().invoke(app, ["--version"])
    assert (shown.exit_code, shown.output) == (0, f"vultus {__version__}\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run"], "Missing argument 'SOURCE'"),
        (["fly"], "No such command 'fly'"),
        (["run", "--fast", "x.jpg"], "No such option: --fast"),
        (["run", "x.jpg", "--device", "gpu"], "'gpu' is not one of 'auto', 'cpu', 'cuda'"),
        (["run", "x.jpg", "--threads", "many"], "Invalid value for '--threads'"),
    ],
)
def test_usage_errors_are_two(arguments: list[str], message: str) -> None:
    shown = CliRunner().invoke(app, arguments, env={"COLUMNS": "200"})
    assert shown.exit_code == 2
    assert message in shown.output


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys\nfrom vultus.cli import app\n"
        "try: app(['run', '--help'])\nexcept SystemExit: pass\n"
        "print([m for m in ('cv2', 'numpy', 'onnxruntime', 'msgspec') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


INTERRUPTED_AT = """
import os, signal, sys

class Interrupter:
    def find_spec(self, name, path, target=None):
        if name == {name!r}:
            os.kill(os.getpid(), signal.SIGINT)

signal.signal(signal.SIGINT, signal.default_int_handler)  # the tests may run where it is ignored
sys.meta_path.insert(0, Interrupter())
from vultus.cli import main
main()
"""


@pytest.mark.parametrize("name", ["vultus.cli.commands", "typer", "rich.console", "vultus.cli.service"])
def test_an_interrupt_while_it_starts_ends_as_a_later_one(name: str) -> None:
    code = INTERRUPTED_AT.format(name=name)
    done = subprocess.run([sys.executable, "-c", code, "doctor"], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "vultus: interrupted\n")
