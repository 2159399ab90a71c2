"""The footprint on a Jetson: what is counted, what is refused, and the committed figures against their limits."""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path
from typing import Any

import pytest

import footprint_jetson
import tables
from harness import jetson_process
from harness.jetson_process import measured_service
from harness.jetson_table import LIMITS, exceeded, jetson_table
from harness.jetson_trees import UNCOMPILED, measured_platform, on_disk
from jetson_image import JETSON, UNITS, need, staging
from repository import ROOT
from vultus.errors import DeviceError

COMMITTED = ROOT / "benchmarks" / "results" / "jetson-footprint.json"


@pytest.fixture
def result() -> dict[str, Any]:
    return dict(json.loads(COMMITTED.read_text("utf-8")))


def test_disk_is_counted_in_blocks(tmp_path: Path) -> None:
    (tmp_path / "one").write_bytes(b"x")
    (tmp_path / "two").write_bytes(b"x" * 4097)
    (tmp_path / "none").touch()
    assert on_disk(tmp_path) == 3 * 4096


def test_platform_is_measured_from_a_tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    need("tar", "zstd")
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    found = measured_platform("jetpack-6.2", staging(tmp_path / "tree"))
    assert found["install_bytes"] == on_disk(tmp_path / "tree")
    assert found["bytecode_bytes"] == 2 * 4096  # of vultus/__init__.py and vultus_firstboot/__main__.py
    assert 0 < found["overlay_bytes"] < found["install_bytes"]
    assert next(iter(found["largest"])).startswith("vultus")


@pytest.mark.parametrize(
    "path",
    [
        UNITS / "vultus-firstboot.service",
        JETSON / "deb/postinst",
        JETSON / "containers/Dockerfile.jetpack6",
        JETSON / "containers/Dockerfile.jetpack7",
    ],
    ids=lambda path: path.name,
)
def test_what_is_compiled_is_the_same_everywhere(path: Path) -> None:
    assert re.findall(r"-m compileall -q (?:\\\n\s*)?-x '([^']*)'", path.read_text("utf-8")) == [UNCOMPILED]


def test_service_is_measured() -> None:
    found = measured_service(ROOT / "examples" / "astronaut.png", attempts=1, frames=3)
    assert 20e6 < found["rss_peak"] < LIMITS["service"][1]
    assert 0 < found["first_result_s"] < 60


def test_service_that_ends_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jetson_process, "CONFIG", jetson_process.CONFIG.replace("loop", "lop"))
    with pytest.raises(DeviceError, match=r"vultus service ended with 78: .*lop"):
        measured_service(ROOT / "examples" / "astronaut.png", attempts=1)


def test_service_that_analyses_nothing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match="wrote less than 1 lines in 2 s"):
        measured_service(tmp_path / "absent.png", attempts=1, patience=2)


def test_committed_figures_are_within_the_limits(result: dict[str, Any]) -> None:
    assert list(result["platforms"]) == list(footprint_jetson.PLATFORMS)
    assert exceeded(result) == []


@pytest.mark.parametrize(
    ("path", "words"),
    [
        (
            ("platforms", "jetpack-6.2", "install_bytes"),
            "whole installation with the default models (jetpack-6.2",
        ),
        (("platforms", "jetpack-7.2", "bytecode_bytes"), "after the first boot compiled it (jetpack-7.2"),
        (
            ("platforms", "jetpack-7.2", "overlay_bytes"),
            "overlay of the root file system, compressed (jetpack-7.2",
        ),
        (("process", "rss_peak"), "on the CPU, peak (x86-64)"),
        (("service", "rss_peak"), "memory of the service"),
        (
            ("process", "first_result_s"),
            "start of a process to its first result, the best (x86-64): 301000000.00 s",
        ),
    ],
)
def test_figure_above_its_limit_is_named(result: dict[str, Any], path: tuple[str, ...], words: str) -> None:
    changed = copy.deepcopy(result)
    inner = changed
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = 301_000_000
    assert any(words in said for said in exceeded(changed)), exceeded(changed)


def test_table_names_every_row_and_says_where_it_ran(result: dict[str, Any]) -> None:
    text = jetson_table(result)
    for words, _ in LIMITS.values():
        assert words in text
    assert "not on a Jetson" in text
    assert "Not measured yet" in jetson_table(None)


def test_page_holds_the_table_of_the_committed_figures(result: dict[str, Any]) -> None:
    page = ROOT / "jetson" / "README.md"
    found = re.search(
        r"<!-- table:jetson-footprint -->\n(.*?)<!-- /table:jetson-footprint -->",
        page.read_text("utf-8"),
        re.DOTALL,
    )
    assert found is not None
    assert found[1] == jetson_table(result)
    assert tables.made_texts(ROOT)[page] == page.read_text("utf-8")


def test_wrong_pair_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert footprint_jetson.main(["--json", str(tmp_path / "x.json"), "--tree", "jetpack-6.2"]) == 1
    assert "'jetpack-6.2' is not NAME=PATH" in capsys.readouterr().err
    assert not (tmp_path / "x.json").exists()
