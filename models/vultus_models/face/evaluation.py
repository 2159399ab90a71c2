"""Validation figures of the face network: one per task, on the held-out faces, and the score that picks the best."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from vultus.geometry import FACE_TEMPLATE, five_points
from vultus_models.face.cache import Crops
from vultus_models.face.data import plain_batches
from vultus_models.face.group_age import GroupAge

__all__ = ["VAL_LIMIT", "measure", "prepared", "run_over", "score_of", "val_indices"]

Arrays = dict[str, npt.NDArray[np.float32]]
VAL_LIMIT = 1200
"""Most validation faces a set, spread evenly, so that an evaluation takes seconds."""


def val_indices(source: Crops, limit: int = VAL_LIMIT) -> npt.NDArray[np.intp]:
    """Return the indices of at most `limit` faces kept for validation, spread evenly over the set."""
    every = np.flatnonzero(source.faces["val"])
    if len(every) <= limit:
        return every
    return every[np.linspace(0, len(every) - 1, limit).round().astype(np.intp)]


def run_over(
    model: nn.Module, source: Crops, chosen: npt.NDArray[np.intp], size: int = 100
) -> tuple[Arrays, Arrays]:
    """Return raw outputs and targets of the chosen faces, by name."""
    outs: list[dict[str, Tensor]] = []
    targets: list[dict[str, Tensor]] = []
    names = [head.output for head in model.heads]  # type: ignore[union-attr]
    with torch.no_grad():
        for batch in plain_batches(source, chosen, size):
            outs.append(dict(zip(names, model(prepared(batch.pop("image"))), strict=True)))
            targets.append(batch)
    return _joined(outs), _joined(targets)


def prepared(image: Tensor) -> Tensor:
    """Return network input (n, 3, side, side) of uint8 BGR crops (n, side, side, 3), in channels-last memory."""
    return image.permute(0, 3, 1, 2).float().sub_(128).div_(128)


def _joined(parts: Sequence[dict[str, Tensor]]) -> Arrays:
    return {
        name: np.asarray(torch.cat([part[name] for part in parts]).float(), np.float32) for name in parts[0]
    }


def measure(model: nn.Module, sets: Sequence[Crops], code: GroupAge) -> dict[str, float]:
    """Return the figures of every set that has held-out faces, by "set.figure"."""
    found: dict[str, float] = {}
    for source in sets:
        chosen = val_indices(source)
        if not len(chosen):
            continue
        out, target = run_over(model, source, chosen)
        figures = {**_classes(out, target), **_binary(out, target), **_places(out, target)}
        figures |= _ages(out, target, code)
        found |= {f"{source.name}.{name}": value for name, value in figures.items()}
    return found


def _classes(out: Arrays, target: Arrays) -> dict[str, float]:
    found: dict[str, float] = {}
    for name in ("gender", "ethnicity", "expression"):
        known = target[name] >= 0
        if name in out and known.any():
            found[name] = float((out[name].argmax(1) == target[name])[known].mean())
    return found


def _binary(out: Arrays, target: Arrays) -> dict[str, float]:
    found: dict[str, float] = {}
    for name in ("smile", "eyeglasses", "facial_hair"):
        if name not in out:
            continue
        truth, logits = target[name].reshape(len(out[name]), -1), out[name]
        known = np.isfinite(truth).all(axis=1)
        if known.any():
            found[name] = float(((logits > 0) == (truth > 0.5))[known].mean())
    return found


def _places(out: Arrays, target: Arrays) -> dict[str, float]:
    """Return landmark errors in per cent of the eye distance (outer corners), pose errors in degrees."""
    found: dict[str, float] = {}
    if "landmarks" in out:
        found |= _points(out["landmarks"].reshape(-1, 68, 2), target)
    if "pose" in out:
        found |= _turns(out["pose"], target)
    return found


def _points(marks: npt.NDArray[np.float32], target: Arrays) -> dict[str, float]:
    found = {}
    known = np.isfinite(target["landmarks"]).all(axis=(1, 2))
    if known.any():
        truth = target["landmarks"][known]
        scale = np.linalg.norm(truth[:, 36] - truth[:, 45], axis=1)
        error = np.linalg.norm(marks[known] - truth, axis=2).mean(axis=1)
        found["nme"] = float(100 * np.mean(error / np.maximum(scale, 0.1)))
    known = np.isfinite(target["five"]).all(axis=(1, 2))
    if known.any():
        error = np.linalg.norm(five_points(marks) - target["five"], axis=2)[known].mean()
        found["five"] = float(100 * error / (FACE_TEMPLATE[1, 0] - FACE_TEMPLATE[0, 0]))
    return found


def _turns(pose: npt.NDArray[np.float32], target: Arrays) -> dict[str, float]:
    found = {}
    known = np.isfinite(target["pose"]).all(axis=1)
    if known.any():
        found["pose"] = float(90 * np.abs(pose - target["pose"])[known].mean())
    profile = target["profile"]
    if (profile > 0).sum() > 10:
        found["yaw_order"] = float(np.corrcoef(pose[profile > 0, 0], profile[profile > 0])[0, 1])
    return found


def _ages(out: Arrays, target: Arrays, code: GroupAge) -> dict[str, float]:
    found = {}
    known = np.isfinite(target["age"])
    if "age" in out and known.any():
        years = code.decode(torch.from_numpy(np.asarray(out["age"][known], np.float32))).numpy()
        found["age_mae"] = float(np.abs(years - target["age"][known]).mean())
    rated = np.isfinite(target["attractiveness"])
    if "attractiveness" in out and rated.sum() > 10:
        pair = np.corrcoef(out["attractiveness"][rated, 0], target["attractiveness"][rated])
        found["attractiveness_pc"] = float(pair[0, 1])
    return found


def score_of(figures: dict[str, float]) -> float:
    """Return one number, higher is better: accuracies as they are, errors scaled to about the same size."""
    scale = {"age_mae": -1 / 20, "nme": -1 / 20, "five": -1 / 20, "pose": -1 / 30, "yaw_order": 0.0}
    terms = [value * scale.get(name.split(".")[1], 1.0) for name, value in figures.items()]
    return float(np.sum(np.nan_to_num(terms, nan=-1.0)))
