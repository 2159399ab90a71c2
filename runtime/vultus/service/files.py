"""Small JSON files that one program writes and others read at any moment: whole, or as they were."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any, TypeVar

from vultus.disk import flush_folder
from vultus.errors import SinkError, SourceError

__all__ = ["read_json", "write_json"]

T = TypeVar("T")
MODE = 0o644


def write_json(path: Path, value: Any, lasting: bool = True) -> None:
    """Put a dataclass or plain value in a file's place in one step.

    lasting: flush to the disk, so that a loss of power leaves the old file or the new one.
    Raises SinkError when it cannot be written.
    """
    import msgspec

    data = msgspec.json.encode(value) + b"\n"
    part = ""
    try:
        handle, part = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            os.fchmod(file.fileno(), MODE)
            file.flush()
            if lasting:
                os.fsync(file.fileno())
        os.replace(part, path)
        if lasting:
            flush_folder(path.parent)
    except OSError as error:
        if part:
            Path(part).unlink(missing_ok=True)
        raise SinkError(f"{path}: cannot be written: {error.strerror}") from error


def read_json(path: Path, kind: type[T]) -> T | None:
    """Return what a file holds as a dataclass, None when there is no file; unknown keys are passed over.

    Raises SourceError when the file cannot be read or does not hold that.
    """
    import msgspec

    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise SourceError(f"{path}: cannot be read: {error.strerror}") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise SourceError(
            f"{path}: is malformed: {error}; its writer is of another version or broke off"
        ) from error
