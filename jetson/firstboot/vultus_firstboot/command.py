"""The command line: `python -m vultus_firstboot`, as vultus-firstboot.service runs it.

Exit codes: 0 ready or nothing to build, 1 failed and the engines of before are in use, 78 a configuration that
cannot be used. --status: 0 ready, 1 failed, 3 not ready yet.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from vultus.errors import VultusError
from vultus.service.checking import checked_config
from vultus.service.config import Config, ConfigError
from vultus.service.firstboot import read_firstboot
from vultus.service.places import Places, places
from vultus_firstboot.alone import alone, refuse_foreign, remove_leftovers, stoppable
from vultus_firstboot.machine import machine_here
from vultus_firstboot.report import Report
from vultus_firstboot.run import Order, first_boot, in_use
from vultus_firstboot.slots import Slots
from vultus_firstboot.wanted import wanted_engines

__all__ = ["main"]

READY, FAILED, NOT_YET, BAD_CONFIG = 0, 1, 3, 78
CACHE = "opt/vultus/engine-cache"
FRAMES = 500
"""Of the self-test's endurance run: a minute at most on the slowest board."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the first boot, or tell of it; returns the exit code."""
    options = _parser().parse_args(arguments)
    found = places(options.root)
    try:
        if options.status:
            return _status(found)
        with ExitStack() as stack:
            lock = stack.enter_context(alone(found.state))
            stack.enter_context(stoppable())
            return _recheck(options, found) if options.recheck else _run(options, found, lock)
    except (VultusError, OSError) as error:
        sys.stderr.write(f"vultus_firstboot: {error}\n")
        return BAD_CONFIG if isinstance(error, ConfigError) else FAILED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("vultus_firstboot", description=__doc__)
    add = parser.add_argument
    add("--root", type=Path, default=Path("/"), help="folder below which the device's files lie")
    add("--config", type=Path, help="configuration; by default ROOT/etc/vultus/vultus.toml")
    add("--cache", type=Path, action="append", help=f"folder of prebuilt engines; by default ROOT/{CACHE}")
    add("--flavour", default="auto", help="auto, tensorrt or tensorrt-rtx, as vultus-export engine takes it")
    add("--selftest-frames", type=int, default=FRAMES, metavar="N", help="frames of its endurance run")
    add("--rebuild", action="store_true", help="build all engines anew, as after a change of the power mode")
    add("--status", action="store_true", help="say how far the first boot has come, and do nothing")
    add(
        "--recheck", action="store_true", help="take the ready marker away when the engines in use do not fit"
    )
    return parser


def _run(options: argparse.Namespace, found: Places, lock: int) -> int:
    refuse_foreign(found.state)
    remove_leftovers(found.state)
    report = Report(found.firstboot)
    try:
        order = _order(options, found)
        first_boot(order, report, lock)
    except ConfigError as error:
        report.failed(str(error))
        return BAD_CONFIG
    except (VultusError, OSError) as error:
        report.failed(f"{error}; {_kept(found)}")
        return FAILED
    except BaseException as error:
        report.failed(f"{type(error).__name__}: {error}; {_kept(found)}")
        raise
    return READY


def _order(options: argparse.Namespace, found: Places) -> Order:
    caches = options.cache or [options.root / CACHE]
    config = _config(options, found)
    return Order(
        found, config, options.root, caches, options.flavour, options.selftest_frames, options.rebuild
    )


def _config(options: argparse.Namespace, found: Places) -> Config:
    return checked_config(options.config or found.config, options.root)


def _kept(found: Places) -> str:
    slot = found.slot
    return f"the engines of slot {slot} stay in use" if slot else "no engines are in use"


def _status(found: Places) -> int:
    told = read_firstboot(found.firstboot)
    slot = Slots(found.engines.parent).current
    lines = [
        f"first boot: {told.said if told else 'has not run'}",
        *([f"  {told.detail}"] if told and told.detail else []),
        f"engines in use: {f'slot {slot}' if slot else 'none'}",
        f"ready marker: {'there' if found.ready.exists() else 'not there'}",
    ]
    sys.stdout.write("\n".join(lines) + "\n")
    state = told.state if told else ""
    return {"ready": READY, "failed": FAILED}.get(state, NOT_YET)


def _recheck(options: argparse.Namespace, found: Places) -> int:
    """Take the ready marker away unless what is in use is what would be built now."""
    if not found.ready.exists():
        sys.stdout.write("first boot: no ready marker, the next boot looks for itself\n")
        return READY
    why = _outdated(options, _config(options, found), found)
    if why:
        found.ready.unlink()
    said = f"the next boot builds: {why}" if why else "the engines in use fit"
    sys.stdout.write(f"first boot: {said}\n")
    return READY


def _outdated(options: argparse.Namespace, config: Config, found: Places) -> str:
    slots = Slots(found.engines.parent)
    if config.run.device == "cpu":
        return ""
    if slots.current is None:
        return "no slot is in use"
    machine = machine_here(options.flavour, options.root) if options.root == Path("/") else None
    return in_use(slots, slots.current, wanted_engines(config, options.root, machine), machine)
