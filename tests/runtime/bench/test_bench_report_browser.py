"""A real browser opens the page, draws it light, dark, narrow and on paper, and has nothing to complain of."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from bench_pages import accuracy_file, hostile_run, three_runs
from chromium import opened, printed
from vultus.bench.report import write_report

pytest.importorskip("matplotlib", reason="a report takes the extra `bench`")
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("results")
    runs = [*three_runs(folder), hostile_run(folder / "hostile.json")]
    write_report(runs, folder / "report.html", [accuracy_file(folder / "accuracy.json")])
    return folder / "report.html"


def pixels(path: Path) -> npt.NDArray[np.uint8]:
    picture = cv2.imread(str(path))
    assert picture is not None
    return np.asarray(picture, np.uint8)


@pytest.mark.parametrize("name", ["light", "dark", "narrow"])
def test_the_page_is_drawn_and_the_console_stays_empty(page: Path, tmp_path: Path, name: str) -> None:
    picture, size = tmp_path / f"{name}.png", (420, 900) if name == "narrow" else (1280, 900)
    assert opened(page, picture, size, dark=name == "dark") == []
    seen = pixels(picture)
    assert seen.shape == (size[1], size[0], 3)
    paper = np.median(seen.reshape(-1, 3), axis=0)
    assert (paper < 60).all() if name == "dark" else (paper > 230).all()
    # Cards, text and lines of the plot stand out from the paper.
    assert (np.abs(seen.astype(int) - paper).max(axis=2) > 80).mean() > 0.01


def test_the_page_can_be_printed(page: Path, tmp_path: Path) -> None:
    assert printed(page, tmp_path / "page.pdf") == []
    assert (tmp_path / "page.pdf").read_bytes().startswith(b"%PDF")


@pytest.mark.parametrize(
    "fault", ['<img src="http://example.org/x.png"/>', "<script>console.error('a fault')</script>"]
)
def test_a_page_that_reaches_for_something_is_seen(page: Path, tmp_path: Path, fault: str) -> None:
    """The page's own policy makes the browser complain of whatever it does not hold itself."""
    bad = page.read_text(encoding="utf-8").replace("</main>", f"{fault}</main>")
    (tmp_path / "bad.html").write_text(bad, encoding="utf-8")
    assert any(
        "Content Security Policy" in said for said in opened(tmp_path / "bad.html", tmp_path / "bad.png")
    )
