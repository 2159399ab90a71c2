"""Generated texts: tables between markers, cards, and every way in which they refuse to lie."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

import accuracy
import tables
import tiny
from harness import cards
from harness.markdown import NOT_MEASURED, replace_tables, table
from picture_sets import write_all

FACTS = """
[sets]
crowds = "crowds; research"
[teachers]
other = "another network (MIT)"
[labels]
detector = "Boxes as labelled."
face = "Labels are impressions."
[limits]
detector = ["Small faces are missed."]
face = ["Dark faces are measured worse."]
[not_for]
detector = ["Watching people."]
face = ["Decisions."]
[models.tiny-detector]
seed = 7
sets = ["crowds"]
[models.tiny-face]
seed = 8
sets = ["crowds"]
teachers = ["other"]
limits = ["It is a toy."]
[models.tiny-face.worst]
version = "0.0.9"
age = "Squares have no age."
false_alarms = "There are none."
"""
NEWER = ("calibration", "by_gender_age_ethnicity", "recall_by_label_height")
README = "# Title\n\n<!-- table:accuracy -->\nold\n<!-- /table:accuracy -->\nafter\n"


@pytest.fixture(scope="module")
def result(tiny_models: list[Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("measured")
    out = folder / "out.json"
    arguments = ["--data", str(write_all(folder)), "--json", str(out), "--models", *map(str, tiny_models)]
    assert accuracy.main(arguments) == 0
    return dict(json.loads(out.read_text()))


@pytest.fixture
def project(
    tmp_path: Path, tiny_models: list[Path], result: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> Path:
    """Return the root of a small project with two models, a measured result, a README and a page."""
    zoo, docs, results = (tmp_path / name for name in ("runtime/vultus/zoo", "docs", "benchmarks/results"))
    for folder in (zoo, docs, results):
        folder.mkdir(parents=True)
    for model in tiny_models:
        shutil.copy(model, zoo)
    (results / "accuracy.json").write_text(json.dumps(result))
    (tmp_path / "README.md").write_text(README)
    (docs / "page.md").write_text("<!-- table:accuracy-full -->\n<!-- /table:accuracy-full -->\n")
    (tmp_path / "cards.toml").write_text(FACTS)
    monkeypatch.setattr(tables, "FACTS", tmp_path / "cards.toml")
    return tmp_path


def run(project: Path, *arguments: str) -> int:
    return tables.main(["--root", str(project), *arguments])


def test_what_was_written_passes_the_check_and_an_edit_fails_it(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(project, "--check") == 1
    assert (project / "README.md").read_text() == README
    assert run(project) == 0
    capsys.readouterr()
    assert run(project, "--check") == 0
    assert capsys.readouterr().out == ""
    card = project / "runtime/vultus/zoo/tiny-face.md"
    card.write_text(card.read_text().replace("Decisions.", "Nothing."))
    assert run(project, "--check") == 1
    assert capsys.readouterr().out == "runtime/vultus/zoo/tiny-face.md differs: run benchmarks/tables.py\n"


def test_text_around_the_table_stays_and_figures_are_those_of_the_result(
    project: Path, result: dict[str, Any]
) -> None:
    run(project)
    text = (project / "README.md").read_text()
    assert text.startswith("# Title\n\n<!-- table:accuracy -->\n| what |")
    assert text.endswith("<!-- /table:accuracy -->\nafter\n")
    age = result["age"]["utkface"]
    low, high = age["ci95"]["mae"]
    assert f"| {age['mae']:.2f} | {low:.2f} - {high:.2f} | 4 |" in text
    assert "| 0.444 / 0.444 |" in text
    page = (project / "docs" / "page.md").read_text()
    assert "| `detector.crowds.recall_by_label` mask_wrong | 0.000 |  | 1 |" in page
    assert "| mtfl | 66.7% | 0.0% |" in page


def test_a_card_tells_what_the_model_is_and_was_measured_to_be(project: Path) -> None:
    run(project)
    detector = (project / "runtime/vultus/zoo/tiny-detector.md").read_text()
    face = (project / "runtime/vultus/zoo/tiny-face.md").read_text()
    for wanted in (
        "# tiny-detector",
        "| parameters | 0.012 M |",
        "| multiply-accumulates | 3.5 M at 320x240 |",
    ):
        assert wanted in detector
    assert "`detector.crowds.ap50`" in detector
    assert "`age.utkface.mae`" not in detector
    for wanted in (
        "`age.utkface.mae`",
        "- It is a toy.",
        "another network (MIT)",
        "| gender | softmax | female, male |",
    ):
        assert wanted in face
    assert "`detector.crowds.ap50`" not in face
    assert "## Not for\n\n- Decisions.\n" in face


def older(part: Any) -> Any:
    """Return a result as it was before crosses, calibration and intervals of groups."""
    if not isinstance(part, dict):
        return part
    group = "n" in part and isinstance(part.get("ci95"), list)
    left = {key: older(value) for key, value in part.items() if key not in NEWER}
    return {key: value for key, value in left.items() if not (group and key == "ci95")}


def test_a_card_shows_crosses_and_calibration_and_what_older_results_lack_it_leaves_out(
    project: Path, result: dict[str, Any]
) -> None:
    run(project)
    card = project / "runtime/vultus/zoo/tiny-face.md"
    new = card.read_text()
    assert "| `gender.celeba.calibration.ece` |" in new
    assert "| gender | age | white | other | all |" in new
    assert "| female | 30-49 | (2) | (0) | (2) |" in new
    assert "| label | 0-16 |" in (project / "runtime/vultus/zoo/tiny-detector.md").read_text()
    assert "| gender | age | white | other | all |" in (project / "docs/page.md").read_text()
    (project / "benchmarks/results/accuracy.json").write_text(json.dumps(older(result)))
    assert run(project) == 0
    old = card.read_text()
    assert "calibration" not in old
    assert "| gender | age |" not in old
    assert f"| `age.utkface.mae` | {result['age']['utkface']['mae']:.2f} |" in old
    assert set(old.splitlines()) <= set(new.splitlines())


def test_a_further_result_comes_second_without_what_it_was_not_asked_for(
    project: Path, result: dict[str, Any]
) -> None:
    silent = {"mae": None, "by_decade": None, "n": 0}
    age = {"age": {"utkface": {**silent, "note": "set utkface was not asked for"}}}
    lacking = {"gender": {"mtfl": {"accuracy": None, "n": 0, "note": "set mtfl is not in the data folder"}}}
    few = {key: value for key, value in result.items() if not isinstance(value, dict) or key == "ran_on"}
    alone = {"note": "recall_10fp: set scenes was not asked for", "recall_10fp": None}
    crowds = {"crowds": {**result["detector"]["crowds"], **alone}}
    few |= {**age, **lacking, "commit": "another", "smile": result["smile"], "detector": crowds}
    (project / "benchmarks/results/accuracy-alone.json").write_text(json.dumps(few))
    assert run(project) == 0
    card = (project / "runtime/vultus/zoo/tiny-face.md").read_text()
    first, second = card.split("commit another")
    assert "`age.utkface.mae`" in first
    assert "`smile.celeba.accuracy`" in second
    assert "age.utkface" not in second
    assert "| `gender.mtfl` | - | set mtfl is not in the data folder | 0 |" in second
    assert card.count("What each figure means") == 1
    detector = (project / "runtime/vultus/zoo/tiny-detector.md").read_text().split("commit another")[1]
    assert "| `detector.crowds.recall_10fp` | - |" in detector
    assert "| `detector.crowds.ap50` | 0.444 |" in detector


def test_a_card_tells_what_its_worst_errors_show(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(project)
    text = (project / "runtime/vultus/zoo/tiny-face.md").read_text()
    lessons = "- age: Squares have no age.\n- false alarms: There are none.\n"
    assert "## What its worst errors show\n\nVersion 0.0.9, the worst 20" in text
    assert f"(`benchmarks/worst.py`):\n\n{lessons}\n## Limits" in text
    assert "worst errors" not in (project / "runtime/vultus/zoo/tiny-detector.md").read_text()
    (project / "cards.toml").write_text(FACTS.replace('version = "0.0.9"', ""))
    assert run(project, "--check") == 1
    assert "[models.tiny-face.worst] has no version" in capsys.readouterr().err


def test_a_card_names_the_recipe_of_its_model_and_of_variants_of_it(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipes = project / "recipes"
    recipes.mkdir()
    (recipes / "tiny.toml").write_text(
        'system = "face"\nname = "tiny-face"\n[schedule]\nsteps = 5\nlr = 0.1\n'
    )
    monkeypatch.setattr(cards, "RECIPES", recipes)
    monkeypatch.setattr(cards, "REPOSITORY", project)
    run(project)
    face = (project / "runtime/vultus/zoo/tiny-face.md").read_text()
    assert "Recipe: `recipes/tiny.toml`, seed 8; steps 5, lr 0.1." in face


def test_without_a_result_the_texts_say_so(project: Path) -> None:
    (project / "benchmarks/results/accuracy.json").unlink()
    assert run(project) == 0
    assert NOT_MEASURED in (project / "README.md").read_text()
    assert "## Measured\n\nNot measured.\n" in (project / "runtime/vultus/zoo/tiny-face.md").read_text()


def test_a_result_of_another_model_file_is_refused(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tiny.save_face_network(project / "runtime/vultus/zoo/tiny-face.onnx", seed=99)
    assert run(project) == 1
    assert "accuracy.json was measured with tiny-face" in capsys.readouterr().err


def test_a_model_without_facts_and_a_card_without_model_are_refused(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "runtime/vultus/zoo/gone.md").write_text("# gone\n")
    assert run(project, "--check") == 1
    assert "gone.md: the card of no model; delete it" in capsys.readouterr().err
    (project / "cards.toml").write_text(FACTS.replace("[models.tiny-face", "[models.other"))
    assert run(project, "--check") == 1
    assert "cards.toml has no [models.tiny-face]" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<!-- table:speed -->\n<!-- /table:speed -->\n", "page.md asks for the table 'speed'; known: one"),
        ("<!-- table:one -->\nrest", "page.md opens the table 'one' and does not close it"),
    ],
)
def test_wrong_markers_are_named(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace_tables(text, {"one": lambda: "made\n"}, "page.md")


def test_two_tables_on_a_page_are_kept_apart() -> None:
    text = "<!-- table:a -->\n<!-- /table:a -->\nmid\n<!-- table:b -->\nold\n<!-- /table:b -->\n"
    made = replace_tables(text, {"a": lambda: "A\\1\n", "b": lambda: "B\n"}, "page.md")
    assert made == "<!-- table:a -->\nA\\1\n<!-- /table:a -->\nmid\n<!-- table:b -->\nB\n<!-- /table:b -->\n"


def test_a_table_is_markdown() -> None:
    assert table(("a", "b"), [("1", "2")]) == "| a | b |\n| --- | --- |\n| 1 | 2 |\n"


@pytest.mark.parametrize(("fake", "quick"), [(True, False), (False, True)])
def test_what_no_gpu_measured_is_refused(
    project: Path, capsys: pytest.CaptureFixture[str], fake: bool, quick: bool
) -> None:
    result = {"device": {"fake": fake}, "parts": {"kernels": {"any": {"quick": quick}}}}
    (project / "benchmarks/results/gpu-x.json").write_text(json.dumps(result))
    assert run(project, "--check") == 1
    assert (
        "gpu-x.json is no measurement: it is of a quick run or of the tests' stand-in"
        in capsys.readouterr().err
    )


def with_systems(project: Path, default: str) -> Path:
    """Let one of the two models be the default, and return a page with the table of the others."""
    (project / "runtime/vultus/zoo/default.json").write_text(json.dumps({"models": [default]}))
    page = project / "docs" / "models.md"
    page.write_text("<!-- table:systems -->\n<!-- /table:systems -->\n")
    return page


@pytest.mark.parametrize(
    ("default", "other", "words", "foreign"),
    [
        ("tiny-detector.onnx", "tiny-face", "| age, mean error in years | utkface |", "AP at IoU"),
        ("tiny-face.onnx", "tiny-detector", "| faces found in crowds, AP at IoU .5 / .4 | crowds |", "age"),
    ],
)
def test_models_beside_the_default_ones_have_rows_of_their_task(
    project: Path, default: str, other: str, words: str, foreign: str
) -> None:
    page = with_systems(project, default)
    assert run(project) == 0
    lines = page.read_text().splitlines()[3:-1]
    assert all(line.startswith(f"| {other} | fp32 | ") for line in lines)
    assert any(words in line for line in lines)
    assert not any(foreign in line for line in lines)


def test_a_model_beside_the_default_ones_that_was_not_measured_is_named(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with_systems(project, "tiny-detector.onnx")
    (project / "benchmarks/results/accuracy.json").unlink()
    assert run(project) == 1
    assert "tiny-face of the package was not measured" in capsys.readouterr().err
