"""One training run over several processes: who am I, and what do we all know together?

Under torch's launcher (`torchrun script.py`, `course train --nproc 2`) each process finds its
number and the meeting point in its environment. In an ordinary process everything here does
nothing, so that the same code trains alone or together.
"""

import atexit
import contextlib
import os

import torch
from torch import distributed
from torch.nn.parallel import DistributedDataParallel

from course_utils.data.loader import TensorLoader
from course_utils.errors import TrainingError

LAUNCHED = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")  # what the launcher sets


def world():
    """(rank, size): this process's number, from 0, and how many train together; alone (0, 1)."""
    if all(name in os.environ for name in LAUNCHED):
        return int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    return 0, 1


def local_rank():
    """This process's number on its own machine, from 0: the GPU it should take."""
    return int(os.environ.get("LOCAL_RANK", 0)) if world()[1] > 1 else 0


def is_writer():
    """True in the one process that prints, plots and writes files: rank 0."""
    return world()[0] == 0


def join():
    """Meet the other processes, once; returns when all are there. Alone: nothing.

    Each process takes the CUDA device of its number on its machine. They talk by gloo, and about
    what is on a GPU by nccl if each has one of its own. The process leaves the group when it ends.
    """
    if world()[1] == 1 or distributed.is_initialized():
        return
    gpus = torch.cuda.device_count()
    if gpus:
        torch.cuda.set_device(local_rank() % gpus)
    own_gpu = gpus >= int(os.environ.get("LOCAL_WORLD_SIZE", 1))
    store, rank, size = next(distributed.rendezvous("env://"))
    if os.environ.get("LOCAL_WORLD_SIZE") == str(size):
        # On one machine the launcher keeps its store when it starts all again: without a part of
        # their own in it, processes would look for those that died.
        store = distributed.PrefixStore(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0"), store)
    backend = "cpu:gloo,cuda:nccl" if own_gpu else "gloo"
    distributed.init_process_group(backend, store=store, rank=rank, world_size=size)
    atexit.register(leave)


def leave():
    """Leave the group that `join` entered."""
    if distributed.is_initialized():
        distributed.destroy_process_group()


def total(tensor):
    """The sum of this tensor over all processes, on its device; the tensor itself if alone."""
    if world()[1] == 1:
        return tensor
    join()
    summed = tensor.detach().clone()
    distributed.all_reduce(summed)
    return summed


def same_everywhere(value):
    """Rank 0's `value`, a small Python object, in every process."""
    if world()[1] == 1:
        return value
    join()
    box = [value]
    distributed.broadcast_object_list(box, src=0)
    return box[0]


def data_parallel(net):
    """`net` so wrapped that `backward` averages the gradients over all processes; alone: `net`.

    All processes start from rank 0's weights and buffers, and from now on each draws random numbers
    of its own: dropout must not drop the same units everywhere. A net without trainable parameters,
    or one that leaves some of them out of a step, is an error of torch's.
    """
    rank, size = world()
    if size == 1:
        return net
    join()
    if rank > 0:
        torch.manual_seed(torch.initial_seed() + rank)
    return DistributedDataParallel(net, gradient_as_bucket_view=True)


@contextlib.contextmanager
def shared(loader):
    """While this lasts, `loader` gives each process its share of every batch; alone: all of it.

    loader: a TensorLoader, or None (nothing to share). All processes take rank 0's order.
    Raises TrainingError for another loader, or if a batch would be empty for a process.
    """
    rank, size = world()
    if size == 1 or loader is None:
        yield
        return
    if not isinstance(loader, TensorLoader):
        raise TrainingError(
            f"{size} processes can share a TensorLoader (load_data_…), "
            f"not a {type(loader).__name__}"
        )
    with loader.sharing(rank, size):
        loader.generator.set_state(same_everywhere(loader.generator.get_state()))
        yield


def averaging(net, wanted):
    """Context for a backward pass: are the gradients averaged over all processes after it?"""
    if wanted or not hasattr(net, "no_sync"):
        return contextlib.nullcontext()
    return net.no_sync()
