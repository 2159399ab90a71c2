"""One self-contained HTML page out of benchmark results."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from vultus.errors import InputError, SinkError

__all__ = ["write_report"]


def write_report(
    results: Sequence[str | os.PathLike[str]],
    out: str | os.PathLike[str],
    accuracy: Sequence[str | os.PathLike[str]] = (),
) -> list[str]:
    """Write a page that needs nothing but itself; return what was left out of it, in words.

    results: files of `vultus bench`, their samples beside them. accuracy: results of benchmarks/accuracy.py. Raises
    InputError for results that cannot be shown together, SourceError for files that cannot be read, DeviceError
    without matplotlib, and SinkError when the page cannot be written; what lay there before is then as it was.
    """
    from vultus.bench.report.page import page
    from vultus.bench.report.results import load_accuracy, load_results

    target = Path(out)
    if target.suffix.lower() not in (".html", ".htm"):
        raise InputError(f"{target}: a report must be named *.html")
    if not target.parent.is_dir():
        raise SinkError(f"{target}: there is no folder {target.parent}; make it first")
    shown = load_results([Path(path) for path in results])
    measured = load_accuracy([Path(path) for path in accuracy], shown)
    text = page(shown, measured).encode()
    _write_whole(target, text)
    return [one.missing for one in shown if one.missing]


def _write_whole(target: Path, data: bytes) -> None:
    fresh = target.with_name(f".{target.name}.{os.getpid()}.new")
    try:
        fresh.write_bytes(data)
        fresh.replace(target)
    except OSError as error:
        raise SinkError(f"{target}: cannot be written: {error.strerror or error}") from error
    finally:
        fresh.unlink(missing_ok=True)
