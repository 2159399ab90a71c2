"""`python -m vultus_firstboot`."""

from __future__ import annotations

import sys

from vultus_firstboot.command import main

if __name__ == "__main__":
    sys.exit(main())
