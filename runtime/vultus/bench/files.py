"""Records and raw samples as files: NAME.json with NAME.npz beside it, written whole or not at all."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import tempfile
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path

import numpy as np

from vultus.bench.record import SCHEMA, Arrays, Record
from vultus.errors import SinkError, SourceError

__all__ = ["check_output", "load_record", "load_samples", "record_from_json", "record_to_json", "save_record"]


def record_to_json(record: Record) -> bytes:
    """Return a record as indented JSON."""
    import msgspec

    return msgspec.json.format(msgspec.json.encode(record), indent=1) + b"\n"


def record_from_json(data: bytes, name: str) -> Record:
    """Read and validate a record; `name` says in errors where it came from. Raises SourceError."""
    import msgspec

    try:
        schema = msgspec.json.decode(data, type=dict).get("schema")
        if schema != SCHEMA:
            raise SourceError(
                f"{name}: its schema is {schema!r}, this vultus reads {SCHEMA}; measure again with this vultus"
            )
        return msgspec.json.decode(data, type=Record)
    except msgspec.DecodeError as error:
        raise SourceError(f"{name}: this is no result of vultus bench: {error}") from error


def load_record(path: str | os.PathLike[str]) -> Record:
    """Read a result file. Raises SourceError when it cannot be read or is no result of this schema."""
    return record_from_json(_content(Path(path)), str(path))


def load_samples(path: str | os.PathLike[str]) -> Arrays:
    """Return the raw samples that lie beside a result file; raises SourceError when they are not its own."""
    record, beside = load_record(path), Path(path).with_suffix(".npz")
    if not beside.exists():
        raise SourceError(
            f"{beside}: there is no such file, and {Path(path).name} keeps its raw samples in it; copy both files "
            "together"
        )
    data = _content(beside)
    found = hashlib.sha256(data).hexdigest()
    if found != record.samples_sha256:
        raise SourceError(
            f"{beside}: these samples are not those of {Path(path).name}: their SHA-256 is {found[:12]}, "
            f"the result names {record.samples_sha256[:12] or 'none'}; copy both files together"
        )
    with np.load(io.BytesIO(data), allow_pickle=False) as archive:
        return {name: np.asarray(archive[name], np.int64) for name in archive.files}


def save_record(record: Record, samples: Arrays, path: str | os.PathLike[str]) -> Record:
    """Write NAME.json and NAME.npz whole or not at all; return the record with the hash of its samples.

    Raises SinkError when they cannot be written; what lay there before is then as it was.
    """
    target = Path(path)
    check_output(target)
    data = _packed(samples)
    record = replace(record, samples_sha256=hashlib.sha256(data).hexdigest())
    try:
        _replace_all({target.with_suffix(".npz"): data, target: record_to_json(record)})
    except OSError as error:
        raise SinkError(f"{target}: cannot be written: {error.strerror or error}") from error
    return record


def check_output(path: Path) -> None:
    """Raise SinkError unless a record can be written there: better before a run of ten minutes than after."""
    if path.suffix != ".json":
        raise SinkError(f"{path}: a result must be named *.json, its samples lie beside it as *.npz")
    if path.is_dir():
        raise SinkError(f"{path}: this is a folder; name a file in it")
    if not path.parent.is_dir():
        raise SinkError(f"{path}: there is no folder {path.parent}; make it first")
    try:  # which folders take a file is known to them alone: rights say nothing to root, nor of read-only disks
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        why = error.strerror or error
        raise SinkError(f"{path}: the folder {path.parent} cannot be written to: {why}") from error


def _replace_all(contents: dict[Path, bytes]) -> None:
    """Give every file its new content, or leave all of them as they were."""
    with ExitStack() as stack:
        fresh = {path: path.with_name(f".{path.name}.{os.getpid()}.new") for path in contents}
        kept = {path: path.with_name(f".{path.name}.{os.getpid()}.old") for path in contents}
        for path in (*fresh.values(), *kept.values()):
            stack.callback(path.unlink, missing_ok=True)
        for path, data in contents.items():
            _write_through(fresh[path], data)
        try:
            for path in contents:
                with suppress(FileNotFoundError):
                    shutil.copyfile(path, kept[path])
                fresh[path].replace(path)
        except BaseException:
            _put_back(contents, fresh, kept)
            raise


def _put_back(contents: dict[Path, bytes], fresh: dict[Path, Path], kept: dict[Path, Path]) -> None:
    for path in contents:
        if kept[path].exists():
            kept[path].replace(path)
        elif not fresh[path].exists():
            path.unlink(missing_ok=True)


def _write_through(path: Path, data: bytes) -> None:
    with open(path, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _packed(samples: Arrays) -> bytes:
    buffer = io.BytesIO()
    # The stub of savez_compressed takes names as keywords alone.
    np.savez_compressed(buffer, **{name: samples[name] for name in sorted(samples)})  # type: ignore[arg-type]
    return buffer.getvalue()


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise SourceError(f"{path}: cannot be read: {error.strerror or error}") from error
