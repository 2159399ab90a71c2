"""`python -m vultus` is the command `vultus`."""

from __future__ import annotations

from vultus.cli import main

__all__: list[str] = []

if __name__ == "__main__":
    main()
