"""The parts of a check: what each runs and returns. An entry `passed` says whether it is as promised."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, closing
from typing import Any

import numpy as np

from gpu.copies import copy_times
from gpu.engines import reference
from gpu.kernel_times import kernel_times
from gpu.pipeline_times import network_times, pipeline_times
from gpu.sanitizer import sanitize
from gpu.session import Session
from gpu.usual import compared_with_the_usual_way
from harness.provenance import REPOSITORY
from vultus.selftest.kernels import check_kernels
from vultus.selftest.models import SLACK
from vultus.selftest.pipeline import compare_pictures, pictures
from vultus.selftest.report import Check
from vultus.selftest.soak import check_frames, gauges, soak_frames
from vultus.sources import find_pictures, frames_from_found
from vultus.types import Frame

__all__ = ["PARTS", "Part"]

Part = Callable[[Session], dict[str, Any]]

EXAMPLES = REPOSITORY / "examples"
MOST_PICTURES = 500


def _checks(found: Iterable[Check]) -> dict[str, Any]:
    """Return checks as an entry: whether all passed, the worst of each figure, and every check by name."""
    listed = list(found)
    worst: dict[str, float] = {}
    for check in listed:
        for name, value in check.figures.items():
            worst[name] = max(worst.get(name, value), value)
    failed = {check.name: check.detail for check in listed if check.status == "failed"}
    return {
        "passed": bool(listed) and not failed,
        "checks": len(listed),
        "failed": failed,
        "worst": {name: float(f"{value:.6g}") for name, value in worst.items()},
    }


def kernels(session: Session) -> dict[str, Any]:
    """Every kernel against what g++ made of the same source."""
    found = list(check_kernels(session.driver, session.kernels))
    cases = {check.name: dataclasses.asdict(check)["figures"] for check in found}
    return {**_checks(found), "origin": session.kernels.origin, "cases": cases}


def pipeline(session: Session) -> dict[str, Any]:
    """The whole pipeline against the CPU's on packaged pictures, examples and a folder."""
    files = session.networks.files
    slack = SLACK.get(session.networks.detector.spec.precision, 1.0)
    frames = dict(_pictures(session))
    with ExitStack() as stack:
        expected = stack.enter_context(reference(session.networks, session.attributes, files))
        found = stack.enter_context(closing(session.pipeline()))
        return {**_checks(compare_pictures(expected, found, frames, slack)), "pictures": len(frames)}


def _pictures(session: Session) -> Iterator[tuple[str, Frame]]:
    packaged = pictures()
    names = list(packaged)[:3] if session.asked.quick else list(packaged)
    yield from ((name, packaged[name]) for name in names)
    folders = [str(folder) for folder in (EXAMPLES, session.asked.pictures) if folder is not None]
    listed = list(find_pictures(folders))[:MOST_PICTURES]
    for name, frame in frames_from_found(listed, quiet=True):
        if isinstance(frame, Frame):
            yield name, frame


def graphs(session: Session) -> dict[str, Any]:
    """Captured graphs against eager launches: the same records, bit for bit."""
    packaged = pictures()
    names = list(packaged)[:3] if session.asked.quick else list(packaged)
    differing: dict[str, str] = {}
    with closing(session.pipeline(graphs=True)) as captured, closing(session.pipeline(graphs=False)) as eager:
        for name in names:
            # The third time everything that can be captured is.
            last, other = ([run(packaged[name]) for _ in range(3)][-1] for run in (captured, eager))
            left, right = last.faces, other.faces
            if left.tobytes() != right.tobytes():
                differing[name] = _difference(left, right)
    capturable = {
        "detector": session.networks.detector.capturable,
        "face": session.networks.face.capturable,
    }
    return {
        "passed": not differing,
        "pictures": len(names),
        "differing": differing,
        "engines_capturable": capturable,
        "ran_on": [last.ran_on[stage] for stage in ("detect", "face") if stage in last.ran_on],
    }


def _difference(left: Any, right: Any) -> str:
    if len(left) != len(right):
        return f"{len(left)} and {len(right)} faces"
    words = [np.ascontiguousarray(side).view(np.uint8).view(np.float32) for side in (left, right)]
    return f"{int((words[0].view(np.uint32) != words[1].view(np.uint32)).sum())} words of {words[0].size}"


def timings(session: Session) -> dict[str, Any]:
    """Copies, kernels, networks, whole frames and the usual way, by events and the clock."""
    copies = copy_times(session)
    networks = network_times(session)
    return {
        "passed": True,
        "copies": copies,
        "kernels": kernel_times(session, copies["device_gb_per_s"]),
        "networks": networks,
        "pipeline": pipeline_times(session, networks),
        "usual": compared_with_the_usual_way(session),
    }


def frames(session: Session) -> dict[str, Any]:
    """Many frames in a row with flat memory."""
    asked = session.asked
    with closing(session.pipeline()) as pipeline:
        found = list(
            check_frames(pipeline, soak_frames(), asked.frames, gauges(session.driver), asked.seconds)
        )
    return {**_checks(found), **found[0].figures}


PARTS: Mapping[str, Part] = {
    "kernels": kernels,
    "pipeline": pipeline,
    "graphs": graphs,
    "sanitizer": sanitize,
    "timings": timings,
    "frames": frames,
}
"""Parts by name, in the order in which they run; on the command line also by their letters a to f."""
