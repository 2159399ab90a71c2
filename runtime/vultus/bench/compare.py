"""Two results set against each other: refused unless they are alike, with intervals for the ratios of their times."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from vultus.bench.alike import Difference, Kind, differences, remarks, unreliable
from vultus.bench.bootstrap import (
    BLOCKS,
    DRAWS,
    Interval,
    Redrawn,
    mean_draws,
    percentile_draws,
    ratio_interval,
)
from vultus.bench.files import load_record, load_samples
from vultus.bench.record import Arrays, Record
from vultus.bench.samples import needed
from vultus.errors import InputError

__all__ = ["SHARES", "Comparison", "Ratio", "compare", "limit_from_text"]

SHARES = {"p50": 0.5, "p90": 0.9}
MEAN = {"mean time of a frame": None}
"""What stands in their place for an offline run, which has no latency."""

LEAST = 64
"""Samples below which no interval is given, whatever the percentile: redrawing a handful says nothing."""

SEED = 20190603


@dataclass(frozen=True)
class Ratio:
    """One figure of both runs in milliseconds, and the second in terms of the first: above 1 is slower.

    interval: None where the samples of a run are too few; `why` then says so.
    """

    name: str
    first_ms: float | None
    second_ms: float | None
    interval: Interval | None
    why: str = ""

    def beyond(self, limit: float) -> bool:
        """Tell whether the whole interval lies above 1 + limit."""
        return self.interval is not None and self.interval.low > 1 + limit


@dataclass(frozen=True)
class Comparison:
    """What came of comparing two results. although: unlike as they are in these things."""

    first: str
    second: str
    ratios: tuple[Ratio, ...]
    remarks: tuple[str, ...]
    although: tuple[Difference, ...]

    def slower(self, limit: float) -> list[Ratio]:
        """Return the ratios that lie beyond a limit, such as 0.05 for five in a hundred.

        Raises InputError when no ratio could be told: a gate that cannot see must not open.
        """
        if all(ratio.interval is None for ratio in self.ratios):
            raise InputError(
                f"{self.first} and {self.second} have too few samples to tell how far they differ: "
                + "; ".join(f"{ratio.name} {ratio.why}" for ratio in self.ratios)
            )
        return [ratio for ratio in self.ratios if ratio.beyond(limit)]


def compare(
    first: str | os.PathLike[str],
    second: str | os.PathLike[str],
    although: Collection[Kind] = (),
    seed: int = SEED,
    draws: int = DRAWS,
) -> Comparison:
    """Set a second result against a first. although: in what they may differ, or that they may be invalid.

    The intervals speak of these two runs alone: what changes from one start of the process to the next, they cannot
    know. Raises InputError with a list of what is unlike, and SourceError when a result or its samples cannot be read.
    """
    paths = (Path(first), Path(second))
    records = (load_record(paths[0]), load_record(paths[1]))
    names = _names(paths)
    found = [*differences(*records), *unreliable(dict(zip(names, records, strict=True)))]
    refused = [difference for difference in found if difference.kind not in although]
    if refused:
        raise InputError(_refusal(names, refused))
    ratios, said = _ratios(records, (load_samples(paths[0]), load_samples(paths[1])), names, seed, draws)
    return Comparison(*names, tuple(ratios), (*remarks(*records), *said), tuple(found))


def limit_from_text(text: str) -> float:
    """Return 0.05 for "5%". Raises InputError for what is no percentage: 0.05 and 5 could mean either."""
    number = text.strip().removesuffix("%")
    try:
        value = float(number)
    except ValueError:
        value = -1.0
    if not text.strip().endswith("%") or not 0 <= value < 1000:
        raise InputError(f"a limit is a percentage such as 5%; got {text!r}")
    return value / 100


def _names(paths: tuple[Path, Path]) -> tuple[str, str]:
    """Return what to call two files: their names where those differ, else with their folders."""
    if paths[0].name != paths[1].name:
        return paths[0].name, paths[1].name
    return str(paths[0]), str(paths[1])


def _refusal(names: tuple[str, str], refused: list[Difference]) -> str:
    lines = [f"  {difference.kind.value}: {difference.text}" for difference in refused]
    kinds = dict.fromkeys(difference.kind.value for difference in refused)
    told = " ".join(f"--although {kind}" for kind in kinds)
    head = f"{names[0]} and {names[1]} may not be compared:"
    return "\n".join([head, *lines, f"measure both alike, or compare them all the same with {told}"])


def _ratios(
    records: tuple[Record, Record],
    samples: tuple[Arrays, Arrays],
    names: tuple[str, str],
    seed: int,
    draws: int,
) -> tuple[list[Ratio], list[str]]:
    offline = "offline" in (records[0].scenario.name, records[1].scenario.name)
    times = [_frame_times(arrays) if offline else _latencies(arrays) for arrays in samples]
    shares: Mapping[str, float | None] = MEAN if offline else SHARES
    drawn = [_redrawn(each, shares, seed + number, draws) for number, each in enumerate(times)]
    ratios = [_ratio(name, share, times, drawn, names) for name, share in shares.items()]
    said = [
        f"{name}: its samples are so like their neighbours that the interval may be too narrow; measure longer"
        for name, found, each in zip(names, drawn, times, strict=True)
        if any(one.block >= max(len(each) // BLOCKS, 2) for one in found.values())
    ]
    return ratios, said


def _redrawn(
    times: npt.NDArray[np.float64], shares: Mapping[str, float | None], seed: int, draws: int
) -> dict[str, Redrawn]:
    """Return the figures that the samples are enough for, redrawn."""
    enough = {name: share for name, share in shares.items() if len(times) >= _least(share)}
    percentiles = {name: share for name, share in enough.items() if share is not None}
    if not percentiles:
        return {name: mean_draws(times, seed, draws) for name in enough}
    found = percentile_draws(times, list(percentiles.values()), seed, draws)
    return dict(zip(percentiles, found, strict=True))


def _ratio(
    name: str,
    share: float | None,
    times: list[npt.NDArray[np.float64]],
    drawn: list[dict[str, Redrawn]],
    names: tuple[str, str],
) -> Ratio:
    one, other = (found.get(name) for found in drawn)
    if one is not None and other is not None and one.value > 0 and one.draws.min() > 0:
        return Ratio(name, one.value, other.value, ratio_interval(other, one))
    few = [
        f"{len(each)} in {label}"
        for each, label, found in zip(times, names, (one, other), strict=True)
        if found is None
    ]
    why = f"takes {_least(share)} samples, there are {' and '.join(few)}" if few else "took no time"
    return Ratio(name, one.value if one else None, other.value if other else None, None, why)


def _least(share: float | None) -> int:
    return LEAST if share is None else max(needed(share), LEAST)


def _latencies(arrays: Arrays) -> npt.NDArray[np.float64]:
    """Return (n,) latencies in ms in the order they were measured."""
    return (arrays["end_ns"] - arrays["intended_ns"]) / 1e6


def _frame_times(arrays: Arrays) -> npt.NDArray[np.float64]:
    """Return (n - 1,) ms from the end of each frame to that of the next."""
    return np.diff(arrays["end_ns"]) / 1e6
