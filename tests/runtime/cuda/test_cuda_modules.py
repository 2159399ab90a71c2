"""The packaged machine code, the compilers behind it, and the two ways onto a device."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from fake_cuda import run_with_fake
from shim import shim_library
from vultus.cuda.code import build
from vultus.cuda.code.nvrtc import Nvrtc, find_compilers
from vultus.cuda.code.sources import (
    ARCHITECTURES,
    FATBIN,
    built,
    fatbin,
    kernel_names,
    kernel_sources,
    sources_hash,
    translation_unit,
)
from vultus.errors import DeviceError

PTX, CUBIN = 1, 2
LARGEST_PACKED = 2_000_000


def images(data: bytes) -> Iterator[tuple[int, int]]:
    """Yield (kind, architecture) of every image of a fatbin."""
    magic, _, header, size = struct.unpack_from("<IHHQ", data)
    assert (magic, header + size) == (0xBA55ED50, len(data))
    at = header
    while at < len(data):
        kind, _, head, length = struct.unpack_from("<HHIQ", data, at)
        (architecture,) = struct.unpack_from("<I", data, at + 28)
        yield kind, architecture
        at += head + length


@pytest.fixture(scope="session")
def compiler() -> Nvrtc:
    found = find_compilers()
    if not found:
        pytest.skip("there is no NVRTC here: pip install nvidia-cuda-nvrtc")
    return found[0]


def test_the_machine_code_is_of_these_sources() -> None:
    record, sources = built(), kernel_sources()
    assert record["sources"] == sources_hash(sources), (
        "the kernels changed since scripts/build-kernels ran; run it again"
    )
    assert record["kernels"] == kernel_names(sources)
    assert hashlib.sha256(fatbin()).hexdigest() == record["fatbin"]


def test_the_machine_code_is_for_every_architecture_and_small() -> None:
    found = list(images(fatbin()))
    assert sorted(number for kind, number in found if kind == CUBIN) == sorted(ARCHITECTURES)
    assert [number for kind, number in found if kind == PTX] == [min(ARCHITECTURES)]
    assert FATBIN.stat().st_size < LARGEST_PACKED


def test_every_kernel_is_in_every_image() -> None:
    """Kernel names stand in each image's string table or text."""
    data = fatbin()
    for name in kernel_names(kernel_sources()):
        assert data.count(name.encode() + b"\0") + data.count(b".entry " + name.encode()) >= len(
            ARCHITECTURES
        )


def test_each_architecture_has_one_compiler_and_old_drivers_get_old_code() -> None:
    numbers = [number for known in build.COMPILERS.values() for number in known]
    assert sorted(numbers) == sorted(ARCHITECTURES)
    assert {75, 80, 86, 87, 89, 90} <= set(build.COMPILERS["12.6"])  # what a driver of JetPack 6 takes
    assert build.PTX[0] == "12.6"


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_nvrtc_compiles_all_kernels(compiler: Nvrtc, architecture: int) -> None:
    if architecture not in compiler.architectures():
        pytest.skip(f"NVRTC {compiler.name} does not know sm_{architecture}")
    code = compiler.machine_code(kernel_sources(), architecture)
    assert code[:4] == b"\x7fELF"
    if architecture == ARCHITECTURES[0]:  # the same sources give the same bytes
        assert code == compiler.machine_code(kernel_sources(), architecture)


def test_the_compilers_own_words_come_with_a_refusal(compiler: Nvrtc) -> None:
    broken = {"broken.cu": 'extern "C" __global__ void vultus_broken(int* out) { *out = nonsense; }\n'}
    with pytest.raises(
        DeviceError, match=r'(?s)cannot compile the kernels .*broken\.cu.*"nonsense" is undefined'
    ):
        compiler.machine_code(broken, ARCHITECTURES[0])


def test_a_file_that_is_no_compiler_is_named(tmp_path: Path) -> None:
    path = tmp_path / "libnvrtc.so.12"
    path.write_bytes(b"no library")
    with pytest.raises(DeviceError, match=f"{path} is no NVRTC that can be used"):
        Nvrtc(path)


def test_kernels_are_found_by_their_markers_and_files_make_one_unit() -> None:
    sources = {
        "a.cu": "VULTUS_KERNEL(vultus_b)\nVULTUS_KERNEL( vultus_a )\n// VULTUS_KERNEL(vultus_no)\n",
        "b.cuh": "#define X\nVULTUS_KERNEL(vultus_header)\n",
    }
    assert kernel_names(sources) == ["vultus_a", "vultus_b"]
    assert '#include "a.cu"\n' in translation_unit(sources)
    assert "b.cuh" not in translation_unit(sources)
    renamed = {"c.cu": sources["a.cu"], "b.cuh": sources["b.cuh"]}
    assert len({sources_hash(one) for one in (sources, renamed, {**sources, "a.cu": ""})}) == 3


def test_a_build_without_compilers_says_what_is_missing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert build.main([str(tmp_path)]) == 1
    assert "nvrtc-12.6 holds no libnvrtc.so.*; scripts/build-kernels fetches it" in capsys.readouterr().err


LOAD = """
from contextlib import closing
from vultus.cuda.code import modules
from vultus.cuda.driver import open_driver
from vultus.errors import DeviceError
{before}
with closing(open_driver()) as driver:
    try:
        with closing(modules.load_kernels(driver{option})) as kernels:
            print(kernels.origin, kernels["vultus_align"].name, sep="; ")
            kernels["vultus_none"]
    except DeviceError as error:
        print(error)
"""


def said(before: str = "", option: str = "", faults: str = "", **settings: object) -> str:
    script = LOAD.format(before=before, option=option)
    return run_with_fake(script, faults=faults, shim=shim_library(), settings=settings).stdout


def test_packaged_code_comes_first_and_unknown_kernels_are_named() -> None:
    first, second = said().splitlines()
    assert first == "packaged machine code; vultus_align"
    assert "vultus_none" in second


def test_sources_are_compiled_where_the_packaged_code_is_refused(compiler: Nvrtc) -> None:
    refused = said(faults="cuModuleLoadData@1=209", CAPABILITY=90)
    assert refused.startswith(f"compiled here by NVRTC {compiler.name}; vultus_align")
    asked = said(option=", compile_here=True", CAPABILITY=90)
    assert asked.startswith(f"compiled here by NVRTC {compiler.name}; vultus_align")


@pytest.mark.parametrize(
    ("before", "driver", "reason"),
    [
        (
            "modules.find_compilers = lambda: []",
            12060,
            "no NVRTC for a CUDA 12.6 driver is here; pip install nvidia-cuda-nvrtc-cu12",
        ),
        ("modules.find_compilers = lambda: []", 13000, "pip install nvidia-cuda-nvrtc"),
        ("modules.fatbin = lambda: (_ for _ in ()).throw(OSError('damaged'))", 12060, "damaged"),
    ],
)
def test_both_reasons_are_told_when_neither_way_works(before: str, driver: int, reason: str) -> None:
    told = said(before, faults="cuModuleLoadData=209", DRIVER=driver)
    assert "the kernels cannot be loaded on Fake CUDA device 0 (compute capability" in told
    assert reason in told


def test_a_newer_compilers_code_is_not_given_to_an_older_driver() -> None:
    before = (
        "class Newer:\n"
        "    version, name = (13, 0), '13.0'\n"
        "    def machine_code(self, *_): raise AssertionError\n"
        "modules.find_compilers = lambda: [Newer()]"
    )
    assert "no NVRTC for a CUDA 12.6 driver" in said(before, ", compile_here=True", DRIVER=12060)
