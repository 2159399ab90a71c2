"""The first boot: how far it has come with the engines of this device."""

from __future__ import annotations

import time

from vultus.doctor import Check
from vultus.errors import SourceError
from vultus.service.firstboot import FirstBoot, read_firstboot
from vultus.service.places import Places, places

__all__ = ["firstboot_checks"]

SECTION = "first boot"
AGAIN = "see journalctl -u vultus-firstboot, mend that, then: sudo systemctl restart vultus-firstboot"


def firstboot_checks(where: Places | None = None, now: float | None = None) -> list[Check]:
    """Return what the first boot said last; nothing on a machine that has no first boot."""
    where, moment = where or places(), time.time() if now is None else now
    try:
        told = read_firstboot(where.firstboot)
    except SourceError as error:
        return [Check(SECTION, "state", "problem", str(error), f"remove {where.firstboot}; {AGAIN}")]
    if told is None:
        return []
    return [_state(told, moment), _engines(where)]


def _state(told: FirstBoot, now: float) -> Check:
    value = f"{told.said}, {_since(now - told.written)}"
    if told.state == "failed":
        return Check(SECTION, "state", "problem", value, AGAIN)
    return Check(SECTION, "state", "ok" if told.state == "ready" else "absent", value)


def _engines(where: Places) -> Check:
    names = [path.stem for path in sorted(where.engines.glob("*.engine"))]
    if where.slot is None or not names:
        return Check(SECTION, "engines", "absent", f"none in {where.engines} yet")
    return Check(SECTION, "engines", "ok", f"slot {where.slot}: {', '.join(names)}")


def _since(seconds: float) -> str:
    """Return how long ago that was, as people say it; a board without a clock of its own may have leapt since."""
    for unit, name in ((86400, "days"), (3600, "hours"), (60, "minutes")):
        if seconds >= 2 * unit:
            return f"said {seconds / unit:.0f} {name} ago"
    return f"said {max(seconds, 0):.0f} seconds ago"
