"""Fills a slot: what is there and fits is kept, what fits elsewhere is copied, the rest is built."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vultus.engines.sidecar import Sidecar, sidecar_path
from vultus_firstboot import FirstBootError
from vultus_firstboot.slots import origin_in
from vultus_firstboot.wanted import Wanted, adopt, fitting, sources_of
from vultus_firstboot.work import Work

__all__ = ["Filled", "fill", "kept_files", "refuse_full_disk"]

ROOM_FACTOR, ROOM_MARGIN = 4, 16 << 20
"""Bytes that an engine may take for each byte of its model, and for temporary and status files beside it."""


@dataclass(frozen=True)
class Filled:
    """How many engines were kept, copied and built."""

    kept: int = 0
    copied: int = 0
    built: int = 0

    @property
    def said(self) -> str:
        """In words."""
        counts = {"kept": self.kept, "imported": self.copied, "built": self.built}
        parts = [f"{count} {name}" for name, count in counts.items() if count]
        return f"engines: {', '.join(parts)}"


def kept_files(slot: Path, wanted: Sequence[Wanted], work: Work) -> list[str]:
    """Return the files of a slot that are finished engines of those wanted, left by a run that broke off."""
    files: list[str] = []
    if origin_in(slot).differs(work.machine.board, work.machine.mode):
        return files
    for engine in wanted:
        path = slot / engine.file
        if fitting(path, engine, work.machine)[0]:
            files += [path.name, sidecar_path(path).name]
    return files


def refuse_full_disk(slot: Path, wanted: Sequence[Wanted], kept: Sequence[str]) -> None:
    """Raise FirstBootError when there is too little room for the engines that are missing."""
    missing = [engine.onnx.stat().st_size for engine in wanted if engine.file not in kept]
    needed = ROOM_FACTOR * sum(missing) + (ROOM_MARGIN if missing else 0)
    free = shutil.disk_usage(slot).free
    if free < needed:
        raise FirstBootError(
            f"{slot} has {free / 2**20:.1f} MiB free, its engines may need {needed / 2**20:.1f} MiB; make room there"
        )


def fill(slot: Path, wanted: Sequence[Wanted], folders: Sequence[Path], work: Work) -> Filled:
    """Bring every engine that is wanted into the slot; folders: where prebuilt ones may be.

    Raises FirstBootError when one can neither be copied nor built.
    """
    kept = copied = built = 0
    for done, engine in enumerate(wanted):
        sidecar, why = fitting(slot / engine.file, engine, work.machine)
        if sidecar:
            kept += 1
            work.report.step("building", engine.name, done, "finished before")
        elif sidecar := _imported(slot, engine, done, folders, work):
            copied += 1
        else:
            if why:
                work.report.say(f"{engine.name} is built anew: {why}")
            sidecar = _built(slot, engine, done, work)
            built += 1
        work.report.progress(1.0, _facts(sidecar))
    return Filled(kept, copied, built)


def _imported(slot: Path, engine: Wanted, done: int, folders: Sequence[Path], work: Work) -> Sidecar | None:
    for folder in folders:
        for source in sources_of(folder, engine):
            work.report.step("importing", engine.name, done, f"from {source.parent}")
            why = origin_in(source.parent).differs(work.machine.board, work.machine.mode)
            if not why:
                sidecar, why = adopt(source, slot, engine, work.machine)
                if sidecar:
                    return sidecar
            work.report.say(f"{source} is not used: {why}")
    return None


def _built(slot: Path, engine: Wanted, done: int, work: Work) -> Sidecar:
    work.report.step("building", engine.name, done, "0 %, started")
    work.build(engine, slot)
    sidecar, why = fitting(slot / engine.file, engine, work.machine)
    if sidecar is None:
        raise FirstBootError(f"{engine.name} was built, but does not fit: {why or 'it is not there'}")
    return sidecar


def _facts(sidecar: Sidecar) -> str:
    layers = ", ".join(f"{count} {name}" for name, count in sidecar.layers.items())
    return f"100 %, {sidecar.engine_size / 2**20:.1f} MiB, layers: {layers or 'not told'}"
