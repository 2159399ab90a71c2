"""Quality of a face: how far the network's own answers to a crop can be relied on.

Nobody labels it. As in SER-FIQ (Terhörst et al. 2020), a crop is good when the answers to it are robust: there against
dropout, here against wear and mirroring. The agreement of the answers to a crop, worn or not, with those to the mirror
image of the unworn one is learnt by a ridge regression on the embedding, so that one look at a face tells it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from vultus.geometry import apply_affine
from vultus_models.face.augment import FLIP_68
from vultus_models.face.cache import CROP, MARGIN, Crops
from vultus_models.face.data import Sampler, plain_affines, plain_pictures
from vultus_models.face.evaluation import prepared
from vultus_models.face.group_age import GroupAge
from vultus_models.face.heads import QUALITY
from vultus_models.face.network import FaceNet, embedded
from vultus_models.face.regression import bayesian_ridge, write_into

__all__ = ["Answers", "Witness", "quality_of", "solve_quality"]

Array = npt.NDArray[np.float64]
Answers = Mapping[str, Array]
"""Kind and name of a head, as "kind.name" -> what it answers to n faces: (n, k) shares or years, (n, 68, 2) places."""

YEARS, EYES = 15.0, 0.1
"""Differences of age, and of landmarks in eye distances, at which nothing agrees any more."""

STEEP = 2.5
"""Quality is exp(-STEEP * mean difference): 0.9 where answers differ by a twenty-fifth, 0.5 where by a quarter."""

ENDS = 0.02
"""Qualities are kept this far from 0 and 1, since the head gives their logit."""


def quality_of(first: Answers, second: Answers) -> Array:
    """Return the quality (n,), 0 to 1, that two sets of answers to the same n faces imply.

    Probabilities of classes differ by their total variation distance, those of yes or no and percentages by their
    mean difference, ages by shares of YEARS, landmarks by shares of EYES; the mean over all heads counts. Raises
    ValueError where there is no answer at all.
    """
    if not first:
        raise ValueError("quality compares answers, and there are none; it needs a head besides the pose")
    parts = [_difference(name.split(".")[0], first[name], second[name]).clip(0, 1) for name in first]
    return np.asarray(np.exp(-STEEP * np.mean(parts, axis=0)))


def _difference(kind: str, first: Array, second: Array) -> Array:
    if kind == "landmarks":
        eyes = np.linalg.norm(second[:, 36] - second[:, 45], axis=1)
        away = np.linalg.norm(first - second, axis=2).mean(axis=1)
        return np.asarray(away / (EYES * np.maximum(eyes, 1e-3)))
    apart = np.abs(first - second).sum(axis=1)
    return np.asarray(apart * {"softmax": 0.5, "group_age": 1 / YEARS}.get(kind, 1 / first.shape[1]))


@dataclass(frozen=True)
class Witness:
    """A trained network and the code of its ages: what it sees in crops and what it answers."""

    model: FaceNet
    code: GroupAge

    def __call__(self, pictures: npt.NDArray[np.uint8]) -> tuple[Array, Answers]:
        """Return the embeddings (n, d) of BGR crops (n, side, side, 3) and the answers to them.

        The pose is left out, since it turns with the crop.
        """
        crops = prepared(torch.from_numpy(np.ascontiguousarray(pictures)))
        embeddings, outputs = embedded(self.model, crops)
        answers = {
            f"{head.kind}.{head.output}": self._answer(head.kind, out.float()).double().numpy()
            for head, out in zip(self.model.heads, outputs, strict=True)
            if head.kind != "euler" and head != QUALITY
        }
        return embeddings.double().numpy(), answers

    def _answer(self, kind: str, out: Tensor) -> Tensor:
        if kind == "group_age":
            return self.code.decode(out)[:, None]
        if kind == "landmarks":
            return out.view(-1, 68, 2)
        return out.softmax(dim=1) if kind == "softmax" else out.sigmoid()


def solve_quality(
    witness: Witness, sampler: Sampler, faces: int, seed: int, size: int = 100
) -> dict[str, float]:
    """Solve the head `quality` of a trained network in place, from at most `faces` training faces of every set.

    Returns "quality_rank", Spearman's correlation of the answer with the quality, over worn and unworn validation
    faces. Raises ValueError when there are no faces to learn from.
    """
    rng = np.random.default_rng((seed, 0))
    witness.model.eval()
    features, qualities = _gathered(witness, sampler, _drawn(sampler, False, faces, rng), rng, size)
    if len(qualities) < 3:
        raise ValueError(f"{len(qualities)} training faces are too few to learn quality from")
    inside = qualities.clip(ENDS, 1 - ENDS)
    solved = bayesian_ridge(features, np.log(inside / (1 - inside)))
    write_into(witness.model.out[QUALITY.output], solved)
    features, qualities = _gathered(witness, sampler, _drawn(sampler, True, faces, rng), rng, size)
    if len(qualities) < 3:
        return {}
    return {"quality_rank": _rank_correlation(features @ solved.weights, qualities)}


Part = tuple[Crops, npt.NDArray[np.intp]]


def _drawn(sampler: Sampler, val: bool, most: int, rng: np.random.Generator) -> Iterator[Part]:
    for source in sampler.sets:
        there = np.flatnonzero(source.faces["val"] == val)
        yield source, rng.choice(there, min(most, len(there)), replace=False)


def _gathered(
    witness: Witness, sampler: Sampler, drawn: Iterator[Part], rng: np.random.Generator, size: int
) -> tuple[Array, Array]:
    """Return the embeddings (n, d) and qualities (n,) of faces, each worn and every third as it is too."""
    features: list[Array] = []
    qualities: list[Array] = []
    for source, chosen in drawn:
        for start in range(0, len(chosen), size):
            part = chosen[start : start + size]
            plain = plain_pictures(source, part)
            _, mirrored = witness(plain[:, :, ::-1])
            for pictures, affines, every in (
                (*sampler.worn_crops(source, part, rng), 1),
                (plain, plain_affines(len(part)), 3),
            ):
                seen, answers = witness(pictures[::every])
                wanted = {
                    name: _unmirrored(name, values, affines)[::every] for name, values in mirrored.items()
                }
                features.append(seen)
                qualities.append(quality_of(answers, wanted))
    return np.concatenate(features or [np.zeros((0, 1))]), np.concatenate(qualities or [np.zeros(0)])


def _unmirrored(name: str, answer: Array, affines: Array) -> Array:
    """Return an answer to mirrored plain crops as it should be to the crops that `affines` (n, 2, 3) cut."""
    if not name.startswith("landmarks."):
        return answer
    cached = (answer[:, FLIP_68] * (-1, 1) + 0.5) * CROP - 0.5 + MARGIN
    return np.asarray((apply_affine(affines, cached) + 0.5) / CROP - 0.5)


def _rank_correlation(first: Array, second: Array) -> float:
    ranks = [values.argsort().argsort() for values in (first, second)]
    return float(np.corrcoef(ranks[0], ranks[1])[0, 1])
