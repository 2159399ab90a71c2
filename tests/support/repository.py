"""The project as its tests of rules see it: tracked files, modules and their imports, the package registry."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = {
    "vultus": ROOT / "runtime" / "vultus",
    "vultus_models": ROOT / "models" / "vultus_models",
    "vultus_export": ROOT / "export" / "vultus_export",
}


@dataclass(frozen=True)
class Import:
    """One import statement's target and whether it happens when the module is imported, or later."""

    target: str
    late: bool


def tracked_files() -> list[Path]:
    """Return every file under version control; skips the test outside of a checkout."""
    if not (ROOT / ".git").exists():
        pytest.skip("this copy of the project is no git checkout")
    command = ["git", "-C", str(ROOT), "ls-files", "-z"]
    names = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split("\0")
    return [ROOT / name for name in names if name and (ROOT / name).is_file()]


def modules(package: str) -> dict[str, Path]:
    """Return the modules of one package by dotted name."""
    root = PACKAGES[package]
    found = {}
    for path in sorted(root.rglob("*.py")):
        parts = path.relative_to(root.parent).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


@lru_cache(maxsize=1)
def all_modules() -> dict[str, Path]:
    """Return the modules of all packages by dotted name."""
    return {name: path for package in PACKAGES for name, path in modules(package).items()}


def imports_of(path: Path) -> list[Import]:
    """Return what a module imports; imports for type checkers alone are left out."""
    return list(_imports(ast.parse(path.read_text(encoding="utf-8")), late=False))


def _imports(node: ast.AST, late: bool) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            yield from (Import(alias.name, late) for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            assert child.level == 0, "relative imports are not used here"
            for alias in child.names:
                whole = f"{child.module}.{alias.name}"
                yield Import(whole if whole in all_modules() else str(child.module), late)
        elif isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            continue
        else:
            inside = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            yield from _imports(child, late or inside)


def run_python(code: str, *options: str) -> str:
    """Run code in a new interpreter and return what it printed."""
    done = subprocess.run([sys.executable, *options, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@lru_cache(maxsize=1)
def registry_fault() -> str:
    """Return why the package registry cannot be reached, or an empty string."""
    command = [sys.executable, "-m", "pip", "index", "versions", "numpy", "--retries", "0", "--timeout", "10"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stderr.strip().splitlines()[-1] if done.returncode else ""


def need_registry() -> None:
    """Skip the test, with the reason, where the package registry cannot be reached."""
    fault = registry_fault()
    if fault:
        pytest.skip(f"the package registry cannot be reached: {fault}")
