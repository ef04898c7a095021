"""Time a piece of code fairly."""

import statistics
import time


def median_time(function, repeats=5, warmup=1):
    """Median seconds of one call of `function()`, over `repeats` calls after `warmup` others."""
    for _ in range(warmup):
        function()
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)
