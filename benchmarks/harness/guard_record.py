"""Making the guard's recording from the default models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.guard_recording import FACES, FRAME, RECORDING, VALUES, Maps
from vultus.decode.anchors import logit_of
from vultus.decode.candidates import detector_of
from vultus.engines import open_engine
from vultus.geometry import crop_affines
from vultus.pipeline import Analyzer
from vultus.preprocess import crops, letterbox
from vultus.selftest.pictures import collage
from vultus.spec import ModelSpec, spec_to_json
from vultus.zoo import default_models

__all__ = ["record"]


def record(path: Path = RECORDING) -> None:
    """Record what the default models give for a synthetic frame; raises ValueError unless they find its faces."""
    picture, files = collage(*FRAME, FACES), default_models()
    with Analyzer(device="cpu", models=files, threads=1) as analyzer:
        specs, faces = analyzer.specs, analyzer.detect(picture)
    if len(faces) != FACES:
        raise ValueError(
            f"the models find {len(faces)} faces in a frame with {FACES}; they cannot be recorded"
        )
    affines = crop_affines(faces["points"], specs["face"].input.width)
    batches = {
        "detector": letterbox(picture, specs["detector"].input)[0],
        "face": crops(picture, affines, specs["face"].input),
    }
    _save(path, specs, _given(files, batches))


def _given(files: Sequence[Path], batches: Mapping[str, npt.NDArray[np.float32]]) -> dict[str, Maps]:
    given: dict[str, Maps] = {}
    for file in files:
        with open_engine(file, "cpu", 1) as engine:
            task = engine.spec.task
            given[task] = {name: values.copy() for name, values in engine(batches[task]).items()}
    return given


def _save(path: Path, specs: dict[str, ModelSpec], given: dict[str, Maps]) -> None:
    detector = detector_of(specs["detector"])
    maps = {level.output: given["detector"][level.output][0] for level in detector.levels}
    places, values = _candidates(list(maps.values()), logit_of(detector.min_score))
    arrays: dict[str, Any] = {"places": places, "values": values}
    arrays |= {f"{task}_spec": np.array(spec_to_json(spec)) for task, spec in specs.items()}
    arrays |= {f"shape.{name}": np.array(values.shape, np.int32) for name, values in maps.items()}
    arrays |= {f"head.{name}": values.astype(np.float32) for name, values in given["face"].items()}
    with path.open("wb") as file:
        np.savez_compressed(file, **arrays)


def _candidates(
    maps: list[npt.NDArray[np.float32]], least: float
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]]:
    """Return places (n, 4) and values (n, 15) of the anchors that reach the least logit."""
    places, values = [], []
    for level, raw in enumerate(maps):
        grid = raw.reshape(-1, VALUES, *raw.shape[1:])
        found = np.argwhere(grid[:, 0] >= least)
        places.append(np.column_stack([np.full(len(found), level), found]))
        values.append(grid[found[:, 0], :, found[:, 1], found[:, 2]])
    return np.concatenate(places).astype(np.int32), np.concatenate(values).astype(np.float32)
