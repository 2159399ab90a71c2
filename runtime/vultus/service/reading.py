"""TOML text -> Config: each value held against what its field takes, each problem with its line and key."""

from __future__ import annotations

import difflib
import hashlib
import re
import shlex
import sys
from collections.abc import Iterator, Mapping
from dataclasses import Field, fields
from pathlib import Path
from typing import Any, TypeVar, get_args, get_type_hints

from vultus.service.config import (
    CONFIG_SCHEMA,
    Config,
    ConfigError,
    Health,
    Models,
    Output,
    Problem,
    Run,
    Source,
)
from vultus.service.lines import line_of

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["config_from_text", "read_config"]

T = TypeVar("T")
Place = tuple[str | int, ...]
"""Keys and positions that lead to a value: ("output", 1, "path")."""

TABLES: dict[str, type] = {"source": Source, "models": Models, "run": Run, "output": Output, "health": Health}
WAYS = ("path", "url", "gstreamer")
_AT = re.compile(r" ?\(at line (\d+), column (\d+)\)| ?\(at end of document\)")


def read_config(path: Path) -> Config:
    """Read and check a configuration; every problem in it is found at once.

    Raises ConfigError when it cannot be read or does not hold what is expected.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        mend = (
            "make it, or name another file" if isinstance(error, FileNotFoundError) else "name another file"
        )
        said = f"cannot be read: {error.strerror}; {mend}"
        raise ConfigError(str(path), [Problem(0, "", said)]) from error
    return config_from_text(data, str(path), hashlib.sha256(data).hexdigest())


def config_from_text(data: bytes, where: str, sha256: str = "") -> Config:
    """Return the configuration that TOML text holds; raises ConfigError with every problem in it."""
    text, values = _parsed(data, where)
    found = list(_top_problems(values))
    parts: dict[str, Any] = {}
    for name, kind in TABLES.items():
        if name in values:
            parts[name] = (
                _several(values[name], name, found)
                if name == "output"
                else _one(kind, values[name], (name,), found)
            )
    if found:
        problems = [Problem(line_of(text, place), _shown(place), said) for place, said in found]
        raise ConfigError(where, sorted(problems, key=lambda problem: problem.line))
    return Config(**parts, sha256=sha256)


def _parsed(data: bytes, where: str) -> tuple[str, dict[str, Any]]:
    try:
        text = data.decode("utf-8")
        return text, tomllib.loads(text)
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise ConfigError(where, [Problem(line, "", "is not UTF-8 text; save the file as UTF-8")]) from error
    except tomllib.TOMLDecodeError as error:
        found = _AT.search(str(error))
        line = int(found[1]) if found and found[1] else text.count("\n") + 1
        said = f"is not TOML: {_AT.sub('', str(error))}"
        raise ConfigError(where, [Problem(line, "", said)]) from error


def _top_problems(values: Mapping[str, Any]) -> Iterator[tuple[Place, str]]:
    """Yield what is wrong with the schema and the names of the tables."""
    schema = values.get("schema")
    if schema is None:
        yield ("schema",), f"is missing; write schema = {CONFIG_SCHEMA} at the beginning"
    elif schema != CONFIG_SCHEMA or isinstance(schema, bool):
        yield (
            ("schema",),
            f"is {schema!r}, this vultus reads schema {CONFIG_SCHEMA}; install the matching vultus",
        )
    if "source" not in values:
        yield ("source",), f"is missing; write a table [source] with one of {', '.join(WAYS)}"
    for name in set(values) - set(TABLES) - {"schema"}:
        yield (name,), _unknown(name, TABLES)


def _several(tables: Any, name: str, found: list[tuple[Place, str]]) -> tuple[Output, ...]:
    if not isinstance(tables, list):
        found.append(((name,), f"must be written [[{name}]], once for each output"))
        return ()
    made = [_one(Output, table, (name, index), found) for index, table in enumerate(tables)]
    outputs = [output for output in made if output is not None]
    for index, output in enumerate(outputs):
        if any(output.path == other.path for other in outputs[:index]):
            found.append(
                ((name, index, "path"), f"{output.path!r} is the path of an output above; give it another")
            )
    return tuple(outputs)


def _one(kind: type[T], table: Any, place: Place, found: list[tuple[Place, str]]) -> T | None:
    """Return a table as its dataclass, None after its problems were added to `found`."""
    if not isinstance(table, dict):
        found.append((place, f"must be a table, written [{place[0]}], not {_told(table)}"))
        return None
    known = {key.name: key for key in fields(kind)}  # type: ignore[arg-type]
    news: list[tuple[Place, str]] = [
        ((*place, name), _unknown(name, known)) for name in table.keys() - known.keys()
    ]
    hints = get_type_hints(kind)
    values = {}
    for name, key in known.items():
        said, value = _value(table, key, hints[name])
        values[name] = value
        if said:
            news.append(((*place, name), said))
    if kind is Source:
        news += _odd_ways(table, place)
    made = kind(**values)
    news += [] if news else [((*place, *where), said) for where, said in _odd_together(made)]
    found += news
    return None if news else made


def _value(table: dict[str, Any], key: Field[Any], hint: Any) -> tuple[str, Any]:
    """Return what is wrong with a value, and the value."""
    import msgspec

    takes = key.metadata["takes"]
    optional = key.default is not None or type(None) in get_args(hint)
    if key.name not in table:
        return ("" if optional else f"is missing; expected {takes}"), key.default
    given = table[key.name]
    try:
        value = msgspec.convert(given, hint)
        return ("" if key.metadata["fits"](value) else f"got {_told(given)}, expected {takes}"), value
    except msgspec.ValidationError:
        return f"got {_told(given)}, expected {takes}", key.default


def _told(given: Any) -> str:
    """Return a value as it is shown, without what may be the user and password of an address, however misspelt."""
    shown = repr(given)
    return shown if "@" not in shown else f"{shown[:1]}***{shown[shown.rindex('@') :]}"


def _odd_together(made: object) -> Iterator[tuple[Place, str]]:
    """Yield what is wrong with values that are right by themselves."""
    if isinstance(made, Source):
        yield from _odd_source(made)
    if isinstance(made, Output) and made.kind == "socket":
        for name in ("max_mib", "keep"):
            if getattr(made, name) is not None:
                yield (name,), 'is for kind = "jsonlines" alone; leave it out'


def _odd_ways(table: Mapping[str, Any], place: Place) -> Iterator[tuple[Place, str]]:
    given = [name for name in WAYS if name in table]
    if len(given) != 1:
        said = f"expected exactly one of {', '.join(WAYS)}; got {', '.join(given) or 'none'}"
        yield (*place, *given[1:2]), said


def _odd_source(source: Source) -> Iterator[tuple[Place, str]]:
    if source.loop and source.path is None:
        yield ("loop",), "is for files and folders alone, which end; leave it out"
    if source.gstreamer is None:
        if source.colour is not None:
            yield ("colour",), "is for gstreamer alone, whose frames do not say theirs; leave it out"
        return
    try:
        shlex.split(source.gstreamer)
    except ValueError as error:
        yield ("gstreamer",), f"its quotes do not match: {error}; write it as for a shell"
    if source.pixels is None:
        yield (
            ("gstreamer",),
            'its frames come without a size; add size = "WIDTHxHEIGHT" as its camera gives it',
        )
    elif source.pixels[0] % 2 or source.pixels[1] % 2:
        yield ("size",), f"{source.size} is odd; frames of gstreamer come as NV12, whose sides are even"


def _unknown(name: str, known: Mapping[str, Any]) -> str:
    near = difflib.get_close_matches(name, known, 1)
    said = f"did you mean {near[0]}?" if near else f"expected one of {', '.join(known)}"
    return f"is unknown; {said}"


def _shown(place: Place) -> str:
    text = ""
    for part in place:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text
