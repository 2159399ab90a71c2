"""Scripts of `benchmarks/` as a user starts them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from types import ModuleType

__all__ = ["exit_code", "loaded_with"]


def exit_code(main: Callable[[Sequence[str]], int], arguments: Sequence[str]) -> int:
    """Return what a script's main ends with, also where its parser ends it."""
    try:
        return main(arguments)
    except SystemExit as stop:
        return int(stop.code or 0)


def loaded_with(script: ModuleType, names: Collection[str]) -> list[str]:
    """Return which of these modules are loaded once a script is imported in a process of its own."""
    folder = str(Path(script.__file__ or "").parent)
    code = f"import sys; sys.path.insert(0, {folder!r}); import {script.__name__}\n"
    code += f"print(*{set(names)!r} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.split()
