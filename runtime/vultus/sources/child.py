"""Becomes another program that dies with the one that started it: `python child.py PARENT PROGRAM ...`.

A program of its own because the request to die has to be made between fork and exec, where a process with threads
may not run Python code. It imports nothing of vultus.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

__all__ = ["main"]

PR_SET_PDEATHSIG = 1


def main(parent: int, command: list[str]) -> int:
    """Ask to be killed when the parent ends, then run the command in this process's place."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it ended before we asked
        return 1
    try:
        os.execvp(command[0], command)
    except OSError as error:
        sys.stderr.write(f"{command[0]}: {error.strerror}\n")
        return 127


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), sys.argv[2:]))
