"""`vultus bench`: how fast this installation is on this machine, measured so that it can be published."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from typer.core import TyperGroup

from vultus.cli.bench_compare import compare
from vultus.cli.bench_report import report
from vultus.cli.console import ExitCode, clean_exit, error_console, output_console, say
from vultus.cli.run import Device
from vultus.errors import InputError

if TYPE_CHECKING:
    from rich.console import Console

    from vultus.bench.frames import Frames
    from vultus.bench.record import Scenario
    from vultus.bench.run import Say

__all__ = ["bench", "measure"]

SCENARIOS = {
    "single": "One frame at a time: the next as soon as the last is done. Read by its p90.",
    "stream": "Frames at a fixed rate, as from a camera; waiting counts, late frames are dropped. Read by its p90.",
    "multistream": "A frame of each of several streams at once. Read by its p99.",
    "offline": "All frames are there; only throughput counts.",
}


class _BenchGroup(TyperGroup):
    """A group in which `vultus bench --quick` means `vultus bench single --quick`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put the scenario in where only options were given."""
        if not args or (args[0].startswith("-") and args[0] != "--help"):
            args = ["single", *args]
        parsed: list[str] = super().parse_args(ctx, args)
        return parsed


bench = typer.Typer(
    cls=_BenchGroup,
    help="Measure speed, memory and energy. Without a scenario: single.\n\n"
    "The scenarios share their options, such as --quick, --seconds, --faces, --size, --source, --device, --models "
    "and --json; vultus bench single --help tells them all.",
    epilog="Example: vultus bench single --quick --json result.json",
)


def measure(
    ctx: typer.Context,
    quick: Annotated[bool, typer.Option("--quick", help="Measure for 5 s; labelled so.")] = False,
    publish: Annotated[bool, typer.Option("--publish", help="Measure for 600 s.")] = False,
    seconds: Annotated[
        float | None, typer.Option(metavar="S", help="Measure for so long; 60 s by default.")
    ] = None,
    faces: Annotated[
        int | None, typer.Option(metavar="N", help="Faces in the synthetic frames, 1 by default.")
    ] = None,
    size: Annotated[
        str | None, typer.Option(metavar="WxH", help="Size of the synthetic frames, 640x480 by default.")
    ] = None,
    source: Annotated[
        Path | None, typer.Option(metavar="PATH", help="A picture, a folder or a video instead of them.")
    ] = None,
    rate: Annotated[
        float | None, typer.Option(metavar="HZ", help="Frames a second of the stream, 30 by default.")
    ] = None,
    streams: Annotated[
        int | None, typer.Option(metavar="N", help="Streams of a multistream, 8 by default.")
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
    json_file: Annotated[
        Path | None,
        typer.Option("--json", metavar="OUT.json", help="Write the result, and the raw samples beside it."),
    ] = None,
    note: Annotated[
        str, typer.Option(metavar="TEXT", help="What to read beside the figures, kept in the result.")
    ] = "",
    require_valid: Annotated[
        bool, typer.Option("--require-valid", help="End with 1 when the figures may not be quoted.")
    ] = False,
    lock_clocks: Annotated[
        bool,
        typer.Option("--lock-clocks", help="Hold the clocks still, which takes root; put back at the end."),
    ] = False,
) -> None:
    """Measure one scenario.

    Exit codes: 0 measured, 1 a source cannot be read, or --require-valid and the figures may not be quoted,
    2 usage, 4 a device or model cannot be used, 5 the result cannot be written.
    """
    with clean_exit(), error_console() as errors:
        from vultus.bench.files import check_output, save_record
        from vultus.bench.run import Request
        from vultus.bench.run import measure as run
        from vultus.bench.table import lines_of, print_record
        from vultus.zoo import find_model

        if json_file is not None:
            check_output(json_file)
        made = _scenario(str(ctx.info_name), quick, publish, seconds, rate, streams)
        files = [find_model(model) for model in models or ()] or None
        frames = _frames(faces, size, source)
        arguments = {
            "scenario": made.name,
            "faces": frames.faces,
            "size": size,
            "source": None if source is None else frames.name,
            "device": device.value,
            "models": [file.name for file in files or ()] or None,
            "threads": threads,
            "lock_clocks": lock_clocks,
        }
        request = Request(made, frames, device.value, files, threads, lock_clocks, arguments, note)
        with _Progress(errors) as progress:
            record, samples = run(request, progress)
        if json_file is not None:
            record = save_record(record, samples, json_file)
        console = output_console()
        print_record(record, console)
        # Where the figures go, their verdict goes too.
        for line in lines_of(record):
            say(console, line)
        if json_file is not None:
            say(
                errors,
                f"{json_file}: written, its raw samples in {json_file.with_suffix('.npz').name} beside it",
            )
    raise typer.Exit(ExitCode.FAILED if require_valid and not record.verdict.valid else ExitCode.OK)


_EXAMPLES = {
    "single": "single --faces 8 --json single.json",
    "stream": "stream --rate 25 --source street.mp4",
    "multistream": "multistream --streams 4",
    "offline": "offline --faces 8 --size 1280x720",
}

for _name, _help in SCENARIOS.items():
    _more = (measure.__doc__ or "").split("\n", 2)[2]
    _example = f"Example: vultus bench {_EXAMPLES[_name]}"
    bench.command(_name, help=f"{_help}\n\n{_more}", epilog=_example)(measure)
bench.command(epilog="Example: vultus bench compare before.json after.json --fail-over 5%")(compare)
bench.command(epilog="Example: vultus bench report before.json after.json --out report.html")(report)


def _scenario(
    name: str, quick: bool, publish: bool, seconds: float | None, rate: float | None, streams: int | None
) -> Scenario:
    from vultus.bench.scenarios import scenario

    if quick + publish + (seconds is not None) > 1:
        raise InputError("--quick, --publish and --seconds say how long to measure; give one of them")
    length: Literal["quick", "publish", "default"] = "quick" if quick else "publish" if publish else "default"
    return scenario(name, length, seconds, rate, streams)  # type: ignore[arg-type]


def _frames(faces: int | None, size: str | None, source: Path | None) -> Frames:
    from vultus.bench.frames import SYNTHETIC, frames_from_source, size_from_text, synthetic

    if source is None:
        return synthetic(1 if faces is None else faces, SYNTHETIC if size is None else size_from_text(size))
    if faces is not None or size is not None:
        raise InputError("--faces and --size are for synthetic frames; leave them out with --source")
    return frames_from_source(source)


class _Progress:
    """One line that says what goes on: over itself where a person watches, else only what is new in kind.

    Nothing is drawn by a thread, which would run beside what is measured.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._last = ""
        self._begun = False

    def __enter__(self) -> Say:
        return self._say

    def __exit__(self, *error: object) -> None:
        if self._begun:
            self._write("\r\x1b[K")

    def _say(self, text: str) -> None:
        kind = text.partition(":")[0]
        if self._console.is_terminal:
            self._begun = True
            self._write(f"\r\x1b[K{text[: self._console.width - 1]}")
        elif kind != self._last:
            say(self._console, text.partition(",")[0])
        self._last = kind

    def _write(self, text: str) -> None:
        file = self._console.file
        file.write(text)
        file.flush()
