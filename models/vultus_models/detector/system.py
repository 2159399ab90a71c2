"""The detector as a system to train: its recipe to a network, a task and a schedule."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from vultus.spec import ModelSpec
from vultus_models.data.sets import Row, open_set
from vultus_models.detector.augment import disturb, paste_small, wear_masks
from vultus_models.detector.cache import Pictures, open_pictures
from vultus_models.detector.deployed import as_deployed, padded
from vultus_models.detector.evaluate import average_precision, detect_with, judged, point_error, recall_at
from vultus_models.detector.kinds import network, spec
from vultus_models.detector.labels import Labels, true_boxes, true_points
from vultus_models.detector.loss import detector_loss
from vultus_models.detector.mosaic import compose
from vultus_models.detector.srn import SelectiveDetector
from vultus_models.detector.srn_loss import selective_loss
from vultus_models.detector.targets import all_anchors, targets_of
from vultus_models.training.loop import Schedule

__all__ = ["DetectorTask", "Sources", "Validation", "build", "held_back", "network", "sets_of", "spec"]

Pixels = npt.NDArray[np.uint8]
Array = npt.NDArray[np.float64]

SHARES = {
    "crowds": 0.32,
    "mtfl": 0.23,
    "landmarks68": 0.14,
    "mebeauty": 0.08,
    "utkface": 0.07,
    "video68": 0.05,
    "scenes": 0.11,
}
"""How often a tile comes from each set."""

SIDES, SIDE_SHARES = (256, 416), (0.7, 0.3)
"""Sides of the square training pictures, as far as the network takes them; the larger ones come in batches of as
many pixels."""

MEAN, SCALE = 128.0, 1 / 128
PASTE_SHARE = 0.3
EVALUATED_ABOVE = 0.02
HELD_BACK = {"crowds": 0.16, "mtfl": 0.02}


VALIDATED = ("crowds", "mtfl", "scenes")


def held_back(name: str, file: str) -> bool:
    """Tell whether a training picture is kept for validation: a fixed share by the hash of its name."""
    return zlib.crc32(f"{name}/{file}".encode()) / 2**32 < HELD_BACK.get(name, 0.0)


@dataclass(frozen=True)
class Sources:
    """The training pictures of several sets, drawn by share."""

    sets: tuple[Pictures, ...]
    usable: tuple[npt.NDArray[np.intp], ...]
    shares: Array

    @classmethod
    def of(cls, sets: Sequence[Pictures], shares: dict[str, float]) -> Sources:
        """Gather sets, without the pictures that are kept for validation."""
        usable = [
            np.array([i for i, file in enumerate(one.files) if not held_back(one.name, file)], np.intp)
            for one in sets
        ]
        weights = np.array([shares[one.name] for one in sets])
        return cls(tuple(sets), tuple(usable), weights / weights.sum())

    def draw(self, rng: np.random.Generator) -> tuple[Pixels, Labels]:
        """Draw one picture."""
        which = int(rng.choice(len(self.sets), p=self.shares))
        index = int(rng.choice(self.usable[which]))
        return self.sets[which].picture(index), self.sets[which].labels(index)


@dataclass(frozen=True)
class Validation:
    """Pictures that training never sees: crowds with boxes, single faces with points, scenes without faces."""

    crowds: tuple[tuple[Pixels, Array], ...]
    single: tuple[tuple[Pixels, Array], ...]
    scenes: tuple[Pixels, ...]


class DetectorTask:
    """Batches of mosaics and of pictures as deployed, the detector's loss and its validation.

    deployed: the share of training pictures that are shown as the runtime shows them, instead of in mosaics.
    """

    def __init__(
        self, sources: Sources, validation: Validation, model_spec: ModelSpec, deployed: float = 0.0
    ) -> None:
        assert model_spec.detector is not None
        self.deployed = deployed
        self.sources, self.validation, self.spec = sources, validation, model_spec
        self.detector = model_spec.detector
        multiple = model_spec.input.multiple
        self.sides = tuple(side // multiple * multiple for side in SIDES)

    def example(self, rng: np.random.Generator, side: int) -> tuple[Pixels, Labels]:
        """Make one training picture."""
        if self.deployed and rng.random() < self.deployed:
            canvas = wear_masks(rng, as_deployed(rng, self.sources.draw, side, self.spec.input))
            return padded(disturb(rng, canvas.pixels), side, self.spec.input), canvas.labels
        canvas = wear_masks(rng, compose(rng, self.sources.draw, side))
        if rng.random() < PASTE_SHARE:
            canvas = paste_small(rng, canvas, self.sources.draw, 5)
        return disturb(rng, canvas.pixels), canvas.labels

    def batch(self, rng: np.random.Generator, size: int) -> dict[str, Tensor]:
        """Draw a batch of about `size` pictures of the smallest side, or fewer larger ones."""
        side = int(rng.choice(self.sides, p=SIDE_SHARES))
        count = max(1, round(size * (SIDES[0] / side) ** 2))
        pictures, labels = zip(*(self.example(rng, side) for _ in range(count)), strict=True)
        return {"pixels": torch.from_numpy(np.stack(pictures)), **self._targets(labels, side)}

    def _targets(self, labels: Sequence[Labels], side: int) -> dict[str, Tensor]:
        targets = [targets_of(one, self.detector, side, side) for one in labels]
        where = np.concatenate([one.where for one in targets])
        picture = np.repeat(np.arange(len(targets)), [len(one.where) for one in targets])
        arrays = {
            "state": np.stack([one.state for one in targets]),
            "picture": picture,
            "anchor": where,
            "anchors": all_anchors(self.detector, side, side)[where],
            "boxes": np.concatenate([one.boxes for one in targets]),
            "values": np.concatenate([one.values for one in targets]),
        }
        return {key: torch.from_numpy(value) for key, value in arrays.items()}

    def pictures(self, batch: dict[str, Tensor]) -> Tensor:
        """Return the network input of a batch."""
        return _normalised(batch["pixels"])

    def loss(self, model: nn.Module, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, float]]:
        """Return the loss of a batch and its parts."""
        pixels, variances = self.pictures(batch), self.detector.variances
        if isinstance(model, SelectiveDetector):
            steps = model.steps(pixels)
            with torch.autocast("cpu", enabled=False):
                return selective_loss(steps, batch, variances)
        maps = model(pixels)
        with torch.autocast("cpu", enabled=False):
            return detector_loss(maps, batch, variances)

    def evaluate(self, model: nn.Module) -> dict[str, float]:
        """Measure average precision on crowds, point error on single faces, false alarms on scenes."""
        detect = detect_with(model, self.spec, EVALUATED_ABOVE)
        boxes = [truth for _, truth in self.validation.crowds]
        found = [detect(picture) for picture, _ in self.validation.crowds]
        at50, at40 = judged(found, boxes, 0.5), judged(found, boxes, 0.4)
        single = [detect(picture) for picture, _ in self.validation.single]
        error, seen = point_error(single, [points for _, points in self.validation.single], 0.5)
        alarms = sum(int((detect(picture)["score"] >= 0.5).sum()) for picture in self.validation.scenes)
        ap50, ap40 = average_precision(at50), average_precision(at40)
        return {
            "score": (ap50 + ap40) / 2,
            "ap50": ap50,
            "ap40": ap40,
            "recall40": recall_at(at40, 0.5),
            "single_found": seen,
            "point_error": error,
            "alarms_per_100": 100 * alarms / max(1, len(self.validation.scenes)),
        }

    def complete(self, model: nn.Module, seed: int) -> dict[str, float]:
        """Do nothing: a detector is done when it is trained."""
        return {}


def _normalised(pixels: Tensor) -> Tensor:
    """Normalise (B, H, W, 3) BGR as the runtime does, channels last; in bfloat16 every pixel value is exact."""
    half = torch.is_autocast_enabled("cpu")
    values = pixels.permute(0, 3, 1, 2).to(torch.bfloat16 if half else torch.float32)
    return values.sub_(MEAN).mul_(SCALE)


def _validation(data: Path) -> Validation:
    """Read the validation pictures: nothing of any test split."""
    crowds, mtfl, scenes = (open_set(data, name) for name in VALIDATED)

    def kept(name: str, rows: tuple[Row, ...]) -> list[Row]:
        return [row for row in rows if held_back(name, row["file"])]

    single = []
    for row in kept("mtfl", mtfl.of("train")):
        points = true_points(row)
        assert points is not None
        single.append((mtfl.picture(row), points))
    return Validation(
        tuple((crowds.picture(row), true_boxes(row)) for row in kept("crowds", crowds.of("train"))),
        tuple(single),
        tuple(scenes.picture(row) for row in scenes.of("train")[1::4]),
    )


def _shares(config: dict[str, Any]) -> dict[str, float]:
    shares = {**SHARES, **config["data"].get("shares", {})}
    return {name: share for name, share in shares.items() if share > 0}


def sets_of(config: dict[str, Any]) -> list[str]:
    """Return the names of the sets that a recipe learns from or is validated on."""
    return sorted({*_shares(config), *VALIDATED})


def build(config: dict[str, Any], data: Path, seed: int) -> tuple[nn.Module, DetectorTask, Schedule]:
    """Build the network, the task and the schedule of a recipe; the first use decodes and labels the pictures.

    The recipe's `[data]` table: `teacher`, the RetinaFace state dict from the folder `data`, without which the sets'
    own boxes and points are all there is; `cache`, a folder that is filled at the first use; `shares`, how often a
    tile comes from each set; `deployed`, the share of pictures that are shown as the runtime shows them.
    Raises ValueError where that is no share.
    """
    torch.manual_seed(seed)
    cv2.setNumThreads(1)  # batches are made in one thread beside the training; a pool would fight it
    table, shares = config["data"], _shares(config)
    deployed = float(table.get("deployed", 0.0))
    if not 0 <= deployed <= 1:
        raise ValueError(f"deployed = {deployed:g} is no share of the training pictures; give 0 to 1")
    teacher = data / table["teacher"] if "teacher" in table else None
    sets = [open_pictures(data, name, Path(table["cache"]), teacher) for name in shares]
    task = DetectorTask(Sources.of(sets, shares), _validation(data), spec(config), deployed)
    return network(config), task, Schedule(**config["schedule"])
