"""Download one file: bounded in time and size, without leaving TLS, and never half a file."""

import hashlib
import queue
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

from course_utils.errors import DataError
from course_utils.settings import progress_mode

_PIECE = 1 << 16
_WAITING = 64  # pieces between the network and the disk


def fetch(url, path, *, timeout, slowest, largest):
    """Download `url` to the file `path`; returns the sha256 of what came, in hexadecimal.

    timeout: seconds without an answer or a byte after which it is given up.
    slowest: bytes per second; it is given up when the whole falls behind that by `timeout`.
    largest: bytes that it may have. So it ends after timeout + largest / slowest seconds at most,
    wherever in name lookup, TLS, headers or data the other side holds still.
    Certificates are checked, and nothing that began with TLS is redirected to something without.
    Raises DataError with the reason in a few words, or OSError if `path` cannot be written; then
    the file is gone.
    """
    arrived, stop = queue.Queue(_WAITING), threading.Event()
    # a thread, for nothing else can bound a name lookup or a header that comes byte by byte
    threading.Thread(target=_pump, args=(url, timeout, arrived, stop), daemon=True).start()
    path, digest, size, begin = Path(path), hashlib.sha256(), 0, time.monotonic()
    try:
        total = _next(arrived, timeout)
        if (total or 0) > largest:
            raise DataError(f"{total:,} bytes are more than expected")
        with path.open("wb") as file, _bar(path, total) as bar:
            while piece := _next(arrived, _patience(begin, size, timeout, slowest)):
                size += len(piece)
                if size > largest:
                    raise DataError(f"more than {largest:,} bytes came")
                digest.update(piece)
                file.write(piece)
                bar.update(len(piece))
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    finally:
        stop.set()
    return digest.hexdigest()


def _patience(begin, size, timeout, slowest):
    """Seconds to wait for the next piece."""
    behind = begin + timeout + size / slowest - time.monotonic()
    return max(0, min(timeout, behind))


def _next(arrived, seconds):
    """What the thread says next; raises what it ended with."""
    try:
        said = arrived.get(timeout=seconds)
    except queue.Empty:
        raise DataError("no answer in time, or too slow a one") from None
    if isinstance(said, Exception):
        raise DataError(_reason(said)) from said
    return said


def _pump(url, timeout, arrived, stop):
    """In a thread: put the length (None: not told), the pieces and b"" into `arrived`, or an error.

    Ends soon after `stop` is set.
    """

    def put(item):
        while not stop.is_set():
            try:
                return arrived.put(item, timeout=0.1)
            except queue.Full:
                continue

    try:
        request = urllib.request.Request(url, headers={"User-Agent": "classic-convnets"})
        opener = urllib.request.build_opener(_StayWithTLS)
        with opener.open(request, timeout=timeout) as response:
            put(response.length)
            while not stop.is_set() and (piece := response.read1(_PIECE)):
                put(piece)
            if response.length:
                raise EOFError(f"the connection broke {response.length:,} bytes before the end")
        put(b"")
    except Exception as error:  # it travels to the caller, whatever it is
        put(error)


class _StayWithTLS(urllib.request.HTTPRedirectHandler):
    max_redirections = 5

    def redirect_request(self, req, fp, code, msg, headers, newurl):
        allowed = ("https",) if req.type == "https" else ("http", "https")
        if urllib.parse.urlparse(newurl).scheme not in allowed:
            raise urllib.error.URLError("redirected to an address without TLS")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _reason(error):
    """A few words without what a server could put in them to confuse a terminal."""
    if isinstance(error, urllib.error.HTTPError):
        error.close()
        text = f"HTTP status {error.code}" if error.code not in _MOVED else "too many redirections"
    elif isinstance(error, urllib.error.URLError):
        text = str(error.reason)
    else:
        text = str(error)
    line = (text or type(error).__name__).splitlines()[0][:150]
    return "".join(letter for letter in line if letter.isprintable())


_MOVED = (301, 302, 303, 307, 308)


def _bar(path, total):
    from tqdm import tqdm

    hidden = progress_mode() == "none"
    return tqdm(total=total, unit="B", unit_scale=True, desc=path.name, leave=False, disable=hidden)
