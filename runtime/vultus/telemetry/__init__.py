"""Telemetry of the machine beside a run: power, temperature, clocks, load; read from files, changing nothing.

Every reader takes a `root`, the folder below which sys, proc and etc lie, and returns None for what is not there.
"""

__all__: list[str] = []
