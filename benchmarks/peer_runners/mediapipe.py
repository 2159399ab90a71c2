"""mediapipe: BlazeFace's full-range model in a C++ graph; boxes and six points, of which four are given."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from peer_runners.speak import Face, Opened, Request, face_of, serve

SHIPPED = 0.5
FULL_RANGE = 1
POINTS = 4


def import_peer() -> Any:
    """Import the package."""
    return import_module("mediapipe")


def open_peer(package: Any, request: Request) -> Opened:
    """Open the model for faces up to five metres away; its threads cannot be set, its cores are."""
    score = SHIPPED if request["score"] is None else request["score"]
    finder = package.solutions.face_detection.FaceDetection(
        model_selection=FULL_RANGE, min_detection_confidence=score
    )

    def run(picture: Any) -> list[Face]:
        found = finder.process(picture).detections or ()
        return [_face(one, picture.shape[1], picture.shape[0]) for one in found]

    return run


def _face(found: Any, width: int, height: int) -> Face:
    place = found.location_data
    box = place.relative_bounding_box
    corner = (box.xmin * width, box.ymin * height)
    far = (corner[0] + box.width * width, corner[1] + box.height * height)
    points = [(point.x * width, point.y * height) for point in place.relative_keypoints[:POINTS]]
    return face_of((*corner, *far), found.score[0], points)


if __name__ == "__main__":
    serve(import_peer, open_peer)
