"""NVIDIA's runtime compiler, spoken to through ctypes: kernel sources to machine code, with or without a GPU.

`python -m vultus.cuda.code.nvrtc` compiles the packaged kernels for every architecture and names what fails.
"""

from __future__ import annotations

import ctypes
import importlib.util
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from vultus.cuda.code.sources import ARCHITECTURES, kernel_sources, translation_unit
from vultus.errors import DeviceError

__all__ = ["OPTIONS", "Nvrtc", "check_kernels", "find_compilers", "main"]

OPTIONS = ("--std=c++17", "--fmad=false")
"""What every compile is given: products and sums are fused only where the source says so."""

UNIT = "vultus.cu"
SONAMES = ("libnvrtc.so.13", "libnvrtc.so.12")
FOLDERS = ("lib", "lib64", "targets/x86_64-linux/lib", "targets/aarch64-linux/lib")


class Nvrtc:
    """One opened compiler library. Raises DeviceError when the file is no NVRTC."""

    def __init__(self, library: str | Path) -> None:
        try:
            # NVRTC looks for its builtins by name alone; loaded before, they are found wherever they lie.
            for builtins in _beside(str(library)):
                ctypes.CDLL(builtins)
            self._library = ctypes.CDLL(str(library))
            self.version = self._version()
        except (OSError, AttributeError) as error:
            raise DeviceError(f"{library} is no NVRTC that can be used: {error}") from error
        self.path = str(library)

    def machine_code(self, sources: Mapping[str, str], architecture: int) -> bytes:
        """Compile the .cu sources, as one unit, to the cubin of an architecture such as 87.

        Raises DeviceError with the compiler's own words.
        """
        with self._compiled(sources, f"sm_{architecture}") as program:
            return self._take(program, "CUBIN")

    def assembly(self, sources: Mapping[str, str], architecture: int) -> bytes:
        """Compile the .cu sources, as one unit, to PTX that newer devices translate themselves."""
        with self._compiled(sources, f"compute_{architecture}") as program:
            return self._take(program, "PTX")

    def architectures(self) -> list[int]:
        """Return the architectures that this version can compile for."""
        count = ctypes.c_int()
        self._do("nvrtcGetNumSupportedArchs", ctypes.byref(count))
        numbers = (ctypes.c_int * count.value)()
        self._do("nvrtcGetSupportedArchs", numbers)
        return list(numbers)

    def _version(self) -> tuple[int, int]:
        major, minor = ctypes.c_int(), ctypes.c_int()
        self._library.nvrtcGetErrorString.restype = ctypes.c_char_p
        self._do("nvrtcVersion", ctypes.byref(major), ctypes.byref(minor))
        return major.value, minor.value

    @contextmanager
    def _compiled(self, sources: Mapping[str, str], target: str) -> Iterator[ctypes.c_void_p]:
        program = ctypes.c_void_p()
        count = len(sources)
        texts = (ctypes.c_char_p * count)(*(text.encode() for text in sources.values()))
        names = (ctypes.c_char_p * count)(*(name.encode() for name in sources))
        unit = translation_unit(sources).encode()
        self._do(
            "nvrtcCreateProgram",
            ctypes.byref(program),
            unit,
            UNIT.encode(),
            ctypes.c_int(count),
            texts,
            names,
        )
        try:
            self._compile(program, (*OPTIONS, f"--gpu-architecture={target}"))
            yield program
        finally:
            self._do("nvrtcDestroyProgram", ctypes.byref(program))

    def _compile(self, program: ctypes.c_void_p, options: tuple[str, ...]) -> None:
        given = (ctypes.c_char_p * len(options))(*(option.encode() for option in options))
        code = self._library.nvrtcCompileProgram(program, ctypes.c_int(len(options)), given)
        if code:
            log = self._take(program, "ProgramLog").rstrip(b"\0").decode("utf-8", "replace").strip()
            said = log or self._error(code)
            raise DeviceError(f"NVRTC {self.name} cannot compile the kernels ({options[-1]}): {said}")

    def _take(self, program: ctypes.c_void_p, what: str) -> bytes:
        size = ctypes.c_size_t()
        self._do(f"nvrtcGet{what}Size", program, ctypes.byref(size))
        buffer = ctypes.create_string_buffer(size.value)
        self._do(f"nvrtcGet{what}", program, buffer)
        return buffer.raw

    def _do(self, function: str, *arguments: object) -> None:
        code = getattr(self._library, function)(*arguments)
        if code:
            raise DeviceError(f"{function} failed: {self._error(code)}")

    def _error(self, code: int) -> str:
        text: bytes = self._library.nvrtcGetErrorString(code)
        return text.decode()

    @property
    def name(self) -> str:
        """The version as people write it, such as 12.6."""
        return ".".join(map(str, self.version))


def _beside(library: str) -> list[str]:
    """Return the builtins in the folder of a library; none for one that the loader is to find by its name."""
    folder, slash, _ = library.rpartition("/")
    return sorted(map(str, Path(folder or "/").glob("libnvrtc-builtins.so.*"))) if slash else []


def find_compilers() -> list[Nvrtc]:
    """Open every NVRTC of this machine: that of pip packages, then the loader's, then those of CUDA toolkits."""
    found: dict[str, Nvrtc] = {}
    for candidate in (*_in_packages(), *SONAMES, *_in_toolkits()):
        try:
            compiler = Nvrtc(candidate)
        except DeviceError:
            continue
        found.setdefault(compiler.name, compiler)
    return list(found.values())


def _in_packages() -> Iterator[str]:
    spec = importlib.util.find_spec("nvidia")
    for place in spec.submodule_search_locations or () if spec else ():
        yield from map(str, sorted(Path(place).glob("*/lib/libnvrtc.so.*"), reverse=True))


def _in_toolkits() -> Iterator[str]:
    roots = [os.environ.get("CUDA_HOME", ""), os.environ.get("CUDA_PATH", ""), "/usr/local/cuda"]
    for root in filter(None, roots):
        for folder in FOLDERS:
            yield from map(str, sorted((Path(root) / folder).glob("libnvrtc.so.*"), reverse=True))


def check_kernels(compiler: Nvrtc) -> Iterator[tuple[int, str]]:
    """Compile the packaged kernels for every architecture that the compiler knows; yield each with what failed."""
    sources, known = kernel_sources(), set(compiler.architectures())
    for architecture in ARCHITECTURES:
        if architecture in known:
            try:
                compiler.machine_code(sources, architecture)
                yield architecture, ""
            except DeviceError as error:
                yield architecture, str(error)


def main() -> int:
    """Check the kernels with every compiler of this machine; return 1 when one fails or none is there."""
    compilers = find_compilers()
    failed = not compilers
    for compiler in compilers:
        for architecture, problem in check_kernels(compiler):
            failed = failed or bool(problem)
            sys.stdout.write(f"NVRTC {compiler.name}, sm_{architecture}: {problem or 'compiles'}\n")
    sys.stdout.write("" if compilers else "no NVRTC here: pip install nvidia-cuda-nvrtc\n")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
