"""The fused pipeline gives the CPU's records: shipped kernels and networks on the fake driver."""

from __future__ import annotations

from pathlib import Path

import pytest

import mtcnn_reference
from fake_cuda import run_with_fake
from shim import shim_library
from vultus_export.pull.mtcnn import Network, export_networks
from vultus_models.mtcnn.spec import specs
from vultus_models.mtcnn.weights import MEMBERS, network_from

SETTINGS = {"mapped": {"INTEGRATED": 1}, "counts": {"GUARD": 1}}
CASES = [
    "photograph",
    "counts",
    "limited_engine",
    "graphs",
    "sizes",
    "parts",
    "flat",
    "mapped",
    "host_decoder",
]


@pytest.mark.parametrize("case", CASES)
def test_the_device_pipeline(case: str) -> None:
    run_with_fake(
        f"import cases_results as cases; cases.{case}()", shim=shim_library(), settings=SETTINGS.get(case)
    )


@pytest.mark.slow
def test_a_cascade_on_the_device(tmp_path: Path) -> None:
    states = mtcnn_reference.random_states(2)
    contracts = zip(MEMBERS, specs("0.0.0"), strict=True)
    networks = [Network(network_from(member, states[member]), spec) for member, spec in contracts]
    export_networks(networks, tmp_path)
    run_with_fake(f"import cases_results as cases; cases.cascade({str(tmp_path)!r})", shim=shim_library())
