"""Train one system from its recipe: `python -m vultus_models.train CONFIG --data DIR --seed S`.

The run goes into runs/CONFIG unless `--run` names another folder, and ends there with the model file and its card.
`--init FILE` starts a new run from the weights of another one or of a released model: a second stage, or new data.
"""

from __future__ import annotations

import importlib
import signal
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vultus.errors import ModelError, VultusError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

if TYPE_CHECKING:
    from vultus_models.training.loop import Schedule, Task

__all__ = ["RECIPES", "main", "read_recipe", "system_of"]

RECIPES = Path(__file__).parent / "recipes"
"""Folder of the recipes that the package brings."""

STOPPED = 130
"""Exit code after Ctrl-C, as shells have it."""

SYSTEMS = {
    "detector": "vultus_models.detector.system",
    "face": "vultus_models.face.system",
}
"""Every system that can be trained: its name in a recipe, the module that builds it."""


def read_recipe(path: Path) -> dict[str, Any]:
    """Read a TOML recipe; raises ValueError naming the file and the fault."""
    try:
        recipe = tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{path} is not a recipe in TOML: {error}") from error
    system_of(recipe, str(path))
    return recipe


def system_of(recipe: dict[str, Any], where: str = "the recipe") -> Any:
    """Return the module of the recipe's system: it has `network`, `spec` and `build`."""
    name = recipe.get("system")
    if name not in SYSTEMS:
        raise ValueError(f"{where} names the system {name!r}; expected one of {', '.join(sorted(SYSTEMS))}")
    return importlib.import_module(SYSTEMS[name])


def main(
    config: Annotated[Path, typer.Argument(help="Recipe in TOML.", exists=True, dir_okay=False)],
    data: Annotated[Path, typer.Option(help="Folder of picture sets.", exists=True, file_okay=False)],
    run: Annotated[
        Path | None,
        typer.Option(help="Folder of the run; an interrupted run goes on.", show_default="runs/CONFIG"),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of every random choice.")] = 1,
    init: Annotated[
        Path | None,
        typer.Option(
            help="Checkpoint, or model file in FP32, whose weights a new run starts from.",
            exists=True,
            dir_okay=False,
        ),
    ] = None,
) -> None:
    """Train a system from its recipe, or go on with an interrupted run; then export it and write its card.

    Ctrl-C and a request to end (SIGTERM) save the state first; the same command then goes on from there. The best
    weights become NAME.onnx in the folder of the run, if it answers as PyTorch does, with NAME.md beside it. Exit
    codes: 0 done, 1 refused or failed, 2 usage, 130 stopped.
    """
    _require("torch", "tensorboard")
    for number in (signal.SIGINT, signal.SIGTERM):
        # Set for both: a shell starts what it puts into the background with SIGINT ignored.
        signal.signal(number, signal.default_int_handler)
    try:
        recipe = read_recipe(config)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    folder = run or Path("runs") / config.stem
    try:
        _train(recipe, data, folder, seed, init)
        _finish(config, recipe, data, folder)
    except (FloatingPointError, OSError, VultusError) as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from error
    except KeyboardInterrupt as error:
        typer.echo(f"stopped; the same command goes on with {folder}", err=True)
        raise typer.Exit(STOPPED) from error


def _require(*packages: str) -> None:
    """End with one line that names the extra where a package that training needs is missing."""
    missing = [name for name in packages if find_spec(name) is None]
    if missing:
        typer.echo(
            f"error: training needs {' and '.join(missing)}, which the base package does not bring: "
            "pip install 'vultus[train]' (in a clone: pip install '.[train]')",
            err=True,
        )
        raise typer.Exit(1)


def _train(recipe: dict[str, Any], data: Path, run: Path, seed: int, init: Path | None) -> None:
    from vultus_models.training.begin import begin
    from vultus_models.training.loop import fit

    model, task, schedule = _built(recipe, data, seed)
    if init:
        begin(model, init, task, schedule, seed)
    if not hasattr(task, "fit"):
        fit(model, task, schedule, run, seed)
        return
    try:
        task.fit(model, schedule, run, seed)  # what has a closed form is solved, not trained
    except ValueError as error:
        raise ModelError(str(error)) from error


def _built(recipe: dict[str, Any], data: Path, seed: int) -> tuple[Any, Task, Schedule]:
    try:
        built: tuple[Any, Task, Schedule] = system_of(recipe).build(recipe, data, seed)
    except ValueError as error:
        raise ModelError(f"the recipe cannot be built: {error}") from error
    return built


def _finish(config: Path, recipe: dict[str, Any], data: Path, run: Path) -> None:
    from vultus_models.training.finish import finish

    finish(config, system_of(recipe), recipe, data, run)


if __name__ == "__main__":
    typer.run(main)
