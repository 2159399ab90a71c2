"""The order of a first boot: plan, fill the spare slot, test it, switch to it, say that all is ready."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import vultus
from vultus.service.config import Config
from vultus.service.files import write_json
from vultus.service.places import Places
from vultus_firstboot.fill import Filled, fill, kept_files, refuse_full_disk
from vultus_firstboot.machine import Machine, machine_here
from vultus_firstboot.report import WARNING, Report
from vultus_firstboot.slots import Origin, Record, Slot, Slots, origin_in
from vultus_firstboot.wanted import Wanted, fitting, wanted_engines
from vultus_firstboot.work import SelfTestFailed, Work

__all__ = ["Order", "first_boot", "in_use", "installed_program"]


@dataclass(frozen=True)
class Order:
    """What is asked for. caches: folders of prebuilt engines. frames: of the self-test's endurance run."""

    places: Places
    config: Config
    root: Path
    caches: Sequence[Path]
    flavour: str
    frames: int
    rebuild: bool

    @property
    def slots(self) -> Slots:
        """The slots of this device."""
        return Slots(self.places.state / "engines")


def installed_program() -> str:
    """Return where the program that tests engines really lies: each release has a folder of its own."""
    return f"{vultus.__version__} in {Path(vultus.__file__).resolve().parent}"


def first_boot(order: Order, report: Report, lock: int) -> None:
    """Bring the engines that the configuration asks for into use; raises VultusError or OSError when it cannot.

    Until the last step `current` leads to where it led before.
    """
    if order.config.run.device == "cpu":
        report.ready(order.slots.current, 'nothing to build: the configuration says device = "cpu"')
        return
    machine = machine_here(order.flavour, order.root)
    wanted = wanted_engines(order.config, order.root, machine)
    platform = machine.platform
    report.say(
        f"{platform.flavour} {platform.version}, {platform.device or 'GPU'} {platform.compute_capability}"
    )
    used = order.slots.current
    if used and not order.rebuild:
        why = in_use(order.slots, used, wanted, machine)
        if not why:
            _mark(order, used, f"slot {used} is in use, tested and fits")
            report.ready(used, f"slot {used} is in use, tested and fits")
            return
        report.say(f"{why}, so slot {order.slots.spare} is filled")
    _fill_and_use(order, wanted, machine, report, lock)


def _fill_and_use(
    order: Order, wanted: Sequence[Wanted], machine: Machine, report: Report, lock: int
) -> None:
    spare = order.slots.spare
    report.plan(len(wanted) + 1, spare)
    # Kernels are timed anew in each power mode.
    timings = order.places.state / f"timings-{re.sub('[^A-Za-z0-9]', '_', machine.mode) or 'usual'}.cache"
    work = Work(report, machine, timings, order.frames, lock)
    filled = _tested(order, spare, wanted, work)
    engines = {engine.file: engine.key for engine in wanted}
    record = Record(installed_program(), engines, time.time())
    _use(order, spare, record, filled.said, report)


def in_use(slots: Slots, slot: Slot, wanted: Sequence[Wanted], machine: Machine | None) -> str:
    """Return why the engines of a slot are not those wanted, intact and tested by this program; empty when they are."""
    record = slots.record(slot)
    if record is None:
        return f"slot {slot} holds no engines that passed the self-test"
    if record.program != installed_program():
        return f"the engines of slot {slot} were tested by another vultus: {record.program}"
    if sorted(record.engines) != sorted(engine.file for engine in wanted):
        return f"slot {slot} holds {', '.join(sorted(record.engines)) or 'none'}, the configuration asks for others"
    if machine and (why := origin_in(slots.path(slot)).differs(machine.board, machine.mode)):
        return f"the engines of slot {slot} were {why}"
    for engine in wanted:
        sidecar, why = fitting(slots.path(slot) / engine.file, engine, machine)
        if sidecar is None:
            return why or f"{engine.file} is missing from slot {slot}"
    return ""


def _tested(order: Order, spare: Slot, wanted: Sequence[Wanted], work: Work) -> Filled:
    """Fill the spare slot with engines that pass the self-test; where those from elsewhere fail, build them all."""
    slots, folder = order.slots, order.slots.path(spare)
    origin = Origin(work.machine.board, work.machine.mode)
    keep = [] if order.rebuild else kept_files(folder, wanted, work)
    slots.prepare(spare, keep, origin)
    refuse_full_disk(folder, wanted, keep)
    if order.rebuild:
        work.timings.unlink(missing_ok=True)
    filled = fill(folder, wanted, _elsewhere(order), work)
    fault = _fault(folder, wanted, work)
    if fault and filled.built < len(wanted):
        work.report.say(f"{fault}; all engines are built anew", level=WARNING)
        slots.prepare(spare, [], origin)
        filled = fill(folder, wanted, [], work)
        fault = _fault(folder, wanted, work)
    if fault:
        slots.prepare(spare, [], origin)  # the next boot shall not find these finished
        raise fault
    return filled


def _elsewhere(order: Order) -> list[Path]:
    """Return the folders in which finished engines may be: the caches, and the slot in use."""
    used = order.slots.current
    if order.rebuild:
        return []
    return [*order.caches, *([order.slots.path(used)] if used else [])]


def _fault(folder: Path, wanted: Sequence[Wanted], work: Work) -> SelfTestFailed | None:
    work.report.step("selftest", "selftest", len(wanted), "started")
    try:
        work.test(folder, wanted)
    except SelfTestFailed as error:
        return error
    return None


def _use(order: Order, slot: Slot, record: Record, said: str, report: Report) -> None:
    """Switch to a tested slot and say so; whatever goes wrong, the old one stays in use."""
    slots, before = order.slots, order.slots.current
    slots.seal(slot, record)
    slots.switch(slot)
    try:
        _mark(order, slot, said)
    except BaseException:
        slots.switch(before)
        raise
    kept = f", slot {before} is kept" if before else ""
    report.ready(slot, f"{said}; slot {slot} is in use{kept}")


def _mark(order: Order, slot: Slot, detail: str) -> None:
    write_json(order.places.ready, {"schema": 1, "slot": slot, "detail": detail, "written": time.time()})
