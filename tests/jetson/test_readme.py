"""The page that leads to a working board: its lines run where no board is needed, and what it names exists."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from jetson_image import JETSON, TREE, board_root, called, need, need_root
from jetson_install import make_kit

PAGE = (JETSON / "README.md").read_text("utf-8")
MARK = re.compile(r"\s+# ((?:network|NVIDIA|board)(?:, (?:network|NVIDIA|board))*)$")
HERE = (".venv/bin/", "export ", "jetson/", "sudo -E jetson/")
SCRIPTS = ("install.sh", "wheelhouse.sh", "make_overlay.sh", "apply_overlay.sh", "make_deb.sh", "power.sh")
BOARDS = ("jetson-orin-nano-devkit", "jetson-agx-orin-devkit", "jetson-agx-thor-devkit")


def commands() -> list[str]:
    """Return every line of the blocks of commands."""
    blocks = re.findall(r"^```bash\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    return [line for block in blocks for line in block.splitlines() if line]


def plain() -> list[str]:
    """Return the lines that take nothing but this repository."""
    return [line for line in commands() if not MARK.search(line)]


def test_marks_are_told_at_the_head() -> None:
    told = set(re.findall(r"^\| `# (\w+)` \|", PAGE, re.MULTILINE))
    used = {mark for line in commands() if (found := MARK.search(line)) for mark in found[1].split(", ")}
    assert told == used


def test_whatever_is_not_of_this_repository_is_marked() -> None:
    assert len(plain()) >= 6
    for line in plain():
        assert line.startswith(HERE), line


def test_lines_for_a_host_run_in_their_order(tmp_path: Path) -> None:
    need("dpkg-deb", "systemd-sysusers", "tar", "zstd")
    need_root()
    kit = make_kit(tmp_path)
    for name in ("make_overlay.sh", "apply_overlay.sh", "make_deb.sh"):
        shutil.copy(JETSON / name, kit.folder)
    shutil.copytree(JETSON / "deb", kit.folder / "deb")
    (kit.folder / "dist" / "wheelhouse").mkdir(parents=True)
    kit.wheels.rename(kit.folder / "dist" / "wheelhouse" / "cp310")
    (tmp_path / ".venv").symlink_to(sys.prefix)
    sudo = tmp_path / "bin" / "sudo"
    sudo.parent.mkdir()
    sudo.write_text('#!/bin/sh\n[ "$1" != -E ] || shift\nexec "$@"\n')
    sudo.chmod(0o755)
    root = board_root(tmp_path / "Linux_for_Tegra" / "rootfs")
    environment = {
        **os.environ,
        "PATH": f"{sudo.parent}:{os.environ['PATH']}",
        "SOURCE_DATE_EPOCH": "1700000000",
    }
    script = "set -eu\n" + "\n".join(plain())
    done = subprocess.run(
        ["bash", "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert (root / "opt/vultus/current").resolve().is_dir()
    assert list((root / "opt/vultus/models/models").glob("*-fp16.onnx"))
    assert list((root / "opt/vultus/models/models").glob("*-s.onnx"))
    assert "is signed by key" in done.stdout
    made = sorted(path.name for path in (tmp_path / "dist").glob("*.deb"))
    assert made == ["vultus-models_1.0.0_all.deb", "vultus_1.0.0+cp310_arm64.deb"]


@pytest.mark.parametrize("script", SCRIPTS)
def test_options_are_those_of_the_script(script: str) -> None:
    told = called([JETSON / script, "--help"]).stdout
    lines = [line for line in commands() if f"/{script}" in line]
    used = {word for line in lines for word in re.findall(r"(?<= )--[a-z-]+", MARK.sub("", line))}
    assert lines
    assert {word for word in used if word not in told} == set()


@pytest.mark.parametrize("target", sorted(set(re.findall(r"\]\(([^)#:]+)\)", PAGE))))
def test_links_lead_somewhere(target: str) -> None:
    assert (JETSON / target).exists()


@pytest.mark.parametrize(
    "name", ["/opt/vultus/engine-cache", "/var/lib/vultus/ready", "vultus-firstboot.service"]
)
def test_names_are_those_of_the_programs(name: str) -> None:
    sources = [*TREE.rglob("*.service"), *(JETSON / "firstboot").rglob("*.py")]
    assert name in PAGE
    assert any(name.removeprefix("/") in path.read_text("utf-8") or path.name == name for path in sources)


def test_platforms_are_those_of_the_table() -> None:
    lines = (JETSON / "platforms.tsv").read_text("utf-8").splitlines()
    head = lines[0].split("\t")
    rows = {
        row["platform"]: row for row in (dict(zip(head, line.split("\t"), strict=True)) for line in lines[1:])
    }
    table = PAGE[PAGE.index("## JetPack 6 and 7") :]
    for column, name in ((1, "jetpack-6.2"), (2, "jetpack-7.2")):
        cells = {
            line.split("|")[1].strip(): line.split("|")[1 + column]
            for line in table.splitlines()
            if "|" in line
        }
        row = rows[name]
        assert cells["Python"].strip() == row["python"]
        assert cells["CUDA, TensorRT"].strip() == f"{row['cuda']}, {row['tensorrt']}"
        assert f"Ubuntu {row['ubuntu']}," in cells["system"]
        assert cells["Jetson Linux"].strip() == row["l4t"].replace("-", " to ")


def test_every_board_has_its_line_on_each_jetpack() -> None:
    flashing = PAGE[PAGE.index("## 4. Flash") : PAGE.index("## 5.")]
    six, seven = flashing[: flashing.index("JetPack 7.2:")], flashing[flashing.index("JetPack 7.2:") :]
    lines = {
        part: re.findall(r"^\| ([^|]+) \| (\w+) \| `(sudo [^`]+)` \|$", part, re.MULTILINE)
        for part in (six, seven)
    }
    assert [(board, disk) for board, disk, _ in lines[six]] == [
        ("Orin Nano, Orin NX", "NVMe"),
        ("AGX Orin", "eMMC"),
        ("AGX Orin", "NVMe"),
    ]
    assert [(board, disk) for board, disk, _ in lines[seven]][-1] == ("AGX Thor", "NVMe")
    for _, disk, command in lines[six] + lines[seven]:
        assert any(board in command for board in BOARDS)
        assert command.endswith(("internal", "external"))
        assert disk == "NVMe" or "nvme" not in command


def test_nothing_claims_a_board() -> None:
    assert "Nothing on this page has run on a Jetson yet." in PAGE
    assert "Every line of both tables needs a board." in PAGE
