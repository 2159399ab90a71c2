"""Records as files: equal after reading, validated, written whole or not at all."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bench_records import record, samples
from vultus.bench.files import (
    check_output,
    load_record,
    load_samples,
    record_from_json,
    record_to_json,
    save_record,
)
from vultus.errors import SinkError, SourceError


def test_a_record_is_the_same_after_writing_and_reading(tmp_path: Path) -> None:
    saved = save_record(record(), samples(), tmp_path / "a.json")
    assert load_record(tmp_path / "a.json") == saved
    assert saved == replace(record(), samples_sha256=saved.samples_sha256)
    read = load_samples(tmp_path / "a.json")
    assert sorted(read) == sorted(samples())
    for name, array in samples().items():
        assert read[name].dtype == np.int64
        np.testing.assert_array_equal(read[name], array)
    assert sorted(os.listdir(tmp_path)) == ["a.json", "a.npz"]


def test_unknown_figures_are_null_not_zero() -> None:
    values = json.loads(record_to_json(record()))
    assert values["latency"]["percentiles"][2]["ms"] is None
    assert values["footprint"]["gpu_bytes"] is None


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"schema": 99}, "its schema is 99, this vultus reads 1; measure again"),
        ({"counts": {"samples": "many"}}, "no result of vultus bench: Expected `int`, got `str`"),
        ({"scenario": {**json.loads(record_to_json(record()))["scenario"], "name": "burst"}}, "'burst'"),
    ],
)
def test_a_file_of_another_kind_is_refused(change: dict[str, object], said: str) -> None:
    values = {**json.loads(record_to_json(record())), **change}
    with pytest.raises(SourceError, match=r"a\.json: ") as error:
        record_from_json(json.dumps(values).encode(), "a.json")
    assert said in str(error.value)


@pytest.mark.parametrize("data", [b"", b"{", b"[1]", b"\xff\xfe", b'"text"'])
def test_what_is_no_record_is_refused(data: bytes) -> None:
    with pytest.raises(SourceError, match=r"x.json: this is no result of vultus bench"):
        record_from_json(data, "x.json")


def test_samples_of_another_run_are_refused(tmp_path: Path) -> None:
    save_record(record(), samples(), tmp_path / "a.json")
    save_record(record(), {"latency_ns": np.arange(3)}, tmp_path / "b.json")
    (tmp_path / "b.npz").replace(tmp_path / "a.npz")
    with pytest.raises(SourceError, match=r"not those of a\.json: .* copy both files together"):
        load_samples(tmp_path / "a.json")
    (tmp_path / "a.npz").unlink()
    with pytest.raises(
        SourceError, match=r"a\.npz: there is no such file, and a\.json keeps its .*; copy both"
    ):
        load_samples(tmp_path / "a.json")


@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize("failing", ["a.npz", "a.json"])
def test_a_write_that_fails_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str, before: bool
) -> None:
    if before:
        save_record(record(), samples(), tmp_path / "a.json")
    was = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    real = Path.replace

    def fails(self: Path, target: Path) -> Path:
        if Path(target).name == failing and self.suffix == ".new":
            raise OSError(28, "No space left on device")
        return real(self, target)

    monkeypatch.setattr(Path, "replace", fails)
    with pytest.raises(SinkError, match=r"a\.json: cannot be written: No space left on device"):
        save_record(replace(record(), note="new"), {"latency_ns": np.arange(3)}, tmp_path / "a.json")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == was


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("a.txt", r"must be named \*\.json"),
        ("none/a.json", "there is no folder .*none; make it first"),
        ("folder.json", "this is a folder"),
    ],
)
def test_a_place_that_cannot_be_written_is_named(tmp_path: Path, name: str, said: str) -> None:
    (tmp_path / "folder.json").mkdir()
    with pytest.raises(SinkError, match=said):
        save_record(record(), samples(), tmp_path / name)


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="takes a folder that refuses files even of root")
def test_a_folder_that_takes_no_file_is_told_before_the_run() -> None:
    with pytest.raises(SinkError, match=r"^/proc/a\.json: the folder /proc cannot be written to: "):
        check_output(Path("/proc/a.json"))


def test_a_place_is_tried_without_a_trace(tmp_path: Path) -> None:
    check_output(tmp_path / "a.json")
    assert os.listdir(tmp_path) == []
