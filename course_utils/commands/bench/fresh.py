"""What has to be measured in a process of its own: imports, and the first batch of data.

The measuring process is `python -m course_utils.commands.bench.fresh FUNCTION ARGUMENTS`, with the
arguments and the answer as JSON. This module and the packages above it import next to nothing.
"""

import contextlib
import json
import subprocess
import sys
import time
from functools import partial

from course_utils.errors import RunError


def in_fresh_process(function, *arguments):
    """Call a function of this module in a new process; returns what it returned.

    arguments: what JSON can hold.
    Raises RunError, with the last line of its error, if the process fails.
    """
    from course_utils.commands.run.execute import ending
    from course_utils.commands.run.pool import kernel_environment

    command = [sys.executable, "-m", __name__, function.__name__, json.dumps(arguments)]
    done = subprocess.run(command, capture_output=True, text=True, env=kernel_environment())
    if done.returncode != 0:
        why = ending(done.returncode)  # what one that was killed said before is another matter
        if done.returncode == 1 and done.stderr.strip():
            why = done.stderr.strip().splitlines()[-1]
        raise RunError(f"a process for {function.__name__} failed: {why}")
    return json.loads(done.stdout.splitlines()[-1])


def import_seconds(statements):
    """Seconds that importing torch takes, and after it some import statements."""
    start = time.perf_counter()
    import torch  # noqa: F401

    between = time.perf_counter()
    exec(statements, {})
    return {"torch": between - start, "beyond": time.perf_counter() - between}


def first_batch(side, root):
    """From nothing but imports to the first of the batches of 256 of all Fashion-MNIST.

    side: "course" or "d2l". root: folder of the raw files.
    Returns {"imports": seconds before, "seconds", "megabytes": that the data added to this process
    and its workers}.
    """
    start = time.perf_counter()
    if side == "course":
        from course_utils.data import load_data_fashion_mnist

        load = partial(load_data_fashion_mnist, 256, root=root)
    else:
        from course_utils.commands.bench import rival

        load = partial(rival.loaders, rival.load_d2l(), root, 256)
    imports, before = time.perf_counter() - start, memory()
    start = time.perf_counter()
    train_iter, _ = load()
    batches = iter(train_iter)  # which holds d2l's workers
    next(batches)
    seconds = time.perf_counter() - start
    return {"imports": imports, "seconds": seconds, "megabytes": (memory() - before) / 1e6}


def memory():
    """Bytes that this process and its children hold; what several share counts once (on Linux)."""
    import psutil

    this = psutil.Process()
    total = 0
    for process in (this, *this.children(recursive=True)):
        with contextlib.suppress(psutil.Error):  # a worker may be gone meanwhile
            info = process.memory_full_info()
            total += getattr(info, "pss", info.rss)
    return total


if __name__ == "__main__":
    name, arguments = sys.argv[1:]
    with contextlib.redirect_stdout(sys.stderr):
        answer = globals()[name](*json.loads(arguments))
    print(json.dumps(answer))
