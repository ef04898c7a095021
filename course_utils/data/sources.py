"""Where a data set comes from: files on disk, else its publisher, else what the course carries."""

import contextlib
import hashlib
import io
import urllib.parse
import zlib
from dataclasses import dataclass
from pathlib import Path

from course_utils import settings
from course_utils.data.download import fetch
from course_utils.data.idx import LARGEST, read_pair, unpack
from course_utils.data.nearby import near
from course_utils.errors import DataError
from course_utils.files import folder_for, remove_leftovers, write_whole

FILES = {
    "train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}
_LOCK_SECONDS = 900  # another process may be fetching the same


@dataclass(frozen=True)
class IdxDataset:
    """A data set of four IDX files in torchvision's layout, `<root>/<folder>/raw/…`.

    name: as users write it. title: as pages show it. mirrors: addresses of folders with the files,
    gzipped, tried in this order. sha256: of the files of `FILES` in turn, unpacked: what has
    another one is refused, for a wrong pixel or label shows in no other way.
    """

    name: str
    title: str
    folder: str
    mirrors: tuple
    sha256: tuple

    def raw(self, root):
        return Path(root) / self.folder / "raw"

    def checksums(self):
        """name -> sha256 of the four files."""
        return dict(zip(FILES["train"] + FILES["test"], self.sha256, strict=True))

    def paths(self, root):
        """The four files under `root`, plain preferred over gzipped; None where one is missing.

        Raises DataError if the folder may not be looked into.
        """
        raw = self.raw(root)
        try:
            return {
                name: next((p for p in (raw / name, raw / f"{name}.gz") if p.is_file()), None)
                for name in self.checksums()
            }
        except OSError as error:
            raise DataError(
                f"{raw} cannot be read ({error.strerror}). Set COURSE_DATA to a folder of yours."
            ) from error

    def find(self, root=None):
        """The first folder that has all four files, or None."""
        folders = settings.data_dirs(root)
        return next((folder for folder in folders if all(self.paths(folder).values())), None)

    def not_found(self, root=None):
        """What to say when `find` found nothing: where it looked, and what may have been meant."""
        looked = f"looked in {' and '.join(map(str, settings.data_dirs(root)))}"
        hint = self.hint(root)
        return f"{looked}: {hint}" if hint else looked

    def hint(self, root=None):
        """What is odd about the folder that was asked for, with what may have been meant, or ""."""
        folder = settings.data_dirs(root)[0]
        missing = [name for name, path in self.paths(folder).items() if path is None]
        if 0 < len(missing) < len(self.sha256):
            return f"{self.raw(folder)} lacks {', '.join(missing)}"
        for other in near(folder):
            with contextlib.suppress(DataError):  # it may not be looked into
                if all(self.paths(other).values()):
                    return f"did you mean {other}?"
        if any((folder / f"{name}{end}").is_file() for name in missing for end in ("", ".gz")):
            return f"the files belong in {self.raw(folder)}"
        asked = folder != settings.REPOSITORY / "data"
        return "there is no such folder" if asked and not folder.is_dir() else ""

    def read(self, root, split):
        """Images (N, 28, 28) and labels (N,) of one split, both uint8: the published ones.

        Raises DataError for any other content.
        """
        paths, sums = self.paths(root), self.checksums()
        return read_pair(*(paths[n] for n in FILES[split]), sha256=[sums[n] for n in FILES[split]])

    def verify(self, root):
        """Raises DataError unless all four files are the published ones."""
        for split in FILES:
            self.read(root, split)


FASHION_MNIST = IdxDataset(
    "fashion-mnist",
    "Fashion-MNIST",
    "FashionMNIST",
    (  # both of the publisher, Zalando Research
        "https://fashion-mnist.s3.eu-central-1.amazonaws.com/",
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
    ),
    (
        "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
        "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
        "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
        "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    ),
)
MNIST = IdxDataset(
    "mnist",
    "MNIST",
    "MNIST",
    (  # copies; the publisher's own server offers no TLS that holds, and mostly refuses
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
    ),
    (
        "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    ),
)
DATASETS = {dataset.name: dataset for dataset in (FASHION_MNIST, MNIST)}

_unreachable = set()  # data sets whose publisher did not answer this process: not asked twice
_said = set()


def say_once(text):
    """Print what a user must know, once in a process."""
    if text not in _said:
        _said.add(text)
        print(text)


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

    A file appears when it is whole and has the published checksum, not before; such files of an
    earlier, broken attempt are kept.
    timeout, slowest: when a server is given up and the next one asked; see `fetch`.
    Raises DataError if the set is unknown, cannot be fetched, the folder cannot be written, or
    what is there already is damaged.
    """
    if name not in DATASETS:
        raise DataError(f"unknown data set {name!r}; known: {', '.join(DATASETS)}")
    dataset = DATASETS[name]
    root = settings.absolute(root) if root is not None else settings.download_dir()
    raw, lock = dataset.raw(root), ".lock"
    from filelock import FileLock, Timeout  # two notebooks may start at once

    try:
        with (
            folder_for(raw.parent, lock),
            FileLock(raw.parent / lock, timeout=_LOCK_SECONDS),
            folder_for(raw),  # in the lock: who failed there may have removed it
        ):
            for file, path in dataset.paths(root).items():
                if path is None:
                    remove_leftovers(raw / file)
                    write_whole(raw / file, _fetched(dataset, file, timeout, slowest))
    except Timeout:
        raise DataError(f"{dataset.title} is being fetched by another process: wait.") from None
    except OSError as error:
        reason = error.strerror or error
        raise DataError(
            f"{root} cannot be written ({reason}). Set COURSE_DATA to a folder of yours."
        ) from error
    dataset.verify(root)
    return root


def describe():
    """What is on this machine, one dict per data set: name, present, where, verified, note."""
    rows = []
    for dataset in DATASETS.values():
        folder = dataset.find()
        row = {"name": dataset.name, "present": folder is not None, "where": "", "verified": None}
        if folder is None:
            row["note"] = f"{dataset.not_found()}. Fetch it: course data --get {dataset.name}"
        else:
            row |= {"where": str(dataset.raw(folder)), "verified": True}
            row["note"] = "the published files"
            try:
                dataset.verify(folder)
            except DataError:
                row["verified"] = False
                row["note"] = "NOT the published files: delete them and fetch them again"
        rows.append(row)
    return rows


def _fetched(dataset, name, timeout, slowest):
    """The content of one file, from the first mirror that has it with the right checksum."""
    reasons = []
    for mirror in dataset.mirrors:
        packed = io.BytesIO()
        try:
            limits = {"timeout": timeout, "slowest": slowest, "largest": LARGEST}
            fetch(f"{mirror}{name}.gz", packed, **limits)
            packed.seek(0)
            content = unpack(packed)
            if hashlib.sha256(content).hexdigest() == dataset.checksums()[name]:
                return content
            reason = "what arrived is not the published file"
        except DataError as error:
            reason = error
        except (EOFError, zlib.error):
            reason = "what arrived is damaged"
        reasons.append(f"{urllib.parse.urlparse(mirror).hostname}: {reason}")
    raise DataError(
        f"{dataset.title} could not be fetched ({'; '.join(reasons)}). "
        f"Repeat when the network is better: course data --get {dataset.name}"
    )
