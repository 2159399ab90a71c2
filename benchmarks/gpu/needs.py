"""What a check needs of the Python that runs it, found out before anything else is imported.

The machine with the GPU is often not the one where vultus is worked on: its Python has some packages and no way to
the others. So everything that is missing is named at once, with what brings it.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import NamedTuple

__all__ = ["LACKING", "NEEDS", "Need", "lacks"]

LACKING = 4
OLDEST = (3, 10)


class Need(NamedTuple):
    """modules: any one will do. packages: what brings them, then what that needs. parts: letters, names; none: all."""

    modules: tuple[str, ...]
    packages: tuple[str, ...]
    parts: tuple[str, ...] = ()


NEEDS = (
    Need(("numpy",), ("numpy>=1.26",)),
    Need(("cv2",), ("opencv-python-headless>=4.10",)),
    Need(("msgspec",), ("msgspec>=0.19",)),
    Need(("rich",), ("rich>=13", "markdown-it-py", "mdurl", "pygments")),
    Need(("cuda.bindings.driver", "cuda.cuda", "pycuda"), ("cuda-bindings>=12.6", "cuda-pathfinder")),
    Need(("onnxruntime",), ("onnxruntime>=1.20", "flatbuffers", "packaging", "protobuf"), ("b", "pipeline")),
)

WITHOUT_NETWORK = """\
Where this machine has no network, fetch them on one that has it, and bring the folder along:
  pip download --only-binary=:all: --no-deps --python-version {version} -d wheels {packages}
  {python} -m pip install --no-index --no-deps --target site wheels/*.whl
  PYTHONPATH=site scripts/gpu-check ..."""


def lacks(arguments: Sequence[str]) -> str:
    """Return what is missing for the parts that the arguments ask for, in words; an empty string when nothing is."""
    version = "{}.{}".format(*sys.version_info)
    if sys.version_info < OLDEST:
        oldest = "{}.{}".format(*OLDEST)
        return f"gpu-check: {sys.executable} is Python {version}; it takes {oldest} or newer: name one by PYTHON=..."
    missing = [(need, why) for need in NEEDS if _wanted(need, arguments) and (why := _missing(need))]
    if not missing:
        return ""
    packages = " ".join(f"'{need.packages[0]}'" for need, _ in missing)
    files = " ".join(f"'{package}'" for need, _ in missing for package in need.packages)
    lines = [f"gpu-check: {sys.executable} (Python {version}) lacks what this needs:"]
    lines += [f"  {why}{_for(need)}" for need, why in missing]
    lines += [
        "Install it, or name another Python by PYTHON=...:",
        f"  {sys.executable} -m pip install {packages}",
    ]
    how = WITHOUT_NETWORK.format(version=version, packages=files, python=sys.executable)
    return "\n".join([*lines, how])


def _missing(need: Need) -> str:
    """Return why none of a need's modules can be imported, or an empty string when one can."""
    said = []
    for name in need.modules:
        try:
            import_module(name)
        except ImportError as error:
            absent = isinstance(error, ModuleNotFoundError) and name.startswith(error.name or "?")
            said.append("" if absent else f"{name} does not load: {error}")
            continue
        return ""
    return next(filter(None, said), f"{need.packages[0].partition('>')[0]} is not installed")


def _wanted(need: Need, arguments: Sequence[str]) -> bool:
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--parts", default="")
    parts = str(parser.parse_known_args(arguments)[0].parts)
    asked = {part.strip() for part in parts.split(",")} - {""}
    return not need.parts or not asked or bool(asked.intersection(need.parts))


def _for(need: Need) -> str:
    return f" (for part {need.parts[0]} alone: --parts leaves it out)" if need.parts else ""
