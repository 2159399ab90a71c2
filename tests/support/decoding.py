"""Detector maps and head outputs for the tests of the device's decoders, and the host's answers to compare with."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from shim_driver import ShimDriver, kernels_on, tensor_of
from vultus.cuda.boxes import BoxDecoder
from vultus.decode.anchors import VALUES, anchor_grid, anchors_per_cell, decode, decode_values
from vultus.geometry import box_iou
from vultus.spec import AnchorLevel, DetectorSpec, InputSpec, ModelSpec
from vultus.types import FaceArray, empty_faces

__all__ = [
    "IDENTITY",
    "LEVELS",
    "Outputs",
    "assert_same_faces",
    "close_call",
    "detector",
    "expected_faces",
    "found_faces",
    "quiet_maps",
    "random_maps",
    "split",
]

Outputs = dict[str, npt.NDArray[np.float32]]

LEVELS = (
    AnchorLevel("fine", 8, (10.0, 20.0), (2, 1)),
    AnchorLevel("middle", 16, (40.0, 80.0), (1, 1)),
    AnchorLevel("coarse", 32, (160.0, 320.0), (1, 1)),
)
COORDINATE = 1e-6
"""Largest difference of a coordinate from the host's, as a share of the largest of its face."""

IDENTITY = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])


def detector(max_faces: int = 20, levels: tuple[AnchorLevel, ...] = LEVELS, iou: float = 0.4) -> ModelSpec:
    """A detector's spec for inputs of any size."""
    part = DetectorSpec("anchors", levels, nms_iou=iou, max_faces=max_faces)
    return ModelSpec("test-detector", "1", "detector", InputSpec("image", 64, 64, multiple=32), part)


def random_maps(
    size: tuple[int, int],
    seed: int,
    bias: float,
    levels: tuple[AnchorLevel, ...] = LEVELS,
    spread: float = 3.0,
) -> Outputs:
    """Maps of a (width, height) input with logits about `bias`."""
    rng, made = np.random.default_rng(seed), {}
    for level in levels:
        sides = (size[1] // level.stride, size[0] // level.stride)
        maps = rng.normal(0, 0.7, (1, anchors_per_cell(level), VALUES, *sides)).astype(np.float32)
        maps[:, :, 0] = maps[:, :, 0] * spread + bias
        made[level.output] = maps.reshape(1, -1, *sides)
    return made


def quiet_maps(size: tuple[int, int] = (64, 64), levels: tuple[AnchorLevel, ...] = LEVELS) -> Outputs:
    """Maps in which no anchor holds a face."""
    made = random_maps(size, 0, 0.0, levels)
    for maps in made.values():
        split(maps)[...] = 0
        split(maps)[:, :, 0] = -9
    return made


def split(maps: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """A view (batch, anchors, 15, rows, columns) of a level's map."""
    return maps.reshape(len(maps), -1, VALUES, *maps.shape[2:])


def found_faces(
    outputs: Outputs,
    spec: ModelSpec,
    affine: npt.ArrayLike,
    min_score: float,
    driver: ShimDriver | None = None,
) -> FaceArray:
    """The faces by the kernels, after it is proved that records behind the count are left alone."""
    driver = driver or ShimDriver()
    first = spec.detector.levels[0]  # type: ignore[union-attr]
    rows, columns = outputs[first.output].shape[2:]
    size = (columns * first.stride, rows * first.stride)
    decoder = BoxDecoder(driver, kernels_on(driver), spec, min_score, size, affine)
    records = empty_faces(spec.detector.max_faces + 3)  # type: ignore[union-attr]
    records["score"] = 7
    count = np.full(1, -5, np.int32)
    tensors = {name: tensor_of(maps) for name, maps in outputs.items()}
    decoder.into(tensors, tensor_of(records), tensor_of(count), driver.stream())
    decoder.close()
    assert (records["score"][count[0] :] == 7).all()
    return records[: count[0]]


def expected_faces(outputs: Outputs, spec: ModelSpec, affine: npt.ArrayLike, min_score: float) -> FaceArray:
    """The faces by the host's decoder."""
    with np.errstate(over="ignore", invalid="ignore"):
        return decode(outputs, 0, spec, affine, min_score)


def assert_same_faces(found: FaceArray, expected: FaceArray) -> None:
    """Count, order and what is not measured are equal, numbers nearly."""
    assert len(found) == len(expected)
    for name, width in (("box", 4), ("points", 10)):
        a, b = found[name].reshape(-1, width), expected[name].reshape(-1, width)
        whole = np.isfinite(b)
        np.testing.assert_array_equal(np.where(whole, 0, a), np.where(whole, 0, b), err_msg=name)
        off = np.abs(np.where(whole, a, 0) - np.where(whole, b, 0))
        reach = np.abs(np.where(whole, b, 0)).max(axis=1, keepdims=True, initial=0)
        assert (off <= COORDINATE * reach + 1e-5).all(), (
            f"{name} is off by {(off / (reach + 10)).max()} of its reach"
        )
    np.testing.assert_allclose(found["score"], expected["score"], rtol=4e-7, atol=0, err_msg="score")
    assert (found["track"] == expected["track"]).all()
    rest = [name for name in found.dtype.names or () if name not in ("box", "points", "score", "track")]
    for name in rest:
        assert np.isnan(found[name]).all(), name


def close_call(outputs: Outputs, spec: ModelSpec, min_score: float) -> bool:
    """Whether two candidates overlap by so nearly the limit that rounding may decide."""
    part = spec.detector
    assert part is not None
    boxes = []
    for level in part.levels:
        maps = split(outputs[level.output])[0]
        values = maps.transpose(0, 2, 3, 1).reshape(-1, VALUES)
        anchors = anchor_grid(level, *maps.shape[2:]).reshape(-1, 3)
        chosen = (values[:, 0] >= np.log(min_score / (1 - min_score)) - 1e-3) & np.isfinite(values).all(
            axis=1
        )
        boxes.append(decode_values(values[chosen, 1:], anchors[chosen], part.variances)[0])
    every = np.concatenate(boxes)
    return bool((np.abs(box_iou(every, every) - part.nms_iou) < 4e-6).any())
