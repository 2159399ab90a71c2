"""Opens the GPU as the analysis would, in a process of its own: `python -m vultus.doctor.device` prints JSON."""

from __future__ import annotations

import json
import sys
from typing import Any

from vultus.errors import VultusError

__all__ = ["opened"]


def opened() -> dict[str, Any]:
    """Return the package that speaks to the driver and the GPU it opens, or the `problem`."""
    from vultus.cuda.driver import open_driver

    try:
        driver = open_driver()
        stream, memory = driver.stream(), driver.allocate(4096)
        driver.fill(memory.pointer, 0, memory.size, stream)
        stream.synchronise()
    except VultusError as error:
        return {"problem": str(error)}
    info, package = driver.info, driver.package
    driver.close()
    return {
        "package": package,
        "name": info.name,
        "capability": "{}.{}".format(*info.compute_capability),
        "memory": "shared with the host" if info.integrated else "its own",
    }


if __name__ == "__main__":
    json.dump(opened(), sys.stdout)
