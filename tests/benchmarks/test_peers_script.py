"""The peers script end to end: vultus itself beside a stand-in that finds one face, and a package that is not there."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import peers
from harness.peers_install import Environment, NotThere
from harness.peers_kept import kept_accuracy, rejudged, stored
from harness.peers_known import PEERS, REFERENCE, Peer
from harness.peers_rows import FIGURES
from harness.peers_table import peers_table
from picture_sets import write_all
from vultus.zoo import default_models
from vultus_export.metrics.identity import sha256_of

STAND_IN = """
from peer_runners.speak import face_of, serve

def finder(package, request):
    return lambda picture: [face_of((0, 0, picture.shape[1], picture.shape[0]), .95, age=40.0, male=1.0)]

serve(lambda: None, finder)
"""

OWN = next(peer for peer in PEERS if peer.name == "vultus")
BASE = replace(next(peer for peer in PEERS if peer.name == REFERENCE), measures_faces=True)
ABSENT = Peer("absent", "absent", "3", "MIT", "detection", "boxes", ("absent",), (), "as is")


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Return the JSON of a quick run on one thread."""
    place = tmp_path_factory.mktemp("peers")
    write_all(place)
    (place / "stand_in.py").write_text(STAND_IN)

    def environment(peer: Peer) -> Environment:
        if peer is ABSENT:
            raise NotThere("pip failed: no such package")
        own = peer is OWN
        command = (
            (sys.executable, "-m", "peer_runners.own")
            if own
            else (sys.executable, str(place / "stand_in.py"))
        )
        return Environment(place, command, "0.9", {"onnxruntime": "1.31"}, 12.5)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(peers, "environment_of", environment)
        patch.setattr(peers, "peers_named", lambda names: (OWN, BASE, ABSENT))
        out = place / "peers.json"
        assert peers.main(["--data", str(place), "--json", str(out), "--threads", "1", "--quick"]) == 0
    return dict(json.loads(out.read_text()))


def row(result: dict[str, Any], name: str) -> dict[str, Any]:
    return next(dict(row) for row in result["rows"] if row["name"] == name)


def test_result_says_what_was_measured_on_what(result: dict[str, Any]) -> None:
    assert result["quick"] is True
    assert result["picture"]["faces"] == 6
    assert [model["sha256"] for model in result["models"]] == [sha256_of(path) for path in default_models()]
    assert result["processor"]
    assert result["load_before"] >= 0


def test_vultus_finds_all_six_and_has_every_figure(result: dict[str, Any]) -> None:
    own = row(result, "vultus")
    assert own["faces"] == 6
    assert [key for key in FIGURES if own[key] is None] == ["p90_ms"]
    assert own["ratio"] > 1
    assert own["reason"] is None
    assert own["ap40"] is not None


def test_stand_in_is_the_reference_and_is_judged(result: dict[str, Any]) -> None:
    base = row(result, REFERENCE)
    assert base["ratio"] == 1
    assert base["faces"] == 1
    assert base["version"] == "0.9"
    assert base["found_utkface"] == 1
    assert base["age_mae"] == pytest.approx(23)  # labels are 30 and 4, it always says 40
    assert base["gender_accuracy"] == 0.5


def test_what_is_not_there_has_a_row_with_the_reason_and_no_figure(result: dict[str, Any]) -> None:
    absent = row(result, "absent")
    assert absent["reason"] == "pip failed: no such package"
    assert all(absent[key] is None for key in (*FIGURES, "ap40"))


def test_a_quick_run_makes_no_table(result: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="quick run"):
        peers_table(result)
    assert "not run: pip failed" in peers_table({**result, "quick": False})


def test_sets_must_be_named_unless_accuracy_is_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        peers.main(["--quick"])
    assert "--data, or leave accuracy out with --no-accuracy" in capsys.readouterr().err


@pytest.mark.parametrize("threads", ["0", "none", "1000"])
def test_threads_must_be_there(threads: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        peers.main(["--threads", threads])
    assert "must be numbers from 1 to" in capsys.readouterr().err


def test_unknown_peer_ends_with_the_names(capsys: pytest.CaptureFixture[str]) -> None:
    assert peers.main(["--only", "nobody", "--no-accuracy"]) == 1
    assert "no peer is called nobody; known: vultus" in capsys.readouterr().err


def test_new_weights_are_judged_and_times_stay(result: dict[str, Any]) -> None:
    judged = {"vultus": {"ap40": 0.5}}
    found = rejudged(result, judged, "c" * 40)
    own, other = row(found, "vultus"), row(found, REFERENCE)
    assert (own["ap40"], own["p50_ms"]) == (0.5, row(result, "vultus")["p50_ms"])
    assert other == row(result, REFERENCE)
    assert found["judged_commit"] == "c" * 40


def test_times_of_another_architecture_do_not_stay(result: dict[str, Any]) -> None:
    models = [{**model, "macs": 1} for model in result["models"]]
    with pytest.raises(ValueError, match=r"^the times are of .*, 1\).*measure all again, without --rejudge$"):
        rejudged({**result, "models": models}, {}, None)


def test_accuracy_of_the_same_version_is_kept(result: dict[str, Any]) -> None:
    same, pictures = replace(BASE, version="0.9"), int(peers.QUICK["pictures"])
    found = kept_accuracy(result, (OWN, same, ABSENT), pictures)
    assert found.keys() == {REFERENCE}
    assert found[REFERENCE]["ap40"] == row(result, REFERENCE)["ap40"]
    assert not kept_accuracy(result, (OWN, BASE, ABSENT), pictures), "another version"
    with pytest.raises(ValueError, match=r"judged on 8 pictures a set, not 500; leave --keep-accuracy out"):
        kept_accuracy(result, (OWN, BASE), 500)


def test_nothing_is_kept_of_a_result_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"there is no peers.json yet; measure all of it first"):
        stored(tmp_path / "peers.json")
