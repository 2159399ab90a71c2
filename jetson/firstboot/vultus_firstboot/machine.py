"""What engines meet here: TensorRT and the GPU, asked in a process of its own, which a broken driver may take down.

`python -m vultus_firstboot.machine FLAVOUR` prints it as JSON.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from vultus.engines.sidecar import Platform
from vultus.errors import VultusError
from vultus.telemetry.board import read_board
from vultus_firstboot import FirstBootError
from vultus_firstboot.child import python

__all__ = ["Machine", "machine_here"]

PATIENCE = 120.0  # seconds; the first look at a GPU after a cold start is slow


@dataclass(frozen=True)
class Machine:
    """TensorRT, the GPU and the board.

    portable: whether engines are built for a list of GPUs, this one among them, without timing kernels.
    board: number of the module, such as 3767-0005, since the driver calls the GPUs of all Orin modules by one name.
    mode: power mode in which kernels are timed, such as 15W. Both are empty where nothing tells them.
    """

    platform: Platform
    portable: bool
    board: str = ""
    mode: str = ""

    @property
    def flavour(self) -> str:
        """The flavour as `vultus-export engine --flavour` names it."""
        return self.platform.flavour.replace("_", "-")


def machine_here(flavour: str = "auto", root: Path = Path("/"), patience: float = PATIENCE) -> Machine:
    """Return what can build engines here; raises FirstBootError when nothing can."""
    command = [*python(), "-m", "vultus_firstboot.machine", flavour]
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, timeout=patience, check=False)
    except subprocess.TimeoutExpired:
        raise FirstBootError(
            f"looking at TensorRT and the GPU did not end within {patience:.0f} s; reboot, then try again"
        ) from None
    if done.returncode:
        raise FirstBootError(
            f"looking at TensorRT and the GPU crashed (exit status {done.returncode}); "
            "mend the NVIDIA driver or TensorRT: vultus doctor says more"
        )
    found: dict[str, Any] = json.loads(done.stdout)
    if problem := found.get("problem"):
        raise FirstBootError(
            f'{problem}; to go on without engines write [run] device = "cpu" into vultus.toml'
        )
    return Machine(Platform(**found["platform"]), found["portable"], *_board(root))


def _board(root: Path) -> tuple[str, str]:
    """Return number of the module and name of the power mode, empty where they are not told."""
    board = read_board(root)
    number = re.search(r"\d{4}-\d{4}", board.part_number or "")
    mode = (board.mode.name or str(board.mode.id)) if board.mode else ""
    return number[0] if number else "", mode


def _found(flavour: str) -> dict[str, Any]:
    from vultus_export.tensorrt.bindings import CHOICES, load_bindings

    chosen = next((choice for choice in CHOICES if choice == flavour), None)
    if chosen is None:
        return {"problem": f"flavour {flavour!r} is unknown; expected one of {', '.join(CHOICES)}"}
    try:
        bindings = load_bindings(chosen)
        platform = bindings.platform()
    except VultusError as error:
        return {"problem": str(error)}
    if platform.problem:  # TensorRT-RTX builds without a GPU, but the engines are to run here
        return {"problem": f"engines run on a GPU, but {platform.problem}"}
    return {"platform": asdict(platform), "portable": bindings.portable}


if __name__ == "__main__":
    json.dump(_found(sys.argv[1]), sys.stdout)
