"""The face system: how `vultus_models.train` gets the network, its data and its losses from a recipe."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import torch

from vultus_models.face.augment import Jitter
from vultus_models.face.build import build_missing
from vultus_models.face.data import EVENED, Sampler, evened_by
from vultus_models.face.grow import grown
from vultus_models.face.kinds import fold, network, spec, task_of
from vultus_models.face.network import HeadedNet
from vultus_models.face.surroundings import backgrounds
from vultus_models.face.task import FaceTask
from vultus_models.face.teach import answers_of
from vultus_models.training.loop import Schedule

__all__ = ["FaceTask", "build", "fold", "network", "sets_of", "spec"]


def sets_of(config: dict[str, Any]) -> list[str]:
    """Return the names of the sets that a recipe learns from and is validated on."""
    return list(config["data"]["shares"])


def build(config: dict[str, Any], data: Path, seed: int) -> tuple[HeadedNet, FaceTask, Schedule]:
    """Return the network, the task and the schedule of a recipe; builds the crop cache when it is missing.

    The recipe's `[data]` table: `cache`, a folder that is filled at the first use; `shares`, how often each set is
    drawn from; `evened`, the labels whose rare values are drawn more often, by default age, ethnicity, expression and
    profile; `teachers = false` aligns by the labels alone; else `weights` is the folder of the teachers' weights. A
    `[teacher]` table names networks to distil, a `[grown]` table the checkpoint or model file of one to begin with; a
    `[quality]` table has that head solved at the end, from `faces` of every set. Raises ModelError when a checkpoint or
    a teacher is not there or does not fit, ValueError for a network or an evened label that there is not.
    """
    schedule = Schedule(**config["schedule"])
    torch.manual_seed(seed)
    student = network(config)
    table, jitter = config["data"], Jitter(**config.get("jitter", {}))
    evened = evened_by(table.get("evened", EVENED))
    labelled = table.get("teachers", True)
    weights = Path(table.get("weights", data.parent / "weights")) if labelled else None
    cache = Path(table["cache"])
    sets = build_missing(data, cache, sets_of(config), weights)
    grown(student, config, sets)
    answers = answers_of(config, sets, cache)
    cv2.setNumThreads(schedule.threads)
    sampler = Sampler(
        sets,
        list(table["shares"].values()),
        backgrounds(data),
        jitter,
        answers,
        evened,
    )
    return student, task_of(config)(sets, sampler, config), schedule
