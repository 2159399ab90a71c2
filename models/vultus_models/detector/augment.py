"""What happens to pictures on their way to a device: light, colour, masks, blur, noise, compression."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from vultus_models.detector.labels import Labels
from vultus_models.detector.mosaic import Canvas, Draw, cut, joined

__all__ = ["disturb", "paste_small", "wear_masks"]

Pixels = npt.NDArray[np.uint8]
Array = npt.NDArray[np.float64]

MASK_SHARE, MASK_SMALLEST = 0.12, 16.0
PASTE_SIZES = (9.0, 36.0)


def wear_masks(rng: np.random.Generator, canvas: Canvas) -> Canvas:
    """Draw a plain mask over nose and mouth of some faces."""
    pixels = np.ascontiguousarray(canvas.pixels)
    for box, points, sure in zip(canvas.labels.boxes, canvas.labels.points, canvas.labels.sure, strict=True):
        known = sure and np.isfinite(points).all() and box[2] - box[0] >= MASK_SMALLEST
        if known and rng.random() < MASK_SHARE:
            shade = np.clip(rng.normal((190, 180, 165), 60), 0, 255)
            cv2.fillConvexPoly(pixels, _mask_outline(rng, points), [float(v) for v in shade], cv2.LINE_AA)
    return Canvas(pixels, canvas.labels)


def _mask_outline(rng: np.random.Generator, points: Array) -> npt.NDArray[np.int32]:
    left, right, mouth = points[0], points[1], points[3:].mean(axis=0)
    across, down = right - left, mouth - (left + right) / 2
    high = rng.uniform(0.25, 0.55)
    outline = [
        left - 0.35 * across + 0.35 * down,
        (left + right) / 2 + high * down,
        right + 0.35 * across + 0.35 * down,
        mouth + 0.45 * across + 0.6 * down,
        mouth + 0.85 * down,
        mouth - 0.45 * across + 0.6 * down,
    ]
    return np.round(np.stack(outline)).astype(np.int32)


def paste_small(rng: np.random.Generator, canvas: Canvas, draw: Draw, most: int) -> Canvas:
    """Blend up to `most` small faces with soft edges into free places of the picture."""
    pixels, labels = np.ascontiguousarray(canvas.pixels), canvas.labels
    for _ in range(int(rng.integers(1, most + 1))):
        face = _small_face(rng, draw)
        if face is None:
            continue
        size = face.pixels.shape[0]
        left, top = (int(v) for v in rng.integers(0, pixels.shape[0] - size, 2))
        if _taken(labels.boxes, left, top, size):
            continue
        place = pixels[top : top + size, left : left + size]
        place[...] = _blended(place, face.pixels)
        shift = np.array([left, top], np.float64)
        moved = Labels(face.labels.boxes + np.tile(shift, 2), face.labels.points + shift, face.labels.sure)
        labels = joined([labels, moved])
    return Canvas(pixels, labels)


def _small_face(rng: np.random.Generator, draw: Draw) -> Canvas | None:
    """Cut one face with some surroundings at a small size; None when the drawn picture has none alone."""
    pixels, labels = draw(rng)
    if len(labels.boxes) != 1 or not labels.sure[0]:
        return None
    low, high = labels.boxes[0, :2], labels.boxes[0, 2:]
    side = int((high - low).max() * 1.7)
    left, top = (int(v) for v in (low + high) / 2 - side / 2 - np.array([0, 0.06 * side]))
    if min(left, top) < 0 or left + side > pixels.shape[1] or top + side > pixels.shape[0]:
        return None
    size = int(np.exp(rng.uniform(*np.log(PASTE_SIZES))) * 1.7)
    return cut(rng, pixels, labels, (left, top, side, side), (size, size))


def _taken(boxes: Array, left: int, top: int, size: int) -> bool:
    apart = (
        (boxes[:, 0] > left + size) | (boxes[:, 2] < left) | (boxes[:, 1] > top + size) | (boxes[:, 3] < top)
    )
    return not bool(apart.all())


def _blended(under: Pixels, over: Pixels) -> Pixels:
    """Lay one picture over another with a weight that falls off outside an upright ellipse."""
    size = len(over)
    y, x = np.mgrid[:size, :size] * (2 / (size - 1)) - 1
    weight = np.clip((1.0 - np.hypot(x / 0.92, y / 0.98)) * 4, 0, 1)[..., None]
    return np.asarray(under + (over.astype(np.float64) - under) * weight, np.uint8)


def disturb(rng: np.random.Generator, pixels: Pixels) -> Pixels:
    """Change light and colour always, sharpness, noise and compression sometimes."""
    out = np.asarray(cv2.LUT(pixels, _tone(rng)), np.uint8)
    if rng.random() < 0.15:
        grey = cv2.cvtColor(out, cv2.COLOR_BGR2GRAY)
        out = np.asarray(cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR), np.uint8)
    if rng.random() < 0.12:
        out = _softened(rng, out)
    if rng.random() < 0.15:
        out = _noisy(rng, out)
    if rng.random() < 0.12:
        coded = cv2.imencode(".jpg", out, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(25, 85))])[1]
        out = np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR), np.uint8)
    return out


def _tone(rng: np.random.Generator) -> Pixels:
    """Return a table (1, 256, 3): gamma, contrast, brightness and a colour cast, at times very dark."""
    gamma = np.exp(rng.uniform(-0.35, 0.35))
    gain = rng.uniform(0.75, 1.25) * rng.uniform(0.9, 1.1, 3)
    if rng.random() < 0.08:
        gain *= rng.uniform(0.2, 0.6)
    level = 255 * (np.arange(256) / 255) ** gamma
    table = (level[:, None] - 128) * gain + 128 + rng.uniform(-28, 28) * rng.random()
    if gain.max() < 0.7:
        table = level[:, None] * gain
    return np.asarray(np.clip(table, 0, 255)[None], np.uint8)


def _softened(rng: np.random.Generator, pixels: Pixels) -> Pixels:
    if rng.random() < 0.5:
        return np.asarray(cv2.GaussianBlur(pixels, (0, 0), rng.uniform(0.5, 1.6)), np.uint8)
    length = int(rng.integers(2, 6))
    box = (length, 1) if rng.random() < 0.7 else (1, length)
    return np.asarray(cv2.blur(pixels, box), np.uint8)


def _noisy(rng: np.random.Generator, pixels: Pixels) -> Pixels:
    """Add grain from 64 rows of normal noise repeated in shuffled order, which is ten times cheaper."""
    rows, columns, _ = pixels.shape
    bank = rng.normal(0, rng.uniform(3, 16), (32, columns, 3)).astype(np.int16)
    return np.asarray(np.clip(pixels + bank[rng.integers(0, 32, rows)], 0, 255), np.uint8)
