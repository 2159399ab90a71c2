#!/usr/bin/env python3
"""Guard against our own code becoming dearer: instructions counted by callgrind, never times.

    python benchmarks/guard.py                      # compare with benchmarks/results/guard.json
    python benchmarks/guard.py --side-by-side       # count the baseline's commit as well, here and now
    python benchmarks/guard.py --update "REASON"    # HEAD becomes the baseline
    python benchmarks/guard.py --record             # record the networks' outputs anew, from the default models

What is counted and how stands in docs/benchmarks.md. Exit codes: 0 nothing is dearer, or nothing could be counted
and the reason is said; 1 something is dearer or broken; 2 usage.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from harness.guard_baseline import (
    BASELINE,
    Baseline,
    checkout_of,
    load_baseline,
    networks_of,
    work_digest,
    written,
)
from harness.guard_compare import Row, compare_networks, compare_regions, faults, shown
from harness.guard_count import CannotCount, Counted, count
from harness.guard_record import record
from harness.guard_recording import read_recording
from harness.guard_work import regions
from harness.provenance import REPOSITORY, write_json

__all__ = ["check", "main", "update"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Check, update or record; return the exit code."""
    parser = _parser()
    asked = parser.parse_args(arguments)
    if asked.update is not None and not asked.update.strip():
        parser.error("--update takes the reason why the old costs no longer hold")
    if asked.only and asked.update is not None:
        parser.error("a baseline holds every region; leave --only out")
    try:
        if asked.record:
            record()
        elif asked.update is not None:
            update(asked.baseline, asked.tree, asked.update.strip())
        else:
            return check(asked.baseline, asked.tree, asked.side_by_side, asked.only)
    except CannotCount as error:
        updating = asked.update is not None
        print(f"guard: {'' if updating else 'skipped: '}{error}", file=sys.stderr)
        return int(updating)
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        print(f"guard: {error}", file=sys.stderr)
        return 1
    return 0


def check(file: Path, tree: Path, side_by_side: bool = False, only: Sequence[str] = ()) -> int:
    """Compare a checkout with a baseline, print the table and what is wrong, and return the exit code.

    Raises CannotCount when there is neither a count of this environment nor a way to make one.
    """
    baseline = load_baseline(file)
    rows = list(compare_networks(networks_of(tree), baseline.networks))
    _tell(faults(rows))  # needs no callgrind: said even where the rest is skipped
    try:
        regions = _region_rows(baseline, tree, side_by_side, only)
    except CannotCount:
        if faults(rows):
            return 1
        raise
    _tell(faults(regions))
    print(shown(regions + rows))
    return int(bool(faults(regions + rows)))


def _region_rows(baseline: Baseline, tree: Path, side_by_side: bool, only: Sequence[str]) -> list[Row]:
    now = count(tree, only)
    before = None if side_by_side else baseline.regions(now.key)
    if before is not None:
        print(f"beside the committed counts of {baseline.commit[:12]} ({baseline.reason})")
        return compare_regions(now.regions, before, now.absent)
    print(f"beside {baseline.commit[:12]} ({baseline.reason}), counted here and now")
    with checkout_of(baseline.commit, tree) as folder:
        older = count(folder, only)
    return compare_regions(now.regions, older.regions, now.absent, older.absent)


def update(file: Path, tree: Path, reason: str) -> None:
    """Make HEAD's code and the models that lie in the tree the baseline.

    Counts of other environments stay as long as they are of the same commit and work.

    Raises CannotCount where it cannot be counted, ValueError when some region cannot be done.
    """
    head = subprocess.run(
        ["git", "-C", str(tree), "rev-parse", "HEAD"], capture_output=True, text=True, check=True
    ).stdout.strip()
    with checkout_of(head, tree) as folder:
        counted = count(folder)
    if counted.absent:
        told = "; ".join(f"{name}: {why}" for name, why in counted.absent.items())
        raise ValueError(f"{head[:12]} cannot be a baseline: {told}")
    fresh = Baseline(head, reason, work_digest(), (_entry(counted),), networks_of(tree))
    old = load_baseline(file) if file.exists() else None
    if old and (old.commit, old.work) == (fresh.commit, fresh.work):
        others = [entry for entry in old.counts if entry["key"] != counted.key]
        fresh = replace(fresh, counts=(*others, *fresh.counts))
    write_json(file, written(fresh))
    print(f"written: {file}")


def _entry(counted: Counted) -> dict[str, object]:
    return {"key": dict(counted.key), "regions": dict(counted.regions)}


def _tell(words: Sequence[str]) -> None:
    for line in words:
        print(f"guard: {line}", file=sys.stderr)


def _names(text: str) -> tuple[str, ...]:
    names, known = tuple(part.strip() for part in text.split(",")), tuple(regions(read_recording()))
    wrong = [name for name in names if name not in known]
    if wrong:
        raise argparse.ArgumentTypeError(
            f"there is no region {', '.join(map(repr, wrong))}; there are: {', '.join(known)}"
        )
    return names


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    what = parser.add_mutually_exclusive_group()
    what.add_argument(
        "--side-by-side", action="store_true", help="count the baseline's commit in this run too"
    )
    what.add_argument("--update", metavar="REASON", help="make HEAD the baseline and say why")
    what.add_argument(
        "--record", action="store_true", help="record the networks' outputs anew; then --update"
    )
    parser.add_argument(
        "--only", type=_names, default=(), metavar="NAMES", help="regions to count: NAME,NAME"
    )
    parser.add_argument("--baseline", type=Path, default=BASELINE, help="the baseline's file")
    parser.add_argument("--tree", type=Path, default=REPOSITORY, help="the checkout to guard")
    return parser


if __name__ == "__main__":
    sys.exit(main())
