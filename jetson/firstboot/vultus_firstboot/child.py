"""Child processes whose lines are heard while they work, and which do not outlive the first boot."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence

from vultus_firstboot import FirstBootError

__all__ = ["ended", "heard", "python"]

GRACE = 60.0  # seconds that TensorRT has to come to its next step when it is to stop
Hear = Callable[[str], None]


def python() -> list[str]:
    """Return how a child is started: with this interpreter, unbuffered, isolated where this process is."""
    return [sys.executable, "-u", *(["-I"] if sys.flags.isolated else [])]


def heard(
    command: Sequence[str], hear: Hear, patience: float, keep: Sequence[int] = (), quiet: bool = False
) -> int:
    """Run a command, give each line that it says to `hear` and return its exit status.

    patience: seconds after which it is killed and FirstBootError raised. keep: file descriptors that it inherits.
    quiet: whether its standard output is left out. Whatever ends this function ends the child as well.
    """
    child = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL if quiet else subprocess.PIPE,
        stderr=subprocess.PIPE if quiet else subprocess.STDOUT,
        pass_fds=tuple(keep),
        env={**os.environ, "NO_COLOR": "1"},
        text=True,
        errors="replace",
    )
    late = threading.Event()

    def too_late() -> None:
        late.set()
        child.kill()

    timer = threading.Timer(patience, too_late)
    timer.daemon = True
    timer.start()
    try:
        for line in (child.stderr if quiet else child.stdout) or ():
            if text := line.rstrip():
                hear(text)
        status = child.wait()
    finally:
        timer.cancel()
        _end(child)
    if late.is_set():
        raise FirstBootError(
            f"{' '.join(command[:5])} ... did not end within {patience:.0f} s and was stopped"
        )
    return status


def ended(status: int) -> str:
    """Return how a child ended that said nothing of it."""
    if status == -signal.SIGKILL:
        return "it was killed (signal 9), as the kernel does when memory runs out"
    return f"it was ended by signal {-status}" if status < 0 else f"its exit status is {status}"


def _end(child: subprocess.Popen[str]) -> None:
    if child.poll() is None:
        child.send_signal(signal.SIGINT)  # as Ctrl-C: a build leaves nothing half-written
        try:
            child.wait(GRACE)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
    for stream in (child.stdout, child.stderr):
        if stream is not None:
            stream.close()
