"""`vultus run`: pictures in; a table, JSON Lines and drawings out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from vultus.cli.console import ExitCode, clean_exit, error_console, output_console, say
from vultus.errors import InputError, SinkError, SourceError
from vultus.words import counted

if TYPE_CHECKING:
    from vultus.pipeline import Analyzer
    from vultus.sinks import Sink
    from vultus.types import Frame, Result

__all__ = ["Device", "run"]

FEW = 4  # up to so many pictures, each gets a table


class Device(str, Enum):
    """What the models may run on."""

    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"


@dataclass
class _Tally:
    """What a run adds up to."""

    pictures: int = 0
    faces: int = 0
    failed: int = 0
    milliseconds: Counter[str] = field(default_factory=Counter)
    ran_on: dict[str, list[str]] = field(default_factory=dict)

    def add(self, result: Result) -> None:
        self.pictures += 1
        self.faces += len(result.faces)
        self.milliseconds.update(result.milliseconds)
        for stage, device in result.ran_on.items():
            stages = self.ran_on.setdefault(device, [])
            if stage not in stages:
                stages.append(stage)

    def lines(self) -> Iterator[str]:
        failed = f", {self.failed} failed" if self.failed else ""
        counts = f"{counted(self.pictures, 'picture')}, {counted(self.faces, 'face')}{failed}"
        if not self.pictures:
            yield counts
            return
        mean = {stage: total / self.pictures for stage, total in self.milliseconds.items()}
        stages = ", ".join(f"{stage} {value:.1f}" for stage, value in mean.items())
        yield f"{counts}; {sum(mean.values()):.1f} ms a picture ({stages})"
        for device, names in self.ran_on.items():
            yield f"{' and '.join(names)} ran on {device}"


def run(
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="SOURCE",
            help="Files, folders (with their subfolders), globs, or - for file names on standard input.",
        ),
    ],
    json_file: Annotated[
        str | None,
        typer.Option("--json", metavar="FILE", help="Write one JSON line a picture; - for standard output."),
    ] = None,
    draw: Annotated[
        Path | None,
        typer.Option("--draw", metavar="DIR", help="Write each picture with its faces drawn on it."),
    ] = None,
    attributes: Annotated[
        str, typer.Option(metavar="LIST", help="What to measure, such as age,gender; or all; or none.")
    ] = "all",
    min_score: Annotated[
        float | None,
        typer.Option(
            "--min-score", metavar="X", help="Least score of a face, 0-1; the detector's own by default."
        ),
    ] = None,
    device: Annotated[Device, typer.Option(help="Where to run; only auto may choose.")] = Device.auto,
    models: Annotated[
        list[Path] | None,
        typer.Option(
            "--models",
            metavar="FILE",
            help="A model file or installed name; repeat it for a detector and a face network.",
        ),
    ] = None,
    threads: Annotated[
        int | None, typer.Option(metavar="N", help="CPU threads; all that may be used by default.")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but failures.")] = False,
) -> None:
    """Find the faces of pictures and measure their attributes.

    Exit codes: 0 all were read, 2 usage, 3 some failed and were named,
    4 a model or device cannot be used, 5 an output cannot be written.
    """
    with clean_exit(), error_console() as errors, ExitStack() as stack:
        from vultus.pipeline import Analyzer
        from vultus.zoo import find_model

        if min_score is not None and not 0 < min_score < 1:
            raise InputError(f"--min-score takes a number above 0 and below 1, not {min_score:g}")
        files = [find_model(model) for model in models or ()]
        analyzer = stack.enter_context(
            Analyzer(device.value, files or None, _attribute_list(attributes), min_score, threads)
        )
        sinks = [stack.enter_context(sink) for sink in _sinks(json_file, draw)]
        output = None if quiet or json_file == "-" else output_console()
        tally = _run_all(sources, analyzer, sinks, output, errors, quiet)
    with clean_exit(), error_console() as errors:
        for line in () if quiet else tally.lines():
            say(errors, line)
    raise typer.Exit(ExitCode.SOME_INPUTS_FAILED if tally.failed else ExitCode.OK)


def _attribute_list(text: str) -> list[str] | None:
    if text.strip() == "all":
        return None
    names = [name.strip() for name in text.split(",")]
    return [] if names == ["none"] else names


def _sinks(json_file: str | None, draw: Path | None) -> Iterator[Sink]:
    from vultus.sinks import DrawSink, JsonLinesSink

    if json_file is not None:
        yield JsonLinesSink(json_file)
    if draw is not None:
        if draw.exists() and not draw.is_dir():
            raise SinkError(f"{draw} is a file; --draw takes a folder, which is made when absent")
        yield DrawSink(draw)


def _run_all(
    sources: list[str],
    analyzer: Analyzer,
    sinks: list[Sink],
    output: Console | None,
    errors: Console,
    quiet: bool,
) -> _Tally:
    """Analyse every picture as it is read; name those that cannot be and go on."""
    from vultus.sources import find_pictures, frames_from_found

    found = find_pictures(sources)
    # Names on standard input may come without end; anything else is listed first, so that there is a total.
    listed = None if "-" in sources else list(found)
    tables = output if listed is not None and len(listed) <= FEW else None
    tally = _Tally()
    frames = frames_from_found(found if listed is None else listed, quiet=True)
    for name, frame in _with_progress(frames, None if listed is None else len(listed), errors, quiet):
        result = _analysed(analyzer, name, frame)
        if isinstance(result, (SourceError, InputError)):
            tally.failed += 1
            say(errors, f"vultus: {result}")
        elif not isinstance(frame, SourceError):
            tally.add(result)
            for sink in sinks:
                sink.write(name, result, frame)
            if tables:
                _show(tables, name, result)
    return tally


def _analysed(analyzer: Analyzer, name: str, frame: Frame | SourceError) -> Result | SourceError | InputError:
    if isinstance(frame, SourceError):
        return frame
    try:
        return analyzer(frame)
    except InputError as error:
        return InputError(f"{name}: {error}")


def _with_progress(
    frames: Iterable[tuple[str, Frame | SourceError]], total: int | None, console: Console, quiet: bool
) -> Iterator[tuple[str, Frame | SourceError]]:
    """Pass the frames on under a progress bar where a person watches and there are many."""
    few = total is not None and total <= FEW
    if quiet or few or not console.is_terminal:
        yield from frames
        return
    columns = [TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()]
    with Progress(*columns, console=console, transient=True) as bar:
        yield from bar.track(frames, total=total, description="pictures")


def _show(console: Console, name: str, result: Result) -> None:
    from vultus.cli.faces import faces_table

    if len(result.faces):
        console.print(faces_table(name, result.faces, console.width))
    else:
        say(console, f"{name}: no faces")
