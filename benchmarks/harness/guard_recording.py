"""What the networks gave once for a frame with eight faces, so that the guard's work is the same for every model.

Of the detector's maps only the anchors that reach its least score are kept; no decoder reads the others.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

__all__ = ["FACES", "FRAME", "RECORDING", "VALUES", "Maps", "Recording", "read_recording"]

RECORDING = Path(__file__).with_name("guard_recording.npz")
FRAME = (1280, 720)
FACES = 8

BACKGROUND = -10.0
VALUES = 15

Maps = dict[str, npt.NDArray[np.float32]]


@dataclass(frozen=True)
class Recording:
    """Specs as JSON, outputs of the face network (8, width), and the detector's candidates.

    shapes: of each detector output without the batch. places: (n, 4) level, anchor, row, column of candidates.
    values: (n, 15) what the maps hold there.
    """

    detector_spec: str
    face_spec: str
    heads: Maps
    shapes: dict[str, tuple[int, ...]]
    places: npt.NDArray[np.int32]
    values: npt.NDArray[np.float32]

    def maps(self) -> Maps:
        """Return the detector's outputs: background but for the candidates."""
        maps = {}
        for level, (name, shape) in enumerate(self.shapes.items()):
            grid = np.zeros((shape[0] // VALUES, VALUES, *shape[1:]), np.float32)
            grid[:, 0] = BACKGROUND
            here = self.places[:, 0] == level
            _, anchor, row, column = self.places[here].T
            grid[anchor, :, row, column] = self.values[here]
            maps[name] = grid.reshape(1, *shape)
        return maps


def read_recording(path: Path = RECORDING) -> Recording:
    """Read a recording."""
    with np.load(path) as file:
        shapes = {
            name.partition(".")[2]: tuple(map(int, file[name])) for name in file if name.startswith("shape.")
        }
        heads = {name.partition(".")[2]: file[name] for name in file if name.startswith("head.")}
        specs = (str(file["detector_spec"]), str(file["face_spec"]))
        return Recording(*specs, heads, shapes, file["places"], file["values"])
