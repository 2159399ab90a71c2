"""Faces drawn onto a picture: boxes, points, landmarks, pose and a caption that stays readable and inside."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from vultus.types import LABELS, NO_TRACK, FaceArray

__all__ = ["caption", "draw_faces", "pose_axes"]

Pixels = npt.NDArray[np.uint8]
Colour = tuple[int, int, int]
Area = tuple[int, int, int, int]

FONT = cv2.FONT_HERSHEY_SIMPLEX
INK, PAPER = (255, 255, 255), (40, 30, 20)
DOTS, LANDMARKS = (80, 220, 255), (255, 255, 160)
AXES = ((70, 70, 240), (70, 210, 70), (245, 160, 60))  # side, up, forward
TRACKS = ((190, 200, 60), (60, 160, 250), (220, 120, 220), (90, 210, 110), (110, 110, 250), (240, 170, 90))
FAR = 1e6  # no picture is as large; keeps wild coordinates within a C int
SMALLEST_TEXT = 9
SMALLEST_LANDMARKED = 60  # on smaller faces 68 dots hide the face


@dataclass(frozen=True)
class _Pen:
    """Sizes in pixels that suit the picture, and for its lines also the face."""

    line: int
    text: int

    @classmethod
    def for_picture(cls, width: int, height: int) -> _Pen:
        unit = float(np.sqrt(width * height))
        return cls(max(1, round(unit / 420)), max(SMALLEST_TEXT, round(unit / 48)))

    def thinned(self, face: np.void) -> _Pen:
        """Return the pen for a face, thinner where the face is small."""
        side = float(face["box"][3] - face["box"][1])
        return _Pen(min(self.line, max(1, round(side / 70))), self.text) if np.isfinite(side) else self


def draw_faces(bgr: Pixels, faces: FaceArray) -> Pixels:
    """Return a copy of a BGR picture (H, W, 3) uint8 with the faces (frame pixels) drawn on it.

    What was not measured (NaN) is left out. Captions avoid each other and the faces where there is room.
    """
    canvas: Pixels = np.ascontiguousarray(bgr).copy()
    pen = _Pen.for_picture(canvas.shape[1], canvas.shape[0])
    for face in faces:
        _draw_marks(canvas, face, pen.thinned(face))
    taken = [_area(face["box"]) for face in faces if np.isfinite(face["box"]).all()]
    for face in faces:
        if np.isfinite(face["box"]).all():
            _draw_caption(canvas, face, pen, taken)
    return canvas


def caption(face: np.void) -> list[str]:
    """Return what is known of a face in a few short lines of plain ASCII."""
    who = [_likeliest(face, "gender"), f"{face['age']:.0f}" if np.isfinite(face["age"]) else ""]
    wears = ["glasses" if face["eyeglasses"] > 0.5 else "", *_likely(face, "facial_hair")]
    track = f"#{face['track']}" if face["track"] != NO_TRACK else ""
    lines = [[track, *who], [_likeliest(face, "expression"), _likeliest(face, "ethnicity")], wears]
    texts = [", ".join(word for word in words if word) for words in lines]
    known = [text for text in texts if text]
    return known or ([f"{face['score']:.2f}"] if np.isfinite(face["score"]) else [])


def pose_axes(pose: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Return where a head's (3, 2) unit axes side, up and forward point on the screen, x right and y down.

    pose: yaw, pitch, roll in degrees; positive when the face turns to the picture's right, looks up, and tilts
    clockwise. Roll is the outermost rotation.
    """
    yaw, pitch, roll = np.radians(np.asarray(pose, np.float64))
    upright = np.array(
        [
            [np.cos(yaw), np.sin(pitch) * np.sin(yaw)],
            [0.0, -np.cos(pitch)],
            [np.sin(yaw), -np.sin(pitch) * np.cos(yaw)],
        ]
    )
    turn = np.array([[np.cos(roll), np.sin(roll)], [-np.sin(roll), np.cos(roll)]])
    return np.asarray(upright @ turn, np.float64)


def _likeliest(face: np.void, field: str) -> str:
    """Return the likeliest label, or nothing where it is not even likelier than all others together."""
    values = face[field]
    return LABELS[field][int(np.argmax(values))] if np.nanmax(values, initial=0.0) > 0.5 else ""


def _likely(face: np.void, field: str) -> list[str]:
    pairs = zip(LABELS[field], face[field], strict=True)
    return [label.replace("_", " ") for label, value in pairs if value > 0.5]


def _draw_marks(canvas: Pixels, face: np.void, pen: _Pen) -> None:
    colour = TRACKS[int(face["track"]) % len(TRACKS)] if face["track"] != NO_TRACK else TRACKS[0]
    if np.isfinite(face["box"]).all():
        x1, y1, x2, y2 = _area(face["box"])
        cv2.rectangle(canvas, (x1, y1), (x2, y2), colour, pen.line, cv2.LINE_AA)
    if not face["box"][3] - face["box"][1] < SMALLEST_LANDMARKED:
        _draw_dots(canvas, face["landmarks"], LANDMARKS, max(1, pen.line // 2))
    _draw_dots(canvas, face["points"], DOTS, round(1.3 * pen.line))
    _draw_pose(canvas, face, pen)


def _draw_dots(canvas: Pixels, points: npt.NDArray[np.float32], colour: Colour, radius: int) -> None:
    for point in points:
        if np.isfinite(point).all():
            cv2.circle(canvas, _pixel(point), radius, colour, cv2.FILLED, cv2.LINE_AA)


def _draw_pose(canvas: Pixels, face: np.void, pen: _Pen) -> None:
    nose = face["points"][LABELS["points"].index("nose_tip")]
    if not (np.isfinite(face["pose"]).all() and np.isfinite(nose).all() and np.isfinite(face["box"]).all()):
        return
    reach = 0.4 * float(face["box"][3] - face["box"][1])
    for axis, colour in zip(pose_axes(face["pose"]), AXES, strict=True):
        cv2.line(canvas, _pixel(nose), _pixel(nose + reach * axis), colour, pen.line, cv2.LINE_AA)


def _draw_caption(canvas: Pixels, face: np.void, pen: _Pen, taken: list[Area]) -> None:
    """Write the caption at the best place beside the box; crowded small faces get its first line alone."""
    lines = caption(face)
    box = _area(face["box"])
    if box[3] - box[1] < 5 * pen.text:
        lines = lines[:1]
    scale = _scale(lines, canvas.shape[1], pen.text)
    step = round(1.2 * scale * _UNIT_HEIGHT)
    width = max((_text_width(line, scale) for line in lines), default=0) + step // 2
    height = step * len(lines) + step // 4
    if not lines or scale * _UNIT_HEIGHT < 0.7 * SMALLEST_TEXT or height > canvas.shape[0]:
        return
    area = _place(box, width, height, (canvas.shape[1], canvas.shape[0]), taken)
    taken.append(area)
    _shade(canvas, area)
    thick = max(1, round(scale * 1.4))
    for row, line in enumerate(lines, 1):
        at = (area[0] + step // 4, area[1] + row * step - step // 8)
        cv2.putText(canvas, line, at, FONT, scale, INK, thick, cv2.LINE_AA)


def _text_width(text: str, scale: float) -> int:
    return int(cv2.getTextSize(text, FONT, scale, max(1, round(scale * 1.4)))[0][0])


_UNIT_HEIGHT = cv2.getTextSize("Ag", FONT, 1.0, 1)[0][1] + cv2.getTextSize("Ag", FONT, 1.0, 1)[1]


def _scale(lines: Sequence[str], room: int, height: int) -> float:
    """Return the font scale for lines of `height` pixels that are no wider than `room`."""
    scale = height / _UNIT_HEIGHT
    widest = max((_text_width(line, scale) for line in lines), default=0) + height
    return scale * min(1.0, room / widest) if widest else scale


def _place(box: Area, width: int, height: int, size: tuple[int, int], taken: Sequence[Area]) -> Area:
    """Return the area beside the box, inside a picture of `size`, that covers least of what is taken."""
    x1, y1, x2, y2 = box
    corners = [
        (x1, y1 - height),
        (x1, y2),
        (x2, y1),
        (x1 - width, y1),
        (x2 - width, y1 - height),
        (x2 - width, y2),
    ]
    inside = [
        (min(max(x, 0), max(size[0] - width, 0)), min(max(y, 0), max(size[1] - height, 0)))
        for x, y in corners
    ]
    areas = [(x, y, min(x + width, size[0]), min(y + height, size[1])) for x, y in inside]
    return min(areas, key=lambda area: sum(_overlap(area, other) for other in taken))


def _overlap(a: Area, b: Area) -> int:
    wide = min(a[2], b[2]) - max(a[0], b[0])
    tall = min(a[3], b[3]) - max(a[1], b[1])
    return max(wide, 0) * max(tall, 0)


def _shade(canvas: Pixels, area: Area) -> None:
    """Darken an area so that white text can be read on it."""
    x1, y1, x2, y2 = area
    part = canvas[y1:y2, x1:x2]
    part[...] = (0.3 * part + 0.7 * np.array(PAPER)).astype(np.uint8)


def _area(box: npt.NDArray[np.float32]) -> Area:
    x1, y1, x2, y2 = (round(float(value)) for value in np.clip(box, -FAR, FAR))
    return x1, y1, x2, y2


def _pixel(point: npt.ArrayLike) -> tuple[int, int]:
    x, y = np.clip(np.asarray(point, np.float64), -FAR, FAR)
    return round(float(x)), round(float(y))
