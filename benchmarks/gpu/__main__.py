"""What scripts/gpu-check calls: see first what this Python lacks, then check and measure."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from gpu.needs import LACKING, lacks

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Say what is missing, or run the check; return the exit code: 4 where something is missing."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if said := lacks(given):
        print(said, file=sys.stderr)
        return LACKING
    from gpu.command import main as run

    return run(given)


if __name__ == "__main__":
    sys.exit(main())
