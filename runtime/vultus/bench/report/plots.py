"""The plots of a report, each with words for those who do not see it; None where nothing was measured."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from vultus.bench.record import Curve, Record, Stage
from vultus.bench.report.drawing import LINE, Canvas, series_style, stage_style
from vultus.bench.report.markup import Html, clean
from vultus.bench.report.results import Shown

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis

__all__ = ["cdf", "clocks", "latencies", "memory", "over_time", "power", "stage_bars", "temperatures"]

POINTS = 400
BINS = 240
WIDE = 12.0
"""Times the median beyond which the slowest query makes an axis logarithmic."""

Floats = npt.NDArray[np.float64]


def latencies(one: Shown) -> Floats:
    """Return (n,) latencies in ms in the order they were measured; none of an offline run."""
    if one.record.latency is None or "intended_ns" not in one.samples:
        return np.empty(0)
    return (one.samples["end_ns"] - one.samples["intended_ns"]) / 1e6


def cdf(canvas: Canvas, shown: Sequence[Shown]) -> Html | None:
    """Return the share of queries that were done within a time."""
    drawn = [(number, one, np.sort(latencies(one))) for number, one in enumerate(shown)]
    drawn = [entry for entry in drawn if len(entry[2])]
    if not drawn:
        return None
    figure, (axes,) = canvas.axes(1, 3.9)
    for share in (0.5, 0.9, 0.99):
        axes.axhline(share, color=LINE, linewidth=1)
        axes.annotate(
            f"p{share * 100:g}", (1, share), xycoords=("axes fraction", "data"), va="bottom", ha="right"
        )
    for number, one, times in drawn:
        shares = np.unique(
            np.concatenate([np.linspace(0, 1, POINTS), 1 - np.geomspace(1 / len(times), 0.1, 60)])
        )
        at = np.clip(np.ceil(shares * len(times)).astype(int) - 1, 0, len(times) - 1)
        axes.step(
            times[at], (at + 1) / len(times), where="post", label=clean(one.label), **series_style(number)
        )
    if _is_wide([times for *_, times in drawn]):
        _logarithmic(axes.set_xscale, axes.xaxis)
    axes.set(xlabel="latency of a query, ms", ylabel="share of queries", ylim=(0, 1.02))
    axes.legend(loc="lower right")
    return canvas.figure(
        figure,
        "How many queries were done within a time. A line that lies further left is faster; its upper end is its tail.",
        "Cumulative distribution of the latency. "
        + " ".join(_spread(one.label, times) for _, one, times in drawn),
    )


def over_time(canvas: Canvas, shown: Sequence[Shown]) -> Html | None:
    """Return the latency of queries through the run; offline, the frames a second."""
    drawn = [(number, one) for number, one in enumerate(shown) if len(one.samples.get("end_ns", ())) > 1]
    if not drawn:
        return None
    figure, rows = canvas.axes(len(drawn), 2.3)
    all_times = [times for _, one in drawn if len(times := latencies(one))]
    for axes, (number, one) in zip(rows, drawn, strict=True):
        axes.set_title(clean(one.label))
        seconds, times = one.samples["end_ns"] / 1e9, latencies(one)
        if len(times):
            _through(axes, seconds, times, number)
            axes.set_ylabel("ms")
            _one_scale(axes, all_times)
        else:
            _rate(axes, seconds, number)
        _drops(axes, one)
    rows[-1].set_xlabel("seconds since the measured part began")
    return canvas.figure(
        figure,
        f"Latency through the run. Above {POINTS * 4} queries the line is the median and the band reaches from the "
        "fastest to the slowest of each moment; an offline run shows frames a second.",
        "Latency over time. " + " ".join(_trend(one) for _, one in drawn),
    )


def stage_bars(canvas: Canvas, shown: Sequence[Shown]) -> Html | None:
    """Return the mean time of a frame, stage by stage."""
    drawn = [one for one in shown if _parts(one.record)]
    if not drawn:
        return None
    names = list(dict.fromkeys(stage.name for one in drawn for stage, _ in _parts(one.record)))
    figure, (axes,) = canvas.axes(1, 1.5 + 0.62 * len(drawn) + 0.24 * (len(names) // 5))
    longest = max(sum(spent for _, spent in _parts(one.record)) for one in drawn)
    for row, one in enumerate(drawn):
        left = 0.0
        for stage, spent in _parts(one.record):
            style = stage_style(names.index(stage.name), stage.where == "device")
            axes.barh(row, spent, left=left, height=0.62, linewidth=0.6, **style)
            if spent > longest * 0.09:
                axes.text(left + spent / 2, row, f"{spent:.3g}", ha="center", va="center")
            left += spent
    axes.set(xlabel="mean time of a frame, ms", yticks=range(len(drawn)), ylim=(len(drawn) - 0.5, -0.5))
    axes.set_yticklabels([clean(one.label) for one in drawn])
    axes.grid(visible=False, axis="y")
    _stage_legend(
        axes, names, any(stage.where == "device" for one in drawn for stage, _ in _parts(one.record))
    )
    told = " ".join(
        f"{one.label}: "
        + ", ".join(f"{stage.name} {spent:.3g} ms ({stage.where})" for stage, spent in _parts(one.record))
        + "."
        for one in drawn
    )
    return canvas.figure(figure, "Where the time of a frame goes. Hatched pieces ran on the device.", told)


def power(canvas: Canvas, shown: Sequence[Shown]) -> Html | None:
    """Return the power of every rail through the run."""
    return _curves(canvas, shown, "Power", lambda record: record.telemetry.power)


def temperatures(canvas: Canvas, shown: Sequence[Shown]) -> Html | None:
    """Return the temperatures through the run."""
    return _curves(canvas, shown, "Temperature", lambda record: record.telemetry.temperatures)


def clocks(canvas: Canvas, shown: Sequence[Shown]) -> Html | None:
    """Return the clocks through the run."""
    return _curves(canvas, shown, "Clock", lambda record: record.telemetry.clocks)


def memory(canvas: Canvas, shown: Sequence[Shown]) -> Html | None:
    """Return the resident memory through the run."""
    found = {}
    for one in shown:
        if len(one.samples.get("rss_ns", ())) > 1:
            times, values = one.samples["rss_ns"] / 1e9, one.samples["rss_bytes"] / 2**20
            found[one.letter] = (Curve("resident", "MiB", tuple(times.tolist()), tuple(values.tolist())),)
    by_record = {id(one.record): found.get(one.letter, ()) for one in shown}
    return _curves(canvas, shown, "Memory", lambda record: by_record[id(record)])


def _curves(
    canvas: Canvas, shown: Sequence[Shown], what: str, of: Callable[[Record], Sequence[Curve]]
) -> Html | None:
    drawn = [(one, of(one.record)) for one in shown if of(one.record)]
    if not drawn:
        return None
    figure, rows = canvas.axes(len(drawn), 2.3)
    told = []
    for axes, (one, curves) in zip(rows, drawn, strict=True):
        axes.set_title(clean(one.label))
        axes.set_ylabel(clean(", ".join(dict.fromkeys(_unit(curve.unit) for curve in curves))))
        for number, curve in enumerate(curves):
            # A name that begins with _ would be left out of the legend.
            name = clean(curve.name).lstrip("_") or "unnamed"
            axes.plot(curve.times_s, curve.values, label=name, **series_style(number))
            told.append(f"{one.label}, {curve.name}: {_range(curve)}.")
        axes.margins(y=0.15)
        _from_zero(axes, curves)
        axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
    rows[-1].set_xlabel("seconds since the measured part began")
    return canvas.figure(figure, f"{what} through the run.", f"{what} over time. " + " ".join(told))


def _from_zero(axes: Axes, curves: Sequence[Curve]) -> None:
    """Keep noise from looking like change: axes begin at 0, and temperatures, which have none, span ten degrees."""
    values = [value for curve in curves for value in curve.values]
    low, high = min(values), max(values)
    if any(curve.unit == "C" for curve in curves):
        middle = (low + high) / 2
        axes.set_ylim(min(low - 1, middle - 5), max(high + 1, middle + 5))
    elif low >= 0:
        axes.set_ylim(0, high * 1.1 or 1)


def _unit(unit: str) -> str:
    return {"C": "°C"}.get(unit, unit)


def _range(curve: Curve) -> str:
    first, last = curve.values[0], curve.values[-1]
    low, high = min(curve.values), max(curve.values)
    return f"from {first:.4g} to {last:.4g} {_unit(curve.unit)}, between {low:.4g} and {high:.4g}"


def _through(axes: Axes, seconds: Floats, times: Floats, number: int) -> None:
    style = series_style(number)
    if len(times) <= POINTS * 4:
        axes.plot(seconds, times, color=style["color"], linewidth=0.8)
        return
    edges = np.unique(np.searchsorted(seconds, np.linspace(seconds[0], seconds[-1], BINS + 1)[:-1]))
    groups = np.split(times, edges[1:])
    at = np.array([part.mean() for part in np.split(seconds, edges[1:])])
    low, middle, high = (np.array([how(group) for group in groups]) for how in (np.min, np.median, np.max))
    axes.fill_between(at, low, high, color=style["color"], alpha=0.25, linewidth=0)
    axes.plot(at, middle, color=style["color"])


def _rate(axes: Axes, seconds: Floats, number: int) -> None:
    width = max(seconds[-1] / 60, 1.0)
    edges = np.arange(0, seconds[-1] + 1e-9, width)
    if len(edges) < 2:
        edges = np.array([0, seconds[-1]])
    count, _ = np.histogram(seconds, edges)
    axes.stairs(count / np.diff(edges), edges, color=series_style(number)["color"], linewidth=1.8)
    axes.set(ylabel="frames/s", ylim=(0, None))


def _drops(axes: Axes, one: Shown) -> None:
    """Mark frames that were never analysed along the foot of the plot."""
    dropped = one.samples.get("dropped_ns", np.empty(0))[: POINTS * 4]
    if len(dropped):
        axes.plot(
            dropped / 1e9, np.full(len(dropped), 0.02), "|", transform=axes.get_xaxis_transform(),
            color="#010101", label="dropped frames", markersize=7,
        )  # fmt: skip
        axes.legend(loc="upper right")


def _parts(record: Record) -> list[tuple[Stage, float]]:
    """Return the stages that are part of a frame, each with its ms in the mean frame."""
    frames = max(record.counts.frames, 1)
    return [
        (stage, stage.mean_ms * stage.count / frames) for stage in record.stages if stage.share is not None
    ]


def _stage_legend(axes: Axes, names: Sequence[str], device: bool) -> None:
    from matplotlib.patches import Patch

    keys = [
        Patch(label=clean(name).lstrip("_") or "unnamed", **stage_style(number, False))
        for number, name in enumerate(names)
    ]
    if device:
        keys.append(Patch(facecolor=LINE, hatch="//", edgecolor="#030303", label="on the device"))
    axes.figure.legend(handles=keys, loc="outside lower center", ncols=min(len(keys), 6))


def _one_scale(axes: Axes, times: Sequence[Floats]) -> None:
    """Give every plot the same heights, so that they can be compared from plot to plot."""
    most = max(each.max() for each in times)
    if _is_wide(times):
        _logarithmic(axes.set_yscale, axes.yaxis)
        axes.set_ylim(min(each.min() for each in times) / 1.1, most * 1.1)
    else:
        axes.set_ylim(0, most * 1.05)


def _is_wide(times: Sequence[Floats]) -> bool:
    """Tell whether the slowest would push all others together on an even axis."""
    slowest, middle = max(each.max() for each in times), min(float(np.median(each)) for each in times)
    return bool(slowest > WIDE * middle and all(each.min() > 0 for each in times))


def _logarithmic(scale: Callable[[str], None], axis: Axis) -> None:
    """Make an axis logarithmic, with plain numbers at it: matplotlib's own labels are formulas, which no plot reads."""
    from matplotlib.ticker import FuncFormatter, LogLocator

    def told(value: float, _: int | None = None) -> str:
        return f"{value:g}"

    scale("log")
    # At 1, 2 and 5 of each decade, so that an axis of less than a decade has labels too.
    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axis.set_major_formatter(FuncFormatter(told))
    axis.set_minor_formatter(FuncFormatter(lambda *_: ""))


def _spread(label: str, times: Floats) -> str:
    told = f"{label}: {len(times)} queries from {times[0]:.3g} to {times[-1]:.3g} ms"
    return f"{told}, half of them within {np.median(times):.3g} ms."


def _trend(one: Shown) -> str:
    times = latencies(one)
    if not len(times):
        return f"{one.label}: {one.record.throughput:.3g} frames a second."
    first, _, last = (np.median(third) for third in np.array_split(times, 3))
    return f"{one.label}: median {first:.3g} ms in the first third, {last:.3g} ms in the last."
