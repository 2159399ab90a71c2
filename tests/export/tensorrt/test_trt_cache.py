"""The engine cache: what the key holds, what is used again, what is built anew and with which word."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

import precision_nets
from sidecars import DATA, made
from vultus.engines.sidecar import Platform, sidecar_path
from vultus.errors import ModelError
from vultus_export.tensorrt.cache import cache_key, reusable, store, writable_folder
from vultus_export.tensorrt.request import Request
from vultus_export.whole import write_whole

HERE = Platform("tensorrt", "10.3.0", "8.7", "Orin", "12.6")
KEY = cache_key("0" * 64, HERE, Request(), portable=False)


def put(folder: Path, key: str = KEY) -> Path:
    engine = folder / "x.engine"
    sidecar = made(spec=precision_nets.FACE, onnx="x.onnx", key=key, layers={}, device="", cuda="")
    store(engine, DATA, sidecar)
    return engine


@pytest.mark.parametrize(
    ("onnx", "here", "request_"),
    [
        ("1" * 64, HERE, Request()),
        ("0" * 64, replace(HERE, version="10.3.1"), Request()),
        ("0" * 64, replace(HERE, flavour="tensorrt_rtx"), Request()),
        ("0" * 64, replace(HERE, cuda="12.8"), Request()),
        ("0" * 64, replace(HERE, device="Orin Nano"), Request()),
        ("0" * 64, replace(HERE, compute_capability="8.6"), Request()),
        ("0" * 64, HERE, Request(batch=(1, 4, 8))),
        ("0" * 64, HERE, Request(size=(640, 480))),
        ("0" * 64, HERE, Request(workspace=64)),
        ("0" * 64, HERE, Request(version_compatible=True)),
        ("0" * 64, HERE, Request(dla=0)),
    ],
)
def test_whatever_changes_the_engine_changes_its_key(onnx: str, here: Platform, request_: Request) -> None:
    assert cache_key(onnx, here, request_, portable=False) != KEY


def test_the_gpu_at_hand_is_no_part_of_the_key_of_a_portable_engine() -> None:
    rtx = replace(HERE, flavour="tensorrt_rtx")
    none = Platform("tensorrt_rtx", "10.3.0", problem="no GPU")
    assert cache_key("0", rtx, Request(), True) == cache_key("0", none, Request(), True)


def test_an_intact_engine_of_the_same_key_is_used_again(tmp_path: Path) -> None:
    sidecar, why = reusable(put(tmp_path), KEY, HERE)
    assert why == ""
    assert sidecar is not None
    assert sidecar.key == KEY


def test_an_empty_folder_holds_nothing_and_needs_no_word(tmp_path: Path) -> None:
    assert reusable(tmp_path / "x.engine", KEY, HERE) == (None, "")


def _cut(engine: Path) -> None:
    engine.write_bytes(DATA[:-1])


def _flip(engine: Path) -> None:
    engine.write_bytes(DATA.swapcase())


def _no_sidecar(engine: Path) -> None:
    sidecar_path(engine).unlink()


def _no_engine(engine: Path) -> None:
    engine.unlink()


def _torn_sidecar(engine: Path) -> None:
    sidecar_path(engine).write_text('{"schema": 1, "spec"')


def _other_file(engine: Path) -> None:
    values = json.loads(sidecar_path(engine).read_text())
    sidecar_path(engine).write_text(json.dumps({**values, "version": "10.16.2"}))


@pytest.mark.parametrize(
    ("harm", "word"),
    [
        (_cut, "is damaged: 11 bytes that are not the 12 that were built"),
        (_flip, "is damaged: 12 bytes that are not the 12 that were built"),
        (_no_sidecar, "has no readable sidecar x.engine.json"),
        (_no_engine, "cannot be read: No such file"),
        (_torn_sidecar, "is not JSON"),
        (_other_file, "built for compute capability 8.7 and TensorRT 10.16.2, this is"),
    ],
)
def test_a_harmed_engine_is_built_anew_with_a_word(tmp_path: Path, harm: object, word: str) -> None:
    engine = put(tmp_path)
    assert callable(harm)
    harm(engine)
    sidecar, why = reusable(engine, KEY, HERE)
    assert sidecar is None
    assert word in why


@pytest.mark.parametrize(
    ("here", "word"),
    [
        (HERE, "the engine there is of another model, profile, GPU or options"),
        (replace(HERE, device="Orin Nano"), "the engine there is of another model, profile, GPU or options"),
        (Platform("tensorrt_rtx", "1.7.1"), "the engine there is of another TensorRT: tensorrt 10.3.0"),
        (
            replace(HERE, compute_capability="11.0"),
            "the engine there was built for compute capability 8.7 and TensorRT 10.3.0, "
            "this is compute capability 11.0 and TensorRT 10.3.0",
        ),
    ],
)
def test_an_engine_of_another_key_is_built_anew_with_a_word(
    tmp_path: Path, here: Platform, word: str
) -> None:
    assert reusable(put(tmp_path), "f" * 64, here) == (None, word)


def test_a_write_that_fails_leaves_the_old_file_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = put(tmp_path)

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_whole(engine, b"new")
    assert engine.read_bytes() == DATA
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x.engine", "x.engine.json"]


def test_a_stop_between_the_two_files_is_noticed(tmp_path: Path) -> None:
    engine = put(tmp_path)
    write_whole(engine, b"the engine of a newer build")
    assert "is damaged" in reusable(engine, KEY, HERE)[1]


def test_folders_that_cannot_be_written_are_refused_before_the_build(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ModelError, match=r"cannot write to .*file: .*; choose another folder"):
        writable_folder(tmp_path / "file")
    assert writable_folder(tmp_path / "a" / "b").is_dir()
