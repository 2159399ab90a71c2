"""`vultus bench compare`: its table, its JSON and the exit codes that gates rely on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from bench_pairs import autocorrelated, save_run
from vultus.bench.record import Verdict
from vultus.cli import app


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["bench", "compare", *map(str, arguments)])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("results")
    save_run(made / "base.json", autocorrelated(300, 0.3, 1))
    save_run(made / "same.json", autocorrelated(300, 0.3, 2))
    save_run(made / "slow.json", autocorrelated(300, 0.3, 2) * 1.5)
    save_run(made / "few.json", autocorrelated(30, 0.3, 2))
    save_run(made / "hot.json", autocorrelated(300, 0.3, 2), verdict=Verdict(False, ("it was throttled",)))
    return made


@pytest.mark.parametrize(
    ("second", "options", "code", "said"),
    [
        ("same.json", [], 0, "no difference seen"),
        ("slow.json", [], 0, "slower"),
        ("same.json", ["--fail-over", "5%"], 0, "not slower for certain by more than 5.0%"),
        ("slow.json", ["--fail-over", "5%"], 1, "slower by more than 5.0% for certain: p50, p90"),
        ("slow.json", ["--fail-over", "90%"], 0, "not slower for certain by more than 90.0%"),
        ("slow.json", ["--fail-over", "0.05"], 2, "a limit is a percentage such as 5%; got '0.05'"),
        ("hot.json", [], 2, "  invalid: hot.json: it was throttled"),
        ("hot.json", ["--although", "invalid"], 0, "although invalid: hot.json: it was throttled"),
        ("few.json", [], 0, "takes 64 samples, there are 30 in few.json"),
        ("few.json", ["--fail-over", "5%"], 2, "too few samples to tell how far they differ"),
        ("none.json", [], 2, "cannot be read: No such file or directory"),
        ("same.json", ["--although", "everything"], 2, "everything"),
    ],
)
def test_exit_codes(folder: Path, second: str, options: list[str], code: int, said: str) -> None:
    shown = run(folder / "base.json", folder / second, *options)
    assert (shown.exit_code, said in shown.output) == (code, True), shown.output


def test_json_holds_everything(folder: Path) -> None:
    shown = run(folder / "base.json", folder / "slow.json", "--json", "--fail-over", "5%")
    values = json.loads(shown.stdout)
    assert shown.exit_code == 1
    assert (values["first"], values["second"], values["limit"]) == ("base.json", "slow.json", 0.05)
    assert values["slower"] == ["p50", "p90"]
    assert set(values["ratios"][0]["interval"]) == {"ratio", "low", "high"}


def test_the_same_seed_prints_the_same(folder: Path) -> None:
    def printed(seed: int) -> str:
        return run(folder / "base.json", folder / "slow.json", "--json", "--seed", str(seed)).stdout

    assert printed(1) == printed(1)
    assert printed(1) != printed(2)
