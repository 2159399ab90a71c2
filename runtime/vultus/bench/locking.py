"""Clocks held still for a run when the user asks for it, and put back whatever happens."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from shutil import which
from types import FrameType

from vultus.errors import DeviceError
from vultus.signals import handled

__all__ = ["locked_clocks"]

POLICIES = "sys/devices/system/cpu/cpufreq"
STEADY = "performance"
PATIENCE = 60


@contextmanager
def locked_clocks(root: Path = Path("/"), tool: str | None = None) -> Iterator[str]:
    """Hold the clocks still and yield how: by jetson_clocks where it is, else by the governor of every CPU policy.

    tool: path of jetson_clocks, looked for by default. What was set before is set again at the end, after errors,
    Ctrl-C, SIGTERM and SIGHUP too; only SIGKILL and a power cut leave the clocks locked until the next boot.
    Raises DeviceError when the clocks cannot be set, and then has changed nothing.
    """
    tool = tool or which("jetson_clocks")
    with _hangup_as_error(), _by_tool(tool) if tool else _by_governor(root) as how:
        yield how


@contextmanager
def _by_tool(tool: str) -> Iterator[str]:
    if os.geteuid() != 0:
        raise DeviceError("--lock-clocks runs jetson_clocks, which takes root; run with sudo or leave it out")
    with tempfile.TemporaryDirectory(prefix="vultus-clocks-") as folder:
        kept = str(Path(folder) / "clocks")
        _run(tool, "--store", kept)
        try:
            _run(tool)
            yield "jetson_clocks"
        finally:
            _run(tool, "--restore", kept)


def _run(tool: str, *arguments: str) -> None:
    command = " ".join([Path(tool).name, *arguments])
    try:
        done = subprocess.run([tool, *arguments], capture_output=True, text=True, timeout=PATIENCE)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise DeviceError(f"the clocks cannot be locked: {command}: {error}") from error
    if done.returncode:
        said = (done.stderr or done.stdout).strip().rpartition("\n")[2]
        raise DeviceError(f"the clocks cannot be locked: {command} ended with {done.returncode}: {said}")


@contextmanager
def _by_governor(root: Path) -> Iterator[str]:
    policies = sorted((root / POLICIES).glob("policy*"))
    if not policies:
        raise DeviceError(
            f"--lock-clocks finds no clocks that can be set (no policies in /{POLICIES}); leave it out, "
            "or run outside of the container or virtual machine"
        )
    for policy in policies:
        _check(policy)
    with ExitStack() as stack:
        for policy in policies:
            file = policy / "scaling_governor"
            before = file.read_text(encoding="ascii")
            # Registered ahead of the change, so a signal between the two leaves nothing behind.
            stack.callback(_put_back, file, before)
            _set(file, STEADY)
        yield f"governor {STEADY}"


def _check(policy: Path) -> None:
    file = policy / "scaling_governor"
    if not os.access(file, os.W_OK):
        raise DeviceError(f"--lock-clocks may not write {file}; run as root or leave it out")
    offered = (policy / "scaling_available_governors").read_text(encoding="ascii").split()
    if STEADY not in offered:
        raise DeviceError(
            f"--lock-clocks: {policy.name} has no governor {STEADY!r}, only {', '.join(offered)}"
        )


def _set(file: Path, governor: str) -> None:
    try:
        file.write_text(governor, encoding="ascii")
    except OSError as error:
        raise DeviceError(f"the clocks cannot be locked: {file}: {error.strerror}") from error


def _put_back(file: Path, governor: str) -> None:
    # One policy that refuses must not keep the others from being put back.
    with suppress(OSError):
        file.write_text(governor, encoding="ascii")


@contextmanager
def _hangup_as_error() -> Iterator[None]:
    """End on SIGHUP and SIGTERM as on Ctrl-C while clocks are locked: their default ends without cleaning up."""

    def leave(number: int, frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    with handled(dict.fromkeys((signal.SIGHUP, signal.SIGTERM), leave)):
        yield
