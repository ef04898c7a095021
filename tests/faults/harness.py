"""What the fault tests share: how often, kills, processes that are left, small disks."""

import contextlib
import os
import signal
import subprocess
import time
import uuid

import psutil
import pytest

from course_utils.training.checkpoint import read_tensors

PATIENCE = 600  # seconds that a busy machine may take for what an idle one does in two
SOAK = os.environ.get("COURSE_SOAK", "") not in ("", "0")
_MARK = "FAULTS_MARK"  # an environment variable: all that a process starts inherits it


def how_many(short, soak):
    """How often to try: `short` in `make test`, `soak` in `make soak`."""
    return soak if SOAK else short


def wait_until(condition, seconds=PATIENCE, what="it"):
    """Wait until `condition()` is true and return its value; fails after so many seconds."""
    end = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < end, f"waited {seconds} s for {what}"
        time.sleep(0.02)
    return value


class Tree:
    """A process with all that it starts, also what outlives it.

    Works as `subprocess.Popen` does; at the end of a `with` block whatever is left is killed.
    The output, both streams in one, lies in the file `output`, since a pipe could fill.
    """

    def __init__(self, command, *, cwd, env, output, **options):
        self.mark = uuid.uuid4().hex
        self.output = output
        with open(output, "wb") as file:
            self.process = subprocess.Popen(
                [str(part) for part in command],
                cwd=cwd,
                env=env | {_MARK: self.mark},
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                **options,
            )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()

    def alive(self):
        """Its processes that run now, found by what they inherited: also orphans."""
        return [process for process in psutil.process_iter() if self._is_ours(process)]

    def _is_ours(self, process):
        try:
            return (
                process.status() != psutil.STATUS_ZOMBIE
                and process.environ().get(_MARK) == self.mark
            )
        except psutil.Error:  # gone meanwhile, or of another user
            return False

    def kill(self):
        """SIGKILL to all of them, as a power cut would; none is left when this returns."""
        while processes := self.alive():
            for process in processes:  # stopped first: none may start another while others die
                with contextlib.suppress(psutil.Error):
                    process.suspend()
            for process in processes:
                with contextlib.suppress(psutil.Error):
                    process.send_signal(getattr(signal, "SIGKILL", signal.SIGTERM))
            psutil.wait_procs(processes, timeout=10)
        self.process.wait()

    def end(self, seconds=PATIENCE):
        """Wait for the process itself; returns (exit status, what was printed)."""
        status = self.process.wait(seconds)
        return status, self.text()

    def text(self):
        return self.output.read_text("utf-8", errors="replace")


@contextlib.contextmanager
def small_disk(folder, megabytes):
    """Mount a disk of so many MB at `folder` (made if need be); skips the test where it cannot.

    Yields the folder. On Linux, as root: a tmpfs.
    """
    folder.mkdir(exist_ok=True)
    with _mounted(folder, "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs") as done:
        if not done:
            pytest.skip("NOT RUN: a small disk can be mounted only on Linux by root")
        yield folder


@contextlib.contextmanager
def read_only(folder):
    """Make `folder` read-only, for root too; the test is skipped where it cannot be done."""
    before = folder.stat().st_mode
    folder.chmod(0o555)
    try:
        if not os.access(folder, os.W_OK):
            yield folder
            return
        # root may write everywhere, but not to a read-only mount
        with _mounted(folder, "--bind", "-o", "ro", str(folder)) as done:
            if not done or os.access(folder, os.W_OK):
                pytest.skip("NOT RUN: this user may write to read-only folders")
            yield folder
    finally:
        folder.chmod(before)


@contextlib.contextmanager
def _mounted(folder, *what):
    """Yields whether `what` could be mounted at `folder`."""
    try:
        done = subprocess.run(["mount", *what, str(folder)], capture_output=True).returncode == 0
    except OSError:
        done = False
    try:
        yield done
    finally:
        if done:
            subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(folder, spare=0):
    """Write a file that takes the room left on the disk of `folder` but for `spare` bytes.

    Returns its path.
    """
    path = folder / "filler"
    with path.open("wb", buffering=0) as file:
        for size in (1 << 20, 1 << 12, 1):
            with contextlib.suppress(OSError):
                while file.write(b"\0" * size):
                    pass
        file.truncate(max(0, file.tell() - spare))
    return path


def steps_in(path):
    """How many steps of training a checkpoint holds; 0 if there is none."""
    if not path.exists():
        return 0
    parts = read_tensors(path)["parts"]
    if "record" in parts:  # of a Runner
        return len(parts["record"]["step_losses"])
    return len(parts["history"]["step_loss"]) + len(parts["epoch so far"]["losses"])
