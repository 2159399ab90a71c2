"""Drawn picture sets: what is labelled is what is drawn, in the form that the readers of sets expect."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import typer

from vultus.geometry import FACE_TEMPLATE, box_iou, five_points, template_points
from vultus.types import EXPRESSIONS
from vultus_models.data.drawing import FACE_BOX, Drawn, draw, landmarks_of
from vultus_models.data.made import MAKERS, main, make
from vultus_models.data.sets import open_set, set_names
from vultus_models.detector.labels import labels_alone, true_boxes
from vultus_models.face.labels import label_of, true_points

FACE = Drawn(30, "male", "neutral", False)
TO_PIXELS = np.array([[100.0, 0.0, 0.0], [0.0, 100.0, 0.0]])


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made") / "sets"
    make(folder, seed=3, count=16)
    return folder


def drawn(face: Drawn) -> np.ndarray:
    picture = np.full((100, 100, 3), 90, np.uint8)
    draw(picture, face, TO_PIXELS, np.random.default_rng(0))
    return picture


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_the_five_points_of_a_drawn_face_are_the_template(expression: str) -> None:
    marks = landmarks_of(replace(FACE, expression=expression))
    assert marks.shape == (68, 2)
    np.testing.assert_allclose(five_points(marks[None])[0], FACE_TEMPLATE, atol=1e-9)
    assert (np.diff(marks[:17, 0]) > 0).all()
    assert (np.diff(marks[17:27, 0]) > 0).all()


@pytest.mark.parametrize(
    "change",
    [
        {"age": 80},
        {"gender": "female"},
        {"glasses": True},
        *({"expression": e} for e in EXPRESSIONS if e != "neutral"),
    ],
    ids=str,
)
def test_what_is_labelled_shows(change: dict[str, object]) -> None:
    other = replace(FACE, **change)  # type: ignore[arg-type]
    assert (drawn(other) != drawn(FACE)).any(axis=2).sum() > 10


def test_sets_hold_what_their_readers_want(made: Path) -> None:
    assert set_names(made) == sorted(MAKERS)
    for name in ("utkface", "fer2013", "mtfl", "landmarks68"):
        source = open_set(made, name)
        assert len(source.of("train")) == 16
        assert source.of("test")
        for row in source.rows:
            label_of(name, row)
            points = true_points(name, row)
            height, width = source.picture(row).shape[:2]
            assert (height, width) == (int(row["height"]), int(row["width"]))
            if points is not None:
                assert (points[0] > 0).all()
                assert (points[0] < (width, height)).all()


def test_eyes_are_dark_where_the_labels_say(made: Path) -> None:
    source = open_set(made, "landmarks68")
    for row in source.rows:
        points = true_points("landmarks68", row)
        assert points is not None
        picture = source.picture(row).astype(int).sum(axis=2)
        eyes, (cx, cy) = (
            points[0][:2].round().astype(int),
            points[1][[3, 31]].mean(axis=0).round().astype(int),
        )
        assert all(picture[y, x] + 100 < picture[cy, cx] for x, y in eyes)


def test_boxes_without_a_teacher_are_those_of_the_crowds(made: Path) -> None:
    side = 60.0
    points = template_points(1) * side + (40.0, 20.0)
    row = {f"{n}_{a}": str(points[i, k]) for i, n in enumerate(("leye", "reye", "nose", "lmouth", "rmouth"))
           for k, a in enumerate("xy")}  # fmt: skip
    found = labels_alone(row)
    wanted = (np.array(FACE_BOX) - 0.5) * side + np.tile([40.0, 20.0], 2)
    np.testing.assert_allclose(found.boxes, [wanted], atol=1e-6)
    np.testing.assert_allclose(found.points, [points])
    crowd = open_set(made, "crowds").rows[0]
    alone = labels_alone(crowd)
    assert alone.sure.all()
    assert np.isnan(alone.points).all()
    assert box_iou(alone.boxes, true_boxes(crowd)).diagonal().min() == 1
    assert len(labels_alone(open_set(made, "scenes").rows[0]).boxes) == 0


def test_the_same_seed_draws_the_same_bytes(made: Path, tmp_path: Path) -> None:
    make(tmp_path / "again", seed=3, count=16)
    make(tmp_path / "other", seed=4, count=16)
    same = [
        (made / f"{n}.tar").read_bytes() == (tmp_path / "again" / f"{n}.tar").read_bytes() for n in MAKERS
    ]
    other = [
        (made / f"{n}.tar").read_bytes() == (tmp_path / "other" / f"{n}.tar").read_bytes() for n in MAKERS
    ]
    assert all(same)
    assert not any(other)


def test_a_folder_that_is_there_is_left_alone(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = sorted(path.name for path in made.iterdir())
    with pytest.raises(typer.Exit):
        main(made)
    assert "is there already; name a new folder" in capsys.readouterr().err
    assert sorted(path.name for path in made.iterdir()) == before
