"""`vultus-export bundle` and `bundle-key`, run as commands, and what the device makes of the result."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

import bundles
from vultus.bundle.verify import verify_bundle
from vultus_export.bundle.command import bundle, bundle_key

app = typer.Typer()
app.command("bundle")(bundle)
app.command("bundle-key")(bundle_key)


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_from_key_to_verified_bundle(models: list[Path], tmp_path: Path) -> None:
    made = run("bundle-key", "--out", tmp_path / "mine")
    assert made.exit_code == 0
    assert "mine.key is secret (without password" in made.stdout
    out = tmp_path / "b.tar.zst"
    done = run(
        "bundle", "--precision", "int8", "--models", models[0], "--out", out, "--key", tmp_path / "mine.key"
    )
    assert done.exit_code == 0, done.output
    verified = verify_bundle(out, tmp_path / "mine.pub")
    assert [(model.name, model.precision) for model in verified.manifest.models] == [
        ("tiny-detector", "int8")
    ]
    assert verified.signature is not None
    assert f"signed by key {verified.signature.key_name}" in done.stdout
    assert "models/tiny-detector-int8.onnx" in done.stdout


def test_a_bundle_without_a_key_says_that_it_is_not_signed(models: list[Path], tmp_path: Path) -> None:
    done = run("bundle", "--models", models[0], "--models", models[2], "--out", tmp_path / "b.tar.zst")
    assert done.exit_code == 0, done.output
    assert "not signed (--key SECRET signs it)" in done.stdout
    assert len(verify_bundle(tmp_path / "b.tar.zst").manifest.models) == 2


def test_a_missing_precision_ends_with_one_line(models: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "b.tar.zst"
    done = run("bundle", "--precision", "fp16,int8", "--models", models[0], "--out", out)
    assert done.exit_code == 1
    assert done.stderr.startswith("error: there is no fp16 file of tiny-detector 1.0.0")
    assert "make it: vultus-export quantize" in done.stderr
    assert done.stderr.count("\n") == 1
    assert not out.exists()


def test_a_password_comes_from_the_environment(
    models: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VULTUS_BUNDLE_PASSWORD", "correct horse")
    assert "protected by your password" in run("bundle-key", "--out", tmp_path / "mine").stdout
    order = ["bundle", "--models", models[0], "--out", tmp_path / "b.tar.zst", "--key", tmp_path / "mine.key"]
    assert run(*order).exit_code == 0
    monkeypatch.delenv("VULTUS_BUNDLE_PASSWORD")
    refused = run(*order)
    assert refused.exit_code == 1
    assert "is protected by a password" in refused.stderr


def test_a_public_key_cannot_sign(models: list[Path], tmp_path: Path) -> None:
    public = bundles.public_key(tmp_path)
    done = run("bundle", "--models", models[0], "--out", tmp_path / "b.tar.zst", "--key", public)
    assert done.exit_code == 1
    assert "is not a secret key of minisign" in done.stderr


def test_a_key_pair_is_not_overwritten(tmp_path: Path) -> None:
    assert run("bundle-key", "--out", tmp_path / "mine").exit_code == 0
    done = run("bundle-key", "--out", tmp_path / "mine")
    assert done.exit_code == 1
    assert "a key is never overwritten" in done.stderr
