"""Where a data set comes from: files on disk, else its publisher, else what the course carries."""

import contextlib
import hashlib
import shutil
import socket
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from course_utils import settings
from course_utils.data.idx import read_pair
from course_utils.errors import DataError

SPLITS = {"train": "train", "test": "t10k"}


@dataclass(frozen=True)
class IdxDataset:
    """A data set of four IDX files in torchvision's layout, `<root>/<folder>/raw/…`.

    name: as users write it. title: as pages show it. folder: also the torchvision class.
    host: the publisher's server, asked first whether there is a network at all.
    sha256: of the decompressed files, where they are known to us.
    """

    name: str
    title: str
    folder: str
    host: str
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
        """The four files under `root`, plain preferred over gzipped; None where one is missing."""
        raw = self.raw(root)
        found = {}
        for name in self.files():
            candidates = [raw / name, raw / f"{name}.gz"]
            found[name] = next((path for path in candidates if path.is_file()), None)
        return found

    def find(self, root=None):
        """The first folder that has all four files, or None."""
        for folder in settings.data_dirs(root):
            if all(self.paths(folder).values()):
                return folder
        return None

    def read(self, root, split):
        """Images (N, 28, 28) and labels (N,) of one split, both uint8."""
        paths = self.paths(root)
        prefix = SPLITS[split]
        return read_pair(paths[f"{prefix}-images-idx3-ubyte"], paths[f"{prefix}-labels-idx1-ubyte"])

    def verified(self, root):
        """True if every file has its known checksum, False if one differs, None if not known."""
        if not self.sha256:
            return None
        return all(
            path is not None and self.sha256[name] == _sha256(path)
            for name, path in self.paths(root).items()
        )


FASHION_MNIST = IdxDataset(
    "fashion-mnist",
    "Fashion-MNIST",
    "FashionMNIST",
    "fashion-mnist.s3-website.eu-central-1.amazonaws.com",
    {
        "train-images-idx3-ubyte": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",  # noqa: E501
        "train-labels-idx1-ubyte": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",  # noqa: E501
        "t10k-images-idx3-ubyte": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",  # noqa: E501
        "t10k-labels-idx1-ubyte": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",  # noqa: E501
    },
)
MNIST = IdxDataset("mnist", "MNIST", "MNIST", "ossci-datasets.s3.amazonaws.com", {})
DATASETS = {dataset.name: dataset for dataset in (FASHION_MNIST, MNIST)}

_unreachable = set()  # data sets whose publisher did not answer this process: not asked twice


def find_or_download(dataset, root=None):
    """The folder that holds `dataset`, fetched if need be; None when it cannot be had now."""
    if settings.standin_only():
        return None
    folder = dataset.find(root)
    if folder is not None or settings.offline() or dataset.name in _unreachable:
        return folder
    try:
        if not reachable(dataset.host):
            raise DataError("no network")
        return download(dataset.name, root, timeout=5)
    except DataError:
        _unreachable.add(dataset.name)
        return None


def download(name, root=None, timeout=20):
    """Fetch a data set from its publisher through torchvision and return its folder.

    Files that an earlier, broken attempt finished are kept. Each is verified by torchvision's
    checksum, and the set appears under its final name only when it is whole.
    timeout: seconds without a byte after which the connection is given up.
    Raises DataError if the set is unknown, cannot be fetched, or the folder cannot be written.
    """
    if name not in DATASETS:
        raise DataError(f"unknown data set {name!r}; known: {', '.join(DATASETS)}")
    dataset = DATASETS[name]
    root = Path(root) if root is not None else settings.download_dir()
    staging = dataset.raw(root).parent / ".incoming"
    try:
        staging.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(
            f"{root} cannot be written ({error.strerror}). Set COURSE_DATA to a folder of yours."
        ) from error
    from filelock import FileLock  # two notebooks may start at once

    with FileLock(staging / "lock"):
        if not all(dataset.paths(root).values()):
            _fetch(dataset, staging, timeout)
            dataset.raw(root).mkdir(parents=True, exist_ok=True)
            for file in dataset.files():
                (dataset.raw(staging) / file).replace(dataset.raw(root) / file)
    shutil.rmtree(staging, ignore_errors=True)
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
                None: "complete",
            }[row["verified"]]
        rows.append(row)
    return rows


def _fetch(dataset, staging, timeout):
    from torchvision import datasets

    try:
        with socket_timeout(timeout):
            getattr(datasets, dataset.folder)(root=str(staging), download=True)
        for split in SPLITS:
            dataset.read(staging, split)
    except (OSError, EOFError, RuntimeError, DataError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(
            f"{dataset.title} could not be fetched ({reason}). "
            f"Repeat when the network is better: course data --get {dataset.name}"
        ) from error
    if dataset.verified(staging) is False:
        raise DataError(
            f"{dataset.title}: what arrived is not the published files. "
            f"Delete {staging} and repeat: course data --get {dataset.name}"
        )


@contextlib.contextmanager
def socket_timeout(seconds):
    """Give up connections that are silent for so long, inside the context."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def reachable(host, seconds=3):
    """Whether `host` answers; with a proxy only the proxy can tell, so then assume it does."""
    if urllib.request.getproxies().get("http"):
        return True
    try:
        socket.create_connection((host, 80), timeout=seconds).close()
    except OSError:
        return False
    return True


def _sha256(path):
    import gzip

    with (gzip.open if path.suffix == ".gz" else open)(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
