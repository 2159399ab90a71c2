"""What is to be exported: a system from its recipe, or a user's own module, each with its spec."""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from torch import nn

from vultus.errors import InputError, ModelError, SpecError
from vultus.spec import ModelSpec
from vultus_export.checkpoint import load_checkpoint
from vultus_export.specfile import read_spec, read_toml

__all__ = ["Subject", "from_factory", "from_recipe", "recipe_names"]


@dataclass(frozen=True)
class Subject:
    """A network to export with its spec.

    trained: the network as its checkpoint knows it. ready: the same for inference, where its system folds it.
    """

    trained: nn.Module
    ready: nn.Module
    spec: ModelSpec


def recipe_names() -> list[str]:
    """Return the names of the recipes that the package brings."""
    folder = resources.files("vultus_models") / "recipes"
    entries = folder.iterdir() if folder.is_dir() else ()
    return sorted(entry.name[: -len(".toml")] for entry in entries if entry.name.endswith(".toml"))


def from_recipe(model: str, checkpoint: Path) -> Subject:
    """Return the trained network and the spec of a recipe, given by name or as a TOML file.

    The recipe's `system` names the module of vultus_models that makes both, and that may offer `fold(network)`,
    a copy for inference. Raises SpecError for a recipe that cannot be used and ModelError for a checkpoint that
    does not fit.
    """
    path = _recipe_path(model)
    recipe = read_toml(path, "a recipe")
    system = _system(recipe.get("system"), path)
    try:
        network, spec = system.network(recipe), system.spec(recipe)
    except (KeyError, TypeError, ValueError) as error:
        reason = f"{type(error).__name__} {error}"
        raise SpecError(
            f"{path} is not a recipe that system {recipe['system']!r} can use: {reason}"
        ) from error
    load_checkpoint(network, checkpoint)
    fold = getattr(system, "fold", None)
    return Subject(network, fold(network) if fold else network, spec)


def from_factory(name: str, spec: Path, checkpoint: Path | None = None) -> Subject:
    """Return a user's own network, made by calling `package.module:factory`, and the spec of a TOML file.

    The working folder is importable, as it is for `python -m`. Without a checkpoint the factory must load the
    weights itself.
    """
    factory = _factory(name)
    made = factory()
    if not isinstance(made, nn.Module):
        raise ModelError(f"{name} returned {type(made).__name__}; expected a torch.nn.Module")
    if checkpoint is not None:
        load_checkpoint(made, checkpoint)
    return Subject(made, made, read_spec(spec))


def _recipe_path(model: str) -> Path:
    given = Path(model)
    if given.suffix == ".toml" or given.is_file():
        return given
    if model not in recipe_names():
        known = ", ".join(recipe_names()) or "none"
        raise InputError(f"there is no recipe {model!r}; name a TOML file or one of: {known}")
    return Path(str(resources.files("vultus_models") / "recipes" / f"{model}.toml"))


def _system(name: Any, path: Path) -> Any:
    if isinstance(name, str) and re.fullmatch(r"[a-z][a-z0-9_]*", name):
        target = f"vultus_models.{name}.system"
        try:
            return importlib.import_module(target)
        except ModuleNotFoundError as error:
            if not target.startswith(error.name or "-"):
                raise ModelError(f"system {name!r} needs the package {error.name!r}; install it") from error
    raise SpecError(
        f"{path} names the system {name!r}; expected one that vultus_models has, such as 'detector'"
    )


def _factory(name: str) -> Callable[[], Any]:
    module_name, colon, attribute = name.partition(":")
    if not (module_name and colon and attribute):
        raise InputError(f"{name!r} names no factory; expected package.module:function")
    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        factory = getattr(importlib.import_module(module_name), attribute)
    except (ImportError, AttributeError) as error:
        raise InputError(f"cannot import {name!r}: {error}") from error
    if not callable(factory):
        raise InputError(
            f"{name!r} is a {type(factory).__name__}; expected a function that returns the network"
        )
    made: Callable[[], Any] = factory
    return made
