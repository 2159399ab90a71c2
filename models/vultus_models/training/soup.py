"""The mean of several runs' weights, which answers better than each where the runs began with the same ones.

    python -m vultus_models.training.soup runs/ONE/best.pt runs/OTHER/best.pt --out runs/RECIPE/best.pt

Model soups (Wortsman et al. 2022). Measure the result: runs that began apart have no mean worth having.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from torch import Tensor

from vultus.errors import ModelError
from vultus_models.training.checkpoint import read_checkpoint, write_checkpoint

__all__ = ["main", "mean_of"]

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


def main(
    checkpoints: Annotated[list[Path], typer.Argument(help="Checkpoints of two runs or more.")],
    out: Annotated[Path, typer.Option(help="Where the mean is written, as a checkpoint to release.")],
) -> None:
    """Write the mean of the released weights of several checkpoints as one."""
    if len(checkpoints) < 2:
        raise typer.BadParameter(f"a mean needs two checkpoints or more, not {len(checkpoints)}")
    try:
        stored: list[dict[str, Any]] = [read_checkpoint(path) for path in checkpoints]
        mean = mean_of([one["model"] for one in stored])
    except ModelError as error:
        typer.echo(f"soup: {error}", err=True)
        raise typer.Exit(1) from None
    out.parent.mkdir(parents=True, exist_ok=True)
    write_checkpoint({"model": mean}, out)
    typer.echo(f"{out}: the mean of {len(checkpoints)} checkpoints")


if __name__ == "__main__":
    typer.run(main)
