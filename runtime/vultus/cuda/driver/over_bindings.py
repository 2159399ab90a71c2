"""The driver over NVIDIA's cuda-bindings, 12.6 and newer."""

from __future__ import annotations

from importlib import import_module, metadata
from typing import Any

from vultus.cuda.driver import Driver
from vultus.cuda.driver.calls import Calls, raw
from vultus.cuda.driver.devices import find_device
from vultus.cuda.driver.guard import Guard
from vultus.cuda.driver.verbs import Opened

__all__ = ["open_device"]

OLDEST_MAJOR = 12  # graphs are made otherwise before


def open_device(index: int = 0, cuda: Any = None) -> Driver:
    """Open a GPU; raises ImportError without the package and DeviceError when the driver refuses.

    cuda: what speaks as cuda-bindings' driver module does; that module itself when None.
    """
    cuda, guard = _vendor() if cuda is None else cuda, Guard()
    device, info = find_device(cuda, guard, index)
    context = Calls(cuda, 0, guard).plain("cuDevicePrimaryCtxRetain", device)
    return Opened(
        Calls(cuda, context, guard),
        info,
        _package(),
        lambda: raw(cuda, "cuDevicePrimaryCtxRelease", device),
    )


def _vendor() -> Any:
    """Return cuda-bindings' driver module, by its new path or by the one it had at first."""
    version = _package().partition(" ")[2]
    if version and int(version.split(".")[0]) < OLDEST_MAJOR:
        raise ImportError(f"its version {version} is too old; expected 12.6 or newer")
    try:
        return import_module("cuda.bindings.driver")
    except ModuleNotFoundError:
        return import_module("cuda.cuda")


def _package() -> str:
    for name in ("cuda-bindings", "cuda-python"):
        try:
            return f"{name} {metadata.version(name)}"
        except metadata.PackageNotFoundError:
            continue
    return "cuda-bindings"
