"""Parts of the first boot by themselves: children that hang or die, the lock, slots that were tampered with."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from stub_board import FIRSTBOOT

HEAD = """
import os, subprocess, sys, time
from pathlib import Path
from vultus_firstboot import FirstBootError
from vultus_firstboot.alone import alone, refuse_foreign
from vultus_firstboot.child import ended, heard
from vultus_firstboot.slots import Origin, Slots
folder = Path(sys.argv[1])

def told(call, *arguments):
    try:
        call(*arguments)
    except FirstBootError as error:
        print(error)
    else:
        print("nothing was raised")

def hold():
    with alone(folder):
        print("held")
"""


def run(folder: Path, code: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(FIRSTBOOT)}
    command = [sys.executable, "-c", HEAD + code, str(folder)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_children_are_heard_and_end_with_their_parent(tmp_path: Path) -> None:
    said = run(
        tmp_path,
        """
said = []
talk = "import sys; print('one'); print('two', file=sys.stderr); sys.exit(3)"
print(heard([sys.executable, "-u", "-c", talk], said.append, 30), said)
said.clear()
print(heard([sys.executable, "-c", talk], said.append, 30, quiet=True), said)
print(ended(heard(["sh", "-c", "kill -9 $$"], said.append, 30)))
print(ended(-6), ended(2), sep="; ")
told(heard, ["sh", "-c", "echo $$; exec sleep 60"], said.append, 1)
try:
    os.kill(int(said[-1]), 0)
except ProcessLookupError:
    print("gone")
""",
    )
    assert said.splitlines() == [
        "3 ['one', 'two']",
        "3 ['two']",
        "it was killed (signal 9), as the kernel does when memory runs out",
        "it was ended by signal 6; its exit status is 2",
        "sh -c echo $$; exec sleep 60 ... did not end within 1 s and was stopped",
        "gone",
    ]


def test_the_lock_stays_with_a_child_that_outlives_its_parent(tmp_path: Path) -> None:
    said = run(
        tmp_path,
        """
with alone(folder) as lock:
    child = subprocess.Popen(["sleep", "60"], pass_fds=[lock])
told(hold)
child.kill()
child.wait()
hold()
""",
    )
    assert said == f"another first boot is at work in {tmp_path}; wait until it has ended\nheld\n"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be the wrong user")
def test_root_leaves_a_folder_of_the_service_alone(tmp_path: Path) -> None:
    os.chown(tmp_path, 65534, 65534)
    said = run(tmp_path, "told(refuse_foreign, folder)")
    assert said.startswith(
        f"{tmp_path} belongs to user nobody, this is root, and what root builds that user could not"
    )


def test_a_link_that_leads_nowhere_known_is_no_slot(tmp_path: Path) -> None:
    said = run(
        tmp_path,
        """
slots = Slots(folder)
for link in (None, "a", "b", "c", "/elsewhere/a"):
    (folder / "current").unlink(missing_ok=True)
    if link:
        (folder / "current").symlink_to(link)
    print(link, slots.current, slots.spare)
(folder / ".current.new").symlink_to("left by a cut")
slots.switch("b")
print(os.readlink(folder / "current"), sorted(os.listdir(folder)))
slots.switch(None)
print(slots.current)
""",
    )
    assert said.splitlines() == [
        "None None a",
        "a a b",
        "b b a",
        "c None a",
        "/elsewhere/a None a",
        "b ['current']",
        "None",
    ]


def test_a_slot_keeps_what_is_named_and_nothing_else(tmp_path: Path) -> None:
    said = run(
        tmp_path,
        """
slots, slot = Slots(folder), folder / "a"
(slot / "sub").mkdir(parents=True)
for name in ("x.engine", "x.engine.json", ".y.engine.part", "slot.json", "sub/file"):
    (slot / name).write_text("{}")
slots.prepare("a", ["x.engine", "x.engine.json"], Origin("3767-0005", "15W"))
print(sorted(os.listdir(slot)), slots.record("a"))
""",
    )
    assert said == "['origin.json', 'x.engine', 'x.engine.json'] None\n"


def test_an_origin_is_compared_as_far_as_it_is_told(tmp_path: Path) -> None:
    said = run(
        tmp_path,
        """
for there, here in (("", "15W"), ("15W", ""), ("15W", "15W"), ("15W", "7W")):
    print(Origin("3767-0005", there).differs("3767-0005", here) or "fits")
print(Origin("3767-0005").differs("3701-0005", ""))
""",
    )
    assert said.splitlines() == [
        "fits",
        "fits",
        "fits",
        "built in power mode 15W, this is 7W, where other kernels may be the fastest",
        "built on module 3767-0005, this is 3701-0005, where other kernels may be the fastest",
    ]
