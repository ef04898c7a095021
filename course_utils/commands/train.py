"""`course train`: one of the course's networks, trained by one process or by many.

Starting many processes, letting them meet, and starting all again when one dies is the work of
torch's launcher: `torchrun … -m course_utils.commands train` takes what `course train` takes, and
`course train --nproc N` calls it. Each process trains as a notebook would.
"""

import contextlib
import logging
import os
import sys
import tempfile
import threading
from pathlib import Path

import psutil
import torch

from course_utils.commands.run.pool import cpu_count
from course_utils.data import load_data_fashion_mnist
from course_utils.data.sources import FASHION_MNIST, find_or_download
from course_utils.errors import CourseError, TrainingError
from course_utils.files import try_to_write, write_whole
from course_utils.nets import build, preset
from course_utils.nets.googlenet import googlenet_loss
from course_utils.training import train_ch6, try_gpu
from course_utils.training.checkpoint import write_tensors
from course_utils.training.processes import is_writer, world

CHANNELS, CLASSES, SIDE = 1, 10, 28  # of Fashion-MNIST
SMALL = 32  # pixels a side that a CPU can train on
_REASON = "COURSE_TRAIN_REASON"  # a file in which a process says what no further start would mend


def train(words, nproc, max_restarts, *, network, size, checkpoint, history, save, **settings):
    """Train a network, in `nproc` processes of this machine if it is more than one.

    words: what the user wrote after `course`. max_restarts: see `launch`. size: pixels a
    side, or None. checkpoint, history, save: files, or None. settings: as the command has them.
    Raises CourseError, before anything is started, if this network cannot be trained like that.
    """
    options, size = fitted(network, size)
    for path in filter(None, (checkpoint, history, save)):
        try:
            try_to_write(path)  # now, and not when the training is done
        except OSError as error:
            raise TrainingError(f"{path}: cannot be written: {error.strerror}") from None
    if nproc > 1 and world()[1] == 1:
        launch(words, nproc, max_restarts)
        return
    with _launched() if world()[1] > 1 else contextlib.nullcontext():
        net, record = _train_here(network, options, size, checkpoint=checkpoint, **settings)
        if is_writer():
            _write(net, record, history, save)


def fitted(network, size=None):
    """(options, size) with which a preset takes Fashion-MNIST.

    size: pixels a side; None: 32 if the network takes that, else its own.
    Raises CourseError if there is no such preset, or it cannot take these images.
    """
    row = preset(network)
    options = {} if row.input_shape[0] == CHANNELS else {"in_channels": CHANNELS}
    if row.classes != CLASSES:
        options["num_classes"] = CLASSES
    with torch.device("meta"):  # shapes only: nothing is allocated or computed
        try:
            net = build(network, **options).train()  # as it will be: some heads sleep elsewhere
        except CourseError:
            channels = row.input_shape[0]
            raise TrainingError(
                f"{network} is made for images of {channels} channels, Fashion-MNIST has {CHANNELS}"
            ) from None
        for side in [size] if size else [SMALL, row.input_shape[-1]]:
            try:
                output = net(torch.empty(2, CHANNELS, side, side))
                logits = output[0] if isinstance(output, tuple) else output
                if logits.shape == (2, CLASSES):
                    return options, side
            except (RuntimeError, ValueError):
                continue
    own = row.input_shape[-1]
    raise TrainingError(
        f"{network} cannot be trained on images of {size}×{size} pixels; its own size: {own}"
    )


def _train_here(
    network, options, size, *, epochs, lr, batch_size, train_examples, test_examples, seed, **more
):
    """(net, History): what a notebook would do. more: further arguments of `train_ch6`."""
    train_iter, test_iter = load_data_fashion_mnist(
        batch_size,
        None if size == SIDE else size,
        train_examples=train_examples,
        test_examples=test_examples,
        device=try_gpu(),
        seed=seed,
    )
    torch.manual_seed(seed)
    net = build(network, **options)
    # googlenet_loss of a network with one output is plain cross-entropy
    record = train_ch6(
        net, train_iter, test_iter, epochs, lr, loss=googlenet_loss, seed=seed, **more
    )
    return net, record


def _write(net, record, history, save):
    try:
        if save:
            write_tensors(save, net.state_dict())
    finally:  # where one of them has no room, the other may
        if history:
            record.save(history)


def launch(words, processes, max_restarts=0):
    """Call `torchrun` for several processes of this machine, and say in a line what went wrong.

    words: arguments of `course`. max_restarts: how often all start again, from their
    checkpoint, when one dies. Raises TrainingError if one of them fails.
    """
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, cpu_count() // processes)))
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    logging.disable(logging.CRITICAL)  # the launcher's reports fill pages
    from torch.distributed import run
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

    find_or_download(FASHION_MNIST)  # once, before every process wants it
    options = [f"--nproc-per-node={processes}", f"--max-restarts={max_restarts}", "--standalone"]
    # after -- the launcher takes none of our options for its own
    program = ["--module", "--", "course_utils.commands", *words]
    arguments = run.parse_args([*options, *program])
    with tempfile.TemporaryDirectory(prefix="course-train-") as folder:
        reason = Path(folder) / "reason"
        os.environ[_REASON] = str(reason)
        try:
            run.run(arguments)
        except ChildFailedError as error:
            rank, failure = error.get_first_failure()
            why = failure.message  # of an exception its record, of a signal a sentence
            why = why["message"] if isinstance(why, dict) else why
            if not reason.exists():
                raise TrainingError(f"process {rank} failed: {why.splitlines()[0]}") from None
        except SignalException:
            raise KeyboardInterrupt from None
        if reason.exists():
            raise TrainingError(reason.read_text("utf-8"))


@contextlib.contextmanager
def _launched():
    """What a process that a launcher started does around its training."""
    from torch.distributed.elastic.multiprocessing.errors import get_error_handler

    threading.Thread(target=_end_with_parent, daemon=True).start()
    reason = Path(os.environ[_REASON]) if _REASON in os.environ else None  # None: bare `torchrun`
    if reason and reason.exists():
        sys.exit(0)
    with contextlib.nullcontext() if is_writer() else contextlib.redirect_stdout(None):
        if restarts := int(os.environ.get("TORCHELASTIC_RESTART_COUNT", 0)):
            most = os.environ["TORCHELASTIC_MAX_RESTARTS"]
            print(f"a process died: all start again (restart {restarts} of {most})", flush=True)
        try:
            yield
        except Exception as error:
            if reason is None:
                raise
            if isinstance(error, CourseError):
                write_whole(reason, str(error))
            get_error_handler().record_exception(error)  # `launch` says it
            sys.exit(1)


def _end_with_parent():
    """Leave no process behind when the launcher itself is killed."""
    psutil.Process(os.getppid()).wait()
    os._exit(1)
