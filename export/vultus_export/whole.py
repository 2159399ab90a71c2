"""Files that appear whole or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from vultus.errors import ModelError

__all__ = ["writable", "write_whole"]


def writable(path: Path) -> Path:
    """Return `path` if a file can be made there; raises ModelError so that long work is not begun in vain."""
    folder = path.absolute().parent
    if not folder.is_dir():
        raise ModelError(f"cannot write {path}: there is no folder {path.parent}; make it first")
    if path.is_dir() or not os.access(folder, os.W_OK):
        raise ModelError(f"cannot write {path}: it is a folder or lies in one that is read-only")
    return path


def write_whole(path: Path, data: bytes) -> None:
    """Write `data` beside `path` under another name, flush it to the disk, then move it into place."""
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.absolute().parent)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(name, 0o666 & ~umask)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
