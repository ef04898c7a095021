"""What a run ran on: versions, processor, and how fast it multiplies matrices."""

import json
import platform
import subprocess
import sys
import time
from importlib import metadata

import course_utils
from course_utils.commands.run.pool import cpu_count, kernel_environment

_PACKAGES = ("torch", "torchvision", "numpy", "matplotlib", "papermill", "d2l", "mlxtend")


def versions():
    """Package -> version, None where a package is not installed; fast, imports none of them."""
    found = {"course_utils": course_utils.__version__, "python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = None
    return found


def describe_machine():
    """Platform and cores of this machine."""
    return {
        "platform": platform.platform(terse=True),
        "processor": platform.machine(),
        "cpu_count": cpu_count(),
    }


def measure():
    """Matrix rate and accelerator, measured in a process of their own (torch is slow to import).

    Returns {"matmul_gflops": fp32 GFLOP/s on the CPU, "accelerator": name or None}; the values
    are None if torch cannot be used.
    """
    nothing = {"matmul_gflops": None, "accelerator": None}
    try:
        done = subprocess.run(
            [sys.executable, "-m", __name__],
            capture_output=True,
            text=True,
            timeout=120,
            env=kernel_environment(),
        )
        return json.loads(done.stdout) if done.returncode == 0 else nothing
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return nothing


def matrix_rate(dtype="float32", seconds=0.5, size=1536):
    """Largest GFLOP/s of products of two square matrices on the CPU, in a loop of some seconds.

    dtype: name of a torch type. size: rows and columns.
    """
    import torch

    a, b = (torch.rand(size, size).to(getattr(torch, dtype)) for _ in range(2))
    torch.mm(a, b)  # the first product sets up threads and buffers
    best, end = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < end:
        start = time.perf_counter()
        torch.mm(a, b)
        best = min(best, time.perf_counter() - start)
    return 2 * size**3 / best / 1e9


def accelerator():
    """Name of the CUDA device, "mps", or None."""
    import torch

    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    return "mps" if torch.backends.mps.is_available() else None


if __name__ == "__main__":
    print(json.dumps({"matmul_gflops": round(matrix_rate(), 1), "accelerator": accelerator()}))
