"""Results are compared when they are alike, and the gate closes only for what is slower for certain."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench_pairs import arrays_of, autocorrelated, save_run, valid_record
from bench_records import MODEL, record
from vultus.bench.alike import Kind, differences, remarks
from vultus.bench.compare import compare, limit_from_text
from vultus.bench.files import save_record
from vultus.bench.record import Record, Scenario, Verdict, Version
from vultus.errors import InputError, SourceError

DRAWS = 200


def pair(tmp_path: Path, ratio: float = 1.0, count: int = 300, **changes: Any) -> tuple[Path, Path]:
    first = save_run(tmp_path / "first.json", autocorrelated(count, 0.3, 1))
    return first, save_run(tmp_path / "second.json", autocorrelated(count, 0.3, 2) * ratio, **changes)


@pytest.mark.parametrize(
    ("ratio", "slower"), [(1.0, []), (1.03, []), (0.5, []), (1.3, ["p50", "p90"]), (2.0, ["p50", "p90"])]
)
def test_the_gate_closes_for_what_is_slower_for_certain(
    tmp_path: Path, ratio: float, slower: list[str]
) -> None:
    found = compare(*pair(tmp_path, ratio), draws=DRAWS)
    assert [one.name for one in found.slower(0.05)] == slower
    for one in found.ratios:
        assert one.interval is not None
        assert one.interval.low <= ratio <= one.interval.high


def test_the_gate_stays_open_while_the_limit_is_inside_the_interval(tmp_path: Path) -> None:
    found = compare(*pair(tmp_path, 1.3), draws=DRAWS)
    p50 = found.ratios[0].interval
    assert p50 is not None
    assert not found.ratios[0].beyond(p50.low - 1)
    assert found.ratios[0].beyond(p50.low - 1.001)
    assert not found.ratios[0].beyond(p50.ratio - 1.001), "the ratio is beyond the limit, its interval is not"


def test_a_result_compared_with_itself_differs_by_nothing(tmp_path: Path) -> None:
    path, _ = pair(tmp_path)
    found = compare(path, path, draws=DRAWS)
    assert [one.interval.ratio for one in found.ratios if one.interval] == [1.0, 1.0]
    assert (found.remarks, found.although) == ((), ())


def changed(**changes: Any) -> dict[str, Any]:
    return changes


base = record()
MODE = {**base.fingerprint, "board": {"mode": {"id": 2, "name": "15W"}}}
UNLIKE: list[tuple[Kind, dict[str, Any], str]] = [
    (
        Kind.models,
        changed(models=(replace(MODEL, sha256="e" * 64),)),
        "detector is tiny-detector aaaaaaaaaaaa in the first, tiny-detector eeeeeeeeeeee in the second",
    ),
    (
        Kind.models,
        changed(models=(MODEL, replace(MODEL, sha256="e" * 64))),
        "detector 2 is none in the first",
    ),
    (
        Kind.precision,
        changed(models=(replace(MODEL, precision="int8"),)),
        "precision of the detector is fp32 in the first, int8 in the second",
    ),
    (
        Kind.scenario,
        changed(scenario=Scenario("stream", "quick", 5.0, "p90", 30.0)),
        "scenario is single in the first, stream in the second",
    ),
    (
        Kind.scenario,
        changed(scenario=replace(base.scenario, streams=4)),
        "number of streams is 1 in the first, 4 in",
    ),
    (
        Kind.length,
        changed(scenario=Scenario("single", "publish", 600.0, "p90")),
        "length is 5 s in the first, 600 s",
    ),
    (
        Kind.input,
        changed(input=replace(base.input, sha256="f" * 64)),
        "content is 1 face (bbbbbbbbbbbb) in the first",
    ),
    (
        Kind.input,
        changed(input=replace(base.input, width=1920)),
        "size is 640x480 in the first, 1920x480 in the",
    ),
    (Kind.power_mode, changed(fingerprint=MODE), "power mode is unknown in the first, 15W in the second"),
    (
        Kind.power_mode,
        changed(fingerprint={**base.fingerprint, "clocks": [{"governor": "powersave"}]}),
        "governor is unknown in the first, powersave in the second",
    ),
    (
        Kind.device,
        changed(fingerprint={**base.fingerprint, "cpu": "another"}),
        "cpu is a processor in the first",
    ),
    (
        Kind.engine,
        changed(models=(replace(MODEL, ran_on="ONNX Runtime CPU, 2 threads"),)),
        "engine of the detector is ONNX Runtime CPU in the first, ONNX Runtime CPU, 2 threads in the second",
    ),
    (Kind.invalid, changed(verdict=Verdict(False, ("throttled",))), "second.json: throttled"),
    (Kind.invalid, changed(verdict=Verdict(False)), "second.json: no reason is given"),
]


@pytest.mark.parametrize(("kind", "changes", "said"), UNLIKE)
def test_what_is_unlike_is_refused_by_name(
    tmp_path: Path, kind: Kind, changes: dict[str, Any], said: str
) -> None:
    paths = pair(tmp_path, **changes)
    with pytest.raises(InputError, match=r"first\.json and second\.json may not be compared:\n") as error:
        compare(*paths, draws=DRAWS)
    lines = str(error.value).splitlines()
    assert any(line.startswith(f"  {kind.value}: ") and said in line for line in lines), lines
    assert lines[-1].endswith(f"compare them all the same with --although {kind.value}")
    found = compare(*paths, although=[kind], draws=DRAWS)
    assert {one.kind for one in found.although} == {kind}
    others = set(Kind) - {kind}
    with pytest.raises(InputError, match=f"  {kind.value}: "):
        compare(*paths, although=others, draws=DRAWS)


def test_every_kind_has_a_case() -> None:
    assert {kind for kind, *_ in UNLIKE} == set(Kind)


def test_everything_that_is_unlike_is_listed_at_once(tmp_path: Path) -> None:
    paths = pair(
        tmp_path,
        models=(replace(MODEL, sha256="e" * 64, precision="fp16"),),
        verdict=Verdict(False, ("hot",)),
    )
    with pytest.raises(InputError) as error:
        compare(*paths, draws=DRAWS)
    kinds = [line.split(":")[0].strip() for line in str(error.value).splitlines()[1:-1]]
    assert kinds == ["models", "precision", "invalid"]
    assert "--although models --although precision --although invalid" in str(error.value)


def test_why_an_engine_was_chosen_does_not_matter() -> None:
    reasoned = replace(MODEL, ran_on=f"{MODEL.ran_on} (chosen because there is no GPU)")
    assert differences(record(), replace(record(), models=(reasoned,))) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            {"version": Version("0.2.0", "d" * 40, True)},
            "vultus: 0.1.0 at cccccccccccc in the first, 0.2.0 at dddddddddddd with changes in the second",
        ),
        (
            {"fingerprint": {**base.fingerprint, "versions": {"numpy": "2.1"}}},
            "numpy: absent in the first, 2.1 in the second",
        ),
        (
            {"counts": replace(base.counts, offered=200, dropped=10)},
            "frames dropped: none in the first, 5.0% in the second",
        ),
        ({"golden": replace(base.golden, before="0" * 64)}, "the same frames gave other FACE records"),
    ],
)
def test_what_may_differ_is_remarked_on(change: dict[str, Any], said: str) -> None:
    changed_record: Record = replace(record(), **change)
    assert [line for line in remarks(record(), changed_record) if said in line]
    assert differences(record(), changed_record) == []
    assert list(remarks(record(), record())) == []


@pytest.mark.parametrize(("count", "known"), [(63, []), (64, ["p50", "p90"])])
def test_too_few_samples_give_no_interval(tmp_path: Path, count: int, known: list[str]) -> None:
    found = compare(*pair(tmp_path, count=count), draws=DRAWS)
    assert [one.name for one in found.ratios if one.interval] == known
    if not known:
        assert found.ratios[1].why == "takes 64 samples, there are 63 in first.json and 63 in second.json"
        with pytest.raises(
            InputError, match="too few samples to tell how far they differ: p50 takes 64 samples"
        ):
            found.slower(0.05)


def test_samples_that_are_all_alike_are_remarked_on(tmp_path: Path) -> None:
    drift = np.linspace(10, 20, 100)
    first, second = save_run(tmp_path / "a.json", drift), save_run(tmp_path / "b.json", drift)
    assert any(
        "a.json: its samples are so like their neighbours" in one for one in compare(first, second).remarks
    )


def test_offline_runs_are_compared_by_the_time_of_a_frame(tmp_path: Path) -> None:
    for name, seed, ratio in (("a", 1, 1.0), ("b", 2, 1.5)):
        times = autocorrelated(300, 0.3, seed) * ratio
        made = valid_record(times, scenario=Scenario("offline", "quick", 5.0, "throughput"), latency=None)
        save_record(made, {"end_ns": arrays_of(times)["end_ns"]}, tmp_path / f"{name}.json")
    (only,) = compare(tmp_path / "a.json", tmp_path / "b.json", draws=DRAWS).ratios
    assert only.name == "mean time of a frame"
    assert only.interval is not None
    assert only.interval.low <= 1.5 <= only.interval.high
    assert only.beyond(0.05)


def test_samples_of_another_run_are_refused(tmp_path: Path) -> None:
    first, second = pair(tmp_path)
    (tmp_path / "second.npz").write_bytes((tmp_path / "first.npz").read_bytes())
    with pytest.raises(SourceError, match=r"not those of second\.json"):
        compare(first, second)


@pytest.mark.parametrize(("text", "limit"), [("5%", 0.05), ("0%", 0.0), (" 12.5 %", 0.125)])
def test_a_limit_is_a_percentage(text: str, limit: float) -> None:
    assert limit_from_text(text) == pytest.approx(limit)


@pytest.mark.parametrize("text", ["5", "0.05", "-5%", "%", "", "five%", "nan%", "inf%"])
def test_what_is_no_percentage_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="a limit is a percentage such as 5%; got "):
        limit_from_text(text)
