"""The fixed work whose instructions `benchmarks/guard.py` counts: everything between a frame and its records.

Run by itself, beside a recording and with the package to measure on PYTHONPATH. Collection is cut at calls of
`getsid`, which neither Python nor the libraries make by themselves: before each region, after no repetitions, and
after all. The networks are replayed, so only the time around them counts.
"""

from __future__ import annotations

import gc
import json
import os
import platform
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from harness.guard_recording import FRAME, Recording, read_recording

__all__ = ["MARKS", "WORK", "Replay", "environment_key", "regions", "repetitions", "run"]

WARM, REPETITIONS = 12, 10
"""Calls before any is counted, so that Python has specialised its bytecode, and calls that are counted."""

LARGE = ("letterbox", "crops")
WARM_LARGE, REPETITIONS_LARGE = 2, 3
"""Of regions that move pixels, where bytecode hardly counts and each call takes callgrind a second."""

SMALL = 24
"""Side of the crops in the region `pipeline`."""

MARKS = 3
"""Cuts that each region makes: what lies before it, no repetitions, all repetitions."""

WORK = (Path(__file__), Path(__file__).with_name("guard_recording.py"))
"""The files that define the work, beside the recording."""

Call = Callable[[], object]


class Replay:
    """An engine that answers every batch with recorded outputs."""

    device = "recorded"

    def __init__(self, spec: Any, outputs: dict[str, npt.NDArray[np.float32]]) -> None:
        self.spec, self.outputs = spec, outputs

    def __call__(self, batch: npt.NDArray[np.float32]) -> dict[str, npt.NDArray[np.float32]]:
        """Return the outputs for as many pictures as the batch holds."""
        return {name: values[: len(batch)] for name, values in self.outputs.items()}

    def close(self) -> None:
        """Hold nothing."""


def regions(recorded: Recording) -> dict[str, Callable[[], Call]]:
    """Return by name what makes each region's call ready; only the call itself is counted."""
    frame = np.random.RandomState(0).randint(0, 256, (FRAME[1], FRAME[0], 3)).astype(np.uint8)
    work = _Work(recorded, frame)
    return {
        "letterbox": work.letterbox,
        "anchors decode": work.decode,
        "suppression": work.suppress,
        "similarity": work.similarity,
        "crops": work.crops,
        "heads decode": work.heads,
        "records": work.records,
        "pipeline": work.pipeline,
    }


class _Work:
    """Makes regions ready; imports are late so that what an older package lacks fails one region alone."""

    def __init__(self, recorded: Recording, frame: npt.NDArray[np.uint8]) -> None:
        from vultus.spec import spec_from_json

        self.detector, self.face = (
            spec_from_json(text) for text in (recorded.detector_spec, recorded.face_spec)
        )
        self.maps, self.heads_of = recorded.maps(), recorded.heads
        self.frame, self.small = frame, np.ascontiguousarray(frame[: 2 * SMALL, : 3 * SMALL])

    def _least(self) -> float:
        return float(self.detector.detector.min_score) if self.detector.detector else 0.0

    def _faces(self) -> Any:
        from vultus.decode.anchors import decode
        from vultus.preprocess import letterbox

        return decode(
            self.maps, 0, self.detector, letterbox(self.frame, self.detector.input)[1], self._least()
        )

    def _affines(self) -> npt.NDArray[np.float64]:
        from vultus.geometry import crop_affines

        return crop_affines(self._faces()["points"], self.face.input.width)

    def letterbox(self) -> Call:
        from vultus.preprocess import letterbox, letterbox_into

        out = letterbox(self.frame, self.detector.input)[0]
        return lambda: letterbox_into(self.frame, self.detector.input, out[0])

    def decode(self) -> Call:
        from vultus.decode.anchors import decode
        from vultus.preprocess import letterbox

        affine = letterbox(self.frame, self.detector.input)[1]
        return lambda: decode(self.maps, 0, self.detector, affine, self._least())

    def suppress(self) -> Call:
        from vultus.decode.nms import suppress

        # Four shifted boxes around each face of a crowd: two blocks, most of them struck.
        random = np.random.RandomState(1)
        corners = np.repeat(random.randint(0, 600, (50, 2)), 4, axis=0) + random.randint(0, 6, (200, 2))
        boxes = np.concatenate([corners, corners + 40], axis=1).astype(np.float32)
        scores = random.permutation(200).astype(np.float32) / 200
        return lambda: suppress(boxes, scores, 0.4, 512)

    def similarity(self) -> Call:
        from vultus.geometry import crop_affines

        points = self._faces()["points"]
        return lambda: crop_affines(points, self.face.input.width)

    def crops(self) -> Call:
        from vultus.preprocess import crops, crops_into

        affines = self._affines()
        out = crops(self.frame, affines, self.face.input)
        return lambda: crops_into(self.frame, affines, self.face.input, out)

    def heads(self) -> Call:
        from vultus.decode.heads import decode_into
        from vultus.types import ATTRIBUTES

        faces, affines = self._faces(), self._affines()
        return lambda: decode_into(self.heads_of, self.face, affines, faces, ATTRIBUTES)

    def records(self) -> Call:
        from vultus.schema import line_from_result
        from vultus.types import Frame, Result

        frame = Frame(self.frame)
        faces = self._pipeline()(self.small).faces
        return lambda: line_from_result("frame.png", Result(0, 0.0, faces), frame)

    def pipeline(self) -> Call:
        pipeline = self._pipeline()
        return lambda: pipeline(self.small)

    def _pipeline(self) -> Callable[[object], Any]:
        from vultus.host import HostPipeline

        # Small crops of a small picture: what ties the parts together would vanish beside a whole frame's pixels.
        face = replace(self.face, input=replace(self.face.input, width=SMALL, height=SMALL))
        engines: dict[str, Any] = {
            "detector": Replay(self.detector, self.maps),
            "face": Replay(face, self.heads_of),
        }
        return HostPipeline(engines)


def run(recording: Path, only: Sequence[str] = ()) -> dict[str, Any]:
    """Do the work between cuts; return what was done, and what cannot be done with this package and why.

    only: names of the regions to do, all by default.
    """
    import vultus

    cv2.setNumThreads(1)
    gc.disable()
    done, absent = [], {}
    for name, ready in regions(read_recording(recording)).items():
        if only and name not in only:
            continue
        try:
            call = ready()
            call()
        except Exception as error:  # whatever an older or a broken package does: the region is named with it
            absent[name] = f"{type(error).__name__}: {error}"
            continue
        _counted(call, name)
        done.append(name)
    return {"package": vultus.__file__, "key": environment_key(), "regions": done, "absent": absent}


def repetitions(region: str) -> int:
    """Return how many calls of a region are counted."""
    return REPETITIONS_LARGE if region in LARGE else REPETITIONS


def _counted(call: Call, name: str) -> None:
    _repeat(call, WARM_LARGE if name in LARGE else WARM)
    os.getsid(0)
    _repeat(call, 0)
    os.getsid(0)
    _repeat(call, repetitions(name))
    os.getsid(0)


def _repeat(call: Call, times: int) -> None:
    for _ in range(times):
        call()


def environment_key() -> dict[str, str]:
    """Return what the counts depend on beside the code: builds, and the processor as libraries see it."""
    return {
        "machine": platform.machine(),
        "python": " ".join(sys.version.split()),
        "libc": " ".join(platform.libc_ver()),
        "numpy": np.__version__,
        "opencv": cv2.__version__,
        "msgspec": metadata.version("msgspec"),
        "processor": cv2.getCPUFeaturesLine(),
    }


if __name__ == "__main__":
    print(json.dumps(run(Path(sys.argv[1]), sys.argv[2:])))
