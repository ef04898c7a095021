"""`course train`: one of the course's networks, trained by one process or by many.

Every process runs `train_job`: the code of a notebook. Starting the processes, letting them meet,
and starting all again when one dies is the work of torch's elastic launcher (`torchrun`).
"""

import contextlib
import logging
import multiprocessing
import os
import tempfile
import threading
import uuid
from dataclasses import dataclass
from pathlib import Path

import torch

from course_utils.commands.run.pool import cpu_count
from course_utils.data import load_data_fashion_mnist
from course_utils.data.sources import FASHION_MNIST, find_or_download
from course_utils.errors import CourseError, TrainingError
from course_utils.files import write_whole
from course_utils.nets import build, preset
from course_utils.nets.googlenet import googlenet_loss
from course_utils.training import train_ch6, try_gpu
from course_utils.training.checkpoint import write_tensors
from course_utils.training.processes import is_writer

CHANNELS, CLASSES, SIDE = 1, 10, 28  # of Fashion-MNIST
SMALL = 32  # pixels a side that a CPU can train on


@dataclass(frozen=True)
class Job:
    """What to train, on Fashion-MNIST.

    network: name of a preset. options: arguments of its factory. size: pixels a side.
    settings: further keyword arguments of `train_ch6`.
    history, save: files for the record and for the weights, or None.
    """

    network: str
    options: dict
    size: int
    epochs: int
    lr: float
    batch_size: int
    train_examples: int | None
    test_examples: int | None
    seed: int
    settings: dict
    history: str | None = None
    save: str | None = None


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
            net = build(network, **options).eval()
        except CourseError:
            channels = row.input_shape[0]
            raise TrainingError(
                f"{network} is made for images of {channels} channels, Fashion-MNIST has {CHANNELS}"
            ) from None
        for side in [size] if size else [SMALL, row.input_shape[-1]]:
            try:
                if net(torch.empty(2, CHANNELS, side, side)).shape == (2, CLASSES):
                    return options, side
            except (RuntimeError, ValueError):
                continue
    own = row.input_shape[-1]
    raise TrainingError(
        f"{network} cannot take images of {size}×{size} pixels; its own size: {own}"
    )


def job_of(args):
    """The Job that the arguments of the command describe. Raises CourseError if it cannot be."""
    options, size = fitted(args.network, args.size)
    settings = {
        "optimizer": args.optimizer,
        "scheduler": args.scheduler,
        "init": args.init,
        "amp": {"on": True, "off": False, "auto": "auto"}[args.amp],
        "accumulate": args.accumulate,
        "compile": args.compile,
        "checkpoint": args.checkpoint,
        "checkpoint_every": args.checkpoint_every,
    }
    for path in filter(None, (args.checkpoint, args.history, args.save)):
        if not Path(path).resolve().parent.is_dir():  # now, and not when the training is done
            raise TrainingError(f"{path}: there is no such folder; make it first")
    return Job(
        network=args.network,
        options=options,
        size=size,
        epochs=args.epochs,
        lr=args.lr,
        batch_size=args.batch_size,
        train_examples=args.train_examples,
        test_examples=args.test_examples,
        seed=args.seed,
        settings=settings,
        history=args.history,
        save=args.save,
    )


def train_job(job):
    """Train as a notebook would. Under the launcher every process calls this; they share."""
    train_iter, test_iter = load_data_fashion_mnist(
        job.batch_size,
        None if job.size == SIDE else job.size,
        train_examples=job.train_examples,
        test_examples=job.test_examples,
        device=try_gpu(),
        seed=job.seed,
    )
    torch.manual_seed(job.seed)
    net = build(job.network, **job.options)
    history = train_ch6(
        net,
        train_iter,
        test_iter,
        job.epochs,
        job.lr,
        loss=googlenet_loss,  # of a network with one output: plain cross-entropy
        seed=job.seed,
        **job.settings,
    )
    if not is_writer():
        return
    try:
        if job.history:
            history.save(job.history)
    except OSError as error:
        raise TrainingError(f"{error.filename}: cannot be written: {error.strerror}") from None
    if job.save:
        write_tensors(job.save, net.state_dict())


def launch(job, processes, max_restarts=0, meeting=None):
    """Train in several processes of this machine, which others may join.

    max_restarts: how often all start again, from their checkpoint, when one dies.
    meeting: for several machines, torchrun's own options, such as {"nnodes": "2",
    "rdzv-endpoint": "host:29400"}; each machine runs the same command.
    Raises TrainingError if the processes cannot meet, or one of them fails.
    """
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, cpu_count() // processes)))
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    # Each start gets a store of its own: in a shared one processes would look for those that died.
    os.environ["TORCH_DISABLE_SHARE_RDZV_TCP_STORE"] = "1"
    logging.disable(logging.CRITICAL)  # the launcher's reports fill pages
    from torch.distributed import run
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.elastic.rendezvous import RendezvousError
    from torch.distributed.launcher.api import elastic_launch

    find_or_download(FASHION_MNIST)  # once, before every process wants it
    meeting = meeting or {"rdzv-endpoint": "localhost:0", "rdzv-id": uuid.uuid4().hex}
    if "rdzv-endpoint" in meeting:
        meeting = {"rdzv-backend": "c10d", "rdzv-id": "course", **meeting}
    words = [f"--{name}={value}" for name, value in meeting.items()]
    words += [f"--nproc-per-node={processes}", f"--max-restarts={max_restarts}"]
    config, _, _ = run.config_from_args(run.get_args_parser().parse_args([*words, "train"]))
    with tempfile.TemporaryDirectory(prefix="course-train-") as folder:
        reason = Path(folder) / "reason"
        try:
            elastic_launch(config, _process)(job, reason)
        except ChildFailedError as error:
            rank, failure = error.get_first_failure()
            if not reason.exists():
                raise TrainingError(f"process {rank} failed: {_last_line(failure)}") from None
        except RendezvousError as error:
            raise TrainingError(f"the machines could not meet: {error}") from None
        except SignalException:
            raise KeyboardInterrupt from None
        if reason.exists():
            raise TrainingError(reason.read_text("utf-8"))


def _process(job, reason):
    """What each started process does.

    reason: a file for what is no accident but a mistake, which another start would not mend.
    """
    threading.Thread(target=_end_with_parent, daemon=True).start()
    restarts = int(os.environ["TORCHELASTIC_RESTART_COUNT"])
    one_machine = os.environ["WORLD_SIZE"] == os.environ["LOCAL_WORLD_SIZE"]
    if one_machine and reason.exists():
        return
    quiet = contextlib.nullcontext() if is_writer() else contextlib.redirect_stdout(None)
    with quiet:
        if restarts:
            most = os.environ["TORCHELASTIC_MAX_RESTARTS"]
            print(f"a process died: all start again (restart {restarts} of {most})", flush=True)
        try:
            train_job(job)
        except CourseError as error:
            write_whole(reason, str(error))
            raise


def _end_with_parent():
    """Leave no process behind when the launcher itself is killed."""
    multiprocessing.parent_process().join()
    os._exit(1)


def _last_line(failure):
    """What a process died of, in one line; its record may be a dict, or a whole traceback."""
    message = failure.message
    if isinstance(message, dict):
        message = message["message"]
    return message.strip().splitlines()[-1]
