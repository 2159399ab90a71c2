"""Raw maps of an anchor detector to FACE records on the device, as `vultus.decode.anchors` does on the host.

Four launches a frame: candidates, their ranks and boxes, the pairs that overlap, survivors and records. Count and
order do not depend on the order in which threads run. Boxes and points agree with the host's within a millionth of
a face's largest coordinate, scores within 4e-7 of themselves; which anchors reach the least score, and their order, is
exact. A box that overlaps a better one by the limit to the last digits may fall on the one and stand on the other.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack, closing
from ctypes import c_float, c_int, c_void_p
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vultus.cuda.code.modules import Kernels
from vultus.cuda.driver import Argument, Driver, Stream
from vultus.cuda.tables import RECORD_WORDS, record_word, upload
from vultus.cuda.tensors import DeviceTensor
from vultus.decode.anchors import VALUES, anchors_per_cell, cell_offsets, logit_of
from vultus.decode.candidates import CANDIDATES_PER_FACE, detector_of
from vultus.errors import InputError, ModelError, SpecError
from vultus.geometry import invert_affine
from vultus.spec import AnchorLevel, DetectorSpec, ModelSpec
from vultus.types import FACE

__all__ = ["LARGEST_FACES", "LARGEST_LEVELS", "BoxDecoder"]

LARGEST_FACES = 2048
"""The most faces of a frame: what the block that suppresses can hold."""

LARGEST_LEVELS = 6
LARGEST_ANCHORS = 1 << 24
THREADS = 256
SUPPRESSING = 512
"""Threads of the block that suppresses; each decides on at most 32 candidates."""

BLOCKS_PER_MULTIPROCESSOR = 8
SLICES = 8
"""Threads that count together for one candidate."""


@dataclass(frozen=True)
class _Plan:
    """Sizes that follow from the spec and the input's size. most: candidates that are worth suppressing."""

    shapes: tuple[tuple[str, tuple[int, ...]], ...]
    anchors: int
    most: int
    faces: int


class BoxDecoder:
    """Decodes the maps of one input size into records in frame pixels, best score first.

    min_score: least score of a face. size: (width, height) of the network input. affine: (2, 3) frame -> input.
    Raises SpecError when the spec is of no detector or of one that this path cannot decode.
    """

    def __init__(
        self,
        driver: Driver,
        kernels: Kernels,
        spec: ModelSpec,
        min_score: float,
        size: tuple[int, int],
        affine: npt.ArrayLike,
    ) -> None:
        detector = detector_of(spec)
        _check(detector, spec)
        self._driver, self._kernels, self._name = driver, kernels, spec.name
        self._detector, self._threshold = detector, c_float(logit_of(min_score))
        self._most_blocks = BLOCKS_PER_MULTIPROCESSOR * driver.info.multiprocessors
        self._plan = plan = _plan_of(detector, size)
        with ExitStack() as stack:
            tables = (_level_table(detector, size), _cells(detector), _back(affine), _layout())
            kept = [stack.enter_context(closing(upload(driver, table))) for table in tables]
            self._levels, self._cells, self._back, self._layout = kept
            # The overlaps take the room of the keys, which nobody reads any more.
            room = max(12 * plan.anchors, 4 * plan.most * ((plan.most + 31) // 32))
            self._room = stack.enter_context(closing(driver.allocate(room)))
            self._boxes = stack.enter_context(closing(driver.allocate(16 * plan.most)))
            self._order = stack.enter_context(closing(driver.allocate(4 * plan.most)))
            self._found = stack.enter_context(closing(upload(driver, np.zeros(1, np.uint32))))
            self._stack = stack.pop_all()
        self._counted = False

    def into(
        self, outputs: Mapping[str, DeviceTensor], records: DeviceTensor, count: DeviceTensor, stream: Stream
    ) -> None:
        """Enqueue the decoding of the first picture of the outputs.

        outputs: (batch, A * 15, rows, columns) float32 a level. records: (n,) of dtype FACE, n at least the spec's
        max_faces; those behind `count` (one int32) keep what they hold. What a detector does not measure is NaN.
        Raises ModelError when an output is missing or misshapen, InputError when there is no room for the records.
        """
        maps = self._maps(outputs)
        if records.dtype != FACE or records.shape[0] < self._plan.faces:
            raise InputError(
                f"the records have shape {records.shape} and dtype {records.dtype}; "
                f"expected at least {self._plan.faces} of vultus.FACE"
            )
        if self._counted:  # the last frame's launches broke off, so nobody has set the counter back
            self._driver.fill(self._found.pointer, 0, 4, stream)
        self._counted = True
        self._rank(maps, stream)
        self._suppress(maps, records, count, stream)
        self._counted = False

    def close(self) -> None:
        """Free the device memory; twice does nothing."""
        self._stack.close()

    def _rank(self, maps: list[Argument], stream: Stream) -> None:
        """Enqueue the search for candidates and their ranking."""
        plan, keys = self._plan, self._room
        grid, ranks = self._grid(plan.anchors), c_void_p(keys.pointer + 8 * plan.anchors)
        found = c_void_p(self._found.pointer)
        self._launch(
            "candidates",
            grid,
            [*maps, c_int(plan.anchors), self._threshold, c_void_p(keys.pointer), ranks, found],
            stream,
        )
        variances: list[Argument] = [c_float(variance) for variance in self._detector.variances]
        best: list[Argument] = [
            c_int(plan.most),
            c_void_p(self._boxes.pointer),
            c_void_p(self._order.pointer),
        ]
        self._launch(
            "rank",
            self._grid(SLICES * plan.anchors),
            [*maps, *variances, c_void_p(keys.pointer), ranks, found, *best],
            stream,
        )

    def _suppress(
        self, maps: list[Argument], records: DeviceTensor, count: DeviceTensor, stream: Stream
    ) -> None:
        """Enqueue the suppression and the writing of records."""
        plan, found = self._plan, c_void_p(self._found.pointer)
        boxes, overlaps = c_void_p(self._boxes.pointer), c_void_p(self._room.pointer)
        pairs = plan.most * ((plan.most + 31) // 32)
        iou = c_float(self._detector.nms_iou)
        self._launch("overlaps", self._grid(pairs), [boxes, found, c_int(plan.most), iou, overlaps], stream)
        tables = [c_void_p(self._back.pointer), c_void_p(self._layout.pointer), boxes]
        arguments: list[Argument] = [
            *maps,
            c_float(self._detector.variances[0]),
            *tables,
            c_void_p(self._order.pointer),
            overlaps,
            found,
            c_int(plan.most),
            c_int(plan.faces),
            c_void_p(records.pointer),
            c_void_p(count.pointer),
        ]
        self._launch("suppress", 1, arguments, stream, SUPPRESSING)

    def _grid(self, items: int) -> int:
        """Return how many blocks go round the items: no more than the device runs at once."""
        return max(1, min((items + THREADS - 1) // THREADS, self._most_blocks))

    def _launch(
        self, name: str, blocks: int, arguments: list[Argument], stream: Stream, threads: int = THREADS
    ) -> None:
        kernel = self._kernels[f"vultus_{name}"]
        self._driver.launch(kernel, (blocks, 1, 1), (threads, 1, 1), arguments, stream)

    def _maps(self, outputs: Mapping[str, DeviceTensor]) -> list[Argument]:
        """Return the leading arguments of the kernels that read maps."""
        pointers = [_checked(outputs, name, shape, self._name).pointer for name, shape in self._plan.shapes]
        padded = pointers + [0] * (LARGEST_LEVELS - len(pointers))
        maps: list[Argument] = [c_void_p(pointer) for pointer in padded]
        return [*maps, c_void_p(self._levels.pointer), c_int(len(pointers)), c_void_p(self._cells.pointer)]


def _check(detector: DetectorSpec, spec: ModelSpec) -> None:
    """Raise SpecError when the device path cannot decode what the detector gives."""
    problem = ""
    if detector.decoder != "anchors":
        problem = f"its decoder {detector.decoder!r} has no kernels, only 'anchors' has"
    elif not 1 <= len(detector.levels) <= LARGEST_LEVELS:
        problem = f"it has {len(detector.levels)} levels; 1 to {LARGEST_LEVELS} are possible"
    elif not 1 <= detector.max_faces <= LARGEST_FACES:
        problem = f"its max_faces is {detector.max_faces}; 1 to {LARGEST_FACES} are possible"
    if problem:
        raise SpecError(f"model {spec.name!r} cannot be decoded on the device: {problem}; use device='cpu'")


def _sides(level: AnchorLevel, size: tuple[int, int]) -> tuple[int, int]:
    """Return (rows, columns) of a level's map."""
    return -(-size[1] // level.stride), -(-size[0] // level.stride)


def _plan_of(detector: DetectorSpec, size: tuple[int, int]) -> _Plan:
    shapes, anchors = [], 0
    for level in detector.levels:
        rows, columns = _sides(level, size)
        count = anchors_per_cell(level)
        shapes.append((level.output, (count * VALUES, rows, columns)))
        anchors += count * rows * columns
    if not 0 < anchors < LARGEST_ANCHORS:
        raise SpecError(
            f"a {size[0]}x{size[1]} input has {anchors} anchors; expected 1 to {LARGEST_ANCHORS - 1}"
        )
    most = min(anchors, detector.max_faces * CANDIDATES_PER_FACE)
    return _Plan(tuple(shapes), anchors, most, detector.max_faces)


def _level_table(detector: DetectorSpec, size: tuple[int, int]) -> npt.NDArray[np.int32]:
    """Return (levels, 5): first anchor, rows, columns, stride, first row of `_cells`."""
    table, anchors, cells = [], 0, 0
    for level in detector.levels:
        rows, columns = _sides(level, size)
        table.append((anchors, rows, columns, level.stride, cells))
        count = anchors_per_cell(level)
        anchors += count * rows * columns
        cells += count
    return np.array(table, np.int32)


def _cells(detector: DetectorSpec) -> npt.NDArray[np.float32]:
    """Return (n, 3): the anchors of a cell of every level, one level behind the other."""
    return np.concatenate([cell_offsets(level) for level in detector.levels])


def _back(affine: npt.ArrayLike) -> npt.NDArray[np.float32]:
    """Return (2, 5), input -> frame: a, b and the shift of each coordinate, then what rounding cut off a and b."""
    inverse = invert_affine(affine)
    rounded = inverse.astype(np.float32)
    return np.concatenate([rounded, (inverse - rounded)[:, :2].astype(np.float32)], axis=1)


def _layout() -> npt.NDArray[np.int32]:
    """Return the words of a record, and where its box, score, points and track begin."""
    return np.array([RECORD_WORDS, *map(record_word, ("box", "score", "points", "track"))], np.int32)


def _checked(
    outputs: Mapping[str, DeviceTensor], name: str, shape: tuple[int, ...], model: str
) -> DeviceTensor:
    """Return an output of at least one picture of this shape."""
    if name not in outputs:
        raise ModelError(f"model {model!r} gave no output {name!r}; it gave {', '.join(outputs) or 'none'}")
    found = outputs[name]
    if found.shape[1:] != shape or found.shape[0] < 1 or found.dtype != np.float32:
        wanted = ", ".join(map(str, shape))
        raise ModelError(
            f"output {name!r} of model {model!r} is {found.dtype} of shape {found.shape}; "
            f"expected float32 of (batch, {wanted}); export the model again"
        )
    return found
