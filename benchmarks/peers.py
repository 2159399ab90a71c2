#!/usr/bin/env python3
"""Measure vultus beside other packages that find faces: same pictures, same cores, in turn, in one sitting.

    python benchmarks/peers.py --prepare                                   # their environments, below runs/peers
    python benchmarks/peers.py --data DIR --weights DIR                    # benchmarks/results/peers.json

What is measured and how each peer is used stands in docs/peers.md. Exit codes: 0 done, 1 nothing could be
measured, 2 usage.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from harness.latency import processor
from harness.network_size import models_measured
from harness.peers_accuracy import Judged, accuracies
from harness.peers_install import FOLDER, OWN, Environment, NotThere, environment_of, prepare
from harness.peers_kept import kept_accuracy, rejudged, stored
from harness.peers_known import REFERENCE, Peer, peers_named
from harness.peers_picture import Scene, scene
from harness.peers_rounds import Timing, rounds_of
from harness.peers_rows import rows_of
from harness.peers_talk import Talk
from harness.provenance import REPOSITORY, commit_of, write_json
from vultus import __version__
from vultus.errors import VultusError
from vultus_export.metrics.intervals import DRAWS, SEED

SCHEMA = 1
RESULT = REPOSITORY / "benchmarks" / "results" / "peers.json"
PARTIAL = FOLDER / "partial.json"
QUICK = {"rounds": 2, "seconds": 0.05, "pictures": 8}

Failed = dict[str, str]


def main(arguments: Sequence[str] | None = None) -> int:
    """Prepare or measure; return the exit code."""
    parser = _parser()
    asked = parser.parse_args(arguments)
    try:
        peers = peers_named(asked.only)
        if asked.prepare:
            return _prepared(peers)
        if asked.data is None and not asked.no_accuracy:
            parser.error(
                "name the folder of picture sets with --data, or leave accuracy out with --no-accuracy"
            )
        result = judge_own(asked, peers) if asked.rejudge else measure(asked, peers)
    except (VultusError, OSError, ValueError) as error:
        print(f"peers: {error}", file=sys.stderr)
        return 1
    target = asked.json or (PARTIAL if asked.only or asked.quick or asked.no_accuracy else RESULT)
    write_json(target, result)
    _print_rows(result)
    print(f"written: {target}")
    return 0 if any(row["p50_ms"] for row in result["rows"]) else 1


def _prepared(peers: Sequence[Peer]) -> int:
    failures = 0
    for peer in {peer.place: peer for peer in peers}.values():
        began = time.perf_counter()
        try:
            prepare(peer)
            _say(f"{peer.name}: ready, {time.perf_counter() - began:.0f} s")
        except NotThere as error:
            failures += 1
            _say(f"{peer.name}: {error}")
    return int(failures > 0)


def measure(asked: argparse.Namespace, peers: tuple[Peer, ...]) -> dict[str, Any]:
    """Return the whole result of one sitting."""
    if asked.quick:
        vars(asked).update(QUICK)
    began, load = time.perf_counter(), os.getloadavg()[0]
    wanted = peers if any(peer.name == REFERENCE for peer in peers) else (*peers, *peers_named([REFERENCE]))
    picture, failed = scene(asked.picture, asked.faces), Failed()
    environments = _environments(wanted, failed)
    times = _times(wanted, environments, picture, asked, failed)
    accuracy = kept_accuracy(stored(RESULT), wanted, asked.pictures) if asked.keep_accuracy else {}
    if not asked.no_accuracy:
        there = [peer for peer in wanted if peer.name not in failed and peer.name not in accuracy]
        accuracy |= _judged(there, environments, asked)
    return {
        "schema": SCHEMA,
        "vultus": __version__,
        "commit": commit_of(),
        "models": models_measured(),
        **_machine(),
        "load_before": round(load, 2),
        "quick": asked.quick,
        "seconds": round(time.perf_counter() - began, 1),
        "picture": {
            "width": 640,
            "height": 480,
            "faces": picture.faces,
            "of": picture.source,
            "sha256": picture.digest,
        },
        "rounds": asked.rounds,
        "pictures": asked.pictures,
        "reference": REFERENCE,
        "bootstrap": {"draws": DRAWS, "seed": SEED},
        "rows": rows_of(wanted, environments, times, accuracy, failed),
    }


def judge_own(asked: argparse.Namespace, peers: tuple[Peer, ...]) -> dict[str, Any]:
    """Return the committed result with vultus judged anew, for new weights of the same architecture."""
    before, failed = stored(RESULT), Failed()
    own = [peer for peer in peers if peer.place == OWN]
    environments = _environments(own, failed)
    if failed:
        raise ValueError(f"{next(iter(failed.values()))}; run with --prepare first")
    vars(asked).update(pictures=before["pictures"])
    return rejudged(before, _judged(own, environments, asked), commit_of())


def _judged(
    peers: Sequence[Peer], environments: Mapping[str, Environment], asked: argparse.Namespace
) -> dict[str, dict[str, Any]]:
    return accuracies(peers, environments, Judged(asked.data, asked.pictures, asked.weights), _cores(), _say)


def _environments(peers: Sequence[Peer], failed: Failed) -> dict[str, Environment]:
    found = {}
    for peer in peers:
        try:
            found[peer.name] = environment_of(peer)
        except NotThere as error:
            failed[peer.name] = str(error)
    return found


def _times(
    peers: Sequence[Peer],
    environments: Mapping[str, Environment],
    picture: Scene,
    asked: argparse.Namespace,
    failed: Failed,
) -> dict[int, dict[str, Timing]]:
    times: dict[int, dict[str, Timing]] = {}
    for threads in asked.threads:
        cores = _cores()[:threads]
        with ExitStack() as stack:
            talks = {}
            for peer in peers:
                if peer.name in failed:
                    continue
                try:
                    talk = Talk(peer, environments[peer.name], cores, threads, None, asked.weights)
                    talks[peer.name] = stack.enter_context(talk)
                except NotThere as error:
                    failed[peer.name] = str(error)
            _say(f"{threads} threads, {len(talks)} peers; not there: {', '.join(failed) or 'none'}")
            times[threads] = rounds_of(talks, picture, asked.rounds, asked.seconds, failed, _say)
    return times


def _cores() -> list[int]:
    return sorted(os.sched_getaffinity(0))


def _machine() -> dict[str, Any]:
    node = subprocess.run(["node", "--version"], capture_output=True, text=True, check=False)
    return {
        "processor": processor(),
        "cores": len(_cores()),
        "python": platform.python_version(),
        "node": node.stdout.strip() or None,
    }


def _print_rows(result: dict[str, Any]) -> None:
    for row in result["rows"]:
        figures = f"{row['p50_ms']} ms, x{row['ratio']}, {row['faces']} faces, {row['rss_mib']} MiB"
        told = figures if row["p50_ms"] else f"- ({row['reason']})"
        print(f"{row['name']:<22} {row['threads']} threads: {told}, AP.4 {row['ap40']}")


def _say(words: str) -> None:
    print(words, file=sys.stderr, flush=True)


def _numbers(text: str) -> tuple[int, ...]:
    numbers = tuple(int(part) for part in text.split(",") if part.strip().isdigit())
    if not numbers or not all(1 <= number <= len(_cores()) for number in numbers):
        raise argparse.ArgumentTypeError(
            f"threads {text!r} must be numbers from 1 to {len(_cores())}, such as 1,2"
        )
    return numbers


def _positive(kind: Callable[[str], float]) -> Callable[[str], float]:
    def parse(text: str) -> float:
        value = kind(text)
        if value <= 0:
            raise argparse.ArgumentTypeError(f"{text!r} must be above 0")
        return value

    return parse


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=(__doc__ or "").split("\n\n")[0], epilog="How each peer is used: docs/peers.md"
    )
    add = parser.add_argument
    add(
        "--prepare",
        action="store_true",
        help="install the peers and end; those that are ready stay as they are",
    )
    add(
        "--only",
        action="append",
        default=[],
        metavar="NAME",
        help="this peer alone, beside the reference; repeatable",
    )
    add("--data", type=Path, help="folder of the picture sets crowds and utkface")
    add("--weights", type=Path, help="folder of weights that packages do not bring")
    add(
        "--json", type=Path, help="file to write to; by default the committed one, or runs/peers/partial.json"
    )
    add("--threads", type=_numbers, default=_numbers("1,2" if len(_cores()) > 1 else "1"), help="such as 1,2")
    add("--rounds", type=_positive(int), default=24, help="turns that every peer takes")
    add("--seconds", type=_positive(float), default=0.3, help="how long each works in a turn")
    add("--pictures", type=_positive(int), default=500, help="at most so many pictures of a set")
    add(
        "--picture", type=Path, help="time on this photograph, fitted into 640x480, in place of the portraits"
    )
    add("--faces", type=int, default=0, help="how many faces that photograph shows")
    add(
        "--rejudge",
        action="store_true",
        help="new weights of the same networks: judge vultus again, keep all times",
    )
    add(
        "--keep-accuracy",
        action="store_true",
        help="take the accuracy of other packages from the committed result",
    )
    add("--no-accuracy", action="store_true", help="times alone")
    add("--quick", action="store_true", help="a trial: few rounds and pictures, never for publication")
    return parser


if __name__ == "__main__":
    sys.exit(main())
