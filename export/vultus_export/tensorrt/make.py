"""`engine_from_onnx`: cache, build, proof, files; the one function behind `vultus-export engine`."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console

from vultus.engines.sidecar import Platform, Sidecar
from vultus.errors import ModelError
from vultus.onnxfile import spec_from_onnx
from vultus.spec import ModelSpec
from vultus_export.tensorrt.bindings import Bindings
from vultus_export.tensorrt.builder import Built, build_engine
from vultus_export.tensorrt.cache import cache_key, reusable, store, writable_folder
from vultus_export.tensorrt.inspect import count
from vultus_export.tensorrt.progress import BuildState, watched
from vultus_export.tensorrt.request import Request
from vultus_export.whole import write_whole

__all__ = ["Made", "engine_from_onnx"]


@dataclass(frozen=True)
class Made:
    """An engine file that is in place: built now (`built`, `seconds`), or found and used again (`built` is None)."""

    path: Path
    sidecar: Sidecar
    built: Built | None
    seconds: float


def engine_from_onnx(
    onnx: Path,
    out: Path,
    bindings: Bindings,
    request: Request,
    console: Console,
    here: Platform | None = None,
    timing_cache: Path | None = None,
    rebuild: bool = False,
) -> Made:
    """Build OUT/NAME.engine and its sidecar from NAME.onnx, or use the intact one of the same key again.

    here: the platform to build on, by default this machine. timing_cache: file of kernel measurements to begin
    with and to extend. Raises ModelError, SpecError, InputError or DeviceError with what to do; Ctrl-C raises
    KeyboardInterrupt and leaves nothing half-written.
    """
    spec = spec_from_onnx(onnx)
    data = onnx.read_bytes()
    bindings.refuse_impossible(request)
    _refuse_timing_cache(bindings, timing_cache)
    here = bindings.platform(here)
    width, height = request.size_for(spec)
    path = writable_folder(out) / f"{onnx.stem}.engine"
    digest = hashlib.sha256(data).hexdigest()
    key = cache_key(digest, here, request, bindings.portable)
    found, why = (None, "it was asked for") if rebuild else reusable(path, key, here)
    if found:
        return Made(path, found, None, 0.0)
    if why:
        console.print(f"{path.name} is built anew: {why}")
    start = time.monotonic()
    state = BuildState()
    known = timing_cache.read_bytes() if timing_cache and timing_cache.is_file() else b""
    cache = None if timing_cache is None else known
    built = watched(
        lambda: build_engine(bindings, here, data, spec, request, state, cache), state, path.name, console
    )
    seconds = time.monotonic() - start
    taken = replace(spec, input=replace(spec.input, width=width, height=height, multiple=0))
    sidecar = _sidecar(bindings, here, request, taken, built, onnx.name, digest, key)
    if timing_cache:
        write_whole(timing_cache, built.timing_cache)
    store(path, built.data, sidecar)
    return Made(path, sidecar, built, seconds)


def _refuse_timing_cache(bindings: Bindings, timing_cache: Path | None) -> None:
    if timing_cache and bindings.portable:
        raise ModelError(f"{bindings.name} times no kernels while it builds; leave --timing-cache out")
    if timing_cache:
        writable_folder(timing_cache.absolute().parent)


def _sidecar(
    bindings: Bindings,
    here: Platform,
    request: Request,
    spec: ModelSpec,
    built: Built,
    name: str,
    digest: str,
    key: str,
) -> Sidecar:
    return Sidecar(
        spec=spec,
        onnx=name,
        flavour=bindings.flavour,
        version=bindings.version,
        compute_capabilities=bindings.targets(request, here),
        batch=built.batch,
        precision=spec.precision,
        onnx_sha256=digest,
        engine_sha256=hashlib.sha256(built.data).hexdigest(),
        engine_size=len(built.data),
        key=key,
        proof=built.proof,
        layers=count(built.layers),
        device="" if bindings.portable else here.device,
        cuda="" if bindings.portable else here.cuda,
        flags=request.flags(),
    )
