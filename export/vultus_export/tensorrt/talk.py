"""What TensorRT says while it works: errors and warnings are kept for messages, the rest is not shown."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

__all__ = ["Talk", "talk_for"]

LISTING = "Layers:\nName: "


@dataclass
class Talk:
    """Errors, distinct warnings and the layer listing of one build, in the order they came."""

    errors: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    listing: str = ""

    def note(self, severity: str, text: str) -> None:
        """Keep one message of TensorRT."""
        line = " ".join(text.split())
        if severity in ("ERROR", "INTERNAL_ERROR"):
            self.errors.append(line)
        elif severity == "WARNING" and line not in self.warnings:
            self.warnings.append(line)
        elif text.startswith(LISTING):
            self.listing += text


def talk_for(trt: Any) -> tuple[Talk, Any]:
    """Return a Talk and the ILogger of these bindings that fills it; TensorRT calls it from its own threads."""
    talk = Talk()

    class Logger(trt.ILogger):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.ILogger.__init__(self)

        def log(self, severity: Any, msg: str) -> None:
            talk.note(severity.name, msg)

    return talk, Logger()
