"""Where the files of an installed vultus lie, below a root and as systemd says."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Places", "below", "places"]


@dataclass(frozen=True)
class Places:
    """Files and folders of a device.

    state: kept over restarts (systemd's StateDirectory). runtime: gone at a restart (RuntimeDirectory).
    config: the configuration. models: where an installed bundle of models lies, if there is one.
    """

    state: Path
    runtime: Path
    config: Path
    models: Path

    @property
    def status(self) -> Path:
        """What the running service says of itself."""
        return self.runtime / "status.json"

    @property
    def firstboot(self) -> Path:
        """What the first boot says of itself."""
        return self.state / "firstboot.json"

    @property
    def ready(self) -> Path:
        """The marker that the first boot is done."""
        return self.state / "ready"

    @property
    def engines(self) -> Path:
        """The folder of the engines in use, a link to one of the slots `a` and `b` beside it."""
        return self.state / "engines" / "current"

    @property
    def slot(self) -> str | None:
        """The slot in use, None before the first boot is done."""
        try:
            return os.path.basename(os.readlink(self.engines))
        except OSError:
            return None


def places(root: Path = Path("/")) -> Places:
    """Return the places below a root; on the running machine, where systemd put them when it says so."""
    here = root == Path("/")
    state = os.environ.get("STATE_DIRECTORY") if here else None
    runtime = os.environ.get("RUNTIME_DIRECTORY") if here else None
    return Places(
        state=Path(state) if state else root / "var/lib/vultus",
        runtime=Path(runtime) if runtime else root / "run/vultus",
        config=root / "etc/vultus/vultus.toml",
        models=root / "opt/vultus/models",
    )


def below(root: Path, path: str) -> Path:
    """Return a path of the configuration as it lies below a root: /opt/x of a device is ROOT/opt/x here."""
    return Path(path) if root == Path("/") else root / path.lstrip("/")
