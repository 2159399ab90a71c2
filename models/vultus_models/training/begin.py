"""What a training begins with: the weights of another run or of a model file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
from torch import Tensor, nn

from vultus_models.training.checkpoint import fitting, read_checkpoint
from vultus_models.training.loop import Schedule, Task
from vultus_models.training.unfold import unfold

__all__ = ["begin", "weights_of"]

Floats = npt.NDArray[np.float32]


def begin(network: nn.Module, file: Path, task: Task, schedule: Schedule, seed: int) -> None:
    """Write the weights of a checkpoint or of a model file in FP32 into the network.

    The norms of a model file are measured on one batch of the task. What it lacks because only a training has it keeps
    its random start. Raises ModelError where the weights do not fit.
    """

    def pictures() -> Floats:
        batch = task.batch(np.random.default_rng(seed), schedule.batch)
        return task.pictures(batch).contiguous().numpy()

    weights = weights_of(file, network, pictures)
    spare = tuple(getattr(network, "training_only", ()))
    kept = {name: value for name, value in network.state_dict().items() if name.startswith(spare)}
    with fitting(file):
        network.load_state_dict({**kept, **weights})


def weights_of(file: Path, network: nn.Module, pictures: Callable[[], Floats]) -> dict[str, Tensor]:
    """Return the weights of a checkpoint or a model file by the names that they have in training.

    network, pictures: see `unfold`, which is not asked for the weights of a checkpoint. Raises as it does.
    """
    if file.suffix != ".onnx":
        weights: dict[str, Tensor] = read_checkpoint(file)["model"]
        return weights
    return unfold(file, network, pictures())
