"""A pen for ONNX graphs: values that know arithmetic, constants by value, names by place."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

__all__ = ["Graph", "Round", "Value"]

Scalar = float | int | bool
Kind = npt.DTypeLike | None
"""A type of elements; None stands for that of a node's first input."""


@dataclass(frozen=True, eq=False)
class Value:
    """A tensor of a graph that is being written; its type is known, its shape is ONNX's affair.

    Arithmetic and comparisons work element by element, with numbers too; a number takes the value's type.
    """

    graph: Graph
    name: str
    dtype: np.dtype[Any]

    def __add__(self, other: Value | Scalar) -> Value:
        return self._with("Add", other)

    def __sub__(self, other: Value | Scalar) -> Value:
        return self._with("Sub", other)

    def __mul__(self, other: Value | Scalar) -> Value:
        return self._with("Mul", other)

    def __truediv__(self, other: Value | Scalar) -> Value:
        return self._with("Div", other)

    def __matmul__(self, other: Value) -> Value:
        return self._with("MatMul", other)

    def __and__(self, other: Value) -> Value:
        return self._with("And", other)

    def __gt__(self, other: Value | Scalar) -> Value:
        return self._with("Greater", other, bool)

    def __lt__(self, other: Value | Scalar) -> Value:
        return self._with("Less", other, bool)

    def __ge__(self, other: Value | Scalar) -> Value:
        return self._with("GreaterOrEqual", other, bool)

    def __le__(self, other: Value | Scalar) -> Value:
        return self._with("LessOrEqual", other, bool)

    def cast(self, dtype: npt.DTypeLike) -> Value:
        """Return the value in another type; itself when it has that type."""
        wanted = np.dtype(dtype)
        if wanted == self.dtype:
            return self
        return self.graph.op("Cast", self, dtype=wanted, to=helper.np_dtype_to_tensor_dtype(wanted))

    def _with(self, kind: str, other: Value | Scalar, dtype: Kind = None) -> Value:
        return self.graph.op(kind, self, other, dtype=dtype)


@dataclass(frozen=True)
class Round:
    """What one round of a loop gives: its states, items of fixed shape to collect, whether to go on (None: yes)."""

    states: Sequence[Value] = ()
    items: Sequence[tuple[Value, Sequence[int]]] = ()
    go: Value | None = None


@dataclass(frozen=True)
class _Body:
    """The nodes and weights of the graph itself, of a loop's body or of a branch."""

    nodes: list[onnx.NodeProto]
    weights: dict[str, onnx.TensorProto]

    def graph(
        self, name: str, inputs: Sequence[onnx.ValueInfoProto], outputs: Sequence[onnx.ValueInfoProto]
    ) -> onnx.GraphProto:
        return helper.make_graph(self.nodes, name, inputs, outputs, list(self.weights.values()))


class Graph:
    """One ONNX graph in the making; nodes go into the innermost body that is open."""

    def __init__(self) -> None:
        self._bodies = [_Body([], {})]
        self._scopes: list[str] = []
        self._taken: set[str] = set()
        self._constants: dict[tuple[str, tuple[int, ...], bytes], str] = {}

    @property
    def nodes(self) -> list[onnx.NodeProto]:
        """The nodes of the innermost open body, in the order in which they run."""
        return self._bodies[-1].nodes

    @property
    def weights(self) -> dict[str, onnx.TensorProto]:
        """The stored tensors of the innermost open body.

        ONNX Runtime prepares a network's weights for its kernels only when they lie beside its nodes.
        """
        return self._bodies[-1].weights

    @contextmanager
    def scope(self, name: str) -> Iterator[None]:
        """Put `name` ahead of the names of all that is written inside."""
        self._scopes.append(name)
        try:
            yield
        finally:
            self._scopes.pop()

    def op(self, kind: str, *inputs: Value | Scalar | None, dtype: Kind = None, **given: Any) -> Value:
        """Write one node and return its output; its type is that of the first input unless `dtype` names one."""
        return self.ops(kind, (dtype,), *inputs, **given)[0]

    def ops(
        self, kind: str, dtypes: Sequence[Kind], *inputs: Value | Scalar | None, **given: Any
    ) -> list[Value]:
        """Write one node and return its outputs, one for each type; None stands for the first input's type."""
        values = self._values(inputs)
        first = next((value.dtype for value in values if value is not None), np.dtype(np.float32))
        stem = self._unique("/".join([*self._scopes, kind.lower()]))
        names = [f"{stem}:{place}" if place else stem for place in range(len(dtypes))]
        listed = [value.name if value else "" for value in values]
        self.nodes.append(helper.make_node(kind, listed, names, name=stem, **given))
        pairs = zip(names, dtypes, strict=True)
        return [Value(self, name, np.dtype(first if dtype is None else dtype)) for name, dtype in pairs]

    def where(self, condition: Value, then: Value | float, other: Value | float) -> Value:
        """Choose element by element; numbers are float32."""
        pair = [self.constant(v, np.float32) if isinstance(v, float) else v for v in (then, other)]
        return self.op("Where", condition, *pair, dtype=pair[0].dtype)

    def constant(self, value: npt.ArrayLike, dtype: npt.DTypeLike, name: str = "") -> Value:
        """Return a constant; equal ones are stored once, and short ones are named by what they hold."""
        array = np.ascontiguousarray(np.asarray(value, dtype)).reshape(np.shape(value))
        key = (array.dtype.str, array.shape, array.tobytes())
        if key not in self._constants:
            shown = name or f"{array.dtype.name}[{','.join(f'{item:g}' for item in array.ravel()[:8])}]"
            self._constants[key] = self._unique(f"constant/{shown}")
            self._bodies[0].weights[self._constants[key]] = numpy_helper.from_array(
                array, self._constants[key]
            )
        return Value(self, self._constants[key], array.dtype)

    def integers(self, *values: int) -> Value:
        """Return a one-dimensional int64 constant, such as axes or a shape."""
        return self.constant(values, np.int64)

    def loop(
        self,
        trips: Value,
        body: Callable[..., Round],
        states: Sequence[tuple[Value, Sequence[int | None]]] = (),
        go: Value | None = None,
    ) -> list[Value]:
        """Write a Loop of at most `trips` rounds; return the last states, then the items of all rounds, stacked.

        states: what goes from round to round, with its shape. `body(index, *states)` writes one round; index is an
        int64 scalar. go: whether there is a first round.
        """
        stem = self._unique("/".join([*self._scopes, "loop"]))
        kinds: list[tuple[str, np.dtype[Any], Sequence[int | None]]] = [
            ("index", np.dtype(np.int64), []),
            ("go", np.dtype(bool), []),
            *(("state", value.dtype, shape) for value, shape in states),
        ]
        given = [(self._unique(f"{stem}/{name}"), dtype, shape) for name, dtype, shape in kinds]
        index, going, *inner = (Value(self, name, dtype) for name, dtype, _ in given)
        with self._body() as scope, self.scope(stem.rsplit("/", 1)[-1]):
            made = body(index, *inner)
            results = [going if made.go is None else made.go, *made.states, *(item for item, _ in made.items)]
            names = [self.op("Identity", value).name for value in results]
        shapes = [[], *(shape for _, shape in states), *(shape for _, shape in made.items)]
        outputs = [_declared(*row) for row in zip(names, (v.dtype for v in results), shapes, strict=True)]
        graph = scope.graph(stem, [_declared(*item) for item in given], outputs)
        dtypes = [value.dtype for value in results[1:]]
        return self.ops("Loop", dtypes, trips, go, *(value for value, _ in states), body=graph)

    def choose(
        self, condition: Value, then: Callable[[], Sequence[Value]], other: Callable[[], Sequence[Value]]
    ) -> list[Value]:
        """Write an If whose branches give values of the same types; return them."""
        graphs, dtypes = [], []
        for name, branch in (("then", then), ("else", other)):
            with self._body() as inner, self.scope(name):
                values = [self.op("Identity", value) for value in branch()]
            dtypes = [value.dtype for value in values]
            declared = [_declared(value.name, value.dtype, None) for value in values]
            graphs.append(inner.graph("/".join([*self._scopes, name]), [], declared))
        return self.ops("If", dtypes, condition, then_branch=graphs[0], else_branch=graphs[1])

    def finished(
        self, name: str, inputs: Sequence[onnx.ValueInfoProto], outputs: Sequence[onnx.ValueInfoProto]
    ) -> onnx.GraphProto:
        """Return the graph as it was written."""
        return self._bodies[0].graph(name, inputs, outputs)

    @contextmanager
    def _body(self) -> Iterator[_Body]:
        self._bodies.append(_Body([], {}))
        try:
            yield self._bodies[-1]
        finally:
            self._bodies.pop()

    def _values(self, inputs: Sequence[Value | Scalar | None]) -> list[Value | None]:
        known = next((item.dtype for item in inputs if isinstance(item, Value)), np.dtype(np.float32))
        return [
            item if isinstance(item, Value) or item is None else self.constant(item, known) for item in inputs
        ]

    def _unique(self, stem: str) -> str:
        name, count = stem, 1
        while name in self._taken:
            count += 1
            name = f"{stem}_{count}"
        self._taken.add(name)
        return name


def _declared(name: str, dtype: npt.DTypeLike, shape: Sequence[int | None] | None) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(np.dtype(dtype)), shape)
