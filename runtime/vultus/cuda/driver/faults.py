"""What the driver's errors mean to people, and what they can do about them."""

from __future__ import annotations

import os
from pathlib import Path

from vultus.errors import DeviceError

__all__ = ["FORKED", "LOST", "OLDEST_DRIVER", "closed_files", "device_error", "require_driver"]

OLDEST_DRIVER = 12000
"""The oldest driver that is taken, as cuDriverGetVersion counts: CUDA 12.0."""

FORKED = (
    "this process was forked after the GPU was opened, and CUDA does not survive a fork: open the GPU in the child, "
    "or start it with multiprocessing.get_context('spawn')"
)

_NEW = "the GPU's context is lost with all its memory: close this Analyzer and make a new one; if that fails too, "
_RESTART = _NEW + "start the program again"
_OLD = "the driver is older than this code: update the NVIDIA driver, on Jetson install a newer JetPack"

LOST = {
    "CUDA_ERROR_ILLEGAL_ADDRESS": _RESTART,
    "CUDA_ERROR_LAUNCH_TIMEOUT": _RESTART,
    "CUDA_ERROR_ASSERT": _RESTART,
    "CUDA_ERROR_HARDWARE_STACK_ERROR": _RESTART,
    "CUDA_ERROR_ILLEGAL_INSTRUCTION": _RESTART,
    "CUDA_ERROR_MISALIGNED_ADDRESS": _RESTART,
    "CUDA_ERROR_INVALID_ADDRESS_SPACE": _RESTART,
    "CUDA_ERROR_INVALID_PC": _RESTART,
    "CUDA_ERROR_LAUNCH_FAILED": _RESTART,
    "CUDA_ERROR_ECC_UNCORRECTABLE": _NEW + "look at nvidia-smi: the GPU's memory is damaged",
    "CUDA_ERROR_CONTEXT_IS_DESTROYED": "another library reset the GPU: make a new Analyzer",
    "CUDA_ERROR_DEINITIALIZED": "the program is ending",
}
"""Errors after which nothing works in the context -> what to do."""

_REMEDIES = LOST | {
    "CUDA_ERROR_NO_DEVICE": "check nvidia-smi and CUDA_VISIBLE_DEVICES",
    "CUDA_ERROR_INVALID_DEVICE": "check the device number, nvidia-smi and CUDA_VISIBLE_DEVICES",
    "CUDA_ERROR_NOT_INITIALIZED": FORKED,
    "CUDA_ERROR_STUB_LIBRARY": "a toolkit's stub libcuda.so.1 comes first: take it off LD_LIBRARY_PATH",
    "CUDA_ERROR_DEVICE_UNAVAILABLE": "another program holds the GPU for itself: end it, or change its compute mode",
    "CUDA_ERROR_UNSUPPORTED_PTX_VERSION": _OLD,
    "CUDA_ERROR_NO_BINARY_FOR_GPU": "the code was built for other GPUs: let NVRTC build it here, or rebuild it",
    "CUDA_ERROR_INVALID_PTX": "the code was built for other GPUs: let NVRTC build it here, or rebuild it",
    "CUDA_ERROR_INVALID_IMAGE": "the file with the GPU code is damaged: install vultus again",
    "CUDA_ERROR_SYSTEM_DRIVER_MISMATCH": "libcuda.so.1 and the kernel module are of different versions: reboot",
    "CUDA_ERROR_COMPAT_NOT_SUPPORTED_ON_DEVICE": "this GPU takes no forward compatibility: update its driver",
    "CUDA_ERROR_SYSTEM_NOT_READY": "start the fabric manager, then try again",
    "CUDA_ERROR_OUT_OF_MEMORY": "close other programs on the GPU, or take fewer Analyzers or smaller models",
    "CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED": "this cannot be part of a CUDA graph: do it before the capture",
    "CUDA_ERROR_STREAM_CAPTURE_INVALIDATED": "something in the capture cannot be part of a CUDA graph",
}

_START = (
    "CUDA_ERROR_NO_DEVICE",
    "CUDA_ERROR_OPERATING_SYSTEM",
    "CUDA_ERROR_UNKNOWN",
    "CUDA_ERROR_NOT_PERMITTED",
)
_FILES = ("nvidiactl", "nvidia[0-9]*", "nvidia-uvm", "nvmap", "nvhost-gpu", "nvgpu/igpu0/*")


def device_error(name: str, doing: str, detail: str = "") -> DeviceError:
    """Return the error for the driver's `name` of it, met while `doing`; detail: what was asked for."""
    remedy = _REMEDIES.get(name, "")
    if name in _START:
        remedy = closed_files() or remedy
    text = f"{doing} failed: {name}" + (f" ({detail})" if detail else "")
    return DeviceError(f"{text}; {remedy}" if remedy else text)


def closed_files(root: Path = Path("/dev")) -> str:
    """Return which of the GPU's device files this user may not open and what helps, or an empty string."""
    found = sorted(file for pattern in _FILES for file in root.glob(pattern))
    closed = [str(file) for file in found if not os.access(file, os.R_OK | os.W_OK)]
    if not closed:
        return ""
    return (
        f"this user may not open {', '.join(closed[:3])}: add the user to the group that owns it (on Jetson "
        "`sudo usermod -aG video,render $USER`, then log in again); in a container, run it with --gpus all"
    )


def require_driver(version: int) -> str:
    """Return the driver's CUDA version as text, 12.6 for 12060; raise DeviceError when it is too old."""
    text = f"{version // 1000}.{version % 1000 // 10}"
    if version < OLDEST_DRIVER:
        oldest = f"{OLDEST_DRIVER // 1000}.{OLDEST_DRIVER % 1000 // 10}"
        raise DeviceError(
            f"the NVIDIA driver speaks CUDA {text}; vultus needs CUDA {oldest} or newer: update the driver to 525 or "
            "newer, on Jetson install JetPack 6.1 or newer"
        )
    return text
