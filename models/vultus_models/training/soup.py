"""The mean of several runs' weights, which answers better than each where the runs began with the same ones.

    python -m vultus_models.training.soup runs/ONE/best.pt runs/OTHER/best.pt --out runs/RECIPE/best.pt

Model soups (Wortsman et al. 2022). Measure the result: runs that began apart have no mean worth having. What a recipe
solves when its training is done, such as the quality of faces, is solved for the mean with --recipe and --data.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from torch import Tensor

from vultus.errors import ModelError
from vultus_models.train import read_recipe, system_of
from vultus_models.training.checkpoint import read_checkpoint, write_checkpoint

__all__ = ["completed", "main", "mean_of"]

Weights = dict[str, Tensor]


def mean_of(every: list[Weights]) -> Weights:
    """Return the mean of weights by name; counts are the last one's. Raises ModelError unless all have one shape."""
    first = every[0]
    for other in every[1:]:
        if {name: one.shape for name, one in other.items()} != {
            name: one.shape for name, one in first.items()
        }:
            raise ModelError("the checkpoints are of different networks; give runs of one recipe's network")
    return {
        name: torch.stack([one[name] for one in every]).mean(dim=0) if value.is_floating_point() else value
        for name, value in every[-1].items()
    }


def completed(mean: Weights, recipe: dict[str, Any], data: Path, seed: int) -> Weights:
    """Return the weights with what the recipe's task does when the training is done.

    Raises ModelError where they are not of the recipe's network, ValueError where the recipe cannot be built.
    """
    model, task, _ = system_of(recipe).build(recipe, data, seed)
    try:
        model.load_state_dict(mean)
    except RuntimeError as error:
        raise ModelError(
            f"the mean is not of the recipe's network; give the recipe of its runs. {error}"
        ) from error
    for name, figure in task.complete(model.eval(), seed).items():
        typer.echo(f"{name} {figure:.4f}")
    return dict(model.state_dict())


def main(
    checkpoints: Annotated[list[Path], typer.Argument(help="Checkpoints of two runs or more.")],
    out: Annotated[Path, typer.Option(help="Where the mean is written, as a checkpoint to release.")],
    recipe: Annotated[
        Path | None, typer.Option(help="Recipe whose last step, after the training, is done for the mean.")
    ] = None,
    data: Annotated[Path | None, typer.Option(help="Folder of the picture sets, for that step.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of that step.")] = 1,
) -> None:
    """Write the mean of the released weights of several checkpoints as one."""
    if len(checkpoints) < 2:
        raise typer.BadParameter(f"a mean needs two checkpoints or more, not {len(checkpoints)}")
    if (recipe is None) != (data is None):
        raise typer.BadParameter("--recipe and --data come together")
    try:
        stored: list[dict[str, Any]] = [read_checkpoint(path) for path in checkpoints]
        mean = mean_of([one["model"] for one in stored])
        if recipe and data:
            mean = completed(mean, read_recipe(recipe), data, seed)
    except (ModelError, OSError, ValueError) as error:
        typer.echo(f"soup: {error}", err=True)
        raise typer.Exit(1) from None
    out.parent.mkdir(parents=True, exist_ok=True)
    write_checkpoint({"model": mean}, out)
    typer.echo(f"{out}: the mean of {len(checkpoints)} checkpoints")


if __name__ == "__main__":
    typer.run(main)
