"""Files that appear whole or not at all."""

import contextlib
import glob
import os
import uuid
from pathlib import Path


def write_whole(path, data):
    """Write `data` (bytes or str, as UTF-8) to `path`; see `writing_whole`."""
    with writing_whole(path) as temporary:
        temporary.write_bytes(data.encode() if isinstance(data, str) else data)


@contextlib.contextmanager
def writing_whole(path):
    """Give a temporary path to write to, which becomes `path` at the end.

    Whatever happens in between (an error, a kill, a power cut), `path` holds either what it held
    before or all of the new content: the content is on the disk before the name points to it.
    Raises OSError as the file system does.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.part")
    try:
        yield temporary
        _sync(temporary)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _sync(path.parent)  # the new name, too


@contextlib.contextmanager
def folder_for(path, lock=""):
    """Make a folder to write to; when that fails, the folders made for it go, if they are empty.

    lock: name of a file in it that does not count.
    """
    path = Path(path)
    made = [folder for folder in (path, *path.parents) if not folder.exists()]
    try:
        path.mkdir(parents=True, exist_ok=True)
        yield
    except BaseException:
        with contextlib.suppress(OSError):  # something is in it
            if lock and path in made:
                (path / lock).unlink(missing_ok=True)
            for folder in made:
                folder.rmdir()
        raise


def remove_leftovers(path):
    """Remove what a killed `writing_whole(path)` left; only for who alone writes to `path`."""
    path = Path(path)
    for leftover in path.parent.glob(f".{glob.escape(path.name)}.*.part"):
        leftover.unlink(missing_ok=True)


def _sync(path):
    """Wait until a file, or a folder's list of names, is on the disk."""
    if path.is_dir() and os.name == "nt":
        return  # Windows cannot open folders, and keeps names safe itself
    handle = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
