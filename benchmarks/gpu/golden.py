#!/usr/bin/env python3
"""Make the packaged results of the self-test: each kernel's, from g++ through the shim, and the models' on this CPU.

    PYTHONPATH=benchmarks python -m gpu.golden            # write runtime/vultus/selftest/golden.{npz,json}
    PYTHONPATH=benchmarks python -m gpu.golden --check    # exit 1 when the kernels' sources, cases or models differ

Needs g++ and no GPU.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.provenance import REPOSITORY
from vultus.cuda.code.sources import kernel_sources, sources_hash
from vultus.errors import VultusError
from vultus.selftest.golden import load_golden, save_golden
from vultus.selftest.models import faces_found, installed_pairs, model_hashes

__all__ = ["kernel_arrays", "main", "origin"]

Arrays = dict[str, npt.NDArray[Any]]

SUPPORT = REPOSITORY / "tests" / "support"

IN_CHILD = """
import sys
from contextlib import closing
import numpy as np
from vultus.cuda.driver import open_driver
from vultus.cuda.code.modules import load_kernels
from vultus.selftest.kernels import outputs_of_cases
arrays = {{}}
with closing(open_driver()) as driver, closing(load_kernels(driver)) as kernels:
    for name, written, launched in outputs_of_cases(driver, kernels):
        arrays |= {{f"{{name}}/{{key}}": array for key, array in written.items()}}
        print(name, *launched, sep="\\t")
np.savez({out!r}, **arrays)
"""


def kernel_arrays() -> tuple[Arrays, dict[str, list[str]]]:
    """Return what the cases write when the kernels run on the host, and the kernels that each case launched."""
    sys.path.append(str(SUPPORT))
    from fake_cuda import run_with_fake
    from shim import shim_library

    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "kernels.npz"
        done = run_with_fake(IN_CHILD.format(out=str(out)), shim=shim_library(), check=False)
        if done.returncode:
            raise RuntimeError(f"the cases do not run on the stand-in driver:\n{done.stdout}{done.stderr}")
        with np.load(out, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    launched = dict(line.split("\t", 1) for line in done.stdout.splitlines())
    return arrays, {name: kernels.split("\t") for name, kernels in launched.items()}


def origin() -> dict[str, Any]:
    """Return the hashes of what the packaged results come from."""
    return {"kernels": sources_hash(kernel_sources()), "models": model_hashes()}


def _made() -> Arrays:
    kernels, _ = kernel_arrays()
    arrays = {f"kernels/{name}": array for name, array in kernels.items()}
    for precision, pair in installed_pairs().items():
        for name, faces in faces_found(pair, "cpu").items():
            arrays[f"models/{precision}/{name}"] = faces
    return arrays


def main(arguments: Sequence[str] | None = None) -> int:
    """Write or check; return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 when something differs")
    asked = parser.parse_args(arguments)
    if not asked.check:
        save_golden(_made(), origin())
        print("golden.npz: written")
        return 0
    try:
        packaged = load_golden().origin
    except VultusError as error:
        print(f"golden: {error}", file=sys.stderr)
        return 1
    stale = [what for what, now in origin().items() if packaged.get(what) != now]
    print(f"golden.npz: {'made from other ' + ' and '.join(stale) if stale else 'up to date'}")
    return int(bool(stale))


if __name__ == "__main__":
    sys.exit(main())
