"""What has to be measured in a process of its own: imports, first data, numbers of threads.

The measuring process is `python -m course_utils.commands.bench.fresh FUNCTION ARGUMENTS`, with the
arguments and the answer as JSON. This module and the packages above it import next to nothing.
"""

import contextlib
import json
import subprocess
import sys
import time


def in_fresh_process(function, *arguments, threads=None):
    """Call a function of this module in a new process; returns what it returned.

    arguments: what JSON can hold. threads: for its arithmetic; None: the libraries' own choice.
    Raises NotRun, with the last line of its error, if the process fails.
    """
    from course_utils.commands.bench.rounds import NotRun
    from course_utils.commands.run.pool import worker_environment

    environment = worker_environment()
    if threads is not None:
        environment |= {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
    done = subprocess.run(
        [sys.executable, "-m", __name__, function.__name__, json.dumps(arguments)],
        capture_output=True,
        text=True,
        env=environment,
    )
    if done.returncode != 0:
        said = done.stderr.strip().splitlines() or [f"it ended with status {done.returncode}"]
        raise NotRun(f"a process for {function.__name__} failed: {said[-1]}")
    return json.loads(done.stdout.splitlines()[-1])


def import_seconds(*blocks):
    """Seconds that each of some blocks of import statements takes, one after the other."""
    seconds = []
    for block in blocks:
        start = time.perf_counter()
        exec(block, {})
        seconds.append(time.perf_counter() - start)
    return seconds


def first_batch(side, root):
    """From nothing but imports to the first of the batches of 256 of all Fashion-MNIST.

    side: "course" or "d2l". root: folder of the raw files.
    Returns {"imports": seconds before, "seconds", "megabytes": that the data added to this process
    and its workers}.
    """
    start = time.perf_counter()
    if side == "course":
        from course_utils.data import load_data_fashion_mnist

        def load():
            return load_data_fashion_mnist(256, root=root)
    else:
        from course_utils.commands.bench import rival

        d2l = rival.load_d2l()

        def load():
            return rival.loaders(d2l, root, 256)

    imported = time.perf_counter()
    before = memory()
    start_loading = time.perf_counter()
    loaders = load()
    batches = iter(loaders[0])
    next(batches)
    seconds = time.perf_counter() - start_loading
    return {
        "imports": imported - start,
        "seconds": seconds,
        "megabytes": (memory() - before) / 1e6,
    }


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


def epoch_seconds(jobs):
    """Seconds of an epoch without evaluation, for each network and number of training examples.

    jobs: (fields of a `Case`, numbers of examples) of each network. Returns a list for each.
    """
    from course_utils.commands.bench.cases import Case

    found = []
    for fields, counts in jobs:
        case = Case(**fields)
        case.train(case.loaders(case.whole_batches(0), 1)[0])  # warms up
        loaders = [case.loaders(count, 1)[0] for count in counts]
        found.append([case.train(train_iter).seconds[0] for train_iter in loaders])
    return found


if __name__ == "__main__":
    name, arguments = sys.argv[1:]
    with contextlib.redirect_stdout(sys.stderr):
        answer = globals()[name](*json.loads(arguments))
    print(json.dumps(answer))
