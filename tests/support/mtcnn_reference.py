"""MTCNN in the plainest form: weights in the layout of their publication, networks as functions, a loop a crop.

Boxes are x1, y1, x2, y2 of their first and last pixel, counted from 1, as the cascade was published.
"""

from __future__ import annotations

import io
import math
import zipfile
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

State = dict[str, Tensor]
Face = tuple[float, list[float], list[float]]

LAYOUT: dict[str, dict[str, tuple[int, ...]]] = {
    "pnet": {
        "conv1": (10, 3, 3, 3),
        "conv2": (16, 10, 3, 3),
        "conv3": (32, 16, 3, 3),
        "conv4_1": (2, 32, 1, 1),
        "conv4_2": (4, 32, 1, 1),
    },
    "rnet": {
        "conv1": (28, 3, 3, 3),
        "conv2": (48, 28, 3, 3),
        "conv3": (64, 48, 2, 2),
        "dense4": (128, 576),
        "dense5_1": (2, 128),
        "dense5_2": (4, 128),
    },
    "onet": {
        "conv1": (32, 3, 3, 3),
        "conv2": (64, 32, 3, 3),
        "conv3": (64, 64, 3, 3),
        "conv4": (128, 64, 2, 2),
        "dense5": (256, 1152),
        "dense6_1": (2, 256),
        "dense6_2": (4, 256),
        "dense6_3": (10, 256),
    },
}
POOLS = {"pnet": (2,), "rnet": (3, 3), "onet": (3, 3, 2)}
SIDES = {"pnet": 12, "rnet": 24, "onet": 48}


@lru_cache(maxsize=4)
def random_states(seed: int) -> dict[str, State]:
    """Return weights of all three networks such that each lets a fair share of noise through."""
    generator = torch.Generator().manual_seed(seed)
    states: dict[str, State] = {}
    for member, layers in LAYOUT.items():
        state: State = {}
        for name, shape in layers.items():
            # Moves stay small, as trained ones are, so that no box turns inside out.
            gain = 0.1 if name.endswith(("_2", "_3")) else 1.4
            spread = gain / math.sqrt(math.prod(shape[1:]))
            state[f"{name}.weight"] = torch.randn(shape, generator=generator) * spread
            state[f"{name}.bias"] = torch.randn(shape[0], generator=generator) * 0.05
            if "_" not in name:
                state[f"prelu{name[-1]}.weight"] = torch.rand(shape[0], generator=generator) * 0.4
        blotches = torch.rand(100, 3, 4, 4, generator=generator) * 2 - 1
        scores = run(member, state, F.interpolate(blotches, size=SIDES[member], mode="bilinear"))[0]
        share = {"pnet": 0.9, "rnet": 0.4, "onet": 0.3}[member]
        middle = torch.logit(scores.flatten().double()).quantile(share)
        state[f"{_head(member)}.bias"] -= torch.tensor([0.0, float(middle) - math.log(0.7 / 0.3)])
        states[member] = state
    return states


def _head(member: str) -> str:
    return next(name for name in LAYOUT[member] if name.endswith("_1"))


def run(member: str, state: State, images: Tensor) -> tuple[Tensor, ...]:
    """Return the face probability, the moves and, of the last network, the points with all x before all y."""
    seen, pools = images, list(POOLS[member])
    for name, shape in LAYOUT[member].items():
        if "_" in name:
            break
        if len(shape) == 4:
            seen = F.conv2d(seen, state[f"{name}.weight"], state[f"{name}.bias"])
        else:  # the map is read by column, then row, then channel
            seen = F.linear(
                seen.permute(0, 3, 2, 1).flatten(1), state[f"{name}.weight"], state[f"{name}.bias"]
            )
        seen = F.prelu(seen, state[f"prelu{name[-1]}.weight"])
        if len(shape) == 4 and pools:
            seen = F.max_pool2d(seen, pools.pop(0), 2, ceil_mode=True)
    heads = [name for name in LAYOUT[member] if "_" in name]
    apply = F.conv2d if member == "pnet" else F.linear
    first, *rest = (apply(seen, state[f"{name}.weight"], state[f"{name}.bias"]) for name in heads)
    return first.softmax(dim=1)[:, 1], *rest


def cascade(states: dict[str, State], bgr: npt.NDArray[np.uint8]) -> list[Face]:
    """Return (score, box, points with all x before all y) of each face, best first."""
    image = torch.from_numpy(bgr[..., ::-1].astype(np.float32)).permute(2, 0, 1)[None]
    boxes = [_square(box) for box in _proposed(states["pnet"], image)]
    sure = []
    for box, crop in _crops(image, boxes, 24):
        score, moves = run("rnet", states["rnet"], crop)
        if score >= 0.7:
            sure.append((float(score), box, moves[0].tolist()))
    boxes = [_square(_move(box, moves, 1)) for _, box, moves in _stand(sure, 0.7)]
    faces = []
    for box, crop in _crops(image, boxes, 48):
        score, moves, points = run("onet", states["onet"], crop)
        if score >= 0.7:
            wide, tall = box[2] - box[0] + 1, box[3] - box[1] + 1
            x = [wide * float(share) + box[0] - 1 for share in points[0, :5]]
            y = [tall * float(share) + box[1] - 1 for share in points[0, 5:]]
            faces.append((float(score), _move(box, moves[0].tolist(), 1), x + y))
    return _stand(faces, 0.7, of_smaller=True)


def _proposed(state: State, image: Tensor) -> list[list[float]]:
    height, width = image.shape[2:]
    scale, every = 12 / 20, []
    while min(height, width) * scale >= 12:
        size = (int(height * scale + 1), int(width * scale + 1))
        level = (F.interpolate(image, size=size, mode="area") - 127.5) / 128
        score, moves = run("pnet", state, level)
        found = []
        for row, column in (score[0] >= 0.6).nonzero().tolist():
            # In single precision, as published: 36 / 0.6 falls just short of 60 there.
            ends = torch.tensor([2.0 * column + 1, 2.0 * row + 1, 2.0 * column + 12, 2.0 * row + 12])
            corner = (ends / scale).floor().tolist()
            found.append((float(score[0, row, column]), corner, moves[0, :, row, column].tolist()))
        every += _stand(found, 0.5)
        scale *= 0.709
    return [_move(box, moves, 0) for _, box, moves in _stand(every, 0.7)]


def _move(box: list[float], moves: list[float], whole: int) -> list[float]:
    sides = [box[2] - box[0] + whole, box[3] - box[1] + whole]
    return [edge + move * sides[place % 2] for place, (edge, move) in enumerate(zip(box, moves, strict=True))]


def _square(box: list[float]) -> list[float]:
    wide, tall = box[2] - box[0], box[3] - box[1]
    side = max(wide, tall)
    x, y = box[0] + wide / 2 - side / 2, box[1] + tall / 2 - side / 2
    return [x, y, x + side, y + side]


def _crops(image: Tensor, boxes: list[list[float]], side: int) -> list[tuple[list[float], Tensor]]:
    height, width = image.shape[2:]
    found = []
    for box in boxes:
        x1, y1 = max(int(box[0]), 1), max(int(box[1]), 1)
        x2, y2 = min(int(box[2]), width), min(int(box[3]), height)
        if x2 >= x1 and y2 >= y1:
            crop = F.interpolate(image[:, :, y1 - 1 : y2, x1 - 1 : x2], size=(side, side), mode="area")
            found.append((box, (crop - 127.5) / 128))
    return found


def _stand(faces: list[Face], most: float, of_smaller: bool = False) -> list[Face]:
    kept: list[Face] = []
    for face in sorted(faces, key=lambda one: -one[0]):
        if all(_overlap(face[1], other[1], of_smaller) <= most for other in kept):
            kept.append(face)
    return kept


def _overlap(a: list[float], b: list[float], of_smaller: bool) -> float:
    """Return the share of the union, or of the smaller box, where a side counts both its end pixels."""
    whole = 1 if of_smaller else 0
    wide = max(min(a[2], b[2]) - max(a[0], b[0]) + whole, 0)
    tall = max(min(a[3], b[3]) - max(a[1], b[1]) + whole, 0)
    areas = [(box[2] - box[0] + whole) * (box[3] - box[1] + whole) for box in (a, b)]
    return wide * tall / (min(areas) if of_smaller else sum(areas) - wide * tall)


def save_wheel(path: Path, states: dict[str, State]) -> Path:
    """Write a package with these weights, laid out as the published one."""
    with zipfile.ZipFile(path, "w") as archive:
        for member, state in states.items():
            buffer = io.BytesIO()
            torch.save(state, buffer)
            archive.writestr(f"facenet_pytorch/data/{member}.pt", buffer.getvalue())
        archive.writestr(
            "facenet_pytorch-0.0.0.dist-info/LICENSE.md", "MIT License\n\nCopyright (c) Nobody\n"
        )
    return path
