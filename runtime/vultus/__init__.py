"""Face analysis for the edge: from a frame to FACE records in one fused pipeline.

    import vultus

    with vultus.Analyzer() as analyzer:
        for face in analyzer(picture).faces:
            print(face["box"], face["age"])

Names load on first use, so importing the package costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOMES = {
    "ATTRIBUTES": "types",
    "ETHNICITIES": "types",
    "EXPRESSIONS": "types",
    "FACE": "types",
    "FACIAL_HAIR": "types",
    "GENDERS": "types",
    "Analyzer": "pipeline",
    "DeviceArray": "cuda.frames",
    "DeviceError": "errors",
    "DeviceFrame": "cuda.tensors",
    "Frame": "types",
    "InputError": "errors",
    "ModelError": "errors",
    "ModelSpec": "spec",
    "Result": "types",
    "SinkError": "errors",
    "SourceError": "errors",
    "SpecError": "errors",
    "UsageError": "errors",
    "VultusError": "errors",
    "empty_faces": "types",
}

if TYPE_CHECKING:
    from vultus.cuda.frames import DeviceArray
    from vultus.cuda.tensors import DeviceFrame
    from vultus.errors import (
        DeviceError,
        InputError,
        ModelError,
        SinkError,
        SourceError,
        SpecError,
        UsageError,
        VultusError,
    )
    from vultus.pipeline import Analyzer
    from vultus.spec import ModelSpec
    from vultus.types import (
        ATTRIBUTES,
        ETHNICITIES,
        EXPRESSIONS,
        FACE,
        FACIAL_HAIR,
        GENDERS,
        Frame,
        Result,
        empty_faces,
    )

__all__ = [
    "ATTRIBUTES",
    "ETHNICITIES",
    "EXPRESSIONS",
    "FACE",
    "FACIAL_HAIR",
    "GENDERS",
    "Analyzer",
    "DeviceArray",
    "DeviceError",
    "DeviceFrame",
    "Frame",
    "InputError",
    "ModelError",
    "ModelSpec",
    "Result",
    "SinkError",
    "SourceError",
    "SpecError",
    "UsageError",
    "VultusError",
    "empty_faces",
]


def __getattr__(name: str) -> Any:
    """Load a public name from its module."""
    if name not in _HOMES:
        raise AttributeError(f"module 'vultus' has no attribute {name!r}; it has: {', '.join(__all__)}")
    return getattr(import_module(f"vultus.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    """List the public names, loaded or not."""
    return sorted([*__all__, "__version__"])
