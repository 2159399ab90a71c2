"""A headless Chromium that opens a page, takes a picture of it and tells what its console said."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

__all__ = ["chromium", "opened", "printed"]

QUIET = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--no-default-browser-check",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-extensions",
    "--disable-sync",
    "--hide-scrollbars",
    "--run-all-compositor-stages-before-draw",
    "--enable-logging=stderr",
)
# No name of a host leads anywhere, so that opening a page never leaves this machine.
OFFLINE = "--host-resolver-rules=MAP * ~NOTFOUND"
SAID = re.compile(r"CONSOLE[:(]\d+\)?\] (.*)")


def chromium() -> str:
    """Return the browser; skips the test where there is none."""
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None:
        pytest.skip("no Chromium here to open the page in: apt-get install chromium")
    return found


def opened(page: Path, picture: Path, size: tuple[int, int] = (1280, 900), dark: bool = False) -> list[str]:
    """Open a page, write a PNG of it and return what the console said."""
    scheme = ["--blink-settings=preferredColorScheme=0"] if dark else []
    return _run(page, f"--screenshot={picture}", f"--window-size={size[0]},{size[1]}", *scheme)


def printed(page: Path, pdf: Path) -> list[str]:
    """Print a page into a PDF and return what the console said."""
    return _run(page, f"--print-to-pdf={pdf}", "--no-pdf-header-footer")


def _run(page: Path, *options: str) -> list[str]:
    with tempfile.TemporaryDirectory() as profile:
        command = [
            chromium(),
            *QUIET,
            OFFLINE,
            f"--user-data-dir={profile}",
            *options,
            page.resolve().as_uri(),
        ]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return SAID.findall(done.stderr)
