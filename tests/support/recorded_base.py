"""The base of all recorded objects: they have what the recorded version has, and nothing else."""

from __future__ import annotations

from typing import Any


class Recorded:
    """An object with the attributes that its class has in the recorded version, and no other."""

    recorded: frozenset[str] = frozenset()
    trt: Any = None

    def __getattribute__(self, name: str) -> Any:
        if name.startswith("_") or name in ("recorded", "trt") or name in type(self).recorded:
            return object.__getattribute__(self, name)
        raise AttributeError(
            f"{type(self).__name__} of TensorRT {type(self).trt.__version__} has no {name!r}"
        )

    def __setattr__(self, name: str, value: Any) -> None:
        if not name.startswith("_") and name not in type(self).recorded:
            raise AttributeError(f"{type(self).__name__} of TensorRT {self.trt.__version__} has no {name!r}")
        object.__setattr__(self, name, value)
