"""A process that imports vultus, analyses frames and prints what that took; `vultus.bench.footprint` starts it."""

import json
import sys
import time
from contextlib import closing

FRAMES = 30


def _main() -> None:
    """Print JSON: seconds to import, clock at the first result, bytes of memory."""
    asked = json.loads(sys.argv[1])
    began = time.perf_counter_ns()
    from vultus import Analyzer

    imported = time.perf_counter_ns()
    from vultus.selftest.pictures import collage

    picture = collage(640, 480, 1)
    with Analyzer(asked["device"], asked["models"], threads=asked["threads"]) as analyzer:
        analyzer(picture)
        first = time.perf_counter_ns()
        for _ in range(FRAMES):
            analyzer(picture)
        from vultus.bench.load import peak_resident
        from vultus.telemetry.load import rss

        figures = {
            "import_s": (imported - began) / 1e9,
            "first_at": first,
            "rss_steady": rss(),
            "rss_peak": peak_resident(),
            "gpu_bytes": None,
        }
        if analyzer.driver is not None:
            from vultus.cuda.driver import open_driver

            # A second hold on the context keeps it, so the difference is what the analysis itself had taken.
            with closing(open_driver()) as driver:
                before = driver.free_memory()
                analyzer.close()
                figures["gpu_bytes"] = driver.free_memory() - before
    json.dump(figures, sys.stdout)


if __name__ == "__main__":
    _main()
