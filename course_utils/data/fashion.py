"""Fashion-MNIST: 70,000 grey pictures of garments, 28×28, ten classes (Xiao et al., 2017)."""

from course_utils import settings
from course_utils.data.loader import TensorLoader, positive_int
from course_utils.data.sources import FASHION_MNIST, download, find_or_download, say_once
from course_utils.errors import DataError

FASHION_CLASSES = [
    "t-shirt",
    "trouser",
    "pullover",
    "dress",
    "coat",
    "sandal",
    "shirt",
    "sneaker",
    "bag",
    "ankle boot",
]
STANDIN_TITLE = "Fashion-MNIST stand-in"
SOURCES = ("auto", "files", "download", "embedded")


def load_data_fashion_mnist(
    batch_size,
    resize=None,
    *,
    train_examples=None,
    test_examples=None,
    source="auto",
    root=None,
    device=None,
    seed=None,
):
    """Fashion-MNIST as two loaders, (train_iter, test_iter).

    batch_size: examples per batch. resize: side length in pixels, or None for 28.
    train_examples, test_examples: only the first so many; None: all 60,000 and 10,000.
    source: "files" on disk, "download", "embedded" (the drawn stand-in), or "auto": the first of
    these that can be had. root: folder to look in and download to; None: $COURSE_DATA, then the
    repository's `data/`. device: where the data set is kept. seed: of the shuffling.
    The loaders' `source` says which data they hold; a stand-in is announced once,
    with the folders that were looked in.
    Raises DataError for a wrong argument or a damaged file.
    Source: call-compatible with d2l's function of this name; text and code are our own.
    """
    if source not in SOURCES:
        raise DataError(f"unknown source {source!r}; use one of {', '.join(SOURCES)}")
    positive_int("batch_size", batch_size)
    read, title = _open(source, root)
    loaders = []
    for split, count in (("train", train_examples), ("test", test_examples)):
        if count is not None:
            count = positive_int(f"{split}_examples", count)
        images, labels = read(split, count)
        if count is not None:  # a copy, for a slice would keep the whole file in memory
            if count > len(images):
                raise DataError(f"{split}_examples is {count}, but there are only {len(images)}")
            images, labels = images[:count].copy(), labels[:count].copy()
        loaders.append(
            TensorLoader(
                images,
                labels,
                batch_size,
                resize=resize,
                shuffle=split == "train",
                device=device,
                seed=seed,
                source=title,
                classes=FASHION_CLASSES,
            )
        )
    return tuple(loaders)


def get_fashion_mnist_labels(labels):
    """Class names for a tensor or list of class numbers (0–9)."""
    return [FASHION_CLASSES[int(label)] for label in labels]


def _open(source, root):
    """A function (split, count) -> arrays, and the title of the data it reads."""
    folder = None
    if source == "files":
        folder = FASHION_MNIST.find(root)
        if folder is None:
            raise DataError(
                f"the four Fashion-MNIST files were not found ({FASHION_MNIST.not_found(root)}). "
                "Fetch them with: course data --get fashion-mnist"
            )
    elif source == "download":
        folder = FASHION_MNIST.find(root) or download("fashion-mnist", root)
    elif source == "auto":
        folder = find_or_download(FASHION_MNIST, root)
    if folder is not None:
        return lambda split, count: FASHION_MNIST.read(folder, split), FASHION_MNIST.title
    if source == "auto":
        _announce_standin(root)
    from course_utils.data.standin import draw_fashion

    return draw_fashion, STANDIN_TITLE


def _announce_standin(root):
    """Say, once for each place that was asked for, that these are not the real data, and why."""
    why = f"was not found ({FASHION_MNIST.not_found(root)}) and cannot be fetched now"
    if settings.standin_only():
        why = "is not wanted (COURSE_STANDIN is set)"
    say_once(
        f"Fashion-MNIST {why}: using the stand-in,\n"
        "garments drawn by the course. Accuracies are not those of the real data.\n"
        "To get the real data set: course data --get fashion-mnist"
    )
