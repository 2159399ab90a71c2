"""vultus itself, as a user has it from a wheel: the whole pipeline, or detection alone."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any

from peer_runners.speak import Face, Opened, Request, face_of, serve


def import_peer() -> Any:
    """Import the package and what `vultus.Analyzer` brings."""
    package = import_module("vultus")
    import_module("vultus.pipeline")
    return package


class Finder:
    """An Analyzer; options name the precision of the models and whether faces are only to be found."""

    def __init__(self, package: Any, request: Request, precision: str, detect: bool) -> None:
        models = package.zoo.default_models()
        if precision:
            models = [path.with_name(f"{path.stem}-{precision}.onnx") for path in models]
        import_module("cv2").setNumThreads(request["threads"])
        self._package = package
        self._detect = detect
        self._analyzer = package.Analyzer(
            "cpu",
            models[:1] if detect else models,
            min_score=request["score"],
            threads=request["threads"],
        )

    def __call__(self, picture: Any) -> list[Face]:
        """Find faces and measure everything that the models can."""
        analyzer = self._analyzer
        faces = analyzer.detect(picture) if self._detect else analyzer(picture).faces
        return [_face(face) for face in faces]

    def whole(self, picture: Any) -> list[Face]:
        """Measure a picture that is one face."""
        template = import_module("vultus.geometry").FACE_TEMPLATE
        height, width = picture.shape[:2]
        faces = import_module("vultus.types").empty_faces(1)
        faces["box"], faces["points"] = (0, 0, width, height), template * (width, height) - 0.5
        faces["score"] = 1.0
        return [_face(face) for face in self._analyzer.describe(picture, faces)]


def _face(face: Any) -> Face:
    more = {} if face["age"] != face["age"] else {"age": float(face["age"]), "male": float(face["gender"][1])}
    return face_of(face["box"], face["score"], face["points"], **more)


def open_peer(package: Any, request: Request) -> Opened:
    """Open the models named on the command line: `int8`, `detect`, both or neither."""
    import_module("vultus.zoo")
    options = sys.argv[1:]
    return Finder(package, request, "int8" if "int8" in options else "", "detect" in options)


if __name__ == "__main__":
    serve(import_peer, open_peer)
