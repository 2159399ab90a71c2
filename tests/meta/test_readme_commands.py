"""Every command that the README and the docs name exists: scripts can run, programs have help for it."""

from __future__ import annotations

import importlib.util
import os
import re
import shlex
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from repository import ROOT

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), ROOT / "benchmarks" / "README.md"]
CONSOLE = re.compile(r"^```console\n(.*?)^```", re.DOTALL | re.MULTILINE)
PROGRAMS = ("vultus", "vultus-export")


def commands_of(text: str) -> list[str]:
    """Return the commands after `$` in console blocks, each part of a pipe or chain alone."""
    lines = [
        line[2:] for block in CONSOLE.findall(text) for line in block.splitlines() if line.startswith("$ ")
    ]
    parts = [part for line in lines for part in re.split(r"\s(?:&&|\|)\s", line.split(" #")[0])]
    return [part.strip() for part in parts if part.strip()]


def named_commands() -> list[str]:
    return sorted(
        {command for page in PAGES if page.exists() for command in commands_of(page.read_text("utf-8"))}
    )


COMMANDS = named_commands()


def subcommand(words: list[str]) -> list[str]:
    """Return the leading words of a command that name a subcommand: plain lower-case words, at most two."""
    names = []
    for word in words[:2]:
        if not re.fullmatch(r"[a-z][a-z-]*", word):
            break
        names.append(word)
    return names


@cache
def helped(*command: str | Path) -> subprocess.CompletedProcess[str]:
    """Ask a command for its help, once for all lines of the docs that name it."""
    return subprocess.run([*command, "--help"], capture_output=True, text=True, cwd=ROOT, check=False)


def test_commands_are_read_out_of_console_blocks() -> None:
    text = "```console\n$ cd x && scripts/demo   # note\nout\n$ find . | vultus run - --json -\n```\n```sh\n$ no\n```\n"
    assert commands_of(text) == ["cd x", "scripts/demo", "find .", "vultus run - --json -"]
    assert subcommand(["models", "list", "--json"]) == ["models", "list"]
    assert subcommand(["run", "photo.jpg"]) == ["run"]


def test_the_readme_names_the_two_commands() -> None:
    assert {"scripts/demo", "scripts/test"} <= set(COMMANDS)


@pytest.mark.parametrize("command", [one for one in COMMANDS if one.startswith("scripts/")])
def test_scripts_are_there_and_can_run(command: str) -> None:
    words = shlex.split(command)
    path = ROOT / words[0]
    assert path.is_file()
    assert os.access(path, os.X_OK)
    assert path.read_text(encoding="utf-8").startswith("#!")
    assert all((ROOT / word).exists() for word in words[1:] if "/" in word)


@pytest.mark.parametrize("command", [one for one in COMMANDS if one.split()[0] in PROGRAMS])
def test_programs_have_help_for_what_is_named(command: str) -> None:
    program, *words = shlex.split(command)
    path = Path(sys.executable).with_name(program)
    assert path.exists(), f"{program} is not installed beside {sys.executable}"
    done = helped(path, *subcommand(words))
    assert done.returncode == 0, done.stderr
    shown = re.sub(r"\x1b\[[0-9;]*m", "", done.stdout)
    options = [word.split("=")[0] for word in words if word.startswith("--") and word != "--help"]
    assert [option for option in options if option not in shown] == []


@pytest.mark.parametrize("command", [one for one in COMMANDS if one.split()[0] == "python"])
def test_python_commands_have_help(command: str) -> None:
    words = shlex.split(command)[1:]
    start = words[:2] if words[0] == "-m" else words[:1]
    if words[0] == "-m":
        assert importlib.util.find_spec(words[1]), f"{words[1]} cannot be imported"
    else:
        assert (ROOT / words[0]).is_file()
    done = helped(sys.executable, *start)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("command", [one for one in COMMANDS if re.match(r"pip install .*'\.\[", one)])
def test_extras_that_are_named_are_declared(command: str) -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    for extra in re.findall(r"\.\[([\w,]+)\]", command)[0].split(","):
        assert re.search(rf"^{extra} = \[", text, re.MULTILINE), f"pyproject.toml has no extra {extra!r}"
