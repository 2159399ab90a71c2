"""facenet-pytorch: MTCNN in PyTorch; boxes and five points."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from peer_runners.speak import Face, Opened, Request, face_of, serve
from peer_runners.vision import lend_torchvision

SHIPPED = (0.6, 0.7, 0.7)


def import_peer() -> Any:
    """Import the package."""
    lend_torchvision()
    return import_module("facenet_pytorch")


def open_peer(package: Any, request: Request) -> Opened:
    """Open the cascade as shipped; a least score is set in its last network alone, whose scores it gives."""
    torch = import_module("torch")
    torch.set_num_threads(request["threads"])
    import_module("cv2").setNumThreads(request["threads"])
    last = SHIPPED[2] if request["score"] is None else request["score"]
    finder = package.MTCNN(keep_all=True, thresholds=[*SHIPPED[:2], last]).eval()

    def run(picture: Any) -> list[Face]:
        boxes, scores, points = finder.detect(picture, landmarks=True)
        if boxes is None:
            return []
        return [face_of(*found) for found in zip(boxes, scores, points, strict=True)]

    return run


if __name__ == "__main__":
    serve(import_peer, open_peer)
