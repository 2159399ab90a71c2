"""The packaged kernel sources, and what was built from them."""

from __future__ import annotations

import gzip
import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

__all__ = [
    "ARCHITECTURES",
    "FATBIN",
    "built",
    "fatbin",
    "kernel_names",
    "kernel_sources",
    "sources_hash",
    "translation_unit",
]

ARCHITECTURES = (75, 80, 86, 87, 89, 90, 100, 110, 120)
"""Compute capabilities with machine code in the package; newer ones translate the PTX of the oldest."""

FOLDER = Path(__file__).parent / "kernels"
FATBIN = Path(__file__).parent / "kernels.fatbin.gz"
RECORD = Path(__file__).parent / "kernels.json"
EXPORTED = re.compile(r"^\s*VULTUS(?:_BLOCK)?_KERNEL\(\s*(\w+)\s*\)", re.MULTILINE)
MARKERS = "".join(
    f"#ifndef {name}\n#define {name}(kernel)\n#endif\n" for name in ("VULTUS_KERNEL", "VULTUS_BLOCK_KERNEL")
)
"""The lines that name a file's kernels mean something to tools alone."""


def kernel_sources(folder: Path = FOLDER) -> dict[str, str]:
    """Return the kernel sources and their headers by file name, in name order."""
    files = sorted((*folder.glob("*.cu"), *folder.glob("*.cuh")), key=lambda path: path.name)
    return {path.name: path.read_text(encoding="utf-8") for path in files}


def translation_unit(sources: Mapping[str, str]) -> str:
    """Return the text that takes all .cu files in, so that all kernels are one module."""
    return MARKERS + "".join(f'#include "{name}"\n' for name in sources if name.endswith(".cu"))


def kernel_names(sources: Mapping[str, str]) -> list[str]:
    """Return the sorted names of the kernels: those in lines VULTUS_KERNEL(name) or VULTUS_BLOCK_KERNEL(name)."""
    found = [
        name for file, text in sources.items() if file.endswith(".cu") for name in EXPORTED.findall(text)
    ]
    return sorted(found)


def sources_hash(sources: Mapping[str, str]) -> str:
    """Return the SHA-256 over the names and texts of all sources."""
    digest = hashlib.sha256()
    for name, text in sorted(sources.items()):
        data = text.encode()
        digest.update(f"{name} {len(data)}\n".encode() + data)
    return digest.hexdigest()


def built() -> dict[str, Any]:
    """Return what scripts/build-kernels wrote of its last build: hashes, compilers, architectures, kernels."""
    return dict(json.loads(RECORD.read_text(encoding="utf-8")))


def fatbin() -> bytes:
    """Return the packaged machine code; raises OSError or EOFError when the file is missing or damaged.

    It is packed by gzip and not by the compiler's tools, whose ways of compressing older drivers do not know.
    """
    return gzip.decompress(FATBIN.read_bytes())
