"""Things made ahead in a thread while the ones before are used."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from typing import TypeVar

__all__ = ["made_ahead"]

T = TypeVar("T")
AHEAD = 4


def made_ahead(make: Callable[[int], T], start: int, stop: int) -> Iterator[T]:
    """Yield make(start) ... make(stop - 1), at most four of them made before they are asked for.

    What `make` raises is raised here. The thread ends with the iterator.
    """
    ready: queue.Queue[T | BaseException] = queue.Queue(maxsize=AHEAD)
    left = threading.Event()

    def put(item: T | BaseException) -> None:
        while not left.is_set():
            try:
                ready.put(item, timeout=0.2)
                return
            except queue.Full:
                continue

    def work() -> None:
        try:
            for number in range(start, stop):
                if left.is_set():
                    return
                put(make(number))
        except BaseException as error:
            put(error)

    worker = threading.Thread(target=work, daemon=True, name="batches")
    worker.start()
    try:
        for _ in range(start, stop):
            item = ready.get()
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        left.set()
        worker.join(timeout=30)
