"""Network inputs to compare and calibrate with: noise, and pictures prepared as the runtime prepares them."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from vultus.errors import SourceError
from vultus.preprocess import letterbox
from vultus.spec import InputSpec

__all__ = ["SUFFIXES", "picture_files", "picture_inputs", "random_inputs", "read_picture"]

Tensor = npt.NDArray[np.float32]

SUFFIXES = (".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")


def random_inputs(spec: InputSpec, batches: Sequence[int] = (1, 2, 3), seed: int = 0) -> Iterator[Tensor]:
    """Yield noise in the network's range: a tensor for each batch size, of several sides where they are free."""
    random = np.random.default_rng(seed)
    sizes = [(spec.height, spec.width)]
    if spec.multiple:
        sizes += [(3 * spec.multiple, 2 * spec.multiple), (2 * spec.multiple, 5 * spec.multiple)]
    mean = np.array(spec.mean, np.float32).reshape(3, 1, 1)
    scale = np.array(spec.scale, np.float32).reshape(3, 1, 1)
    for batch, size in zip(batches, itertools.cycle(sizes), strict=False):
        pixels = random.integers(0, 256, (batch, 3, *size)).astype(np.float32)
        yield (pixels - mean) * scale


def picture_inputs(spec: InputSpec, files: Iterable[Path]) -> Iterator[Tensor]:
    """Yield each picture letterboxed by the runtime's own code: float32 (1, 3, height, width)."""
    for file in files:
        yield letterbox(read_picture(file), spec)[0]


def read_picture(file: Path) -> npt.NDArray[np.uint8]:
    """Decode a picture file to (H, W, 3) BGR; raises SourceError naming the file."""
    try:
        data = np.frombuffer(file.read_bytes(), np.uint8)
    except OSError as error:
        raise SourceError(f"cannot read {file}: {error.strerror}") from error
    picture = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
    if picture is None:
        raise SourceError(f"{file} is not a picture that OpenCV can decode")
    return np.asarray(picture, np.uint8)


def picture_files(paths: Iterable[Path]) -> list[Path]:
    """Return the picture files among files and folders (searched whole), sorted.

    Raises SourceError when one of them is not there or holds no picture.
    """
    found: list[Path] = []
    for path in paths:
        if not path.exists():
            raise SourceError(f"there is no file or folder {path}")
        inside = path.rglob("*") if path.is_dir() else [path]
        files = sorted(item for item in inside if item.is_file() and item.suffix.lower() in SUFFIXES)
        if not files:
            raise SourceError(f"{path} holds no picture; expected files named {', '.join(SUFFIXES)}")
        found += files
    return found
