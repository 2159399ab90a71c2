"""Results with something in every part of a report: two boards with rails, heat and device stages, and one without."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from bench_pairs import arrays_of, autocorrelated, valid_record
from bench_records import MODEL, record
from vultus.bench.files import save_record
from vultus.bench.record import (
    Counts,
    Curve,
    Energy,
    Event,
    Rail,
    Record,
    Scenario,
    Stage,
    Telemetry,
    Verdict,
)

__all__ = ["HOSTILE", "accuracy_file", "board_run", "hostile_run", "offline_run", "three_runs"]

HOSTILE = (
    "<script>alert(1)</script><img src=\"https://example.org/x.png\"> & 'x' $\\frac{1}$ _a\x1b[31m\x00 日本語"
)
FACE = replace(MODEL, task="face", name="tiny-face", file="tiny-face.onnx", sha256="9" * 64)


def board_run(path: Path, seed: int, milliseconds: float, count: int = 900) -> Path:
    """Write the result of a board with a GPU, whose frames take so long."""
    times = autocorrelated(count, 0.4, seed) * milliseconds / 20
    seconds = float(times.sum()) / 1e3
    arrays = arrays_of(times)
    arrays["rss_ns"] = np.linspace(0, seconds * 1e9, 60).astype(np.int64)
    arrays["rss_bytes"] = (110e6 + 5e4 * np.arange(60) % 7e5).astype(np.int64)
    made = valid_record(
        times,
        models=(MODEL, FACE),
        scenario=Scenario("single", "default", 60.0, "p90"),
        fingerprint=_machine(seed),
        stages=_stages(float(times.mean()), count),
        telemetry=_telemetry(seconds, seed),
    )
    save_record(made, arrays, path)
    return path


def offline_run(path: Path, count: int = 400) -> Path:
    """Write the result of an offline run that is not valid."""
    times = autocorrelated(count, 0.2, 5) / 4
    made = valid_record(
        times,
        scenario=Scenario("offline", "quick", 5.0, "throughput"),
        latency=None,
        models=(replace(MODEL, sha256="7" * 64),),
        verdict=Verdict(False, ("the warm-up did not settle", "other load was seen: 12 %, 5 % is the limit")),
        telemetry=Telemetry(unread={"VDD_IN": "permission denied"}),
        note="on a borrowed machine",
    )
    save_record(made, {"end_ns": arrays_of(times)["end_ns"]}, path)
    return path


def hostile_run(path: Path) -> Path:
    """Write a result in which every text that somebody may have chosen tries to break out."""
    telemetry = Telemetry(
        rails=(Rail(HOSTILE, HOSTILE, 1.0, 1.0, None),),
        energy=Energy(HOSTILE, 0.1),
        temperatures=(Curve(HOSTILE, "C", (0.0, 1.0), (40.0, 41.0)),),
        power=(Curve(f"_{HOSTILE}", HOSTILE, (0.0, 1.0), (4.0, 4.1)),),
        events=(Event("throttle", HOSTILE, 1),),
        unread={HOSTILE: HOSTILE},
    )
    stages = (Stage(HOSTILE, "host", 100, 40.0, 40.0, None, 0.8),)
    plain = record()
    made: Record = replace(
        plain,
        arguments={HOSTILE: HOSTILE},
        fingerprint={HOSTILE: [HOSTILE], "cpu": HOSTILE},
        models=(replace(MODEL, name=HOSTILE, file=HOSTILE, ran_on=HOSTILE),),
        input=replace(plain.input, name=HOSTILE),
        counts=Counts(100, 100, 5.0, 20, 1.0, False),
        stages=stages,
        telemetry=telemetry,
        verdict=Verdict(False, (HOSTILE,)),
        note=HOSTILE,
    )
    save_record(made, arrays_of(autocorrelated(100, 0.2, 3)), path)
    return path


def three_runs(folder: Path) -> list[Path]:
    """Write two runs of boards and an offline one."""
    return [
        board_run(folder / "orin-15w.json", 1, 24.0),
        board_run(folder / "orin-30w.json", 2, 15.0, 2400),
        offline_run(folder / "laptop-offline.json"),
    ]


def accuracy_file(path: Path, hashes: Sequence[str] = (MODEL.sha256, FACE.sha256)) -> Path:
    """Write what an accuracy measurement of these model files leaves behind, in part."""

    def entry(key: str, value: float, sides: tuple[float, float]) -> dict[str, Any]:
        return {key: value, "n": 100, "ci95": {key: sides}}

    values = {
        "models": [{"name": "tiny", "sha256": sha256} for sha256 in hashes],
        "detector": {"crowds": entry("ap40", 0.797, (0.723, 0.878))},
        "age": {"utkface": entry("mae", 5.24, (4.69, 5.85))},
        "gender": {"utkface": {"accuracy": None, "n": 0}},
    }
    path.write_text(json.dumps(values))
    return path


def _machine(seed: int) -> dict[str, Any]:
    mode = {"id": seed, "name": f"{seed * 15}W"}
    return {
        "cpu": "Cortex-A78AE",
        "gpus": ["Orin"],
        "board": {"model": "a board", "part_number": "699-13767-0005-300", "mode": mode},
        "clocks": [{"name": "gpu", "governor": "nvhost", "hertz": 918e6}],
        "versions": {"numpy": "2.1.0", "tensorrt": None},
    }


def _stages(mean: float, count: int) -> tuple[Stage, ...]:
    shares = {"upload": 0.06, "letterbox": 0.04, "detect": 0.42, "align": 0.05, "face": 0.25, "fetch": 0.03}
    terms: dict[str, Any] = {"upload": "H2D", "fetch": "D2H"}
    device = [
        Stage(
            name,
            "device",
            count,
            mean * share,
            mean * share,
            mean * share * 1.2,
            share,
            terms.get(name, "GPU compute"),
        )
        for name, share in shares.items()
    ]
    rest = Stage("decode_faces", "host", count, mean * 0.15, mean * 0.15, mean * 0.2, 0.15)
    return (*device, rest, Stage("draw", "host", 32, 1.4, 1.4, None, None))


def _telemetry(seconds: float, seed: int) -> Telemetry:
    at = np.linspace(0, seconds, 120)
    rng = np.random.default_rng(seed)

    def curve(name: str, unit: str, start: float, rise: float, noise: float) -> Curve:
        values = start + rise * (1 - np.exp(-at / seconds * 3)) + rng.normal(0, noise, len(at))
        return Curve(name, unit, tuple(at.round(2).tolist()), tuple(values.round(3).tolist()))

    return Telemetry(
        rails=(
            Rail("VDD_IN", "ina3221", 9.1 * seconds, 9.1, 11.0, True, "board"),
            Rail("VDD_CPU_GPU_CV", "ina3221", 4.2 * seconds, 4.2, 5.6),
        ),
        energy=Energy("VDD_IN", 0.22),
        temperatures=(curve("cpu-thermal", "C", 48, 12, 0.2), curve("gpu-thermal", "C", 46, 15, 0.2)),
        power=(curve("VDD_IN", "W", 9, 0.4, 0.3), curve("VDD_CPU_GPU_CV", "W", 4, 0.3, 0.2)),
        clocks=(curve("gpu", "MHz", 918, 0, 0.1),),
        events=(Event("throttle", "soc throttle", 2),) if seed == 1 else (),
        unread={"gpu/load": "no such file"},
    )
