"""What this machine has, what vultus would run on it, and what is missing with the fix."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

__all__ = ["Check", "Report", "examine"]

Status = Literal["ok", "absent", "problem"]


@dataclass(frozen=True)
class Check:
    """One thing that was looked at.

    status: `ok`; `absent`, which harms nothing; or `problem`, which has a fix.
    """

    section: str
    name: str
    status: Status
    value: str
    fix: str = ""


@dataclass(frozen=True)
class Report:
    """All checks, and whether pictures can be analysed here."""

    version: str
    checks: tuple[Check, ...]
    usable: bool

    def values(self) -> dict[str, Any]:
        """Return the report as plain values for JSON."""
        return asdict(self)


def examine(models: Sequence[Path] | None = None, engine_folder: Path | None = None) -> Report:
    """Look at this machine. Nothing is installed, changed or downloaded; GPU libraries run in a child process.

    models: files to try, the default models when None. engine_folder: TensorRT engines to hold against this
    machine. "Usable" means that they were really opened on some
    device, not that the packages look right.
    """
    from vultus import __version__
    from vultus.doctor import engines, firstboot, machine, packages
    from vultus.zoo import default_models

    files = default_models() if models is None else models

    checks = [
        *machine.checks(),
        *packages.checks(),
        *machine.gpu_checks(),
        *machine.jetson_checks(),
        *firstboot.firstboot_checks(),
        *engines.model_checks(files),
        *(engines.engine_checks(engine_folder) if engine_folder else ()),
        *engines.run_checks(files),
    ]
    usable = any(check.section == "runs" and check.status == "ok" for check in checks)
    return Report(__version__, tuple(checks), usable)
