"""yuface: the C++ library libfacedetection; boxes and five points."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from peer_runners.speak import Face, Opened, Request, face_of, serve


def import_peer() -> Any:
    """Import the package."""
    return import_module("yuface")


def open_peer(package: Any, request: Request) -> Opened:
    """Return its detector; it has no models to load, and OpenMP's threads are capped by the environment."""
    more = {} if request["score"] is None else {"conf": request["score"]}

    def run(picture: Any) -> list[Face]:
        scores, boxes, points = package.detect(picture, **more)
        return [
            face_of((x, y, x + width, y + height), score / 100, own)
            for score, (x, y, width, height), own in zip(
                scores.astype(float), boxes.astype(float), points, strict=True
            )
        ]

    return run


if __name__ == "__main__":
    serve(import_peer, open_peer)
