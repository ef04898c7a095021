"""`TensorLoader`: a whole data set in memory, handed out in batches of tensors."""

import torch
from torch.nn import functional as F

from course_utils.errors import DataError
from course_utils.settings import FAST_RUN_BATCHES, fast_dev_run


class TensorLoader:
    """Batches (X, y) of a data set that is held once, as bytes.

    images: uint8 (N, H, W) or (N, C, H, W). labels: integers (N,).
    batch_size: examples per batch; the last one may be smaller.
    resize: side length or (height, width) of the images handed out; None: as they are.
    shuffle: a new order in every epoch, from the loader's own generator.
    device: where the set is kept and the batches are made; None: the CPU.
    seed: of the order; None: drawn from torch's global generator.
    Yields X float32 (n, C, H, W) in [0, 1] and y int64 (n,).
    In a fast dev run only the first three batches of an epoch.

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
        images, labels = torch.as_tensor(images), torch.as_tensor(labels)
        if len(images) == 0:
            raise DataError("the data set has zero images: ask for at least one")
        if len(images) != len(labels):
            raise DataError(f"{len(images)} images but {len(labels)} labels")
        self.batch_size = positive_int("batch_size", batch_size)
        self.size = None if resize is None else _as_size(resize)
        self.images = (images if images.ndim == 4 else images.unsqueeze(1)).to(device)
        self.labels = labels.to(device, torch.int64)
        self.shuffle = shuffle
        self.source = source
        self.classes = list(classes)
        if seed is None:
            seed = int(torch.randint(2**31, ()))
        self.generator = torch.Generator().manual_seed(seed)

    @property
    def num_examples(self):
        return len(self.labels)

    @property
    def device(self):
        return self.labels.device

    def __len__(self):
        batches = -(-self.num_examples // self.batch_size)
        return min(batches, FAST_RUN_BATCHES) if fast_dev_run() else batches

    def __iter__(self):
        if self.shuffle:
            order = torch.randperm(self.num_examples, generator=self.generator)
            order = order.to(self.device)
        else:
            order = torch.arange(self.num_examples, device=self.device)
        for batch in order.split(self.batch_size)[: len(self)]:
            yield self.to_input(self.images[batch]), self.labels[batch]

    def to_input(self, images):
        """What a network sees of uint8 images (n, C, H, W): float32 in [0, 1], resized."""
        X = images.to(torch.float32).div_(255)
        if self.size is None or self.size == X.shape[-2:]:
            return X
        return F.interpolate(X, self.size, mode="bilinear", antialias=True)


def positive_int(name, value):
    """`value` as an int of at least one, or a DataError that says which argument is wrong."""
    if isinstance(value, bool) or int(value) != value or value < 1:
        raise DataError(f"{name} must be a whole number of at least 1, got {value!r}")
    return int(value)


def _as_size(resize):
    sides = resize if isinstance(resize, tuple | list) else (resize, resize)
    if len(sides) != 2:
        raise DataError(f"resize must be a side length or (height, width), got {resize!r}")
    return torch.Size(positive_int("resize", side) for side in sides)
