"""The worst errors of made sets: which they are, what the sheet shows, and how refusals read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

import worst
from harness.worst_rows import unseen_rows
from harness.worst_sheet import COLUMNS, GREY, TILE, contact_sheet, tile_of
from harness.worst_tasks import BOX_TASKS, FACE_TASKS, SETS_OF, Mistake, box_mistakes, face_mistakes, worst_of
from picture_sets import labelled_landmarks, write_all
from script_runs import exit_code, loaded_with
from vultus.types import EXPRESSIONS, GENDERS, empty_faces
from vultus_export.metrics.faces import SETS, Detections, Measured
from vultus_models.data.sets import PictureSet

NOTHING = np.empty((0, 2))


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_all(tmp_path_factory.mktemp("sets"))


def run(sets: Path, models: list[Path], out: Path, task: str, *more: str) -> int:
    given = ["--data", str(sets), "--task", task, "--out", str(out), "--split", "test", *more]
    return worst.main([*given, "--models", *map(str, models)])


def measured(rows: list[dict[str, Any]], **fields: Any) -> Measured:
    faces = empty_faces(len(rows))
    faces["box"] = (10, 10, 30, 40)
    for name, values in fields.items():
        faces[name] = values
    texts = ({"file": f"{i}.png"} | {key: str(v) for key, v in row.items()} for i, row in enumerate(rows))
    return Measured(tuple(texts), faces, len(rows), 0, {})


def chances(labels: tuple[str, ...], *given: dict[str, float]) -> list[list[float]]:
    return [[one.get(label, 0.0) for label in labels] for one in given]


MARKS = np.stack([np.arange(68) % 10, np.arange(68) // 10], axis=1).astype(np.float64) * 4

CASES: list[tuple[str, Measured, list[tuple[str, float, str, str]]]] = [
    (
        "age",
        measured([{"age": 60}, {"age": 5}, {"age": 8}], age=[31, 5, 9], age_spread=[9, 2, 2]),
        [("0.png", 29, "age 60", "age 31 +- 9"), ("2.png", 1, "age 8", "age 9 +- 2")],
    ),
    (
        "gender",
        measured(
            [{"gender": "male"}, {"gender": "female"}],
            gender=chances(GENDERS, {"female": 0.9, "male": 0.1}, {"female": 0.8, "male": 0.2}),
        ),
        [("0.png", 0.8, "male", "female 0.90, label's 0.10")],
    ),
    (
        "expression",
        measured(
            [{"expression": "sad"}, {"expression": "sad"}],
            expression=chances(EXPRESSIONS, {"happy": 0.5, "sad": 0.4}, {"happy": 0.7, "fear": 0.3}),
        ),
        [
            ("1.png", 0.7, "sad", "happy 0.70, label's 0.00"),
            ("0.png", 0.1, "sad", "happy 0.50, label's 0.40"),
        ],
    ),
    (
        "smile",
        measured([{"smiling": 1}, {"smiling": 0}, {"smiling": 0}], smile=[20, 50, 49]),
        [("0.png", 0.8, "smile yes", "smile 0.20"), ("1.png", 0.5, "smile no", "smile 0.50")],
    ),
    (
        "eyeglasses",
        measured([{"glasses": 1}, {"glasses": 0}], eyeglasses=[0.5, 0.75]),
        [("1.png", 0.75, "eyeglasses no", "eyeglasses 0.75")],
    ),
    (
        "attractiveness",
        measured([{"score_1_10": 10}, {"score_1_10": 1}], attractiveness=[60, 10]),
        [("0.png", 40, "rated 100", "guess 60"), ("1.png", 10, "rated 0", "guess 10")],
    ),
    (
        "pose",
        measured([{"pose": 3}, {"pose": 1}, {"pose": 2}], pose=[[40, 0, 0], [-44, 0, 0], [-20, 0, 0]]),
        [("0.png", 25, "frontal", "yaw 40"), ("1.png", 1, "left profile", "yaw -44")],
    ),
    (
        "landmarks68",
        measured([labelled_landmarks(MARKS)], landmarks=MARKS[None] + (3, 4), pose=(5, 0, 0)),
        [("0.png", 500 / 32**0.5, "yaw 5", "error 88.4 %")],
    ),
]


@pytest.mark.parametrize(("task", "faces", "expected"), CASES, ids=[case[0] for case in CASES])
def test_errors_by_hand(task: str, faces: Measured, expected: list[tuple[str, float, str, str]]) -> None:
    found = worst_of(face_mistakes(task, "made", faces), 20)
    assert [(one.row["file"], one.truth, one.guess) for one in found] == [
        (f, t, g) for f, _, t, g in expected
    ]
    assert [one.size for one in found] == pytest.approx([size for _, size, _, _ in expected], abs=1e-4)
    if task == "landmarks68":
        assert found[0].guessed - found[0].true == pytest.approx(np.tile((3.0, 4.0), (68, 1)), abs=1e-4)
    else:
        assert found[0].region.tolist() == [-1, 4, 41, 46]


def test_what_was_not_measured_is_no_error() -> None:
    assert face_mistakes("age", "made", measured([{"age": 3}])) == []


CROWD = Detections(
    ({"file": "a.png", "boxes": "0 0 20 20 mask;50 50 60 60 no_mask;80 0 90 30 mask"},),
    (np.array([[0, 0, 20, 20], [100, 100, 140, 140], [52, 50, 62, 60], [0, 60, 8, 68]], np.float64),),
    (np.array([0.9, 0.8, 0.4, 0.7]),),
)


def test_misses_are_sorted_by_height_and_say_what_was_near() -> None:
    found = worst_of(box_mistakes("misses", "crowds", CROWD, 0.6), 20)
    assert [(one.size, one.truth) for one in found] == [(30, "mask, 30 px"), (10, "no_mask, 10 px")]
    assert found[1].guess == "IoU 0.67, score 0.40"
    assert found[1].guessed.tolist() == CROWD.boxes[0][[0, 1, 3]].tolist()
    assert [one.size for one in box_mistakes("misses", "crowds", CROWD, 0.3)] == [30]


def test_a_miss_in_a_picture_without_a_detection_has_nothing_near() -> None:
    empty = Detections(CROWD.rows, (np.empty((0, 4)),), (np.empty(0),))
    assert {one.guess for one in box_mistakes("misses", "crowds", empty, 0.6)} == {"nothing near"}


def test_false_alarms_are_sorted_by_score_and_reported_ones_alone() -> None:
    found = worst_of(box_mistakes("false_alarms", "crowds", CROWD, 0.6), 20)
    assert [(one.size, one.guess) for one in found] == [(0.8, "score 0.80, 40 px"), (0.7, "score 0.70, 8 px")]
    scene = Detections(({"file": "b.png"},), CROWD.boxes, CROWD.scores)
    assert len(box_mistakes("false_alarms", "scenes", scene, 0.3)) == 4


def test_the_worst_come_first_and_equal_ones_by_name() -> None:
    def mistake(source: str, file: str, size: float) -> Mistake:
        return Mistake(source, {"file": file}, size, "", "", np.zeros(4), NOTHING, NOTHING)

    given = [mistake("b", "1", 2), mistake("a", "2", 2), mistake("a", "1", 2), mistake("c", "1", 3)]
    assert [(one.source, one.row["file"]) for one in worst_of(given, 3)] == [
        ("c", "1"),
        ("a", "1"),
        ("a", "2"),
    ]


def test_a_tile_shows_the_region_enlarged_with_the_label_drawn() -> None:
    picture = np.zeros((40, 40, 3), np.uint8)
    picture[10:20, 10:20] = 200
    region = np.array([-0.5, -0.5, 39.5, 39.5])
    mark = Mistake("a", {}, 1, "", "", region, np.array([[30.0, 30.0]]), np.array([[2.0, 2.0, 37.0, 37.0]]))
    tile = tile_of(picture, mark)
    assert tile.shape == (TILE, TILE, 3)
    assert tile[90, 90].tolist() == [200, 200, 200]
    assert tile[183, 183].tolist() == [80, 220, 80]
    edge = tile[11:19, 120].max(axis=0)
    assert edge[2] > 200 > 100 > edge[1]
    outside = Mistake("a", {}, 1, "", "", region + 100, NOTHING, NOTHING)
    assert (tile_of(picture, outside) == GREY).all()


@pytest.mark.parametrize(("count", "rows"), [(1, 1), (COLUMNS, 1), (COLUMNS + 1, 2), (20, 4)])
def test_a_sheet_holds_all_tiles_in_rows(count: int, rows: int) -> None:
    tiles = [(np.full((TILE, TILE, 3), 10 + number, np.uint8), ("one", "two")) for number in range(count)]
    sheet = contact_sheet("title", tiles)
    single = contact_sheet("title", tiles[:1])
    assert sheet.shape[0] - 40 == rows * (single.shape[0] - 40)
    assert sheet.shape[1] == single.shape[1]
    assert all((sheet == 10 + number).all(axis=2).sum() >= TILE * TILE for number in range(count))
    assert (sheet[:40] < 100).any(), "the title is written"


def test_an_empty_sheet_is_refused() -> None:
    with pytest.raises(ValueError, match="a contact sheet needs a picture at least"):
        contact_sheet("title", [])


def made_set(name: str, count: int, *splits: str) -> PictureSet:
    rows = tuple({"file": f"{i:05d}.webp", "split": split} for split in splits for i in range(count))
    return PictureSet(name, Path("none.tar"), rows, {})


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [("crowds", 100, 220), ("mtfl", 30, 100), ("landmarks68", 80, 170), ("scenes", 250, 250)],
)
def test_a_set_without_val_lends_what_training_keeps_back(name: str, low: int, high: int) -> None:
    pictures = made_set(name, 1000, "train", "test")
    rows = unseen_rows(pictures, "val")
    assert low <= len(rows) <= high
    assert {row["split"] for row in rows} == {"train"}
    assert unseen_rows(pictures, "val") == rows


def test_a_set_with_val_gives_it_and_one_with_nothing_says_so() -> None:
    assert {row["split"] for row in unseen_rows(made_set("utkface", 3, "train", "val"), "val")} == {"val"}
    assert len(unseen_rows(made_set("scenes", 3, "train"), "test")) == 3
    with pytest.raises(ValueError, match="set utkface has no rows of split val; choose another with --split"):
        unseen_rows(made_set("utkface", 3, "train"), "val")


@pytest.mark.parametrize("task", [*FACE_TASKS, *BOX_TASKS])
def test_every_task_runs_and_draws(
    task: str, sets: Path, tiny_models: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(sets, tiny_models, tmp_path / "out", task, "--count", "3") == 0
    said = capsys.readouterr().out
    drawn = tmp_path / "out" / f"{task}.png"
    if f"no error of {task} in split test" in said:
        assert not drawn.exists()
        return
    listed = [line.split() for line in said.splitlines() if not line.startswith("written")]
    assert 1 <= len(listed) <= 3
    assert {line[1] for line in listed} <= set(SETS_OF[task])
    sheet = cv2.imread(str(drawn))
    assert sheet is not None
    assert sheet.shape[1] > COLUMNS * TILE


def test_some_tasks_of_the_made_sets_have_errors(sets: Path, tiny_models: list[Path], tmp_path: Path) -> None:
    assert run(sets, tiny_models, tmp_path, "misses") == run(sets, tiny_models, tmp_path, "age") == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["age.png", "misses.png"]


def test_every_task_has_sets_that_can_be_measured() -> None:
    assert set(SETS_OF) == {*FACE_TASKS, *BOX_TASKS}
    assert all(name in SETS for task in FACE_TASKS for name in SETS_OF[task])


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--data", "nowhere"], 1, "worst: nowhere holds none of utkface; it holds: no set"),
        (["--split", "val"], 1, "worst: set utkface has no rows of split val"),
        (["--task", "hats"], 2, "invalid choice: 'hats'"),
        (["--count", "0"], 2, "'0' is no count; expected 1 or more"),
        (["--models", "no.onnx"], 1, "there is no model file no.onnx"),
    ],
)
def test_what_cannot_be_done_is_one_clear_line(
    arguments: list[str],
    code: int,
    message: str,
    sets: Path,
    tiny_models: list[Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    given = ["--data", str(sets), "--task", "age", "--out", str(tmp_path / "out")]
    assert exit_code(worst.main, [*given, "--models", *map(str, tiny_models), *arguments]) == code
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_face_tasks_need_no_framework() -> None:
    assert loaded_with(worst, ("torch", "onnx")) == []
