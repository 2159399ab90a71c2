"""HTML in which everything is escaped that was not made here. It is well-formed XML too, so any parser reads it."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Sequence

__all__ = ["Html", "clean", "element", "join", "listing", "table"]

# What XML forbids: control characters, surrogates and the two that are no characters.
FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
VOID = {"meta", "br", "hr"}


class Html(str):
    """Markup that is fit to stand in a page as it is."""

    __slots__ = ()


def clean(text: str) -> str:
    """Return a text without characters that no page may hold."""
    return FORBIDDEN.sub("\ufffd", text)


def element(name: str, *children: str, **attributes: str) -> Html:
    """Return an element. Children are escaped unless they are Html; attributes are named as class_ or aria_label."""
    told = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{html.escape(clean(value))}"'
        for key, value in attributes.items()
    )
    return Html(f"<{name}{told}/>" if name in VOID else f"<{name}{told}>{join(children)}</{name}>")


def join(children: Iterable[str]) -> Html:
    """Return pieces behind each other, escaped unless they are Html."""
    return Html(
        "".join(child if isinstance(child, Html) else html.escape(clean(child)) for child in children)
    )


def listing(entries: Iterable[str], **attributes: str) -> Html:
    """Return a list of points."""
    return element("ul", *(element("li", entry) for entry in entries), **attributes)


def table(caption: str, head: Sequence[str], rows: Iterable[Sequence[str]], class_: str = "") -> Html:
    """Return a table whose first column heads its rows. A row that begins with an empty text goes with the last one."""
    titles = element("tr", *(element("th", title, scope="col") for title in head))
    body = (
        element("tr", element("th", row[0], scope="row"), *(element("td", cell) for cell in row[1:]))
        for row in rows
    )
    made = element(
        "table",
        element("caption", caption),
        element("thead", titles),
        element("tbody", *body),
        class_=class_ or "plain",
    )
    # Wide tables scroll by themselves; the focus lets the keyboard do it too.
    return element("div", made, class_="scroll", tabindex="0", role="region", aria_label=caption)
