"""Installing is all or nothing, and what was installed runs."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

import bundles
import tiny
from vultus import Analyzer
from vultus.bundle.load import install, load
from vultus.errors import ModelError, SpecError


def test_an_installed_bundle_runs(signed: Path, public: Path, tmp_path: Path) -> None:
    install(signed, tmp_path / "models", public)
    with Analyzer(models=load(tmp_path / "models", public).models("fp32")) as analyzer:
        result = analyzer(tiny.squares(320, 240, (32, 64), (160, 96)))
    assert len(result.faces) == 2


def test_models_are_chosen_by_precision(signed: Path, tmp_path: Path) -> None:
    installed = install(signed, tmp_path / "models")
    assert [path.name for path in installed.models("int8")] == ["tiny-detector-int8.onnx"]
    assert all(path.is_file() for path in installed.models("fp32"))
    with pytest.raises(ModelError, match="has models in fp32, int8, not in fp16; name one of those"):
        installed.models("fp16")
    with pytest.raises(ModelError, match="has models in fp32, int8; name the precision to use"):
        installed.models()


def test_an_installation_has_ordinary_rights_and_the_bundles_bytes(signed: Path, tmp_path: Path) -> None:
    folder = install(signed, tmp_path / "models").folder
    umask = os.umask(0)
    os.umask(umask)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o777 & ~umask
    found = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*.*")}
    found["SHA256SUMS"] = (folder / "SHA256SUMS").read_bytes()
    assert found == bundles.parts_in(signed)


def test_an_installation_can_be_installed_elsewhere(signed: Path, public: Path, tmp_path: Path) -> None:
    first = install(signed, tmp_path / "one", public)
    assert install(first.folder, tmp_path / "two", public).verified == first.verified


def test_nothing_is_left_of_a_refused_bundle(parts: dict[str, bytes], tmp_path: Path) -> None:
    last = list(parts)[-1]
    parts[last] += b"more"
    file = bundles.pack(tmp_path / "b.tar.zst", parts)
    with pytest.raises(ModelError, match=f"{last} was changed"):
        install(file, tmp_path / "models")
    assert list(tmp_path.iterdir()) == [file]


def test_nothing_is_left_when_the_disk_takes_no_more(signed: Path, tmp_path: Path) -> None:
    code = (
        "import resource, sys\nfrom pathlib import Path\nfrom vultus.bundle.load import install\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000))\n"
        "install(Path(sys.argv[1]), Path(sys.argv[2]))"
    )
    command = [sys.executable, "-c", code, str(signed), str(tmp_path / "models")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1
    assert "cannot be installed in" in done.stderr
    assert "File too large" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_nothing_that_exists_is_overwritten(signed: Path, tmp_path: Path) -> None:
    folder = tmp_path / "models"
    folder.mkdir()
    (folder / "mine.txt").write_text("mine")
    with pytest.raises(ModelError, match="models: it exists; name a new folder, or remove this one first"):
        install(signed, folder)
    assert [path.name for path in folder.iterdir()] == ["mine.txt"]
    (folder / "mine.txt").unlink()
    assert install(signed, folder).models("fp32")


def test_the_folder_above_must_exist(signed: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"there is no folder .*absent; make it first"):
        install(signed, tmp_path / "absent" / "models")


def test_loading_what_was_not_installed_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="there is no installed bundle"):
        load(tmp_path / "none")


def test_a_model_must_carry_the_spec_that_the_bundle_shows(parts: dict[str, bytes], tmp_path: Path) -> None:
    name = "models/tiny-face.spec.json"
    spec = json.loads(parts[name])
    parts[name] = json.dumps({**spec, "version": "9.9.9"}).encode()
    file = bundles.pack(tmp_path / "b.tar.zst", bundles.listed_anew(parts))
    with pytest.raises(ModelError, match=f"models/tiny-face.onnx carries another spec than {name}"):
        install(file, tmp_path / "models")
    parts[name] = json.dumps({**spec, "schema": 2}).encode()
    file = bundles.pack(tmp_path / "b.tar.zst", bundles.listed_anew(parts))
    with pytest.raises(SpecError, match="has a spec of schema 2, this vultus reads schema 1"):
        install(file, tmp_path / "models")
    assert list(tmp_path.iterdir()) == [file]


def test_the_packages_wait_until_a_bundle_is_read() -> None:
    code = (
        "import sys\nimport vultus.bundle.load, vultus.cli.verify\n"
        "print(*[name for name in ('cryptography', 'zstandard', 'onnx', 'onnxruntime') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
