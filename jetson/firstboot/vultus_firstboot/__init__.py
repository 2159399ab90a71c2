"""First boot of a device: builds the TensorRT engines that the configuration asks for, tests them, then uses them.

Engines go into that one of two slots which is not in use; `engines/current` is switched to it last, after the
self-test, so that a loss of power at any moment leaves either the engines of before or the finished new ones.
"""

from __future__ import annotations

from vultus.errors import VultusError

__all__ = ["FirstBootError", "Stopped"]


class FirstBootError(VultusError):
    """The first boot cannot go on; the text says why and what to do."""


class Stopped(FirstBootError):
    """Somebody asked the program to end."""
