"""Talking to peers in processes of their own: what is asked, what is answered, what fails and how it is told."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.peers_install import Environment, NotThere, environment_of, prepare
from harness.peers_known import Peer, Step
from harness.peers_picture import scene
from harness.peers_rounds import LEAST, compare_with, rounds_of
from harness.peers_talk import Peering, Talk, faces_from

PEER = Peer("stand-in", "stand-in", "1", "MIT", "detection", "boxes", ("stand_in",), (), "as is", order="BGR")

RUNNER = """
import os, sys, time
from peer_runners.speak import face_of, serve

def import_peer():
    print("a package that talks")
    return None

class Finder:
    def __init__(self, request):
        self.request = request

    def __call__(self, picture):
        {body}

    def whole(self, picture):
        height, width = picture.shape[:2]
        return [face_of((0, 0, width, height), 1, age=30.0, male=0.25)]

serve(import_peer, lambda package, request: Finder(request))
"""

Make = Callable[..., Environment]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Return what makes an environment whose runner has the given body."""

    def environment(body: str) -> Environment:
        script = tmp_path / "stand_in.py"
        script.write_text(RUNNER.format(body=body))
        return Environment(tmp_path, (sys.executable, str(script)), "1", {}, 1.0)

    return environment


def picture(height: int = 4, width: int = 6) -> Any:
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[..., 0], pixels[..., 2] = 10, 200
    return pixels


CORE = {min(os.sched_getaffinity(0))}
FIRST = "return [face_of(picture[0, 0].tolist() + [float(len(picture))], .5, [(1, 2)] * 5)]"


@pytest.mark.parametrize(("order", "first"), [("BGR", 10.0), ("RGB", 200.0)])
def test_pictures_come_in_the_order_that_the_peer_wants(make: Make, order: Any, first: float) -> None:
    with Talk(replace(PEER, order=order), make(FIRST), CORE, 1) as talk:
        answer = talk.run(picture(5), times=3)
    assert answer["faces"][0]["box"] == [first, 0.0, 210 - first, 5.0]
    assert len(answer["ns"]) == 3
    assert min(answer["ns"]) > 0
    assert answer["peak_mib"] > 5


def test_a_peer_is_told_its_threads_and_kept_on_its_cores(make: Make) -> None:
    body = "return [face_of((len(os.sched_getaffinity(0)), int(os.environ['OMP_NUM_THREADS']), 0, 0), .5)]"
    before = os.sched_getaffinity(0)
    with Talk(PEER, make(body), CORE, 1) as talk:
        assert talk.run(picture())["faces"][0]["box"][:2] == [1, 1]
    assert os.sched_getaffinity(0) == before


def test_processor_time_is_that_of_the_calls(make: Make) -> None:
    body = "\n        ".join(
        ["end = time.process_time() + .05", "while time.process_time() < end: pass", "return []"]
    )
    with Talk(PEER, make(body), CORE, 1) as talk:
        busy = talk.run(picture(), times=2)
    assert 0.09e9 <= busy["cpu_ns"] <= 0.2e9


def test_opening_is_timed(make: Make) -> None:
    with Talk(PEER, make("return []"), CORE, 1) as talk:
        assert talk.opened["import_s"] >= 0
        assert talk.opened["rss_mib"] > 5


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("raise KeyError('anchor')", "KeyError: 'anchor'"),
        ("os._exit(3)", r"ended without an answer \(code 3\)"),
    ],
)
def test_what_fails_is_told(make: Make, body: str, words: str) -> None:
    with Talk(PEER, make(body), CORE, 1) as talk, pytest.raises(NotThere, match=words):
        talk.run(picture())


def test_weights_that_are_not_there_are_asked_for(make: Make, tmp_path: Path) -> None:
    peer = replace(PEER, weights="net/some.onnx")
    with pytest.raises(NotThere, match=r"needs net/some.onnx.* with --weights"):
        Talk(peer, make("return []"), CORE, 1)
    with pytest.raises(NotThere, match=r"needs net/some.onnx, which the folder of weights does not hold"):
        Talk(peer, make("return []"), CORE, 1, None, tmp_path)


def test_a_runner_that_does_not_start_is_told(tmp_path: Path) -> None:
    environment = Environment(tmp_path, (str(tmp_path / "none"),), "1", {}, 1.0)
    with pytest.raises(NotThere, match="its runner does not start"):
        Talk(PEER, environment, CORE, 1)


def test_faces_become_records_by_falling_score() -> None:
    low = {"box": [0, 0, 5, 5], "score": 0.2, "points": [[1, 2]] * 4, "age": 20.0, "male": None}
    high = {"box": [1, 1, 9, 9], "score": 0.9, "points": [[3, 4]] * 5, "age": 31.0, "male": 0.25}
    faces = faces_from({"faces": [low, high]})
    assert faces["score"].tolist() == pytest.approx([0.9, 0.2])
    assert faces["gender"][0].tolist() == [0.75, 0.25]
    assert faces["age"][0] == 31
    assert faces["points"][0].tolist() == [[3, 4]] * 5
    assert np.isnan(faces["points"][1]).all()
    assert faces["age"][1] == 20
    assert np.isnan(faces["gender"][1]).all()


@pytest.mark.parametrize(("crops", "found", "whole"), [(True, 1, 1), (False, 0, 0)])
def test_only_a_peer_that_takes_crops_is_given_them(make: Make, crops: bool, found: int, whole: int) -> None:
    with Talk(PEER, make("return []"), CORE, 1) as talk:
        peering = Peering(talk, crops)
        assert len(peering(picture()).faces) == found
        assert len(peering.detect(picture())) == 0
    assert peering.taken_whole == whole


BODIES = {
    "quick": "time.sleep(.001); return []",
    "slow": "time.sleep(.004); return []",
    "fails": "raise ValueError('no face')",
}


def test_rounds_are_of_equal_number_and_a_failing_peer_leaves_them(make: Make, tmp_path: Path) -> None:
    def peer_in(name: str) -> Environment:
        place = tmp_path / name
        place.mkdir()
        return replace(make(BODIES[name]), folder=place)

    failed: dict[str, str] = {}
    talks = {name: Talk(PEER, peer_in(name), CORE, 1) for name in BODIES}
    timings = rounds_of(talks, scene(), 4, 0.01, failed, lambda words: None)
    for talk in talks.values():
        talk.close()
    assert failed == {"fails": "ValueError: no face"}
    assert {name: len(timing.blocks) for name, timing in timings.items()} == {"quick": 4, "slow": 4}
    assert all(len(block) >= LEAST for timing in timings.values() for block in timing.blocks)
    ratios = compare_with(timings, "quick")
    assert ratios["quick"]["ratio"] == 1
    assert ratios["slow"]["ratio"] > 1.5
    assert compare_with(timings, "nobody")["slow"]["ratio"] is None


def test_p90_is_left_out_of_few_samples(make: Make) -> None:
    with Talk(PEER, make("return []"), CORE, 1) as talk:
        few = rounds_of({"few": talk}, scene(), 1, 1e-9, {}, lambda words: None)["few"].figures()
        many = rounds_of({"many": talk}, scene(), 22, 1e-9, {}, lambda words: None)["many"].figures()
    assert few["samples"] == LEAST
    assert few["p90_ms"] is None
    assert many["p90_ms"] is not None
    assert many["p90_ms"] >= many["p50_ms"]  # both may round to 0: this peer does nothing


def test_picture_shows_six_portraits_or_a_fitted_photograph(tmp_path: Path) -> None:
    own = scene()
    assert (own.pixels.shape, own.faces) == ((480, 640, 3), 6)
    import cv2

    cv2.imwrite(str(tmp_path / "wide.png"), np.full((100, 400, 3), 255, np.uint8))
    photo = scene(tmp_path / "wide.png", 2)
    assert photo.pixels.shape == (480, 640, 3)
    assert (photo.pixels[:160] == 255).all()
    assert (photo.pixels[160:] == 128).all()
    with pytest.raises(ValueError, match=r"tell how many faces wide\.png shows with --faces"):
        scene(tmp_path / "wide.png")
    with pytest.raises(ValueError, match="cannot be read as a picture"):
        scene(tmp_path / "none.png", 1)


def test_what_is_not_installed_says_how_to_install_it(tmp_path: Path) -> None:
    with pytest.raises(NotThere, match=r"run peers\.py --prepare --only 'stand-in'"):
        environment_of(PEER, tmp_path)


@pytest.mark.slow
def test_an_installation_that_fails_is_told_and_not_taken_for_one(tmp_path: Path) -> None:
    peer = replace(PEER, steps=(Step((str(tmp_path / "no-such-package"),)),))
    with pytest.raises(NotThere, match=r"failed: .*no-such-package"):
        prepare(peer, tmp_path)
    with pytest.raises(NotThere, match="not installed as listed"):
        environment_of(peer, tmp_path)
