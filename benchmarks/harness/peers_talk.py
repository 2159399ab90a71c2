"""Talking to a peer in its own process, and showing it to the metrics as an analyzer."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import IO, Any, cast

import numpy as np
import numpy.typing as npt

from harness.peers_install import Environment, NotThere
from harness.peers_known import Peer
from harness.provenance import REPOSITORY
from vultus.spec import ModelSpec
from vultus.types import FaceArray, Result, empty_faces

__all__ = ["Peering", "Talk", "faces_from"]

PATIENCE = 300
"""Seconds after which a peer that does not answer is ended."""

Pixels = npt.NDArray[np.uint8]
Answer = dict[str, Any]


class Talk:
    """A peer's process, on the cores it may use. Raises NotThere when it fails, ends or does not answer."""

    def __init__(
        self,
        peer: Peer,
        environment: Environment,
        cores: Collection[int],
        threads: int,
        score: float | None = None,
        weights: Path | None = None,
    ) -> None:
        self.peer = peer
        self._process = _started(environment, cores, threads)
        self._told, self._heard = cast(IO[str], self._process.stdin), cast(IO[str], self._process.stdout)
        self._pictures = TemporaryDirectory(prefix="peers-")
        try:
            request = {"do": "open", "threads": threads, "score": score, "folder": str(environment.folder)}
            self.opened = self.ask({**request, "weights": _weights(peer, weights)})
        except NotThere:
            self.close()
            raise

    def run(self, picture: Pixels, times: int = 1, whole: bool = False) -> Answer:
        """Analyse a BGR picture so many times; whole: the picture is one face."""
        path = Path(self._pictures.name, "picture")
        np.ascontiguousarray(picture if self.peer.order == "BGR" else picture[..., ::-1]).tofile(path)
        height, width = picture.shape[:2]
        request = {"do": "run", "file": str(path), "width": width, "height": height, "times": times}
        return self.ask({**request, "whole": whole})

    def ask(self, request: Answer) -> Answer:
        """Return the answer to a request."""
        watch = threading.Timer(PATIENCE, self._process.kill)
        watch.start()
        try:
            self._told.write(json.dumps(request) + "\n")
            self._told.flush()
            line = self._heard.readline()
        except BrokenPipeError:
            line = ""
        finally:
            watch.cancel()
        if not line:
            raise NotThere(f"its process ended without an answer (code {self._process.wait()})")
        answer = json.loads(line)
        if "error" in answer:
            raise NotThere(str(answer["error"])[:300])
        return dict(answer)

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()
        for stream in (self._told, self._heard):
            with suppress(BrokenPipeError):
                stream.close()
        self._pictures.cleanup()

    def __enter__(self) -> Talk:
        """Return the talk itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the process."""
        self.close()


def _weights(peer: Peer, folder: Path | None) -> str | None:
    if not peer.weights:
        return None
    if folder is None:
        raise NotThere(
            f"needs {peer.weights}, which its package does not bring: name their folder with --weights"
        )
    path = (folder / peer.weights).resolve()
    if not path.is_file():
        raise NotThere(f"needs {peer.weights}, which the folder of weights does not hold")
    return str(path)


def _started(environment: Environment, cores: Collection[int], threads: int) -> subprocess.Popen[str]:
    """Start a process that inherits the cores: runners in every language are pinned the same way."""
    caps = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), str(threads))
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        with open(environment.folder / "runner.log", "ab") as log:
            return subprocess.Popen(
                environment.command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                cwd=environment.folder,
                env={
                    **os.environ,
                    **caps,
                    "PYTHONPATH": str(REPOSITORY / "benchmarks"),
                    "TF_CPP_MIN_LOG_LEVEL": "3",
                },
            )
    except OSError as error:
        raise NotThere(f"its runner does not start: {error}") from error
    finally:
        os.sched_setaffinity(0, before)


def faces_from(answer: Answer) -> FaceArray:
    """Return an answer's faces as FACE records, sorted by falling score; what a peer does not measure stays NaN."""
    found = sorted(answer["faces"], key=lambda face: -float(face["score"]))
    faces = empty_faces(len(found))
    for record, face in zip(faces, found, strict=True):
        record["box"], record["score"] = face["box"], face["score"]
        if len(face["points"]) == 5:
            record["points"] = face["points"]
        if face.get("age") is not None:
            record["age"] = face["age"]
        if face.get("male") is not None:
            record["gender"] = (1 - face["male"], face["male"])
    return faces


class Peering:
    """A peer as `vultus_export.metrics.faces.AnalyzerLike`, so that one set of metrics judges all.

    crops: a picture in which it finds no face is given to it as one face. taken_whole: how many were.
    """

    def __init__(self, talk: Talk, crops: bool = False) -> None:
        self._talk = talk
        self._crops = crops
        self.taken_whole = 0

    @property
    def specs(self) -> dict[str, ModelSpec]:
        """Nothing: a peer has no contract to show."""
        return {}

    def __call__(self, picture: Pixels) -> Result:
        """Find and describe the faces of a picture."""
        faces = self.detect(picture)
        if self._crops and not len(faces):
            self.taken_whole += 1
            faces = self.describe(picture, faces)
        return Result(0, 0.0, faces)

    def detect(self, picture: Pixels) -> FaceArray:
        """Find the faces of a picture."""
        return faces_from(self._talk.run(picture))

    def describe(self, picture: Pixels, faces: FaceArray) -> FaceArray:
        """Measure a picture that is one face."""
        return faces_from(self._talk.run(picture, whole=True))
