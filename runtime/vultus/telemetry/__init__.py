"""Telemetry of the machine beside a run: power, temperature, clocks, load; read from files, changing nothing.

Every reader takes a `root`, the folder below which sys, proc and etc lie, and returns None for what is not there.
`read_machine` reads all of it once, `Sampler(find_channels())` keeps reading beside a run, `fingerprint.fingerprint`
says what machine it is, `health.states` judges readings.
"""

from vultus.telemetry.channels import Channel, find_channels
from vultus.telemetry.machine import Readings, read_machine
from vultus.telemetry.nvml import Nvml
from vultus.telemetry.rails import Rail, board_input, rail_sources, read_rails
from vultus.telemetry.sampler import Sampler
from vultus.telemetry.series import Energy, Series

__all__ = [
    "Channel",
    "Energy",
    "Nvml",
    "Rail",
    "Readings",
    "Sampler",
    "Series",
    "board_input",
    "find_channels",
    "rail_sources",
    "read_machine",
    "read_rails",
]
