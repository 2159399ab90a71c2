"""A page as a test sees it: a tree of elements, its ids, its links and everything that it would fetch."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from html.parser import HTMLParser

__all__ = ["fetched", "ids", "open_elements", "text_of", "tree"]

FETCHING = {"src", "srcset", "href", "action", "data", "poster", "background", "formaction", "cite"}
URL = re.compile(r"url\(\s*['\"]?([^)'\"]+)|@import\s+([^;]+)", re.IGNORECASE)


def tree(page: str) -> ElementTree.Element:
    """Return the elements of a page, which must be well-formed."""
    return ElementTree.fromstring(page)


def text_of(page: str) -> str:
    """Return all text of a page."""
    return " ".join("".join(tree(page).itertext()).split())


def ids(page: str) -> list[str]:
    """Return the ids of all elements."""
    return [element.attrib["id"] for element in tree(page).iter() if "id" in element.attrib]


def fetched(page: str) -> list[str]:
    """Return every reference that leads out of the page, whatever would follow it."""
    return [found for found in _references(tree(page)) if not found.strip().startswith("#")]


def _references(root: ElementTree.Element) -> Iterator[str]:
    for element in root.iter():
        bare = element.tag.split("}")[-1]
        if bare in ("script", "link", "iframe", "object", "embed", "img", "base"):
            yield f"<{bare}>"
        for key, value in element.attrib.items():
            if key.split("}")[-1].lower() in FETCHING:
                yield value
            yield from (one or other for one, other in URL.findall(value))
        if bare == "style":
            yield from (one or other for one, other in URL.findall(element.text or ""))


class _Open(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.stack: list[str] = []
        self.wrong: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag not in ("meta", "br", "hr"):
            self.stack.append(tag)

    def handle_startendtag(self, tag: str, attrs: object) -> None:
        """Ends where it begins."""

    def handle_endtag(self, tag: str) -> None:
        if not self.stack or self.stack.pop() != tag:
            self.wrong.append(tag)


def open_elements(page: str) -> list[str]:
    """Return the elements that a reader of HTML finds not closed, or closed where they are not open."""
    parser = _Open()
    parser.feed(page)
    parser.close()
    return parser.stack + parser.wrong
