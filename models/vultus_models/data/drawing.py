"""Faces drawn from the 68 landmarks that are their labels; what else is labelled shows too.

The hair whitens with the age, is long or short by gender, mouth and brows follow the expression, glasses are rings
round the eyes. Nothing that a network learns from them is about people.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from vultus.geometry import FACE_TEMPLATE, apply_affine
from vultus.types import EXPRESSIONS, GENDERS

__all__ = ["FACE_BOX", "Drawn", "draw", "landmarks_of", "some_face"]

Array = npt.NDArray[np.float64]
Pixels = npt.NDArray[np.uint8]
Rng = np.random.Generator

FACE_BOX = (0.18, 0.30, 0.82, 0.92)
"""Box of a drawn face, from brows to chin, as shares of its aligned crop."""

MIMICS = {
    "angry": (-0.02, 0.0, 0.05, 0.05),
    "disgust": (-0.06, 0.0, 0.04, 0.0),
    "fear": (0.0, 0.05, -0.03, -0.03),
    "happy": (0.09, 0.02, 0.0, 0.0),
    "neutral": (0.0, 0.0, 0.0, 0.0),
    "sad": (-0.06, 0.0, 0.0, -0.05),
    "surprise": (0.0, 0.14, -0.06, 0.0),
}
"""Each expression: how far the mouth bends down in its middle and opens, brows lower and slant inwards."""


@dataclass(frozen=True)
class Drawn:
    """What a drawn face is to show: age in years, gender and expression by name, glasses or none."""

    age: int
    gender: str
    expression: str
    glasses: bool


def some_face(rng: Rng) -> Drawn:
    """Choose a face at random."""
    gender, expression = str(rng.choice(GENDERS)), str(rng.choice(EXPRESSIONS))
    return Drawn(int(rng.integers(5, 91)), gender, expression, bool(rng.random() < 0.4))


def landmarks_of(face: Drawn) -> Array:
    """Return the 68 landmarks (68, 2) of a face as shares of its aligned crop; its five points are the template."""
    bend, gap, lowered, slant = MIMICS[face.expression]
    turn = np.linspace(np.pi, 0, 17)
    jaw = np.stack([0.5 + 0.32 * np.cos(turn), 0.45 + 0.47 * np.sin(turn)], 1)
    along = np.linspace(0, 1, 5)
    brow = np.stack([0.27 + 0.17 * along, 0.335 - 0.025 * np.sin(np.pi * along) + lowered + slant * along], 1)
    bridge = np.stack([np.full(4, 0.5), np.linspace(0.42, FACE_TEMPLATE[2, 1], 4)], 1)
    base = np.stack([np.linspace(0.44, 0.56, 5), np.full(5, 0.61)], 1)
    round_ = np.radians([180, 240, 300, 0, 60, 120])
    eye = np.stack([0.055 * np.cos(round_), 0.025 * np.sin(round_)], 1)
    eyes = [centre + eye for centre in FACE_TEMPLATE[:2]]
    lips = [_lip(np.linspace(*edge[:3]), bend, edge[3]) for edge in _lips(gap)]
    return np.concatenate([jaw, brow, ((1, 0) + brow * (-1, 1))[::-1], bridge, base, *eyes, *lips])


def _lips(gap: float) -> tuple[tuple[float, float, int, float], ...]:
    """Return the four edges of the lips: from where to where, how many landmarks, how far from the middle."""
    outer, inner = gap / 2 + 0.02, gap / 2
    return ((-1, 1, 7, -outer), (2 / 3, -2 / 3, 5, outer), (-0.8, 0.8, 5, -inner), (0.4, -0.4, 3, inner))


def _lip(along: Array, bend: float, away: float) -> Array:
    """Return landmarks of an edge of the lips; `along` is -1 and 1 at the corners of the mouth."""
    (left, height), (right, _) = FACE_TEMPLATE[3:]
    middle, half = (left + right) / 2, (right - left) / 2
    return np.stack([middle + half * along, height + (bend + away) * (1 - along**2)], 1)


def draw(picture: Pixels, face: Drawn, affine: Array, rng: Rng) -> Array:
    """Draw a face into a picture (H, W, 3) and return its landmarks (68, 2) in pixels.

    affine: (2, 3), from shares of the aligned crop to pixels.
    """
    shares = landmarks_of(face)
    marks = apply_affine(affine, shares)
    side = float(np.hypot(*affine[:, 0]))
    thick = max(1, round(side / 40))
    skin = np.array([150.0, 180.0, 225.0]) + rng.uniform(-25, 25)
    hair, dark = [25 + 2.4 * face.age] * 3, [30.0, 30.0, 40.0]

    def fill(outline: Array, colour: npt.ArrayLike) -> None:
        cv2.fillPoly(picture, [np.round(apply_affine(affine, outline)).astype(np.int32)], _colour(colour))

    def line(points: Array) -> None:
        places = np.round(apply_affine(affine, points)).astype(np.int32)
        cv2.polylines(picture, [places], False, _colour(dark), thick)

    fill(_oval(0.5, 0.5, 0.42, 0.5) if face.gender == "female" else _oval(0.5, 0.3, 0.36, 0.3), hair)
    fill(np.concatenate([shares[:17], _oval(0.5, 0.45, 0.32, 0.28)[12:]]), skin)
    for part in (shares[17:22], shares[22:27], shares[27:31], shares[31:36]):
        line(part)
    for part in (shares[36:42], shares[42:48]):
        fill(part, dark)
    fill(shares[48:60], [60.0, 60.0, 190.0])
    fill(shares[60:68], dark)
    for x, y in FACE_TEMPLATE[:2] if face.glasses else ():
        line(_oval(x, y, 0.11, 0.09))
    return marks


def _oval(x: float, y: float, wide: float, tall: float) -> Array:
    """Return an ellipse (25, 2) that begins at its right and goes round by its bottom."""
    turn = np.linspace(0, 2 * np.pi, 25)
    return np.stack([x + wide * np.cos(turn), y + tall * np.sin(turn)], 1)


def _colour(values: npt.ArrayLike) -> tuple[float, ...]:
    return tuple(float(v) for v in np.clip(np.asarray(values, np.float64), 0, 255))
