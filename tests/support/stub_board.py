"""A board for tests of the first boot: the tests' CUDA driver, the stub of TensorRT, folders as on a device.

Programs run in process groups of their own, so that kill -9 reaches their children, as a loss of power does.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tiny
from fake_cuda import fake_environment
from recorded_boards import unpack
from shim import shim_library

__all__ = ["CONFIG", "FIRSTBOOT", "NAMES", "Board", "Ended"]

SUPPORT = Path(__file__).parent
FIRSTBOOT = SUPPORT.parents[1] / "jetson" / "firstboot"
NAMES = ("tiny-det", "tiny-face")
CONFIG = """schema = 1
[source]
path = "/dev/video0"
[models]
detector = "tiny-det"
face = "tiny-face"
precision = "fp32"
[run]
device = "auto"
"""


@dataclass(frozen=True)
class Ended:
    """How a program ended and what it said."""

    code: int
    said: str


class Board:
    """A device's files below a folder, and its first boot."""

    def __init__(self, root: Path, **settings: object) -> None:
        self.root = root
        self.state = root / "var/lib/vultus"
        self.engines = self.state / "engines"
        self.ready = self.state / "ready"
        self.cache = root / "opt/vultus/engine-cache"
        self.models = root / "opt/vultus/models"
        driver = {"CAPABILITY": 87, "INTEGRATED": 1, **settings}
        self._environment = fake_environment(shim=shim_library(), settings=driver)
        paths = (SUPPORT / "stub_tensorrt", FIRSTBOOT, self._environment["PYTHONPATH"])
        self._environment |= {
            "PYTHONPATH": os.pathsep.join(map(str, paths)),
            "VULTUS_STUB_SHORT": "1",
        }

    def furnish(self) -> None:
        """Write the configuration and the tiny models that it names, as an installed bundle."""
        self.models.mkdir(parents=True)
        tiny.save_detector(self.models / f"{NAMES[0]}.onnx")
        tiny.save_face_network(self.models / f"{NAMES[1]}.onnx")
        unpack("orin-nano-jp6", self.root)
        self.configure(CONFIG)

    def set_power_mode(self, number: int) -> None:
        """Let nvpmodel have set another mode: 15W, 25W, MAXN_SUPER, which is the first, or 7W, from 0 on."""
        (self.root / "var/lib/nvpmodel/status").write_text(f"pmode:{number:04}\n")

    def with_packages(self, folder: Path) -> None:
        """Let Python find the packages of a folder ahead of all others."""
        paths = (str(folder), self._environment["PYTHONPATH"])
        self._environment["PYTHONPATH"] = os.pathsep.join(paths)

    def configure(self, text: str) -> None:
        path = self.root / "etc/vultus/vultus.toml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def copied(self, root: Path) -> Board:
        """Return a copy of the device, links and all."""
        shutil.copytree(self.root, root, symlinks=True)
        return Board(root)

    @property
    def told(self) -> dict[str, Any]:
        """What firstboot.json says; it must be readable at any moment."""
        path = self.state / "firstboot.json"
        found: dict[str, Any] = json.loads(path.read_bytes()) if path.exists() else {}
        return found

    @property
    def current(self) -> str | None:
        """Where the link to the engines in use leads, None without one."""
        link = self.engines / "current"
        return os.readlink(link) if link.is_symlink() else None

    def files(self, slot: str) -> list[str]:
        """Return the names of all files of a slot."""
        return sorted(path.name for path in (self.engines / slot).iterdir())

    def hold(self, name: str) -> dict[str, str]:
        """Return the stub's setting that keeps the build of a model at 17 % until `go_on`."""
        (self.root / "hold").touch()
        return {"HOLD": f"{name} {self.root / 'hold'}"}

    def go_on(self) -> None:
        """Let held builds go on."""
        (self.root / "hold").unlink()

    def start(self, *arguments: str, **stub: object) -> subprocess.Popen[str]:
        """Start the first boot in a process group of its own; stub: PAUSE, CUT and so on, see stub_tensorrt."""
        settings = {f"VULTUS_STUB_{name}": str(value) for name, value in stub.items()}
        return subprocess.Popen(
            [
                sys.executable,
                "-m",
                "vultus_firstboot",
                "--root",
                str(self.root),
                "--selftest-frames",
                "1",
                *arguments,
            ],
            env=self._environment | settings,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def boot(self, *arguments: str, **stub: object) -> Ended:
        """Run the first boot to its end."""
        with self.start(*arguments, **stub) as process:
            said = process.communicate(timeout=120)[0]
        return Ended(process.returncode, said)

    def cut_when(self, seen: Callable[[], bool], *arguments: str, **stub: object) -> None:
        """Start the first boot and kill -9 all of it as soon as something is seen."""
        with self.start(*arguments, **stub) as process:
            until = time.monotonic() + 60
            while not seen():
                assert process.poll() is None, process.communicate()[0]
                assert time.monotonic() < until, "what should be seen does not come"
                time.sleep(0.01)
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()

    def at(self, step: str, state: str = "building", detail: str = "") -> Callable[[], bool]:
        """Return a question: does firstboot.json show this step?"""

        def seen() -> bool:
            told = self.told
            return (
                told.get("step") == step and told.get("state") == state and detail in told.get("detail", "")
            )

        return seen
