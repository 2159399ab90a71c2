"""The dependency law: vultus <- vultus_models <- vultus_export, light imports, no circles."""

from __future__ import annotations

import pytest

from repository import all_modules, imports_of, modules, run_python

HEAVY = (
    "torch",
    "onnx",
    "onnxruntime",
    "tensorrt",
    "cuda",
    "pycuda",
    "cv2",
    "msgspec",
    "typer",
    "rich",
    "vultus_models",
    "vultus_export",
)
FRAMEWORKS = ("torch", "onnx", "tensorrt", "pycuda", "vultus_models", "vultus_export")
FORBIDDEN = {
    "vultus": ("torch", "torchvision", "onnx", "onnxscript", "vultus_models", "vultus_export"),
    "vultus_models": ("vultus_export",),
    "vultus_export": (),
}
LIMIT = 0.3
"""Seconds that `import vultus` may take."""


def loaded_after(statement: str, names: tuple[str, ...]) -> list[str]:
    code = f"import sys\n{statement}\nprint(*[n for n in {names!r} if n in sys.modules])"
    return run_python(code).split()


def test_import_vultus_brings_nothing_heavy() -> None:
    assert loaded_after("import vultus", HEAVY) == []


@pytest.mark.parametrize(
    "statement",
    [
        "from vultus import Analyzer",
        "import vultus.pipeline",
        "import vultus.cli.commands",
        "import vultus.engines.ort",
    ],
)
def test_the_runtime_brings_no_framework(statement: str) -> None:
    assert loaded_after(statement, FRAMEWORKS) == []


def test_the_analyzer_runs_without_a_framework(tiny_models: list[object]) -> None:
    files = [str(path) for path in tiny_models]
    statement = (
        "import numpy, vultus\n"
        f"with vultus.Analyzer(models={files!r}) as analyzer: analyzer(numpy.full((64, 64, 3), 255, 'uint8'))"
    )
    assert loaded_after(statement, FRAMEWORKS) == []
    assert loaded_after(statement, ("onnxruntime",)) == ["onnxruntime"]


def test_import_vultus_is_quick() -> None:
    code = "import time\nbegan = time.perf_counter()\nimport vultus\nprint(time.perf_counter() - began)"
    fastest = min(float(run_python(code)) for _ in range(5))
    assert fastest < LIMIT, f"import vultus took {fastest:.3f} s; see python -X importtime -c 'import vultus'"


@pytest.mark.parametrize("package", FORBIDDEN)
def test_no_module_imports_against_the_law_even_late(package: str) -> None:
    wrong = {
        f"{name} imports {found.target}"
        for name, path in modules(package).items()
        for found in imports_of(path)
        if found.target.split(".")[0] in FORBIDDEN[package]
    }
    assert sorted(wrong) == []


def circles(graph: dict[str, set[str]]) -> list[list[str]]:
    """Return one circle of imports for each module at which a walk comes back to itself."""
    found: list[list[str]] = []
    done: set[str] = set()

    def walk(name: str, way: list[str]) -> None:
        if name in way:
            found.append([*way[way.index(name) :], name])
        elif name not in done:
            for other in sorted(graph.get(name, ())):
                walk(other, [*way, name])
            done.add(name)

    for name in sorted(graph):
        walk(name, [])
    return found


def test_circles_are_seen_where_there_are_any() -> None:
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}) == [["a", "b", "c", "a"]]
    assert circles({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == []


def test_there_are_no_import_circles() -> None:
    known = all_modules()
    graph = {
        name: {found.target for found in imports_of(path) if not found.late and found.target in known}
        for name, path in known.items()
    }
    assert circles(graph) == []
