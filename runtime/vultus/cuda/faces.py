"""Alignment of faces and decoding of their attributes on the device.

One launch each. Affines map a face's points as the host's do within 2e-3 crop pixels, at 4K too. Fields agree with
`vultus.decode.heads` within: probabilities 1e-6, percents 1e-4, ages and spreads 1e-3 years, angles 1e-4 degrees (and
of whole turns), landmarks 2e-3 frame pixels.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import ExitStack, closing
from ctypes import c_int, c_void_p

import numpy as np
import numpy.typing as npt

from vultus.cuda.code.modules import Kernels
from vultus.cuda.driver import Argument, DeviceMemory, Driver, Stream
from vultus.cuda.tables import RECORD_WORDS, record_word, upload
from vultus.cuda.tensors import DeviceTensor
from vultus.decode.heads import FIELD_LABELS, check_heads, output_width
from vultus.errors import ModelError, SpecError
from vultus.geometry import template_points
from vultus.spec import Head, ModelSpec

__all__ = ["LARGEST_AGES", "Aligner", "FaceDecoder"]

HEADS_A_LAUNCH = 12
LARGEST_AGES = 512
"""The most ages of a group_age head: what a block can hold."""

LANES = 32
"""Threads that decode one head of one face."""

NUMBERS, PLACES = 16, 5
"""Columns of the kernel's table of heads, and where the record's words begin in it."""

KINDS = ("softmax", "sigmoid", "group_age", "landmarks", "euler", "percent")
"""Kinds of heads in the order of the kernel's own enumeration."""


class Aligner:
    """Fits the similarities frame -> crop of up to `capacity` faces at a time to their five points."""

    def __init__(self, driver: Driver, kernels: Kernels, spec: ModelSpec, capacity: int) -> None:
        self._driver, self._kernels, self._capacity = driver, kernels, capacity
        target = template_points(spec.input.width)
        centre = target.mean(axis=0)
        self._target = upload(driver, np.concatenate([target - centre, centre[None]]).astype(np.float32))

    def into(
        self, records: DeviceTensor, count: DeviceTensor, start: int, affines: DeviceTensor, stream: Stream
    ) -> None:
        """Enqueue the affines (capacity, 2, 3) float32 of the faces from `start` on; those of no face stay."""
        if affines.shape != (self._capacity, 2, 3):
            raise ModelError(f"the affines have shape {affines.shape}; expected ({self._capacity}, 2, 3)")
        arguments: list[Argument] = [
            c_void_p(records.pointer),
            c_int(RECORD_WORDS),
            c_int(record_word("points")),
            c_void_p(count.pointer),
            c_int(start),
            c_int(self._capacity),
            c_void_p(self._target.pointer),
            c_void_p(affines.pointer),
        ]
        blocks = (self._capacity + LANES - 1) // LANES
        self._driver.launch(self._kernels["vultus_align"], (blocks, 1, 1), (LANES, 1, 1), arguments, stream)

    def close(self) -> None:
        """Free the device memory; twice does nothing."""
        self._target.close()


class FaceDecoder:
    """Writes the attributes asked for into the records of up to `capacity` faces at a time.

    Raises SpecError when a head fits no field of the record or has more ages than the device can hold.
    """

    def __init__(
        self, driver: Driver, kernels: Kernels, spec: ModelSpec, attributes: Collection[str], capacity: int
    ) -> None:
        check_heads(spec)
        self._driver, self._kernels, self._spec, self._capacity = driver, kernels, spec, capacity
        self._wanted = [head for head in spec.heads if head.field in attributes]
        _check_ages(self._wanted, spec)
        self._heads, table = _table_of(self._wanted, spec)
        with ExitStack() as stack:
            self._tables: list[DeviceMemory] = [
                stack.enter_context(closing(upload(driver, table[first : first + HEADS_A_LAUNCH])))
                for first in range(0, len(table), HEADS_A_LAUNCH)
            ]
            self._stack = stack.pop_all()

    def into(
        self,
        outputs: Mapping[str, DeviceTensor],
        affines: DeviceTensor,
        count: DeviceTensor,
        start: int,
        records: DeviceTensor,
        stream: Stream,
    ) -> None:
        """Enqueue the decoding: row i of the outputs and of the affines belongs to record start + i.

        outputs: (faces, width) float32 a head. Records behind `count` stay as they are, and so do fields that were
        not asked for. A face whose output of a head is not finite gets NaN there.
        Raises ModelError when an output is missing or misshapen.
        """
        faces = self._checked(outputs, affines)
        tail: list[Argument] = [
            c_void_p(affines.pointer),
            c_void_p(count.pointer),
            c_int(start),
            c_void_p(records.pointer),
            c_int(RECORD_WORDS),
        ]
        for number, table in enumerate(self._tables):
            first = number * HEADS_A_LAUNCH
            heads = self._heads[first : first + HEADS_A_LAUNCH]
            pointers = [outputs[head.output].pointer for head in heads]
            padded = pointers + [0] * (HEADS_A_LAUNCH - len(pointers))
            arguments: list[Argument] = [c_void_p(pointer) for pointer in (*padded, table.pointer)] + tail
            grid = (len(heads), faces, 1)
            self._driver.launch(self._kernels["vultus_attributes"], grid, (LANES, 1, 1), arguments, stream)

    def close(self) -> None:
        """Free the device memory; twice does nothing."""
        self._stack.close()

    def _checked(self, outputs: Mapping[str, DeviceTensor], affines: DeviceTensor) -> int:
        """Return how many faces the outputs hold."""
        model, faces = self._spec.name, 0
        for head in self._wanted:
            if head.output not in outputs:
                raise ModelError(
                    f"model {model!r} gave no output {head.output!r}; it gave {', '.join(outputs) or 'none'}"
                )
            found = outputs[head.output]
            faces = faces or found.shape[0]
            if found.shape != (faces, output_width(head)) or found.dtype != np.float32:
                raise ModelError(
                    f"output {head.output!r} of model {model!r} is {found.dtype} of shape {found.shape}; "
                    f"expected float32 of ({faces}, {output_width(head)}); export the model again"
                )
        if faces > min(self._capacity, affines.shape[0]):
            raise ModelError(
                f"the outputs hold {faces} faces; at most {self._capacity} were announced, "
                f"with affines for {affines.shape[0]}"
            )
        return faces


def _check_ages(heads: list[Head], spec: ModelSpec) -> None:
    for head in heads:
        if head.kind == "group_age" and head.count > LARGEST_AGES:
            raise SpecError(
                f"head {head.output!r} of model {spec.name!r} has {head.count} ages; "
                f"the device decodes at most {LARGEST_AGES}; use device='cpu'"
            )


def _table_of(heads: list[Head], spec: ModelSpec) -> tuple[list[Head], npt.NDArray[np.int32]]:
    """Return the heads that write something, in order, and a row of the kernel's table for each.

    Of several heads that write the same place the last one has it, as on the host.
    """
    taken: set[int] = set()
    kept, rows = [], []
    for head in reversed(heads):
        places = [-1 if word in taken else word for word in _places(head)]
        taken.update(places)
        if max(places) >= 0:
            kept.append(head)
            rows.append(_row(head, places, spec))
    table = np.array(rows[::-1], np.int32).reshape(-1, NUMBERS)
    return kept[::-1], table


def _row(head: Head, places: list[int], spec: ModelSpec) -> list[int]:
    numbers = (head.first, head.count, head.group)
    if head.kind == "landmarks":
        numbers = (spec.input.width, spec.input.height, 0)
    row = [KINDS.index(head.kind), output_width(head), *numbers, *places]
    return row + [-1] * (NUMBERS - len(row))


def _places(head: Head) -> list[int]:
    """Return the words of the record that a head writes: one a label, or where its fields begin."""
    first = record_word(head.field)
    if head.kind in ("softmax", "sigmoid"):
        return [first + FIELD_LABELS[head.field].index(label) for label in head.labels]
    beside = {"group_age": "age_spread", "landmarks": "points"}
    return [first, record_word(beside[head.kind])] if head.kind in beside else [first]
