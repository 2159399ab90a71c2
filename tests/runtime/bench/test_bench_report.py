"""A report stands by itself, says what it does not know, and lets no text break out of its place."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bench_pages import HOSTILE, accuracy_file, board_run, hostile_run, offline_run, three_runs
from bench_pairs import autocorrelated, save_run, valid_record
from pages import fetched, ids, open_elements, text_of, tree
from vultus.bench.files import record_to_json
from vultus.bench.report import write_report
from vultus.bench.report.markup import Html, element, table
from vultus.cli import app
from vultus.errors import InputError, SinkError, SourceError

pytest.importorskip("matplotlib", reason="a report takes the extra `bench`")


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("results")
    out = folder / "report.html"
    assert write_report(three_runs(folder), out, [accuracy_file(folder / "accuracy.json")]) == []
    return out.read_text(encoding="utf-8")


def test_the_page_is_whole_and_needs_nothing_else(page: str) -> None:
    assert open_elements(page) == []
    assert tree(page).tag == "html"
    assert fetched(page) == []
    assert len(ids(page)) == len(set(ids(page)))
    links = set(re.findall(r'(?:href="#|url\(#)([^")]+)', page))
    assert links - set(ids(page)) == set()
    assert "default-src 'none'" in page.replace("&#x27;", "'")


@pytest.mark.parametrize(
    "leak",
    [
        '<img src="x.png"/>',
        '<a href="https://example.org">x</a>',
        "<style>@import 'x.css';</style>",
        '<p style="background: url(x.png)">x</p>',
        "<script>x</script>",
    ],
)
def test_references_that_lead_out_are_seen(leak: str) -> None:
    assert fetched(f"<html><body>{leak}</body></html>")


def test_everything_measured_is_on_the_page(page: str) -> None:
    text = text_of(page)
    for title in ("Latency", "Where the time goes", "Accuracy against latency", "Energy", "Footprint"):
        assert title in text
    for said in (
        "✓ Valid: these figures may be quoted",
        "✗ Not valid: these figures may not be quoted",
        "other load was seen: 12 %, 5 % is the limit",
        "too few samples (900 of 6636)",
        "offline has none",
        "220 mJ on VDD_IN",
        "all of the board",
        "soc throttle",
        "permission denied",
        "board.mode.name (differs)",
        "device, H2D",
        "beside the frame",
        "on a borrowed machine",
        "accuracy.json: the models of A and B, by their SHA-256",
        "0.723 – 0.878",
        "offline, a quick look, 2 s",
    ):
        assert said in text, said


def test_the_page_can_be_read_without_seeing_it(page: str) -> None:
    root = tree(page)
    assert root.attrib["lang"] == "en"
    assert "orin-15w" in (root.findtext("head/title") or "")
    tables = list(root.iter("table"))
    assert len(tables) >= 10
    for found in tables:
        assert found.findtext("caption")
        assert all(cell.attrib["scope"] in ("col", "row") for cell in found.iter("th"))
    drawings = [found for found in root.iter() if found.tag.endswith("}svg")]
    assert len(drawings) == 8
    named = {found.attrib["id"]: "".join(found.itertext()) for found in root.iter() if "id" in found.attrib}
    for drawing in drawings:
        assert drawing.attrib["role"] == "img"
        assert all(len(named[name]) > 15 for name in drawing.attrib["aria-labelledby"].split())
    assert "B: orin-30w: 2400 queries from" in page


def test_the_same_results_make_the_same_page(tmp_path: Path, page: str) -> None:
    write_report(three_runs(tmp_path), tmp_path / "r.html", [accuracy_file(tmp_path / "accuracy.json")])
    assert (tmp_path / "r.html").read_text(encoding="utf-8") == page


def test_no_text_breaks_out(tmp_path: Path) -> None:
    out = tmp_path / "report.html"
    write_report([hostile_run(tmp_path / "<b>&amp; $x$.json")], out)
    page = out.read_text(encoding="utf-8")
    assert open_elements(page) == []
    assert fetched(page) == []
    bare = HOSTILE.replace("\x1b", "\ufffd").replace("\x00", "\ufffd")
    places = [found for found in tree(page).iter() if bare in (found.text or "")]
    assert len(places) > 12
    assert not {found.tag for found in tree(page).iter()} & {"script", "img", "b"}
    assert "A: <b>&amp; $x$" in text_of(page)


def test_a_single_offline_result_has_gaps_and_says_so(tmp_path: Path) -> None:
    out = tmp_path / "report.html"
    write_report([offline_run(tmp_path / "a.json")], out)
    text = text_of(out.read_text(encoding="utf-8"))
    assert "1 result, 0 of which may be quoted" in text
    assert "No power rail could be read" in text
    assert "No throttling, over-current or change of clocks was seen" in text


def test_missing_samples_leave_a_gap_that_is_told(tmp_path: Path) -> None:
    (board_run(tmp_path / "a.json", 1, 20.0)).with_suffix(".npz").unlink()
    told = write_report([tmp_path / "a.json"], tmp_path / "r.html")
    assert told == ["a.json: its raw samples a.npz are not beside it, so nothing of them is drawn"]
    assert told[0] in text_of((tmp_path / "r.html").read_text(encoding="utf-8"))


def test_times_far_apart_stand_at_plain_numbers_and_on_one_scale(tmp_path: Path) -> None:
    runs = [board_run(tmp_path / "a.json", 1, 2.0), board_run(tmp_path / "b.json", 2, 90.0)]
    write_report(runs, tmp_path / "r.html")
    page = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert "mathdefault" not in page
    drawings = [found for found in tree(page).iter() if found.tag.endswith("}svg")]
    for drawing, plots in zip(drawings, (1, 2), strict=False):
        told = [text.strip() for text in drawing.itertext()]
        assert [told.count(label) for label in ("50", "100")] == [plots] * 2


def test_samples_of_another_run_are_refused(tmp_path: Path) -> None:
    first, second = board_run(tmp_path / "a.json", 1, 20.0), board_run(tmp_path / "b.json", 2, 20.0)
    second.with_suffix(".npz").replace(first.with_suffix(".npz"))
    with pytest.raises(SourceError, match=r"not those of a\.json"):
        write_report([first], tmp_path / "r.html")
    assert not (tmp_path / "r.html").exists()


@pytest.mark.parametrize(("count", "said"), [(63, "p90: too few samples"), (64, "ms p90")])
def test_a_headline_is_given_from_its_count_on(tmp_path: Path, count: int, said: str) -> None:
    path = save_run(tmp_path / "a.json", autocorrelated(count, 0.2, 1))
    write_report([path], tmp_path / "r.html")
    assert said in text_of((tmp_path / "r.html").read_text(encoding="utf-8"))


def test_a_slow_outlier_makes_the_axis_logarithmic_not_the_page_wrong(tmp_path: Path) -> None:
    times = autocorrelated(300, 0.2, 1)
    times[100] = 60_000.0
    write_report([save_run(tmp_path / "a.json", times)], tmp_path / "r.html")
    page = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert open_elements(page) == []
    assert "to 6e+04 ms" in page


@pytest.mark.parametrize(
    ("results", "out", "error", "said"),
    [
        (["a.json"], "a.json", InputError, r"a report must be named \*\.html"),
        (["a.json"], "none/r.html", SinkError, "there is no folder .*none; make it first"),
        (["b.json"], "r.html", SourceError, r"b\.json: cannot be read"),
        ([], "r.html", InputError, "a report shows 1 to 12 results, got 0"),
        (["a.json"] * 13, "r.html", InputError, "a report shows 1 to 12 results, got 13"),
    ],
)
def test_what_cannot_be_made_is_refused(
    tmp_path: Path, results: list[str], out: str, error: type[Exception], said: str
) -> None:
    save_run(tmp_path / "a.json", autocorrelated(70, 0.2, 1))
    with pytest.raises(error, match=said):
        write_report([tmp_path / name for name in results], tmp_path / out)


@pytest.mark.parametrize(
    ("content", "error", "said"),
    [
        ('{"models": [{"sha256": "0"}]}', InputError, r"measured with other model files .*\(tiny\.onnx\)"),
        ("{}", SourceError, "no result of benchmarks/accuracy.py"),
        ("[", SourceError, "no result of benchmarks/accuracy.py"),
        (
            '{"models": [{"sha256": "a"}], "latency": null}',
            SourceError,
            "no result of benchmarks/accuracy.py: it is a result of vultus bench",
        ),
        (None, SourceError, "cannot be read"),
    ],
)
def test_an_accuracy_of_other_models_is_refused(
    tmp_path: Path, content: str | None, error: type[Exception], said: str
) -> None:
    path = save_run(tmp_path / "a.json", autocorrelated(70, 0.2, 1))
    if content is not None:
        (tmp_path / "accuracy.json").write_text(content)
    with pytest.raises(error, match=said):
        write_report([path], tmp_path / "r.html", [tmp_path / "accuracy.json"])


def test_the_command_writes_the_page(tmp_path: Path) -> None:
    path, out = save_run(tmp_path / "a.json", autocorrelated(70, 0.2, 1)), tmp_path / "r.html"
    shown = CliRunner().invoke(app, ["bench", "report", str(path), "--out", str(out)])
    assert shown.exit_code == 0, shown.output
    assert "r.html: 1 result shown" in shown.output
    assert out.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")


def test_without_matplotlib_the_extra_is_named(tmp_path: Path) -> None:
    path, out = save_run(tmp_path / "a.json", autocorrelated(70, 0.2, 1)), tmp_path / "r.html"
    code = "import sys; sys.modules['matplotlib'] = None; from vultus.cli import app; app(sys.argv[1:])"
    command = [sys.executable, "-c", code, "bench", "report", str(path), "--out", str(out)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, out.exists()) == (4, False)
    assert "a report's plots need the package matplotlib: pip install 'vultus[bench]'" in done.stderr


def test_comparing_and_measuring_do_without_matplotlib() -> None:
    code = "import sys, vultus.bench.compare, vultus.bench.report, vultus.bench.report.page, vultus.cli\n"
    code += "print('matplotlib' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_markup_escapes_what_it_did_not_make() -> None:
    assert element("p", "<b>", Html("<i>x</i>"), title='"') == '<p title="&quot;">&lt;b&gt;<i>x</i></p>'
    made = table("a & b", ("x", "y"), [("<", "\x00")])
    assert "<caption>a &amp; b</caption>" in made
    assert '<th scope="row">&lt;</th><td>\ufffd</td>' in made


def test_a_record_without_anything_optional_can_be_shown(tmp_path: Path) -> None:
    plain = valid_record(autocorrelated(70, 0.2, 1), fingerprint={}, arguments={}, stages=(), models=())
    values = json.loads(record_to_json(replace(plain, samples_sha256="")))
    values["footprint"], values["telemetry"] = {}, {}
    (tmp_path / "a.json").write_text(json.dumps(values))
    write_report([tmp_path / "a.json"], tmp_path / "r.html")
    assert "unknown machine" in text_of((tmp_path / "r.html").read_text(encoding="utf-8"))
