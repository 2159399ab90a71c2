"""install.sh on a running system: this machine behind an overlay, which throws every change away."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from jetson_install import Kit, make_kit
from jetson_rootfs import PLATFORMS

SYSTEM_PYTHON = Path("/usr/bin/python3.11")
# What a user leaves behind in the files of all users; the tools that make and remove it keep copies and a lock.
ACCOUNTS = {"passwd", "group", "shadow", "gshadow", "subuid", "subgid", ".pwd.lock"}
SCRIPT = """
set -euo pipefail
mount -t tmpfs tmpfs {scratch}
mkdir {scratch}/upper {scratch}/work {scratch}/merged
mount -t overlay overlay -o lowerdir=/,upperdir={scratch}/upper,workdir={scratch}/work {scratch}/merged
mount --bind /dev {scratch}/merged/dev
mount -t proc proc {scratch}/merged/proc
mount --bind {kit} {scratch}/merged/mnt
inside() {{ chroot {scratch}/merged "$@"; }}
export PATH=/mnt/shims:$PATH VULTUS_PLATFORMS=/mnt/jetson/platforms.tsv
install() {{ inside /mnt/jetson/install.sh --offline --wheelhouse /mnt/wheels "$@"; }}
install --platform debian-12
echo "says: $(inside /usr/local/bin/vultus)"
echo "user: $(inside getent passwd vultus | cut -d : -f 1,6)"
echo "compiled: $(find {scratch}/merged/opt/vultus -name 'cli*.pyc' | wc -l)"
echo "prefix: $(inside /opt/vultus/current/venv/bin/python -c 'import sys, vultus_firstboot; print(sys.prefix)')"
inside /opt/vultus/current/setup/install.sh --uninstall --purge
echo "left: $(cd {scratch}/upper && find . -type f -printf '%f ' -o -type l -printf '%f ')"
echo "user after: $(inside getent passwd vultus || true)"
"""


def _missing() -> str:
    if os.geteuid():
        return "an overlay over the running system needs root"
    if not SYSTEM_PYTHON.exists():
        return f"there is no {SYSTEM_PYTHON} (Debian 12's)"
    tools = [name for name in ("unshare", "systemd-sysusers", "getent") if shutil.which(name) is None]
    return f"there is no {', '.join(tools)}" if tools else ""


@pytest.fixture
def kit(tmp_path: Path) -> Kit:
    made = make_kit(tmp_path / "kit", pins="cp311.txt")
    shutil.copy(PLATFORMS, made.folder)
    shims = tmp_path / "kit/shims"
    shims.mkdir()
    # The wheels are of another machine and are not run; what is tested is the work on a running system.
    (shims / "uname").write_text("#!/bin/sh\necho aarch64\n")
    (shims / "uname").chmod(0o755)
    return made


def test_a_running_system_is_installed_and_left_as_it_was(kit: Kit, tmp_path: Path) -> None:
    if reason := _missing():
        pytest.skip(reason)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    script = SCRIPT.format(scratch=scratch, kit=kit.folder.parent)
    command = ["unshare", "--mount", "bash", "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    if "mount:" in done.stderr:
        pytest.skip(f"no overlay can be mounted here: {done.stderr.strip().splitlines()[0]}")
    assert done.returncode == 0, done.stderr
    said = dict(line.split(": ", 1) for line in done.stdout.splitlines() if ": " in line)
    assert said["says"] == "vultus 1.0.0"
    assert said["user"] == "vultus:/var/lib/vultus"
    assert int(said["compiled"]) >= 2, "a running board compiles, so that its service starts quickly"
    assert said["prefix"] == "/opt/vultus/current/venv"
    assert said["user after"] == ""
    assert {name.rstrip("-") for name in said["left"].split()} <= ACCOUNTS
