"""/etc/vultus/vultus.toml as plain values: what to look at, with which models, where to tell.

Every value says in one clause what it takes; `vultus.service.reading` holds a file against that.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from vultus.errors import InputError
from vultus.types import ATTRIBUTES

__all__ = [
    "CONFIG_SCHEMA",
    "Config",
    "ConfigError",
    "Health",
    "Models",
    "Output",
    "Problem",
    "Run",
    "Source",
]

CONFIG_SCHEMA = 1
LARGEST = 16384


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with a configuration. line: from 1, 0 for the file as a whole."""

    line: int
    key: str
    text: str


class ConfigError(InputError):
    """A configuration that cannot be used; its text is one line a problem, `FILE:LINE: KEY: what is wrong`."""

    def __init__(self, file: str, problems: list[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__(
            "\n".join(
                ": ".join(filter(None, (f"{file}:{p.line}" if p.line else file, p.key, p.text)))
                for p in self.problems
            )
        )


def _key(takes: str, default: Any, fits: Callable[[Any], bool] = lambda value: True) -> Any:
    """Return a field that says what it takes; `fits` is asked about values of the right type alone."""
    return field(default=default, metadata={"takes": takes, "fits": fits})


def _filled(value: str) -> bool:
    return bool(value.strip()) and "\0" not in value


def _above_zero(value: float) -> bool:
    return 0 < value < float("inf")


def _is_size(value: str) -> bool:
    sides = value.split("x")
    return len(sides) == 2 and all(s.isascii() and s.isdecimal() and 0 < int(s) <= LARGEST for s in sides)


def _are_attributes(value: object) -> bool:
    return value == "all" if isinstance(value, str) else set(value) <= set(ATTRIBUTES)  # type: ignore[call-overload]


@dataclass(frozen=True)
class Source:
    """Where frames come from: exactly one of path, url and gstreamer."""

    path: str | None = _key("a file, a folder of pictures or a device such as /dev/video0", None, _filled)
    url: str | None = _key(
        'an address such as "rtsp://camera/stream"', None, lambda value: "://" in value and _filled(value)
    )
    gstreamer: str | None = _key("a pipeline for gst-launch-1.0 without its sink", None, _filled)
    size: str | None = _key('a size such as "1280x720"', None, _is_size)
    rate: float | None = _key("frames a second above 0", None, _above_zero)
    loop: bool = _key("true or false", False)
    colour: Literal["bt601", "bt601-full", "bt709", "bt709-full"] | None = _key(
        '"bt601", "bt601-full", "bt709" or "bt709-full"', None
    )

    @property
    def pixels(self) -> tuple[int, int] | None:
        """Width and height that are asked for."""
        if self.size is None:
            return None
        width, height = self.size.split("x")
        return int(width), int(height)


@dataclass(frozen=True)
class Models:
    """Which models.

    folder: where they lie; by default the installed bundle, else those of the package. detector, face: names; by
    default those that the package uses, or the only ones of the folder.
    """

    folder: str | None = _key("a folder of models, such as an installed bundle", None, _filled)
    detector: str | None = _key("the name of a detector", None, _filled)
    face: str | None = _key('the name of a face network, or "none"', None, _filled)
    precision: Literal["fp32", "fp16", "int8"] = _key('"fp32", "fp16" or "int8"', "fp16")


@dataclass(frozen=True)
class Run:
    """How to run them. cpu_until_ready: on the CPU while there are no engines, or wait for the engines."""

    device: Literal["auto", "cpu", "cuda"] = _key('"auto", "cpu" or "cuda"', "auto")
    cpu_until_ready: bool = _key("true or false", True)
    attributes: Literal["all"] | tuple[str, ...] = _key(
        f'"all" or a list of {", ".join(ATTRIBUTES)}', "all", _are_attributes
    )
    min_score: float | None = _key("a number above 0 and below 1", None, lambda value: 0 < value < 1)
    threads: int | None = _key("a whole number of CPU threads from 1 on", None, lambda value: value >= 1)


@dataclass(frozen=True)
class Output:
    """Where one JSON line a frame goes. max_mib, keep: of kind jsonlines, 64 and 4 when they are not given."""

    kind: Literal["jsonlines", "socket"] = _key('"jsonlines" or "socket"', None)
    path: str = _key("a file name", None, _filled)
    max_mib: float | None = _key("MiB above 0, after which a new file is begun", None, _above_zero)
    keep: int | None = _key("how many full files are kept, from 0 on", None, lambda value: value >= 0)


@dataclass(frozen=True)
class Health:
    """What the service must reach to be well. stall_s: longest time without a frame."""

    power_mode: str | None = _key('the name of a power mode, such as "15W"', None, _filled)
    least_fps: float | None = _key("frames a second above 0", None, _above_zero)
    stall_s: float = _key("seconds above 0", 10.0, _above_zero)


@dataclass(frozen=True)
class Config:
    """A whole configuration. sha256: of the file that it was read from, empty where there was none."""

    source: Source
    models: Models = field(default_factory=Models)
    run: Run = field(default_factory=Run)
    output: tuple[Output, ...] = ()
    health: Health = field(default_factory=Health)
    schema: int = CONFIG_SCHEMA
    sha256: str = ""
