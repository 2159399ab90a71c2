"""The detector's system from picture sets to batches, evaluation and a recipe that trains."""

from __future__ import annotations

import csv
import io
import tarfile
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from vultus.types import FaceArray, empty_faces
from vultus_models.data.sets import open_set
from vultus_models.detector.cache import Pictures, open_pictures, training_rows
from vultus_models.detector.evaluate import average_precision, detect_with, judged, point_error, recall_at
from vultus_models.detector.network import network, spec
from vultus_models.detector.system import DetectorTask, Sources, Validation, build, held_back
from vultus_models.teachers.fuse import looks
from vultus_models.teachers.retinaface import Candidates, RetinaFace, candidates, load_retinaface
from vultus_models.training.loop import fit

CROWD = "10 12 40 50 mask;60 20 90 60 no_mask"
NO_TILES = dict.fromkeys(("mtfl", "landmarks68", "mebeauty", "utkface", "video68"), 0.0)
POINTS = {"leye": (20, 22), "reye": (34, 22), "nose": (27, 30), "lmouth": (22, 38), "rmouth": (32, 38)}


def write_set(folder: Path, name: str, rows: list[dict[str, str]]) -> None:
    """Write one picture set of smooth random pictures."""
    rng = np.random.default_rng(1)
    with (folder / f"{name}.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    with tarfile.open(folder / f"{name}.tar", "w") as archive:
        for row in rows:
            shape = (int(row["height"]), int(row["width"]))
            rough = rng.integers(0, 256, (6, 6, 3)).astype(np.uint8)
            data = cv2.imencode(".png", cv2.resize(rough, shape[::-1]))[1].tobytes()
            member = tarfile.TarInfo(row["file"])
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of three small sets and a teacher that knows nothing."""
    tmp_path = tmp_path_factory.mktemp("sets")
    plain = {"split": "train", "width": "96", "height": "80"}
    write_set(tmp_path, "crowds", [{"file": f"c{i}.png", **plain, "boxes": CROWD} for i in range(12)])
    five = {f"{name}_{axis}": str(at[k]) for name, at in POINTS.items() for k, axis in enumerate("xy")}
    write_set(tmp_path, "mtfl", [{"file": f"m{i}.png", **plain, **five} for i in range(3)])
    scenes = [{"file": f"s{i}.png", **plain} for i in range(6)]
    write_set(tmp_path, "scenes", [*scenes, {"file": "t.png", **plain, "split": "test"}])
    torch.manual_seed(0)
    teacher = RetinaFace()
    state = teacher.state_dict()
    for level in range(3):
        state[f"ClassHead.{level}.conv1x1.bias"] = torch.tensor([6.0, 0.0, 6.0, 0.0])
    torch.save(state, tmp_path / "teacher.pth")
    return tmp_path


def faces_at(*rows: tuple[float, float, float, float, float]) -> FaceArray:
    faces = empty_faces(len(rows))
    for face, row in zip(faces, rows, strict=True):
        face["box"], face["score"] = row[:4], row[4]
    return faces


# --- pictures and batches


def test_of_scenes_only_every_second_row_is_learned_from(data: Path) -> None:
    assert [row["file"] for row in training_rows(open_set(data, "scenes"))] == ["s0.png", "s2.png", "s4.png"]
    assert len(training_rows(open_set(data, "crowds"))) == 12


def test_the_cache_holds_the_pictures_and_their_truth(data: Path) -> None:
    made = open_pictures(data, "crowds", data / "cache", data / "teacher.pth")
    again = open_pictures(data, "crowds", data / "cache", data / "absent.pth")
    source = open_set(data, "crowds")
    assert len(made) == len(again) == 12
    for i, file in enumerate(made.files):
        row = next(row for row in source.rows if row["file"] == file)
        np.testing.assert_array_equal(made.picture(i), source.picture(row))
        assert made.labels(i).boxes.tolist() == [[10, 12, 40, 50], [60, 20, 90, 60]]
        assert made.labels(i).sure.all()


def test_pictures_without_a_sure_face_teach_nothing_but_scenes_stay(data: Path) -> None:
    with pytest.raises(ValueError, match=r"teacher\.pth is sure of no face in set 'mtfl'"):
        open_pictures(data, "mtfl", data / "cache", data / "teacher.pth")
    assert len(open_pictures(data, "scenes", data / "cache", data / "teacher.pth")) == 3


def test_pictures_held_back_are_never_drawn(data: Path) -> None:
    crowds = open_pictures(data, "crowds", data / "cache", data / "teacher.pth")
    sources = Sources.of([crowds], {"crowds": 1.0})
    kept = [file for file in crowds.files if held_back("crowds", file)]
    assert 0 < len(kept) < len(crowds)
    assert sorted(crowds.files[i] for i in sources.usable[0]) == sorted(set(crowds.files) - set(kept))
    assert not any(held_back("celeba", file) for file in crowds.files)


def task_of(data: Path, deployed: float = 0.0) -> DetectorTask:
    crowds = open_pictures(data, "crowds", data / "cache", data / "teacher.pth")
    truth = crowds.labels(0).boxes
    single = np.array(list(POINTS.values()), np.float64)
    validation = Validation(
        ((crowds.picture(0), truth),), ((crowds.picture(1), single),), (crowds.picture(2),)
    )
    return DetectorTask(Sources.of([crowds], {"crowds": 1.0}), validation, spec({}), deployed)


def test_batches_hold_equal_pixels_and_repeat_by_seed(data: Path) -> None:
    task = task_of(data)
    shapes = set()
    for seed in range(8):
        one, two = (task.batch(np.random.default_rng(seed), 5) for _ in range(2))
        assert all(torch.equal(one[key], two[key]) for key in one if key != "values")
        count, side = one["pixels"].shape[:2]
        shapes.add((count, side))
        assert one["state"].shape[0] == count
        assert len(one["picture"]) == len(one["anchor"]) == len(one["boxes"]) > 0
        assert (one["state"][one["picture"], one["anchor"]] == 1).all()
    assert shapes == {(5, 256), (2, 416)}


@pytest.mark.parametrize(("deployed", "expected"), [(0.0, 0), (1.0, 40)])
def test_pictures_as_deployed_end_in_the_mean_colour(data: Path, deployed: float, expected: int) -> None:
    task = task_of(data, deployed)
    pictures = [task.example(np.random.default_rng(seed), 416)[0] for seed in range(40)]
    assert sum(bool((picture[-80:] == 128).all()) for picture in pictures) == expected


@pytest.mark.parametrize("share", [-0.1, 70.0, float("nan")])
def test_a_recipe_with_no_share_of_pictures_as_deployed_is_refused(data: Path, share: float) -> None:
    recipe = {
        "data": {
            "teacher": "teacher.pth",
            "cache": str(data / "cache"),
            "deployed": share,
            "shares": NO_TILES,
        },
        "schedule": {"steps": 2, "batch": 2, "lr": 1e-3},
    }
    with pytest.raises(ValueError, match=r"deployed = \S+ is no share of the training pictures; give 0 to 1"):
        build(recipe, data, 3)


def test_a_recipe_builds_trains_and_evaluates(data: Path) -> None:
    recipe = {
        "data": {
            "teacher": "teacher.pth",
            "cache": str(data / "cache"),
            "deployed": 0.5,
            "shares": NO_TILES,
        },
        "schedule": {"steps": 2, "batch": 2, "lr": 1e-3, "log_every": 1, "eval_every": 2},
    }
    model, task, schedule = build(recipe, data, 3)
    trained = fit(model, task, schedule, data / "run", 3)
    assert (data / "run" / "best.pt").exists()
    measured = task.evaluate(trained.eval())
    assert {"score", "ap50", "ap40", "recall40", "alarms_per_100"} <= set(measured)
    assert 0 <= measured["score"] <= 1


# --- evaluation


def test_average_precision_of_a_known_ranking() -> None:
    truth = [np.array([[0.0, 0, 10, 10], [20, 0, 30, 10]])]
    found = [faces_at((0, 0, 10, 10, 0.9), (50, 0, 60, 10, 0.8), (20, 0, 30, 10, 0.7), (20, 0, 30, 10, 0.6))]
    result = judged(found, truth, 0.5)
    assert result.right.tolist() == [True, False, True, False]
    assert average_precision(result) == pytest.approx((1 + 2 / 3) / 2)
    assert recall_at(result, 0.75) == 0.5


@pytest.mark.parametrize("iou", [0.4, 0.5])
def test_the_overlap_decides_what_counts(iou: float) -> None:
    result = judged([faces_at((0, 0, 10, 10, 0.9))], [np.array([[0.0, 0, 10, 22]])], iou)
    assert result.right.tolist() == [iou < 10 / 22]


@pytest.mark.parametrize(
    ("found", "truth"),
    [([faces_at()], [np.zeros((1, 4))]), ([faces_at((0, 0, 1, 1, 0.9))], [np.zeros((0, 4))])],
)
def test_nothing_found_or_nothing_there_is_worth_nothing(
    found: list[FaceArray], truth: list[np.ndarray]
) -> None:
    assert average_precision(judged(found, truth, 0.5)) == 0


def test_point_errors_are_shares_of_the_face() -> None:
    points = np.array(list(POINTS.values()), np.float64)
    faces = empty_faces(1)
    faces["score"], faces["points"] = 0.9, points + np.array([3, 4])
    error, seen = point_error([faces, empty_faces()], [points, points], 0.5)
    assert error == pytest.approx(5 / np.sqrt(14 * 16))
    assert seen == 0.5


def test_detection_goes_through_the_runtimes_letterbox() -> None:
    torch.manual_seed(0)
    picture = np.random.default_rng(0).integers(0, 256, (50, 70, 3)).astype(np.uint8)
    faces = detect_with(network({}).eval(), spec({}), 1e-4)(picture)
    assert len(faces) > 0
    assert np.isfinite(faces["box"]).all()


# --- the teacher


def test_the_teacher_reads_its_state_dict_strictly(tmp_path: Path) -> None:
    torch.manual_seed(0)
    state = {f"module.{key}": value for key, value in RetinaFace().state_dict().items()}
    torch.save(state, tmp_path / "whole.pth")
    pictures = np.random.default_rng(0).integers(0, 256, (2, 40, 72, 3)).astype(np.uint8)
    found = candidates(load_retinaface(tmp_path / "whole.pth"), pictures, 0.0)
    assert [len(one.scores) for one in found] == [2 * (5 * 9 + 3 * 5 + 2 * 3)] * 2
    state.popitem()
    torch.save(state, tmp_path / "part.pth")
    with pytest.raises(RuntimeError, match="Missing key"):
        load_retinaface(tmp_path / "part.pth")


def test_looks_at_scales_and_mirrors_agree_on_the_place() -> None:
    def find_bright(pictures: np.ndarray) -> list[Candidates]:
        """Find the bright rectangle; its left edge, as an eye, is the first point."""
        out = []
        for picture in pictures:
            rows, columns = np.nonzero(picture[..., 0] > 170)
            x1, y1, x2, y2 = columns.min() - 0.5, rows.min() - 0.5, columns.max() + 0.5, rows.max() + 0.5
            points = np.array([[[x1, y1], [x2, y1], [(x1 + x2) / 2, y1], [x1, y2], [x2, y2]]])
            out.append(Candidates(np.array([[x1, y1, x2, y2]]), points, np.ones(1)))
        return out

    picture = np.full((1, 60, 90, 3), 20, np.uint8)
    picture[:, 20:40, 30:66] = 250
    seen = looks(find_bright, picture, (1.0, 2.0, 0.5), 6)[0]
    assert len(seen) == 6
    for one in seen:
        np.testing.assert_allclose(one.boxes, [[29.5, 19.5, 65.5, 39.5]], atol=1.1)
        np.testing.assert_allclose(one.points[0, [0, 4]], [[29.5, 19.5], [65.5, 39.5]], atol=1.1)


def test_a_set_of_the_cache_knows_its_length() -> None:
    none = np.zeros(0)
    assert len(Pictures("x", ("a", "b"), none, none, none, none, none, none)) == 2  # type: ignore[arg-type]
