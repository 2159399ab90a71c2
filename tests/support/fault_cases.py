"""Faults that need a process of their own on the fake driver; each prints what a user would read."""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Callable

from vultus.cuda.driver import open_driver
from vultus.errors import DeviceError

__all__ = ["CASES"]


def opening() -> None:
    """Open and use the device once."""
    driver = open_driver()
    driver.allocate(10).close()
    driver.close()


def forked_use() -> None:
    """Use the parent's driver in a forked child, which also lets go of the parent's memory."""
    driver = open_driver()
    memory, stream = driver.allocate(10), driver.stream()
    if child := os.fork():
        _, status = os.waitpid(child, 0)
        assert status == 0, status
        stream.synchronise()  # the parent goes on
        memory.close()
        return
    _say(stream.synchronise)
    _say(lambda: driver.allocate(10))
    memory.close()
    driver.close()
    sys.stdout.flush()
    os._exit(0)


def forked_open() -> None:
    """Open the device anew in a forked child, and in a spawned one."""
    open_driver()
    for context in (multiprocessing.get_context("fork"), multiprocessing.get_context("spawn")):
        child = context.Process(target=_say, args=(opening,))
        child.start()
        child.join()
        assert child.exitcode == 0, child.exitcode


def _say(action: Callable[[], object]) -> None:
    try:
        action()
        sys.stdout.write("works\n")
    except DeviceError as error:
        sys.stdout.write(f"{error}\n")


CASES = {function.__name__: function for function in (opening, forked_use, forked_open)}

if __name__ == "__main__":
    _say(CASES[sys.argv[1]])
