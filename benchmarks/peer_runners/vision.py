"""The parts of torchvision that peers call, for machines where no CPU build of it is to be had."""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import Any

__all__ = ["lend_torchvision"]


def lend_torchvision() -> None:
    """Put a stand-in for torchvision in its place when the real one is not installed."""
    try:
        import_module("torchvision")
    except ImportError:
        package, ops, transforms = (_module(name) for name in ("", ".ops", ".transforms"))
        boxes, functional = _module(".ops.boxes"), _module(".transforms.functional")
        models, layers = _module(".models"), _module(".models._utils")
        for owner, name, value in (
            (package, "models", models),
            (models, "_utils", layers),
            (layers, "IntermediateLayerGetter", layers_given),
            (package, "ops", ops),
            (package, "transforms", transforms),
            (ops, "boxes", boxes),
            (ops, "nms", nms),
            (boxes, "batched_nms", batched_nms),
            (transforms, "functional", functional),
        ):
            setattr(owner, name, value)


def _module(name: str) -> ModuleType:
    made = ModuleType(f"torchvision{name}")
    made.__path__ = []  # a package, so that modules are looked for in it
    sys.modules[made.__name__] = made
    return made


def layers_given(network: Any, names: dict[str, str]) -> Any:
    """Return a module that runs a network's children in turn and gives the outputs of the named ones.

    names: child -> key of its output. Children after the last named one are left out; weights keep their names.
    """
    nn = import_module("torch.nn")

    class Layers(nn.ModuleDict):  # type: ignore[name-defined, misc]
        def forward(self, features: Any) -> dict[str, Any]:
            """Return the named outputs."""
            outputs = {}
            for name, child in self.items():
                features = child(features)
                if name in names:
                    outputs[names[name]] = features
            return outputs

    children = list(network.named_children())
    last = max(place for place, (name, _) in enumerate(children) if name in names)
    return Layers(dict(children[: last + 1]))


def nms(boxes: Any, scores: Any, overlap: float) -> Any:
    """Return the indices of boxes (n, 4) kept by greedy suppression, by falling score."""
    torch = import_module("torch")
    numpy = import_module("numpy")
    kept, left = [], numpy.argsort(-scores.numpy(), kind="stable")
    sides = boxes.numpy().astype(numpy.float32)
    areas = (sides[:, 2] - sides[:, 0]) * (sides[:, 3] - sides[:, 1])
    while len(left):
        first, left = left[0], left[1:]
        kept.append(int(first))
        low = numpy.maximum(sides[left, :2], sides[first, :2])
        high = numpy.minimum(sides[left, 2:], sides[first, 2:])
        shared = numpy.clip(high - low, 0, None).prod(axis=1)
        left = left[shared / (areas[left] + areas[first] - shared) <= overlap]
    return torch.tensor(kept, dtype=torch.int64)


def batched_nms(boxes: Any, scores: Any, groups: Any, overlap: float) -> Any:
    """Return what `nms` keeps when boxes of different groups do not touch each other."""
    if not len(boxes):
        return nms(boxes, scores, overlap)
    apart = groups.to(boxes) * (boxes.max() + 1)
    return nms(boxes + apart[:, None], scores, overlap)
