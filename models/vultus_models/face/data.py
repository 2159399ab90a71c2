"""Training batches and validation crops from the crop cache, one dictionary of arrays a batch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from vultus.geometry import apply_affine, rotation_of
from vultus.types import FACE, FaceArray
from vultus_models.face.augment import FLIP_5, FLIP_68, Jitter, jittered_affines, mirrored, worn
from vultus_models.face.cache import CROP, FACES, MARGIN, Crops
from vultus_models.face.labels import LABELS
from vultus_models.face.surroundings import framed

__all__ = [
    "EVENED",
    "Answers",
    "Sampler",
    "evened_by",
    "plain_affines",
    "plain_batches",
    "plain_pictures",
    "weights_of",
]

EVENED = ("age", "ethnicity", "expression", "profile")
"""Labels whose rare values training meets more often than the sets hold them."""

Targets = dict[str, npt.NDArray[np.generic]]
Rng = np.random.Generator


@dataclass(frozen=True)
class Answers:
    """What trained networks say of the faces of every set.

    fields: of the FACE record, those that a network has an answer to. sets: (n,) records a set, landmarks in pixels of
    the cached crop; NaN for faces kept for validation, which nobody was asked about.
    """

    fields: tuple[str, ...]
    sets: tuple[FaceArray, ...]


class Sampler:
    """Draws augmented crops: first a set by its share, then a face by its weight in the set.

    answers: of trained networks, that come with the labels. evened: what the weights are made of.
    """

    def __init__(
        self,
        sets: Sequence[Crops],
        shares: Sequence[float],
        scenes: npt.NDArray[np.uint8],
        jitter: Jitter | None = None,
        answers: Answers | None = None,
        evened: Sequence[str] = EVENED,
    ) -> None:
        self._scenes, self._answers = scenes, answers
        self._sets = list(sets)
        self._shares = np.asarray(shares, np.float64) / np.sum(shares)
        self._jitter = jitter or Jitter()
        self._weights = [weights_of(one, evened) for one in self._sets]

    def batch(self, rng: Rng, size: int) -> dict[str, Tensor]:
        """Return `size` augmented crops (n, CROP, CROP, 3) uint8 BGR under "image" and their targets.

        Answers come as "taught.FIELD", in the units of the labels.
        """
        which = rng.choice(len(self._sets), size, p=self._shares)
        index = [
            int(np.searchsorted(self._weights[w], d, side="right"))
            for w, d in zip(which, rng.random(size), strict=True)
        ]
        drawn = [(self._sets[w], k) for w, k in zip(which, index, strict=True)]
        faces = np.empty(size, FACES)
        for place, (source, k) in enumerate(drawn):
            faces[place] = source.faces[k]
        pose = np.stack([source.pose[k] for source, k in drawn])
        affines = self._affines(faces, rng)
        flip = rng.random(size) < 0.5
        targets = _targets(faces, pose, affines, flip)
        if self._answers:
            said = np.empty(size, FACE)
            for place, (w, k) in enumerate(zip(which, index, strict=True)):
                said[place] = self._answers.sets[w][k]
            targets |= _lessons(self._answers.fields, said, affines, flip)
        affines = np.where(flip[:, None, None], mirrored(affines), affines)
        images = [
            self._picture(source, k, one, rng, self._jitter.sound)
            for (source, k), one in zip(drawn, affines, strict=True)
        ]
        return _tensors(np.stack(images), targets)

    @property
    def sets(self) -> tuple[Crops, ...]:
        """The sets that are drawn from."""
        return tuple(self._sets)

    def worn_crops(
        self, source: Crops, chosen: npt.NDArray[np.intp], rng: Rng
    ) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.float64]]:
        """Return crops (n, CROP, CROP, 3) of the chosen faces as training sees them, but for mirroring.

        The affines (n, 2, 3) that cut them out of the cached pixels come with them.
        """
        affines = self._affines(source.faces[chosen], rng)
        cut = [self._picture(source, int(k), one, rng) for k, one in zip(chosen, affines, strict=True)]
        return np.stack(cut), affines

    def _affines(self, faces: npt.NDArray[np.void], rng: Rng) -> npt.NDArray[np.float64]:
        points, five = (faces[name].astype(np.float64) for name in ("points", "five"))
        return jittered_affines(points, five, self._jitter, rng)

    def _picture(
        self, source: Crops, index: int, affine: npt.NDArray[np.float64], rng: Rng, sound: float = 0.0
    ) -> npt.NDArray[np.uint8]:
        border = (128, 128, 128)
        picture = source.pictures[index]
        crop = cv2.warpAffine(
            picture, affine, (CROP, CROP), borderMode=cv2.BORDER_CONSTANT, borderValue=border
        )
        if sound and rng.random() < sound:
            return np.asarray(crop, np.uint8)
        return worn(framed(np.asarray(crop, np.uint8), self._scenes, rng), rng)


def plain_batches(source: Crops, chosen: npt.NDArray[np.intp], size: int) -> Iterator[dict[str, Tensor]]:
    """Yield the chosen faces as the runtime would cut them, in batches."""
    for start in range(0, len(chosen), size):
        part = chosen[start : start + size]
        unflipped = np.zeros(len(part), np.bool_)
        targets = _targets(source.faces[part], source.pose[part], plain_affines(len(part)), unflipped)
        yield _tensors(plain_pictures(source, part), targets)


def plain_pictures(source: Crops, chosen: npt.NDArray[np.intp]) -> npt.NDArray[np.uint8]:
    """Return crops (n, CROP, CROP, 3) of the chosen faces as the runtime would cut them."""
    inner = slice(MARGIN, MARGIN + CROP)
    return np.asarray(source.pictures[chosen][:, inner, inner])


def plain_affines(count: int) -> npt.NDArray[np.float64]:
    """Return the affines (count, 2, 3) that cut such crops out of the cached pixels."""
    return np.tile(np.array([[1.0, 0.0, -MARGIN], [0.0, 1.0, -MARGIN]]), (count, 1, 1))


def evened_by(names: Sequence[str]) -> Sequence[str]:
    """Return the labels that a recipe evens by; raises ValueError for one whose values are not told apart."""
    for name in names:
        if name not in EVENED:
            raise ValueError(f"faces are not evened by {name!r}; name some of {', '.join(EVENED)}")
    return names


def weights_of(source: Crops, evened: Sequence[str] = EVENED) -> npt.NDArray[np.float64]:
    """Return cumulated sampling weights (n,) that end in 1; faces kept for validation weigh nothing.

    Rare values of the evened labels (ages by five years, profiles by how far they are turned) are drawn more often:
    each by the inverse square root of its frequency, so they gain without being repeated to death.
    """
    labels = source.faces["labels"]
    weights = (~source.faces["val"]).astype(np.float64)
    for name in evened_by(evened):
        _, inverse, counts = np.unique(_kinds(labels, name), return_inverse=True, return_counts=True)
        weights *= np.clip(counts.mean() / counts[inverse], 0.2, 25) ** 0.5
    total = weights.cumsum()
    return np.asarray(total / total[-1])


def _kinds(labels: npt.NDArray[np.void], name: str) -> npt.NDArray[np.generic]:
    """Return which value of a label each face has, as the weights tell them apart."""
    if name == "age":
        return np.asarray(np.nan_to_num(labels["age"], nan=-5) // 5)
    return np.asarray(np.abs(labels["profile"] - 3) if name == "profile" else labels[name])


def _targets(
    faces: npt.NDArray[np.void],
    pose: npt.NDArray[np.floating],
    affines: npt.NDArray[np.float64],
    flip: npt.NDArray[np.bool_],
) -> Targets:
    """Return the labels of faces (n,) in crops cut by `affines` (n, 2, 3) and then mirrored where `flip` says so.

    Places come as shares of the crop's side from its centre, angles in units of 90 degrees.
    """
    found: Targets = {name: faces["labels"][name] for name in LABELS.names or ()}
    for name, order in (("landmarks", FLIP_68), ("five", FLIP_5)):
        found[name] = _places(faces[name], order, affines, flip)
    turned = np.asarray(pose, np.float64).copy()
    turned[:, 2] += rotation_of(affines)
    turned[flip] *= (-1, 1, -1)
    found["pose"] = (turned / 90).astype(np.float32)
    return found


def _places(
    points: npt.NDArray[np.floating],
    order: npt.NDArray[np.intp],
    affines: npt.NDArray[np.float64],
    flip: npt.NDArray[np.bool_],
) -> npt.NDArray[np.float32]:
    shares = (apply_affine(affines, points) + 0.5) / CROP - 0.5
    swapped = shares[:, order] * (-1, 1)
    return np.where(flip[:, None, None], swapped, shares).astype(np.float32)


PERCENTAGES = ("smile", "attractiveness")


def _lessons(
    fields: Sequence[str], said: FaceArray, affines: npt.NDArray[np.float64], flip: npt.NDArray[np.bool_]
) -> Targets:
    """Return answers (n,) as targets of crops that are cut and mirrored like those of `_targets`."""
    found: Targets = {f"taught.{name}": said[name] for name in fields}
    found |= {f"taught.{name}": said[name] / np.float32(100) for name in PERCENTAGES if name in fields}
    if "landmarks" in fields:
        found["taught.landmarks"] = _places(said["landmarks"], FLIP_68, affines, flip)
    return found


def _tensors(images: npt.NDArray[np.uint8], targets: Targets) -> dict[str, Tensor]:
    arrays = {"image": images, **targets}
    return {
        name: torch.from_numpy(np.ascontiguousarray(value, np.int64 if value.dtype == np.int8 else None))
        for name, value in arrays.items()
    }
