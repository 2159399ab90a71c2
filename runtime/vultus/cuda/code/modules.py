"""The kernels on a device: packaged machine code first, the packaged sources compiled on the spot second."""

from __future__ import annotations

import zlib

from vultus.cuda.code.nvrtc import Nvrtc, find_compilers
from vultus.cuda.code.sources import fatbin, kernel_sources
from vultus.cuda.driver import Driver, Function, Module
from vultus.errors import DeviceError

__all__ = ["Kernels", "load_kernels"]


class Kernels:
    """Loaded kernels by name. origin: where their code came from, for people to read."""

    def __init__(self, module: Module, origin: str) -> None:
        self._module = module
        self._functions: dict[str, Function] = {}
        self.origin = origin

    def __getitem__(self, name: str) -> Function:
        """Return a kernel by its C name; raises DeviceError when there is none of that name."""
        if name not in self._functions:
            self._functions[name] = self._module.function(name)
        return self._functions[name]

    def close(self) -> None:
        """Unload the code; twice does nothing."""
        self._functions.clear()
        self._module.close()


def load_kernels(driver: Driver, compile_here: bool = False) -> Kernels:
    """Load the kernels onto the driver's device.

    The package holds machine code for common devices and PTX for newer ones. Where the driver takes neither, NVRTC
    compiles the packaged sources here; compile_here asks for that at once.
    Raises DeviceError with both reasons when neither way works.
    """
    refused = "" if not compile_here else "not asked"
    if not compile_here:
        try:
            return Kernels(driver.load(fatbin()), "packaged machine code")
        except (DeviceError, OSError, EOFError, zlib.error) as error:
            refused = str(error)
    return _compiled(driver, refused)


def _compiled(driver: Driver, refused: str) -> Kernels:
    info = driver.info
    major, minor = info.compute_capability
    reasons = []
    for compiler in _suitable(find_compilers(), info.driver):
        try:
            code = compiler.machine_code(kernel_sources(), 10 * major + minor)
            return Kernels(driver.load(code), f"compiled here by NVRTC {compiler.name}")
        except DeviceError as error:
            reasons.append(f"NVRTC {compiler.name}: {error}")
    cuda = info.driver.partition(".")[0]
    package = "nvidia-cuda-nvrtc" if cuda.isdigit() and int(cuda) >= 13 else f"nvidia-cuda-nvrtc-cu{cuda}"
    none = f"no NVRTC for a CUDA {info.driver} driver is here; pip install {package}"
    raise DeviceError(
        f"the kernels cannot be loaded on {info.name} (compute capability {major}.{minor}): "
        f"packaged machine code: {refused}; compiling here: {'; '.join(reasons) or none}"
    )


def _suitable(compilers: list[Nvrtc], driver: str) -> list[Nvrtc]:
    """Return the compilers whose code this driver takes, newest first: none of a later CUDA major version."""
    major = int(driver.partition(".")[0])
    fitting = [compiler for compiler in compilers if compiler.version[0] <= major]
    return sorted(fitting, key=lambda compiler: compiler.version, reverse=True)
