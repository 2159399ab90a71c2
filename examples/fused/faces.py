"""Prints the faces of a binary PPM picture, with ONNX Runtime and numpy alone: faces.py FACES.onnx PICTURE.ppm."""
# ruff: noqa: T201, TID253

import re
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime as ort


def read_ppm(path: str) -> npt.NDArray[np.uint8]:
    """Return the picture as uint8 BGR (H, W, 3)."""
    data = Path(path).read_bytes()
    head = re.match(rb"P6\s+(\d+)\s+(\d+)\s+255\s", data)
    if not head:
        sys.exit(f"{path} is no binary PPM picture of 8 bits")
    width, height = int(head[1]), int(head[2])
    rgb = np.frombuffer(data, np.uint8, height * width * 3, head.end()).reshape(height, width, 3)
    return np.ascontiguousarray(rgb[..., ::-1])


def main(model: str, picture: str) -> None:
    """Print one line a face."""
    session = ort.InferenceSession(model, providers=["CPUExecutionProvider"])
    names = ["count", "box", "score", "age", "gender"]
    count, box, score, age, gender = session.run(names, {"frame": read_ppm(picture)})
    for i in range(count):
        x1, y1, x2, y2 = box[i]
        print(
            f"{x1:.1f} {y1:.1f} {x2:.1f} {y2:.1f} score {score[i]:.3f} age {age[i]:.1f} female {gender[i, 0]:.3f}"
        )


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: faces.py FACES.onnx PICTURE.ppm")
    main(*sys.argv[1:])
