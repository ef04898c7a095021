"""`TensorLoader`: a whole data set in memory, handed out in batches of tensors."""

import contextlib
import copy
import functools
import hashlib
import operator

import torch
from torch.nn import functional as F

from course_utils.errors import DataError, TrainingError, whole_number
from course_utils.settings import FAST_RUN_BATCHES, fast_dev_run


class TensorLoader:
    """Batches (X, y) of a data set that is held once, as bytes.

    images: bytes, that is whole numbers from 0 to 255, (N, H, W) or (N, C, H, W).
    labels: whole numbers from 0 on, (N,).
    batch_size: examples per batch; the last one may be smaller.
    resize: side length or (height, width) of the images handed out; None: as they are.
    shuffle: a new order in every epoch, from the loader's own generator.
    device: where the set is kept and the batches are made; None: the CPU.
    seed: of the order; None: drawn from torch's global generator.
    Yields X float32 (n, C, H, W) in [0, 1] and y int64 (n,).
    In a fast dev run only the first three batches of an epoch.
    Raises DataError for other images, labels or arguments.

    No worker processes: gathering and scaling bytes is cheaper than moving batches between
    processes, and it works alike in Jupyter on Linux, macOS and Windows.
    """

    def __init__(
        self,
        images,
        labels,
        batch_size,
        *,
        resize=None,
        shuffle=False,
        device=None,
        seed=None,
        source="",
        classes=(),
    ):
        images, labels = _checked(torch.as_tensor(images), torch.as_tensor(labels))
        self.batch_size = positive_int("batch_size", batch_size)
        self.size = None if resize is None else _as_size(resize)
        try:
            self.images, self.labels = images.to(device), labels.to(device)
        except (RuntimeError, AssertionError) as error:
            reason = str(error).splitlines()[0]
            raise DataError(f"device {device!r} cannot be used here: {reason}") from error
        self.shuffle = shuffle
        self.source = source
        self.classes = list(classes)
        if seed is None:
            seed = int(torch.randint(2**31, ()))
        try:
            self.generator = torch.Generator().manual_seed(operator.index(seed))
        except (TypeError, ValueError) as error:
            raise DataError(f"seed must be a whole number of 64 bits, got {seed!r}") from error
        self._rank, self._processes = 0, 1  # which of how many share the batches
        self._given, self._skip = 0, 0  # batches of this epoch: handed out, to be left out
        self._epoch_start = self.generator.get_state()

    @property
    def num_examples(self):
        return len(self.labels)

    @property
    def device(self):
        return self.labels.device

    def description(self):
        """What this loader holds, for a checkpoint to compare: plain values, alike on every device.

        source, digest (of images and labels, not of their order in an epoch), examples,
        batch_size and size ([height, width] of the images handed out, pixels).
        """
        return {
            "source": self.source,
            "digest": self._digest,
            "examples": self.num_examples,
            "batch_size": self.batch_size,
            "size": list(self.size or self.images.shape[-2:]),
        }

    @functools.cached_property
    def _digest(self):
        digest = hashlib.blake2b(digest_size=16)
        for tensor in (self.images, self.labels):
            digest.update(f"{tuple(tensor.shape)} ".encode())
            digest.update(tensor.cpu().contiguous().numpy())
        return digest.hexdigest()

    def __len__(self):
        batches = -(-self.num_examples // self.batch_size)
        return min(batches, FAST_RUN_BATCHES) if fast_dev_run() else batches

    @property
    def whole_batches(self):
        """How many batches of an epoch have `batch_size` examples."""
        return min(len(self), self.num_examples // self.batch_size)

    def __iter__(self):
        for indices in self.indices():
            yield self.at(indices)

    def indices(self):
        """The same epoch as the numbers of the examples in each batch, tensors on the device."""
        self._epoch = epoch = object()  # a later iteration makes this one an old one
        self._epoch_start = self.generator.get_state()
        self._given, self._skip = self._skip, 0
        if self.shuffle:
            order = torch.randperm(self.num_examples, generator=self.generator)
            order = order.to(self.device)
        else:
            order = torch.arange(self.num_examples, device=self.device)
        rank, size = self._rank, self._processes
        try:
            for batch in order.split(self.batch_size)[self._given : len(self)]:
                self._given += 1
                self._latest = len(batch)
                yield batch[rank::size]
        finally:  # also when nobody wants the rest
            if self._epoch is epoch:
                self._given, self._epoch_start = 0, self.generator.get_state()

    def at(self, indices):
        """The batch (X, y) of the examples with these numbers, an int64 tensor on the device."""
        return self.to_input(self.images[indices]), self.labels[indices]

    def state_dict(self):
        """Where in which order the loader is: between two epochs, or after some batches of one."""
        return {"generator": self._epoch_start, "given": self._given}

    def load_state_dict(self, state):
        """Go on, with the next epoch's iteration, from where `state_dict` was asked."""
        self.generator.set_state(state["generator"].cpu())
        self._epoch_start = self.generator.get_state()
        self._given = self._skip = state["given"]

    @contextlib.contextmanager
    def sharing(self, rank, size):
        """While this lasts, process number `rank` of `size` gets its share of every batch.

        That is every size-th example, so that the shares differ by one example at most. The order
        must be the same in all processes: that of their generators.
        Raises TrainingError if a batch would be empty for a process.
        """
        smallest = self.num_examples % self.batch_size or self.batch_size
        if smallest < size:
            raise TrainingError(
                f"the smallest batch has {smallest} examples for {size} processes: "
                "take another batch_size or number of examples"
            )
        self._rank, self._processes = rank, size
        try:
            yield
        finally:
            self._rank, self._processes = 0, 1

    @property
    def is_shared(self):
        """True while this process gets only its share of every batch."""
        return self._processes > 1

    def mean_divisor(self):
        """What a sum over this process's examples is divided by for its part of the batch's mean.

        Alone that is the number of examples in the batch given last. Of `size` processes it is the
        whole batch's number over `size`, because the gradients are averaged over the processes.
        """
        return self._latest / self._processes

    def in_larger_batches(self, batch_size):
        """The same data in batches of at least `batch_size`, as fits where no gradients are kept.

        They come unshuffled, or a look at the training data would change the order of the training.
        In a fast dev run the loader itself: its three batches are what is looked at.
        """
        if fast_dev_run() or batch_size <= self.batch_size:
            return self
        larger = copy.copy(self)
        larger.batch_size, larger.shuffle = batch_size, False
        return larger

    def to_input(self, images):
        """What a network sees of uint8 images (n, C, H, W): float32 in [0, 1], resized."""
        X = images.to(torch.float32).div_(255)
        if self.size is None or self.size == X.shape[-2:]:
            return X
        return F.interpolate(X, self.size, mode="bilinear", antialias=True)


def _checked(images, labels):
    """Both as they are held, (N, C, H, W) and (N,); DataError if they are something else.

    Nothing is converted that would change: a fraction is no byte, and a label 0.9 is not 0.
    """
    if images.ndim not in (3, 4):
        raise DataError(f"images must be (N, H, W) or (N, C, H, W), got {tuple(images.shape)}")
    if images.numel() == 0:
        raise DataError("the data set has zero images: ask for at least one")
    if labels.shape != images.shape[:1]:
        raise DataError(
            f"images of shape {tuple(images.shape)} need labels of shape ({len(images)},), "
            f"a class number for each; got {tuple(labels.shape)}"
        )
    kind = images.dtype
    if kind != torch.uint8:
        fractions = kind == torch.bool or kind.is_floating_point or kind.is_complex
        if fractions or images.long().min() < 0 or images.long().max() > 255:
            raise DataError(
                f"images must be whole numbers from 0 to 255, these are {kind}: of fractions from "
                "0 to 1 make (images * 255).round().to(torch.uint8)"
            )
    classes = labels.long()
    if (classes != labels).any() or classes.min() < 0:
        raise DataError(f"labels must be whole numbers from 0 on, these are {labels.tolist()[:5]}…")
    return (images if images.ndim == 4 else images.unsqueeze(1)).to(torch.uint8), classes


def positive_int(name, value):
    """`value` as an int of at least one, or a DataError that says which argument is wrong."""
    return whole_number(name, value, 1, DataError)


def _as_size(resize):
    sides = resize if isinstance(resize, tuple | list) else (resize, resize)
    if len(sides) != 2:
        raise DataError(f"resize must be a side length or (height, width), got {resize!r}")
    return torch.Size(positive_int("resize", side) for side in sides)
