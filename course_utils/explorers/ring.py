"""`explore_ring`: an all-reduce round a ring, step by step, and how long it takes."""

import torch

from course_utils.errors import CourseError
from course_utils.explorers.output import Explorer
from course_utils.nets import PRESETS
from course_utils.nets.scaling import ring_all_reduce

MOST = 8  # workers whose chunks are still readable
NETWORKS = {"LeNet": "lenet", "GoogLeNet": "googlenet-d2l", "ResNet-18": "resnet18"}
NETWORKS |= {"VGG-11": "vgg11"}


def explore_ring(workers=4, network="ResNet-18", latency=5e-5, bandwidth=1.25e9):
    """Step through `ring_all_reduce`, and weigh its time against that of a boss; an `Explorer`.

    workers: 2 to 8. network: one of NETWORKS, whose gradients are added.
    latency: seconds before a message starts. bandwidth: bytes a second, of every worker's line.
    Everything can be changed in the output. Raises CourseError for values that make no sense.
    """
    if workers not in range(2, MOST + 1):
        raise CourseError(f"workers must be a whole number from 2 to {MOST}, not {workers!r}")
    if network not in NETWORKS:
        raise CourseError(f"network must be one of {', '.join(NETWORKS)}, not {network!r}")
    if not (0 < latency < float("inf") and 0 < bandwidth < float("inf")):
        raise CourseError(f"latency {latency} and bandwidth {bandwidth} must be above 0 and finite")
    parameters = {title: PRESETS[name].parameters for title, name in NETWORKS.items()}
    state = {"n": workers, "network": network, "networks": parameters}
    state |= {"latency": latency, "bandwidth": bandwidth}
    state["counts"] = {n: "".join(map(_digits, contributions(n))) for n in range(2, MOST + 1)}
    about = f"an all-reduce of {workers} workers round a ring, step by step"
    lines = [about, *_table(contributions(workers)), _times(parameters[network], state)]
    return Explorer("course-ring", state, about, "\n".join(lines))


def contributions(n):
    """How many workers' numbers are in each chunk, from the start to the end of a ring of n.

    Each of the 2 n - 1 entries is a list of n workers, each with n chunks. Worker w puts in the
    number 2^w, so that the ones in a sum's binary form tell whose numbers are in it.
    """
    found = [[[1] * n for _ in range(n)]]

    def watch(chunks):
        found.append([[int(chunk).bit_count() for chunk in mine] for mine in chunks])

    ring_all_reduce([torch.full((n,), 2**worker) for worker in range(n)], watch)
    return found


def _digits(workers):
    return "".join(str(count) for chunks in workers for count in chunks)


def _table(steps):
    n = len(steps[0])
    columns = ["  ".join(" ".join(map(str, chunks)) for chunks in workers) for workers in steps]
    words = ["start", *(f"{at} {'add' if at < n else 'copy'}" for at in range(1, len(steps)))]
    yield "workers' numbers in each chunk, worker by worker:"
    yield from (f"  {word:8}{column}" for word, column in zip(words, columns, strict=True))


def _times(parameters, state):
    n, network, latency, bandwidth = (state[k] for k in ("n", "network", "latency", "bandwidth"))
    ring = 2 * (n - 1) * (latency + 4 * parameters / n / bandwidth)
    boss = 2 * (latency + (n - 1) * 4 * parameters / bandwidth)
    given = f"{network}, latency {latency * 1e6:g} µs, bandwidth {bandwidth / 1e9:g} GB/s"
    return f"{given}: {ring * 1e3:.3g} ms round the ring, {boss * 1e3:.3g} ms with a boss"
