"""OpenCV's FaceDetectorYN with YuNet's weights; boxes and five points."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from peer_runners.speak import Face, Opened, Request, face_of, serve

SHIPPED = 0.9
"""Least score that FaceDetectorYN uses when none is given."""


def import_peer() -> Any:
    """Import OpenCV."""
    return import_module("cv2")


def open_peer(package: Any, request: Request) -> Opened:
    """Open the weights; every picture runs at its own size."""
    package.setNumThreads(request["threads"])
    finder = package.FaceDetectorYN.create(request["weights"], "", (640, 480))
    finder.setScoreThreshold(SHIPPED if request["score"] is None else request["score"])

    def run(picture: Any) -> list[Face]:
        finder.setInputSize((picture.shape[1], picture.shape[0]))
        _, found = finder.detect(picture)
        return [] if found is None else [_face(row) for row in found]

    return run


def _face(row: Any) -> Face:
    x, y, width, height = row[:4]
    return face_of((x, y, x + width, y + height), row[14], row[4:14])


if __name__ == "__main__":
    serve(import_peer, open_peer)
