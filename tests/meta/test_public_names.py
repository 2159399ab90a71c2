"""`__all__` is sorted, true and complete in every module."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path

import pytest

from repository import all_modules

MODULES = all_modules()


def public_names(path: Path) -> set[str]:
    """Return the functions and classes that a module defines at its top level under a public name."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    return {node.name for node in tree.body if isinstance(node, kinds) and not node.name.startswith("_")}


def declared(path: Path) -> list[str] | None:
    """Return the names in a module's `__all__`, or None without one."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        targets = node.targets if isinstance(node, ast.Assign) else []
        if any(isinstance(target, ast.Name) and target.id == "__all__" for target in targets):
            assert isinstance(node, ast.Assign)
            return list(ast.literal_eval(node.value))
    return None


def in_order(names: list[str]) -> list[str]:
    """Sort names as ruff does: CONSTANTS, then Classes, then the rest."""

    def key(name: str) -> tuple[int, str]:
        bare = name.lstrip("_")
        return (0 if bare.isupper() else 1 if bare[:1].isupper() else 2, name)

    return sorted(set(names), key=key)


@pytest.mark.parametrize("name", MODULES)
def test_all_is_sorted_and_complete(name: str) -> None:
    names, defined = declared(MODULES[name]), public_names(MODULES[name])
    if names is None:
        assert not defined, f"{name} has no __all__ but defines {', '.join(sorted(defined))}"
        return
    assert names == in_order(names), f"{name}: sort __all__ and drop repeats (ruff check --fix)"
    assert not defined - set(names), f"{name}: missing from __all__, or private without an underscore"


@pytest.mark.parametrize("name", MODULES)
def test_all_names_what_is_there(name: str) -> None:
    names = declared(MODULES[name]) or []
    module = importlib.import_module(name) if names else None
    assert [wanted for wanted in names if not hasattr(module, wanted)] == []


def test_what_vultus_shows_is_what_it_declares() -> None:
    import vultus

    shown = {name for name in dir(vultus) if not name.startswith("_")}
    parts = {name.split(".")[1] for name in MODULES if name.startswith("vultus.")}
    assert shown - parts - {"annotations"} == {name for name in vultus.__all__ if not name.startswith("_")}
