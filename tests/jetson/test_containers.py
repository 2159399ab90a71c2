"""The containers' files: linted where a linter is, and kept to what they promise, since no test builds them."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from jetson_image import JETSON, called
from linters import linter

CONTAINERS = JETSON / "containers"
DOCKERFILES = sorted(CONTAINERS.glob("Dockerfile.jetpack[0-9]"))
COMPOSE = CONTAINERS / "compose.yaml"
PLATFORMS = {"Dockerfile.jetpack6": ("jetpack-6.2", "cp310"), "Dockerfile.jetpack7": ("jetpack-7.2", "cp312")}


def stages(path: Path) -> list[list[str]]:
    """Return the instructions of each stage, comments dropped and continued lines joined."""
    text = re.sub(r"\\\n\s*", " ", re.sub(r"^#.*\n", "", path.read_text("utf-8"), flags=re.MULTILINE))
    found: list[list[str]] = [[]]
    for line in filter(None, text.splitlines()):
        if line.startswith("FROM "):
            found.append([])
        found[-1].append(line)
    return found[1:]


def test_there_is_one_for_each_jetpack() -> None:
    assert [path.name for path in DOCKERFILES] == list(PLATFORMS)


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.name)
def test_hadolint_finds_nothing(path: Path) -> None:
    done = called([linter("hadolint"), "--no-color", path])
    assert (done.returncode, done.stdout) == (0, ""), done.stdout


def test_hadolint_would_have_found_something(tmp_path: Path) -> None:
    bad = tmp_path / "Dockerfile"
    bad.write_text("FROM ubuntu\nRUN cd /tmp && apt-get install vim\n")
    assert called([linter("hadolint"), bad]).returncode == 1


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.name)
def test_promises_of_the_result(path: Path) -> None:
    tree, result = stages(path)
    platform, tag = PLATFORMS[path.name]
    assert f"--platform {platform} --offline" in " ".join(tree)
    assert tree[0].endswith(" AS tree")
    assert result[0] == "FROM ${BASE}"
    text = " ".join(result)
    users = [line for line in result if line.startswith("USER ")]
    assert users == ["USER 64000:64000"]
    for tool in ("pip", "-dev", "build-essential", "git ", "curl", "wget"):
        assert tool not in text.replace("/dev", ""), tool
    for tool in ("gcc", "make", "cmake"):
        assert f"! command -v {tool}" in text
    assert "COPY --from=tree /tree/opt/vultus /opt/vultus" in result
    assert result[-1] == 'CMD ["vultus", "service", "--config", "/etc/vultus/vultus.toml"]'
    ignored = (CONTAINERS / f"{path.name}.dockerignore").read_text().splitlines()
    assert ignored[0] == "*"
    assert f"!dist/wheelhouse/{tag}" in ignored


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.name)
def test_python_and_tensorrt_are_those_of_the_platform(path: Path) -> None:
    lines = (JETSON / "platforms.tsv").read_text().splitlines()
    head = lines[0].split("\t")
    rows = {
        row["platform"]: row for row in (dict(zip(head, line.split("\t"), strict=True)) for line in lines[1:])
    }
    row = rows[PLATFORMS[path.name][0]]
    text = path.read_text("utf-8")
    assert set(re.findall(r"python3=([\d.]+)\.\*", text)) == {row["python"]}
    assert set(re.findall(r"(?:r|=)(10\.\d+)\.", text)) == {row["tensorrt"]}
    assert f"FROM ubuntu:{row['ubuntu']} AS tree" in text


def test_compose_is_understood() -> None:
    linted = shutil.which("dclint")
    if linted is None and (
        shutil.which("docker") is None or called(["docker", "compose", "version"]).returncode
    ):
        pytest.skip("not on this machine: dclint, docker compose")
    done = called(
        [linted, "--quiet", COMPOSE] if linted else ["docker", "compose", "-f", COMPOSE, "config", "-q"]
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    "line",
    [
        "runtime: nvidia",
        'user: "64000:64000"',
        "read_only: true",
        "cap_drop: [ALL]",
        'security_opt: ["no-new-privileges:true"]',
        "network_mode: none",
        "restart: unless-stopped",
    ],
)
def test_compose_keeps(line: str) -> None:
    assert line in [text.strip() for text in COMPOSE.read_text("utf-8").splitlines()]
    assert "privileged: true" not in COMPOSE.read_text("utf-8")
