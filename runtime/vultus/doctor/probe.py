"""Looks at GPU libraries in a process of its own, because a broken driver can take its caller down with it.

Run as a file, `python probe.py driver|tensorrt`: it prints one JSON object and imports nothing of vultus, so it
works wherever the interpreter does.
"""

from __future__ import annotations

import ctypes
import importlib
import importlib.util
import json
import sys
from typing import Any

__all__ = ["driver", "tensorrt"]

CAPABILITY_MAJOR, CAPABILITY_MINOR = 75, 76  # CUdevice_attribute


def driver() -> dict[str, Any]:
    """Return the CUDA version of the driver and its devices, or the `problem` that hides them."""
    try:
        library = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return {"problem": "no NVIDIA driver library (libcuda.so.1)"}
    if code := library.cuInit(0):
        return {"problem": f"the NVIDIA driver does not start: cuInit gives error {code}"}
    version, count = ctypes.c_int(0), ctypes.c_int(0)
    library.cuDriverGetVersion(ctypes.byref(version))
    library.cuDeviceGetCount(ctypes.byref(count))
    cuda = f"{version.value // 1000}.{version.value % 1000 // 10}"
    return {"cuda": cuda, "devices": [_device(library, index) for index in range(count.value)]}


def _device(library: ctypes.CDLL, index: int) -> dict[str, Any]:
    handle, name = ctypes.c_int(0), ctypes.create_string_buffer(256)
    major, minor, memory = ctypes.c_int(0), ctypes.c_int(0), ctypes.c_size_t(0)
    library.cuDeviceGet(ctypes.byref(handle), index)
    library.cuDeviceGetName(name, len(name), handle)
    library.cuDeviceGetAttribute(ctypes.byref(major), CAPABILITY_MAJOR, handle)
    library.cuDeviceGetAttribute(ctypes.byref(minor), CAPABILITY_MINOR, handle)
    library.cuDeviceTotalMem_v2(ctypes.byref(memory), handle)
    return {
        "name": name.value.decode("utf-8", "replace"),
        "capability": f"{major.value}.{minor.value}",
        "mebibytes": memory.value >> 20,
    }


def tensorrt() -> dict[str, Any]:
    """Return the versions of the TensorRT library and of its Python bindings, or why they do not load."""
    found: dict[str, Any] = {}
    for name in ("tensorrt", "tensorrt_rtx"):
        if importlib.util.find_spec(name):
            try:
                found[name] = importlib.import_module(name).__version__
            except Exception as error:  # whatever the bindings raise is the answer
                found[f"{name} problem"] = str(error).strip().splitlines()[0] if str(error) else repr(error)
    for major in (11, 10, 8):
        try:
            library = ctypes.CDLL(f"libnvinfer.so.{major}")
        except OSError:
            continue
        found["library"] = _version(library.getInferLibVersion())
        break
    return found


def _version(number: int) -> str:
    """Return 10.3.0 for 100300 and, as TensorRT 8 counted, 8.6.1 for 8601."""
    unit = 10000 if number >= 10000 else 1000
    return f"{number // unit}.{number % unit // 100}.{number % 100}"


if __name__ == "__main__":
    json.dump({"driver": driver, "tensorrt": tensorrt}[sys.argv[1]](), sys.stdout)
