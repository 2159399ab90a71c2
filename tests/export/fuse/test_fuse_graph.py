"""The pen: what it writes passes the full check and computes what Python would."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from vultus_export.fuse.graph import Graph, Round, Value


def test_arithmetic_takes_numbers_in_the_type_of_the_value(runner: Any) -> None:
    def part(g: Graph, given: dict[str, Value]) -> dict[str, Value]:
        x = given["x"]
        return {
            "y": (x + 1) * 2.0 - x / 4.0,
            "both": (x >= 0.0) & (x < 2.0),
            "whole": x.cast(np.int64) * 3,
        }

    run = runner(part, {"x": (np.float64, [3])}, {"y": [3], "both": [3], "whole": [3]})
    x = np.array([-1.0, 0.5, 4.0])
    got = run(x=x)
    assert got["y"].dtype == np.float64
    np.testing.assert_array_equal(got["y"], (x + 1) * 2 - x / 4)
    np.testing.assert_array_equal(got["both"], [False, True, False])
    np.testing.assert_array_equal(got["whole"], [-3, 0, 12])


def test_equal_constants_are_stored_once_and_unlike_types_are_not_confused() -> None:
    g = Graph()
    one, again = g.constant([1, 2], np.int64), g.integers(1, 2)
    other = g.constant([1, 2], np.float32)
    assert one.name == again.name != other.name
    assert set(g.weights) == {one.name, other.name}
    assert one.name == "constant/int64[1,2]"


def test_names_say_where_a_node_stands_and_never_repeat() -> None:
    g = Graph()
    x = Value(g, "x", np.dtype(np.float32))
    with g.scope("part"):
        first, second = x + 1.0, x + 2.0
    low, high = g.ops("Split", (None, None), x, axis=0, num_outputs=2)
    names = [value.name for value in (first, second, low, high)]
    assert names == ["part/add", "part/add_2", "split", "split:1"]


@pytest.mark.parametrize(("trips", "go", "sums"), [(4, True, [0, 1, 3, 6]), (0, True, []), (4, False, [])])
def test_a_loop_carries_its_state_and_stacks_its_items(
    runner: Any, trips: int, go: bool, sums: list[int]
) -> None:
    def part(g: Graph, given: dict[str, Value]) -> dict[str, Value]:
        def add(index: Value, total: Value) -> Round:
            new = total + index
            return Round([new], [(new, [1])])

        total, items = g.loop(given["trips"], add, [(g.integers(0), [1])], given["go"])
        return {"total": total, "items": items}

    inputs: dict[str, Any] = {"trips": (np.int64, []), "go": (bool, [])}
    got = runner(part, inputs, {"total": [1], "items": ["n", 1]})(trips=np.array(trips), go=np.array(go))
    assert got["items"].ravel().tolist() == sums
    assert got["total"] == (sums[-1] if sums else 0)


def test_a_loop_ends_when_its_round_says_so(runner: Any) -> None:
    def part(g: Graph, given: dict[str, Value]) -> dict[str, Value]:
        def count(index: Value) -> Round:
            return Round(items=[(index, [])], go=index < given["last"])

        return {"items": g.loop(g.constant(100, np.int64), count)[0]}

    got = runner(part, {"last": (np.int64, [])}, {"items": ["n"]})(last=np.array(3))
    assert got["items"].tolist() == [0, 1, 2, 3]


def test_a_branch_runs_alone_and_its_weights_lie_inside(runner: Any) -> None:
    def part(g: Graph, given: dict[str, Value]) -> dict[str, Value]:
        def then() -> list[Value]:
            return [given["x"] / 2.0]

        [y] = g.choose(given["yes"], then, lambda: [g.op("Neg", given["x"])])
        return {"y": y}

    run = runner(part, {"x": (np.float32, [2]), "yes": (bool, [])}, {"y": [2]})
    x = np.array([2, 4], np.float32)
    assert run(x=x, yes=np.array(True))["y"].tolist() == [1, 2]
    assert run(x=x, yes=np.array(False))["y"].tolist() == [-2, -4]
