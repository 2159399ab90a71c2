"""Numbers that a constructor works out on the host and kernels read for as long as it lives."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from vultus.cuda.driver import DeviceMemory, Driver
from vultus.types import FACE

__all__ = ["RECORD_WORDS", "record_word", "upload"]

RECORD_WORDS = FACE.itemsize // 4
"""Words of 4 bytes in a FACE record; the kernels know its layout from here alone."""


def record_word(field: str) -> int:
    """Return where a field of the FACE record begins, in words."""
    fields = FACE.fields
    if fields is None:
        raise TypeError("FACE has fields")
    return int(fields[field][1]) // 4


def upload(driver: Driver, array: npt.NDArray[Any]) -> DeviceMemory:
    """Return device memory with the bytes of `array`, which has at least one; waits until they are there."""
    values = np.ascontiguousarray(array)
    memory = driver.allocate(values.nbytes)
    stream = driver.stream()
    try:
        driver.copy(memory.pointer, values.ctypes.data, values.nbytes, stream)
        stream.synchronise()
    except BaseException:
        memory.close()
        raise
    finally:
        stream.close()
    return memory
