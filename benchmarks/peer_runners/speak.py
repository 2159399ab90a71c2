"""How a peer is spoken to: JSON lines in on standard input, JSON lines out on what was standard output.

A runner runs in the peer's own environment, which holds nothing of vultus: this file is plain Python 3.10, and numpy is
imported with the peer, so that its import time counts everything. `open` comes first, then any number of `run`:

    {"do": "open", "threads": 1, "score": null, "weights": null}  ->  {"import_s", "open_s", "rss_mib", "notes"}
    {"do": "run", "file": PATH, "width": W, "height": H, "times": N, "whole": false}
        ->  {"faces": [...], "ns": [N], "cpu_ns": of all N, "peak_mib"}

What fails is answered with {"error": words}. A face is {"box": [x1, y1, x2, y2], "score", "points", "age", "male"}.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from collections.abc import Callable, Iterable
from functools import partial
from importlib import import_module
from typing import Any, TextIO

__all__ = ["Face", "Opened", "Request", "cap_onnxruntime", "face_of", "serve"]

Face = dict[str, Any]
Request = dict[str, Any]
Opened = Callable[[Any], list[Face]]
"""Finds the faces of a picture (H, W, 3) uint8, BGR or RGB as the peer wants it."""

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "TF_NUM_INTRAOP_THREADS")


def serve(import_peer: Callable[[], Any], open_peer: Callable[[Any, Request], Opened]) -> None:
    """Answer until standard input ends.

    import_peer: imports the peer's package and returns it, timed as its import. open_peer: loads its models.
    """
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a package prints must not stand between the answers
    run: Opened | None = None
    for line in sys.stdin:
        request = json.loads(line)
        try:
            if request["do"] == "open":
                run, answer = _open(import_peer, open_peer, request)
            else:
                answer = _run(run, request)
        except Exception as error:  # any failure of a peer is a row that says why
            answer = {"error": f"{type(error).__name__}: {error}"}
        _say(answers, answer)


def _open(
    import_peer: Callable[[], Any], open_peer: Callable[[Any, Request], Opened], request: Request
) -> tuple[Opened, Any]:
    for name in THREADS:
        os.environ[name] = str(request["threads"])
    began = time.perf_counter()
    package = import_peer()
    imported = time.perf_counter()
    run = open_peer(package, request)
    times = {"import_s": imported - began, "open_s": time.perf_counter() - imported}
    return run, {**times, "rss_mib": _status("VmRSS")}


def _run(run: Opened | None, request: Request) -> Any:
    if run is None:
        raise RuntimeError("nothing was opened")
    picture = _picture(request)
    handler = partial(run.whole, picture) if request.get("whole") else partial(run, picture)  # type: ignore[attr-defined]
    faces: list[Face] = []
    times: list[int] = []
    before = _cpu()
    for _ in range(request["times"]):
        began = time.perf_counter_ns()
        faces = handler()
        times.append(time.perf_counter_ns() - began)
    return {"faces": faces, "ns": times, "cpu_ns": _cpu() - before, "peak_mib": _status("VmHWM")}


def _picture(request: Request) -> Any:
    numpy = import_module("numpy")
    pixels = numpy.fromfile(request["file"], numpy.uint8)
    return pixels.reshape(request["height"], request["width"], 3)


def _cpu() -> int:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return round((used.ru_utime + used.ru_stime) * 1e9)


def _status(name: str) -> float:
    """Return a line of the kernel's account of this process's memory, in MiB."""
    with open("/proc/self/status", encoding="ascii") as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:")) / 1024


def _say(answers: TextIO, answer: Any) -> None:
    answers.write(json.dumps(answer) + "\n")
    answers.flush()


def face_of(box: Iterable[Any], score: Any, points: Any = (), **more: Any) -> Face:
    """Return a face as the answers hold it; points: (5, 2) in any nesting."""
    numpy = import_module("numpy")
    flat = numpy.asarray(points, dtype=float).reshape(-1, 2).tolist()
    return {"box": [float(side) for side in box], "score": float(score), "points": flat, **more}


def cap_onnxruntime(threads: int) -> None:
    """Make every session that a package opens without options of its own use so many threads and none more."""
    runtime: Any = import_module("onnxruntime")
    opened = runtime.InferenceSession

    def session(model: Any, sess_options: Any = None, **more: Any) -> Any:
        options = sess_options or runtime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        return opened(model, options, **more)

    runtime.InferenceSession = session
