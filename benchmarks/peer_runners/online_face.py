"""online-face-detection: RetinaFace on a MobileNet-0.25 trunk, its ONNX runtime; boxes and five points."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

from peer_runners.speak import Face, Opened, Request, cap_onnxruntime, face_of, serve
from peer_runners.vision import lend_torchvision


def import_peer() -> Any:
    """Import the package and its detector, which it imports late."""
    lend_torchvision()
    package = import_module("online_face")
    import_module("online_face.detector")
    return package


def open_peer(package: Any, request: Request) -> Opened:
    """Open its exported network, which it makes from the weights on first use and keeps beside them."""
    cap_onnxruntime(request["threads"])
    import_module("torch").set_num_threads(request["threads"])
    more = {} if request["score"] is None else {"conf": request["score"]}
    finder = package.FaceDetector(
        weights=request["weights"],
        runtime="onnx",
        device="cpu",
        cache_dir=str(Path(request["folder"]) / "cache"),
        **more,
    )

    def run(picture: Any) -> list[Face]:
        found = finder.predict(picture)
        return [face_of(*one) for one in zip(found.boxes, found.scores, found.landmarks, strict=True)]

    return run


if __name__ == "__main__":
    serve(import_peer, open_peer)
