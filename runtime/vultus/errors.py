"""Every error that vultus raises on purpose.

    VultusError
    ├── InputError            a picture, frame or argument that cannot be used
    ├── SourceError           a file, folder or stream that cannot be read
    ├── SinkError             an output that cannot be written
    ├── SpecError             a model contract that is missing, malformed or of another version
    ├── ModelError            a model file that is missing, corrupt or does not honour its contract
    ├── DeviceError           a device or provider that was asked for and cannot be had
    └── UsageError            the API used in a way it forbids (two threads on one Analyzer, use after close)

Messages say what came, what was expected and what to do.
"""

from __future__ import annotations

__all__ = [
    "DeviceError",
    "InputError",
    "ModelError",
    "SinkError",
    "SourceError",
    "SpecError",
    "UsageError",
    "VultusError",
]


class VultusError(Exception):
    """Base of every error that vultus raises on purpose."""


class InputError(VultusError, ValueError):
    """A picture, frame or argument that cannot be used."""


class SourceError(VultusError, OSError):
    """A file, folder or stream that cannot be read."""


class SinkError(VultusError, OSError):
    """An output that cannot be written."""


class SpecError(VultusError, ValueError):
    """A model contract that is missing, malformed or of another version."""


class ModelError(VultusError, RuntimeError):
    """A model file that is missing, corrupt or does not honour its contract."""


class DeviceError(VultusError, RuntimeError):
    """A device or provider that was asked for and cannot be had."""


class UsageError(VultusError, RuntimeError):
    """The API used in a way it forbids, such as two threads on one Analyzer."""
