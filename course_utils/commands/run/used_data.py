"""Which data a chapter would train on now, by content: times and places of files do not count."""

import hashlib
import json
import subprocess
import sys

from course_utils import settings
from course_utils.commands.run.pool import worker_environment

LOADERS = {"load_data_fashion_mnist": "fashion-mnist", "load_data_digits": "mnist"}
RECORDED = ("results.toml", "tuning.csv")  # beside the chapters: what earlier runs gave
COMPARES = "published_and_reproduced"  # shows recorded results and those of the run's chapters


def used_by(code):
    """Names of the data sets that this code loads, of recorded results too, sorted."""
    names = {name for loader, name in LOADERS.items() if loader in code}
    return sorted(names | ({"results"} if COMPARES in code else set()))


def identify(names):
    """Name -> hash of the files that would be read, None where the course uses what it carries.

    names: as `used_by` gives them. A data set that is not here is fetched first, as the chapter
    itself would do; where that cannot be done, the chapter will not have it either.
    """
    identities = {}
    if "results" in names:
        recorded = [settings.REPOSITORY / "chapters" / name for name in RECORDED]
        identities["results"] = _sha256(path for path in recorded if path.is_file())
    sets = [name for name in names if name != "results"]
    if sets:
        # in a process of its own: the loaders bring torch, which is slow and large
        done = subprocess.run(
            [sys.executable, "-m", __name__, *sets],
            stdout=subprocess.PIPE,
            encoding="utf-8",
            env=worker_environment(),
        )
        # without torch no chapter can train, and each will say so
        identities |= json.loads(done.stdout) if done.returncode == 0 else dict.fromkeys(sets)
    return identities


def _main(names):
    from course_utils.data.sources import DATASETS, find_or_download

    identities = {}
    for name in names:
        dataset = DATASETS[name]
        if dataset.find() is None and not (settings.offline() or settings.standin_only()):
            print(f"{dataset.title} is not here yet: trying to fetch it", file=sys.stderr)
        folder = find_or_download(dataset)
        identities[name] = _sha256(dataset.paths(folder).values()) if folder else None
    print(json.dumps(identities))


def _sha256(paths):
    digest = hashlib.sha256()
    for path in paths:
        with open(path, "rb") as file:
            digest.update(path.name.encode() + hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


if __name__ == "__main__":
    _main(sys.argv[1:])
