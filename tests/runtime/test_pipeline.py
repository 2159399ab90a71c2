"""Analyzer: the whole path with models whose answers are known, and every way to misuse it."""

from __future__ import annotations

import multiprocessing
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import tiny
import vultus
from vultus import Analyzer, Frame, InputError, UsageError
from vultus.geometry import template_points
from vultus.types import FaceArray

ONE = tiny.squares(160, 96, (32, 48))


@pytest.fixture
def analyzer(tiny_models: list[Path]) -> Iterator[Analyzer]:
    with Analyzer("cpu", tiny_models, threads=1) as made:
        yield made


def measured(faces: FaceArray) -> set[str]:
    """Return the fields in which anything was measured."""
    names = faces.dtype.names or ()
    return {name for name in names if name != "track" and np.isfinite(faces[name]).any()}


@pytest.mark.parametrize("corners", [(), ((32, 48),), ((0, 0), (64, 0), (96, 64), (128, 80))])
def test_every_square_is_found_at_its_place(analyzer: Analyzer, corners: tuple[tuple[int, int], ...]) -> None:
    faces = analyzer(tiny.squares(160, 96, *corners)).faces
    assert faces.dtype == vultus.FACE
    found = {(round(x), round(y)) for x, y in faces["box"][:, :2] + 0.5}
    assert found == set(corners)
    np.testing.assert_allclose(faces["box"][:, 2:] - faces["box"][:, :2], 16, atol=1e-3)


def test_points_lie_at_the_template_in_frame_pixels(analyzer: Analyzer) -> None:
    face = analyzer.detect(ONE)[0]
    expected = template_points(16) + np.array([32, 48])
    np.testing.assert_allclose(face["points"], expected, atol=1e-3)


def test_the_second_stage_answers_for_each_face_alone(analyzer: Analyzer) -> None:
    corners = [(16, 16), (64, 0), (128, 80)]
    together = analyzer(tiny.squares(160, 96, *corners)).faces
    for face in together:
        x, y = np.round(face["box"][:2] + 0.5).astype(int)
        alone = analyzer(tiny.squares(160, 96, (int(x), int(y)))).faces[0]
        assert float(face["age"]) == pytest.approx(float(alone["age"]), abs=1e-3)
        np.testing.assert_allclose(face["landmarks"], alone["landmarks"], atol=1e-2)


def test_what_no_model_measures_is_nan_and_not_tracked(analyzer: Analyzer) -> None:
    faces = analyzer(ONE).faces
    assert measured(faces) == set(vultus.FACE.names or ()) - {"quality", "track"}
    assert faces["track"].tolist() == [-1]


@pytest.mark.parametrize(
    ("attributes", "fields"),
    [
        ([], set()),
        (["age"], {"age", "age_spread"}),
        (["gender", "landmarks"], {"gender", "landmarks"}),
        (["pose", "facial_hair"], {"pose", "facial_hair"}),
    ],
)
def test_only_what_was_asked_for_is_measured(
    tiny_models: list[Path], attributes: list[str], fields: set[str]
) -> None:
    with Analyzer("cpu", tiny_models, attributes) as analyzer:
        result = analyzer(ONE)
        assert measured(result.faces) == {"box", "score", "points"} | fields
        assert ("face" in result.ran_on) == bool(attributes)
        assert set(analyzer.attributes) == set(attributes)


def test_a_result_says_where_and_how_long_each_stage_ran(analyzer: Analyzer) -> None:
    result = analyzer(Frame(ONE, index=7, time=0.25))
    assert (result.index, result.time) == (7, 0.25)
    stages = ["convert", "letterbox", "detect", "decode_boxes", "align", "face", "decode_faces"]
    assert list(result.milliseconds) == stages
    assert all(spent >= 0 for spent in result.milliseconds.values())
    assert set(result.ran_on) == {"detect", "face"}
    assert all("ONNX Runtime" in ran and "CPU" in ran for ran in result.ran_on.values())


def test_results_do_not_change_when_the_next_frame_is_analysed(analyzer: Analyzer) -> None:
    first = analyzer(ONE).faces
    kept = first.copy()
    analyzer(tiny.squares(160, 96, (64, 64), (0, 0)))
    np.testing.assert_array_equal(first.view(np.uint8), kept.view(np.uint8))


def test_a_crowd_larger_than_a_batch_is_measured_whole(analyzer: Analyzer) -> None:
    corners = [(x, y) for x in range(0, 320, 32) for y in range(0, 240, 32)]
    faces = analyzer(tiny.squares(320, 240, *corners)).faces
    assert len(faces) == len(corners) == 80
    assert np.isfinite(faces["age"]).all()


@pytest.mark.parametrize("shape", [(1, 2, 3), (2, 1, 3), (10, 2000, 3), (33, 31, 3)])
def test_odd_sizes_pass(analyzer: Analyzer, shape: tuple[int, int, int]) -> None:
    assert len(analyzer(np.zeros(shape, np.uint8)).faces) == 0


def test_other_pixel_formats_give_the_same_faces(analyzer: Analyzer) -> None:
    plain = analyzer(ONE).faces
    for frame in (Frame(ONE[..., 0].copy(), "GRAY"), Frame(ONE[..., ::-1].copy(), "RGB")):
        np.testing.assert_array_equal(analyzer(frame).faces["box"], plain["box"])


def test_describe_fills_given_faces_and_leaves_the_input_alone(analyzer: Analyzer) -> None:
    faces = analyzer.detect(ONE)
    assert measured(faces) == {"box", "score", "points"}
    described = analyzer.describe(ONE, faces)
    assert measured(faces) == {"box", "score", "points"}
    np.testing.assert_array_equal(described.view(np.uint8), analyzer(ONE).faces.view(np.uint8))


def test_describe_refuses_faces_without_points(analyzer: Analyzer) -> None:
    with pytest.raises(InputError, match="every face needs its five points"):
        analyzer.describe(ONE, vultus.empty_faces(1))
    with pytest.raises(InputError, match=r"faces must be a one-dimensional array of vultus\.FACE"):
        analyzer.describe(ONE, np.zeros(3, np.float32))


@pytest.mark.parametrize(
    ("picture", "message"),
    [
        (np.zeros((8, 8, 3)), "must be uint8, not float64; scale the values to 0-255 first"),
        (np.zeros((8, 8), np.uint8), r"a BGR frame must have shape \(height, width, 3\), not \(8, 8\)"),
        (np.zeros((8, 8, 4), np.uint8), r"not \(8, 8, 4\)"),
        (np.zeros((0, 8, 3), np.uint8), "must hold at least one pixel"),
        ([[1, 2], [3, 4]], "must be a numpy array, not list"),
        (None, "must be a numpy array, not NoneType"),
    ],
)
def test_what_is_no_picture_is_refused(analyzer: Analyzer, picture: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        analyzer(picture)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"attributes": ["agee"]},
            "unknown attributes 'agee'; expected a list of names out of: landmarks, pose, age",
        ),
        ({"attributes": "age"}, "unknown attributes age; expected a list of names"),
        ({"attributes": ["quality"]}, "no model here measures quality; the models offer: landmarks, pose"),
        ({"min_score": 0.0}, "min_score must be above 0 and below 1"),
        ({"threads": 0}, "threads must be at least 1; it is 0"),
    ],
)
def test_requests_that_cannot_be_met_are_refused(
    tiny_models: list[Path], options: dict[str, object], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        Analyzer("cpu", tiny_models, **options)  # type: ignore[arg-type]


def test_the_models_must_be_one_detector_and_at_most_one_face_network(
    tiny_detector: Path, tiny_face: Path
) -> None:
    with pytest.raises(InputError, match="they are for: face; add one, such as vultus-det-s"):
        Analyzer("cpu", [tiny_face])
    with pytest.raises(InputError, match="two models for the task 'face'"):
        Analyzer("cpu", [tiny_detector, tiny_face, tiny_face])
    with Analyzer("cpu", [tiny_detector]) as analyzer:
        assert measured(analyzer(ONE).faces) == {"box", "score", "points"}
        with pytest.raises(UsageError, match="measures no attributes"):
            analyzer.describe(ONE, analyzer.detect(ONE))


def test_specs_are_those_of_the_files(analyzer: Analyzer) -> None:
    assert analyzer.specs == {"detector": tiny.DETECTOR, "face": tiny.FACE_NETWORK}


def test_a_stream_of_pictures_gives_their_results_in_order(analyzer: Analyzer) -> None:
    frames = [Frame(tiny.squares(160, 96, *[(32 * x, 0) for x in range(i)]), index=i) for i in range(4)]
    results = list(analyzer.stream(iter(frames)))
    assert [(result.index, len(result.faces)) for result in results] == [(i, i) for i in range(4)]
    assert list(analyzer.stream([])) == []


def test_what_a_source_raises_comes_after_the_results_before_it(analyzer: Analyzer) -> None:
    def source() -> Iterator[np.ndarray]:
        yield ONE
        raise OSError("the camera is gone")

    results = analyzer.stream(source())
    assert len(next(results).faces) == 1
    with pytest.raises(OSError, match="the camera is gone"):
        next(results)


def test_pictures_on_a_gpu_are_refused_on_the_cpu(analyzer: Analyzer) -> None:
    frame = vultus.DeviceFrame(4096, 160, 96, 480)
    message = "takes pictures from the host, the DeviceFrame lies on a GPU; ask for device='cuda' or copy it"
    for use in (analyzer, analyzer.detect, lambda picture: next(analyzer.stream([picture]))):
        with pytest.raises(InputError, match=message):
            use(frame)


def test_a_gpu_that_cannot_be_had_is_an_error_and_auto_says_why(
    tiny_models: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    why = "the NVIDIA driver finds no GPU"
    for module in ("vultus.pipeline", "vultus.cuda.driver"):
        monkeypatch.setattr(f"{module}.cuda_problem", lambda: why)
    with pytest.raises(vultus.DeviceError, match=f"'cuda' was asked for, but {why}; ask for 'cpu' or 'auto'"):
        Analyzer("cuda", tiny_models)
    with pytest.raises(vultus.DeviceError, match="device 'tpu' is unknown; expected one of auto, cpu, cuda"):
        Analyzer("tpu", tiny_models)
    with Analyzer("auto", tiny_models) as analyzer:
        assert analyzer.driver is None
        assert all(ran.endswith(f"(chosen because {why})") for ran in analyzer(ONE).ran_on.values())


def test_two_threads_on_one_analyzer_is_an_error(analyzer: Analyzer) -> None:
    analyzer(ONE)
    caught: list[BaseException] = []

    def call() -> None:
        try:
            analyzer(ONE)
        except UsageError as error:
            caught.append(error)

    thread = threading.Thread(target=call)
    thread.start()
    thread.join()
    assert "belongs to another thread; make one in each thread" in str(caught[0])
    assert len(analyzer(ONE).faces) == 1


def test_a_closed_analyzer_says_so(tiny_models: list[Path]) -> None:
    analyzer = Analyzer("cpu", tiny_models)
    analyzer.close()
    analyzer.close()
    with pytest.raises(UsageError, match="this Analyzer is closed; make another one"):
        analyzer(ONE)


def _call_in_child(analyzer: Analyzer, pipe: multiprocessing.connection.Connection) -> None:
    try:
        analyzer(ONE)
        pipe.send("no error")
    except UsageError as error:
        pipe.send(str(error))


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_use_after_a_fork_is_an_error(analyzer: Analyzer) -> None:
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe()
    child = context.Process(target=_call_in_child, args=(analyzer, theirs))
    child.start()
    assert ours.poll(30)
    assert ours.recv() == "this Analyzer was made before a fork; make one in each process"
    child.join()
