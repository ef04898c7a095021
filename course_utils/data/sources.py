"""Where a data set comes from: files on disk, else its publisher, else what the course carries."""

import hashlib
import os
import shutil
import urllib.parse
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from course_utils import settings
from course_utils.data.download import fetch
from course_utils.data.idx import LARGEST, pieces, read_pair
from course_utils.errors import DataError

SPLITS = {"train": "train", "test": "t10k"}
_LOCK_SECONDS = 900  # another process may be fetching the same


@dataclass(frozen=True)
class IdxDataset:
    """A data set of four IDX files in torchvision's layout, `<root>/<folder>/raw/…`.

    name: as users write it. title: as pages show it. mirrors: addresses of folders with the files,
    gzipped, tried in this order. sha256: of each file, unpacked: what has another one is refused,
    for a wrong pixel or label shows in no other way.
    """

    name: str
    title: str
    folder: str
    mirrors: tuple
    sha256: dict

    def raw(self, root):
        return Path(root) / self.folder / "raw"

    def files(self):
        return [
            f"{prefix}-{kind}-ubyte"
            for prefix in SPLITS.values()
            for kind in ("images-idx3", "labels-idx1")
        ]

    def paths(self, root):
        """The four files under `root`, plain preferred over gzipped; None where one is missing.

        Raises DataError if the folder may not be looked into.
        """
        raw = self.raw(root)
        found = {}
        try:
            for name in self.files():
                candidates = [raw / name, raw / f"{name}.gz"]
                found[name] = next((path for path in candidates if path.is_file()), None)
        except OSError as error:
            raise DataError(
                f"{raw} cannot be read ({error.strerror}). Set COURSE_DATA to a folder of yours."
            ) from error
        return found

    def find(self, root=None):
        """The first folder that has all four files, or None."""
        for folder in settings.data_dirs(root):
            if all(self.paths(folder).values()):
                return folder
        return None

    def read(self, root, split):
        """Images (N, 28, 28) and labels (N,) of one split, both uint8: the published ones.

        Raises DataError for any other content.
        """
        paths = self.paths(root)
        names = [f"{SPLITS[split]}-{kind}-ubyte" for kind in ("images-idx3", "labels-idx1")]
        return read_pair(*(paths[n] for n in names), sha256=[self.sha256[n] for n in names])

    def verified(self, root):
        """Whether all four files are the published ones."""
        try:
            for split in SPLITS:
                self.read(root, split)
        except DataError:
            return False
        return True


FASHION_MNIST = IdxDataset(
    "fashion-mnist",
    "Fashion-MNIST",
    "FashionMNIST",
    (  # both of the publisher, Zalando Research
        "https://fashion-mnist.s3.eu-central-1.amazonaws.com/",
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
    ),
    {
        "train-images-idx3-ubyte": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",  # noqa: E501
        "train-labels-idx1-ubyte": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",  # noqa: E501
        "t10k-images-idx3-ubyte": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",  # noqa: E501
        "t10k-labels-idx1-ubyte": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",  # noqa: E501
    },
)
MNIST = IdxDataset(
    "mnist",
    "MNIST",
    "MNIST",
    (  # copies; the publisher's own server offers no TLS that holds, and mostly refuses
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
    ),
    {
        "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",  # noqa: E501
        "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",  # noqa: E501
        "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",  # noqa: E501
        "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",  # noqa: E501
    },
)
DATASETS = {dataset.name: dataset for dataset in (FASHION_MNIST, MNIST)}

_unreachable = set()  # data sets whose publisher did not answer this process: not asked twice


def find_or_download(dataset, root=None):
    """The folder that holds `dataset`, fetched if need be; None when it cannot be had now.

    Somebody waits for this in a notebook, so it asks for more than `download` does: an answer
    within 4 s and 200 kB a second.
    """
    if settings.standin_only():
        return None
    folder = dataset.find(root)
    if folder is not None or settings.offline() or dataset.name in _unreachable:
        return folder
    try:
        return download(dataset.name, root, timeout=4, slowest=200_000)
    except DataError:
        _unreachable.add(dataset.name)
        return None


def download(name, root=None, timeout=20, slowest=10_000):
    """Fetch a data set from its publisher and return its folder.

    A file gets its name when it is whole and has the published checksum, not before; such files
    of an earlier, broken attempt are kept.
    timeout, slowest: when a server is given up and the next one asked; see `fetch.fetch`.
    Raises DataError if the set is unknown, cannot be fetched, the folder cannot be written, or
    what is there already is damaged.
    """
    if name not in DATASETS:
        raise DataError(f"unknown data set {name!r}; known: {', '.join(DATASETS)}")
    dataset = DATASETS[name]
    root = Path(root) if root is not None else settings.download_dir()
    folder = dataset.raw(root).parent
    from filelock import FileLock, Timeout  # two notebooks may start at once

    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / ".lock", timeout=_LOCK_SECONDS), _staging(folder) as staging:
            for file, path in dataset.paths(root).items():
                if path is None:
                    _fetch(dataset, file, staging, dataset.raw(root) / file, timeout, slowest)
    except Timeout:
        raise DataError(f"{dataset.title} is being fetched by another process: wait.") from None
    except OSError as error:
        reason = error.strerror or error
        raise DataError(
            f"{root} cannot be written ({reason}). Set COURSE_DATA to a folder of yours."
        ) from error
    for split in SPLITS:
        dataset.read(root, split)
    return root


def describe():
    """What is on this machine, one dict per data set: name, present, where, verified, note."""
    rows = []
    for dataset in DATASETS.values():
        folder = dataset.find()
        row = {"name": dataset.name, "present": folder is not None, "where": "", "verified": None}
        row["note"] = f"fetch it with: course data --get {dataset.name}"
        if folder is not None:
            row["where"] = str(dataset.raw(folder))
            row["verified"] = dataset.verified(folder)
            row["note"] = {
                True: "the published files",
                False: "NOT the published files: delete them and fetch them again",
            }[row["verified"]]
        rows.append(row)
    return rows


@contextmanager
def _staging(folder):
    """A folder for what is not whole yet; also clears what a killed process left there."""
    staging = folder / ".incoming"
    staging.mkdir(exist_ok=True)
    try:
        yield staging
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _fetch(dataset, name, staging, target, timeout, slowest):
    """One file from the first mirror that has it; `target` appears when its checksum is right."""
    packed, plain, reasons = staging / f"{name}.gz", staging / name, []
    for mirror in dataset.mirrors:
        try:
            fetch(f"{mirror}{name}.gz", packed, timeout=timeout, slowest=slowest, largest=LARGEST)
            _unpack(packed, plain, dataset.sha256[name])
        except DataError as error:
            reasons.append(f"{urllib.parse.urlparse(mirror).hostname}: {error}")
            continue
        target.parent.mkdir(exist_ok=True)
        plain.replace(target)
        return
    raise DataError(
        f"{dataset.title} could not be fetched ({'; '.join(reasons)}). "
        f"Repeat when the network is better: course data --get {dataset.name}"
    )


def _unpack(packed, plain, sha256):
    """Write the content of a gzipped file and see it safely on the disk."""
    digest, size = hashlib.sha256(), 0
    with plain.open("wb") as file:
        try:
            for piece in pieces(packed):
                size += len(piece)
                if size > LARGEST:
                    break
                digest.update(piece)
                file.write(piece)
        except DataError as error:
            raise DataError("what arrived is damaged") from error
        file.flush()
        os.fsync(file.fileno())
    if size > LARGEST or digest.hexdigest() != sha256:
        raise DataError("what arrived is not the published file")
