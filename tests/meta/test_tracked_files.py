"""What is under version control: nothing large, nothing of anyone's machine, links that lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from repository import ROOT, tracked_files

LARGEST = 10_000_000

# Written in parts, so that this file does not hold what it forbids.
MACHINE = re.compile(
    r"(?<![\w.])/(?:" + "|".join(("wo" + "rk", "ro" + "ot", "ho" + "me/[a-z]")) + r")/" + r"|\.\./sha" + "red"
)
INDEX = re.compile(r"https?://([^/\s\"'>]+)/(?:[^\s\"'>]*/)?simple\b")
PUBLIC_INDEXES = {"pypi.org", "download.pytorch.org"}
LINK = re.compile(r"(?<!!)\[[^\]\[]*\]\(([^)\s]+)(?:\s+\"[^\"]*\")?\)|!\[[^\]]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)


def texts() -> dict[Path, str]:
    found = {}
    for path in tracked_files():
        data = path.read_bytes()
        if b"\0" not in data[:8000]:
            found[path] = data.decode("utf-8", "replace")
    return found


def test_no_file_is_large() -> None:
    large = {str(path.relative_to(ROOT)): path.stat().st_size for path in tracked_files()}
    assert {name: size for name, size in large.items() if size > LARGEST} == {}


@pytest.mark.parametrize(
    ("line", "forbidden"),
    [
        ("/wo" + "rk/main", True),
        ("cd /ro" + "ot/x", True),
        ("../sha" + "red/data", True),
        ("network/work/of", False),
        ("~/work", False),
    ],
)
def test_machine_paths_are_recognised(line: str, forbidden: bool) -> None:
    assert bool(MACHINE.search(line)) == forbidden


def test_no_file_names_a_place_on_someones_machine() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path, text in texts().items()
        for number, line in enumerate(text.splitlines(), 1)
        if MACHINE.search(line)
    ]
    assert found == []


def test_only_public_package_indexes_are_named() -> None:
    named = {match[1] for text in texts().values() for match in INDEX.finditer(text)}
    assert named <= PUBLIC_INDEXES


def slug(heading: str) -> str:
    """Return the anchor of a heading as code hosts make it."""
    bare = re.sub(r"[`*_]|\[([^\]]*)\]\([^)]*\)", r"\1", heading).strip().lower()
    return re.sub(r"\s", "-", re.sub(r"[^\w\s-]", "", bare))


def anchors(text: str) -> set[str]:
    return {slug(match[1]) for match in re.finditer(r"^#+\s+(.*)$", FENCE.sub("", text), re.MULTILINE)}


def broken_links(page: Path, text: str, files: set[Path]) -> list[str]:
    """Return the links of a page that lead to no tracked file, folder or heading."""
    broken = []
    for match in LINK.finditer(FENCE.sub("", text)):
        link = match[1] or match[2]
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        there = target in files or any(target in file.parents for file in files)
        if not there or (anchor and anchor not in anchors(target.read_text(encoding="utf-8"))):
            broken.append(f"{page.name}: {link}")
    return broken


def test_broken_links_are_seen() -> None:
    page = ROOT / "page.md"
    text = "# A `b` heading\n[x](#a-b-heading) [y](#none) [z](gone.md) ![i](https://a.b/c.png)\n```\n[c](code.md)\n```\n"
    assert anchors(text) == {"a-b-heading"}
    page_files = {page}
    assert broken_links(page, text.replace("[x](#a-b-heading) [y](#none) ", ""), page_files) == [
        "page.md: gone.md"
    ]


def test_every_relative_link_leads_somewhere() -> None:
    files = set(tracked_files())
    pages = {path: text for path, text in texts().items() if path.suffix == ".md"}
    assert [fault for path, text in pages.items() for fault in broken_links(path, text, files)] == []
