"""`vultus models verify` and `vultus models install`, run as commands."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

import bundles
from vultus.cli.verify import install_bundle, verify_bundle

app = typer.Typer()
app.command("verify")(verify_bundle)
app.command("install")(install_bundle)


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_verify_tells_the_models_and_the_signer(signed: Path, public: Path) -> None:
    done = run("verify", signed, "--key", public)
    assert done.exit_code == 0
    told = " ".join(done.stdout.split())
    assert "tiny-detector" in told
    assert f"all 14 files are as they were made; signed by key {bundles.KEY_NAME} (vultus bundle)" in told


def test_verify_without_a_key_promises_no_more_than_it_checked(signed: Path) -> None:
    done = run("verify", signed)
    assert done.exit_code == 0
    assert "was not checked: give --key FILE" in " ".join(done.stdout.split())


def test_verify_of_an_unsigned_bundle_says_so(parts: dict[str, bytes], tmp_path: Path) -> None:
    del parts["SHA256SUMS.minisig"]
    done = run("verify", bundles.pack(tmp_path / "b.tar.zst", parts))
    assert done.exit_code == 0
    assert "not signed, so anybody may have made it" in " ".join(done.stdout.split())


def test_verify_answers_in_json(signed: Path, public: Path) -> None:
    answer = json.loads(run("verify", signed, "--key", public, "--json").stdout)
    assert answer["authentic"] is True
    assert answer["key"] == bundles.KEY_NAME
    assert [model["name"] for model in answer["models"]] == ["tiny-detector", "tiny-detector", "tiny-face"]
    assert "models/tiny-face.onnx" in answer["files"]


@pytest.mark.parametrize("command", ["verify", "install"])
def test_a_changed_bundle_ends_with_one_line_and_exit_code_4(
    parts: dict[str, bytes], tmp_path: Path, command: str
) -> None:
    parts["models/tiny-face.onnx"] += b"x"
    file = bundles.pack(tmp_path / "b.tar.zst", parts)
    done = run(command, file, *([tmp_path / "models"] if command == "install" else []))
    assert done.exit_code == 4
    assert "models/tiny-face.onnx was changed or damaged" in " ".join(done.stderr.split())
    assert "Traceback" not in done.output
    assert not (tmp_path / "models").exists()


def test_install_makes_a_folder_that_verifies(signed: Path, public: Path, tmp_path: Path) -> None:
    assert run("install", signed, tmp_path / "models", "--key", public).exit_code == 0
    assert run("verify", tmp_path / "models", "--key", public).exit_code == 0
