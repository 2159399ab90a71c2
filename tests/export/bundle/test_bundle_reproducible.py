"""The same input gives the same bytes, wherever and whenever a bundle is made; and it appears whole or not at all."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import bundles
from vultus.errors import InputError, ModelError
from vultus_export.bundle.archive import write_bundle
from vultus_export.bundle.command import make_bundle
from vultus_export.bundle.signing import write_pair

CODE = """
import os, sys
from pathlib import Path
from vultus_export.bundle.command import make_bundle
os.umask(0o077)
make_bundle(Path("other-name.bin"), ["int8", "fp32"], [Path("m/tiny-detector.onnx")], Path(sys.argv[1]))
"""


def test_another_folder_time_name_process_and_zone_give_the_same_bytes(
    models: list[Path], tmp_path: Path
) -> None:
    secret, _ = write_pair(tmp_path / "k", bundles.KEY)
    here = make_bundle(tmp_path / "vultus-models.tar.zst", ["int8", "fp32"], [models[0]], secret).file
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(models[0].parent, elsewhere / "m", copy_function=shutil.copyfile)
    for file in (elsewhere / "m").rglob("*.*"):
        os.utime(file, (1_000_000_000, 1_000_000_000))
        file.chmod(0o600)
    environment = {**os.environ, "PYTHONHASHSEED": "1", "TZ": "Asia/Tokyo", "LC_ALL": "C"}
    command = [sys.executable, "-c", CODE, str(secret)]
    subprocess.run(command, cwd=elsewhere, env=environment, check=True)
    assert (elsewhere / "other-name.bin").read_bytes() == here.read_bytes()


def test_a_changed_input_gives_other_bytes(models: list[Path], tmp_path: Path) -> None:
    one = make_bundle(tmp_path / "one.tar.zst", models=models)
    models[0].with_suffix(".md").write_text("another card")
    two = make_bundle(tmp_path / "two.tar.zst", models=models)
    changed = {name for name, digest in one.verified.sums.items() if two.verified.sums[name] != digest}
    assert changed == {"models/tiny-detector.md", "sbom.cdx.json"}
    assert one.sha256 != two.sha256


def test_the_clock_of_the_build_may_be_given(
    models: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    file = make_bundle(tmp_path / "b.tar.zst", models=models).file
    assert b'"timestamp": "2023-11-14T22:13:20+00:00"' in bundles.parts_in(file)["sbom.cdx.json"]
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "yesterday")
    with pytest.raises(
        InputError, match="SOURCE_DATE_EPOCH is 'yesterday'; expected whole seconds since 1970"
    ):
        make_bundle(tmp_path / "b.tar.zst", models=models)


def test_a_bundle_replaces_an_older_one(models: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "b.tar.zst"
    out.write_text("old")
    made = make_bundle(out, models=models)
    assert out.stat().st_size == made.size > 3
    assert out.stat().st_mode & 0o077 == 0o077 & 0o666 & ~_umask()


def test_nothing_is_left_of_a_bundle_that_cannot_be_written(models: list[Path], tmp_path: Path) -> None:
    old = tmp_path / "b.tar.zst"
    old.write_text("old")
    parts = {"models/gone.onnx": models[0]}
    with pytest.raises(ModelError, match=r"bundle\.json is missing"):
        write_bundle(old, parts)
    models[0].unlink()
    with pytest.raises(
        ModelError, match=r"tiny-detector\.onnx, which belongs into the bundle, cannot be read: No such"
    ):
        write_bundle(old, parts)
    assert old.read_text() == "old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b.tar.zst", "models"]


def test_an_impossible_place_is_refused_before_the_work(models: list[Path], tmp_path: Path) -> None:
    for out in (tmp_path, tmp_path / "absent" / "b.tar.zst"):
        with pytest.raises(ModelError, match="it is a folder, or its folder does not exist"):
            make_bundle(out, models=models)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
