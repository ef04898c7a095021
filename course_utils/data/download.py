"""Download one file: bounded in time and size, and without leaving TLS."""

import threading
import time
import urllib.error
import urllib.request
from types import SimpleNamespace

from course_utils.errors import DataError
from course_utils.settings import progress_mode

_PIECE = 1 << 16


def fetch(url, file, *, timeout, slowest, largest):
    """Download `url` into `file`, open for writing bytes; the caller checks what came.

    timeout: seconds without an answer or a byte after which it is given up.
    slowest: bytes per second; it is given up when the whole falls behind that by `timeout`.
    largest: bytes that it may have. So it ends after timeout + largest / slowest seconds at most,
    wherever in name lookup, TLS, headers or data the other side holds still.
    Certificates are checked, and nothing that began with TLS is redirected to something without.
    Raises DataError with the reason in a few words; then there may be a part in `file`.
    """
    from tqdm import tqdm

    come = SimpleNamespace(size=0, total=None, wanted=True, error=None)
    # a thread, for nothing else can bound a name lookup or a header that comes byte by byte
    thread = threading.Thread(
        target=_receive, args=(url, file, timeout, largest, come), daemon=True
    )
    hidden, name = progress_mode() == "none", url.rpartition("/")[2]
    bar = tqdm(desc=name, unit="B", unit_scale=True, leave=False, disable=hidden)
    begin = time.monotonic()
    thread.start()
    try:
        with bar:
            while thread.is_alive():
                thread.join(0.1)
                bar.total = come.total
                bar.update(come.size - bar.n)
                if time.monotonic() > begin + timeout + come.size / slowest:
                    raise DataError("no answer in time, or too slow a one")
    finally:
        come.wanted = False
    if come.error is not None:
        raise DataError(_reason(come.error)) from come.error


def _receive(url, file, timeout, largest, come):
    """In a thread: write what comes to `file`, for as long as it is wanted."""
    try:
        opener = urllib.request.build_opener(_StayWithTLS)
        opener.addheaders = [("User-Agent", "classic-convnets")]
        with opener.open(url, timeout=timeout) as response:
            come.total = response.length
            while (piece := response.read1(_PIECE)) and come.wanted:
                come.size += len(piece)
                if come.size > largest:
                    raise DataError(f"more than {largest:,} bytes came")
                file.write(piece)
            if response.length:
                raise EOFError(f"the connection broke {response.length:,} bytes before the end")
    except Exception as error:  # it travels to the caller, whatever it is
        come.error = error


class _StayWithTLS(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, req, fp, code, msg, headers, newurl):
        if req.type == "https" and not newurl.startswith("https:"):
            raise urllib.error.URLError("redirected to an address without TLS")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _reason(error):
    """A few words without what a server could put in them to confuse a terminal."""
    text = str(error.reason if type(error) is urllib.error.URLError else error)
    line = (text.strip() or type(error).__name__).splitlines()[0][:150]
    return "".join(filter(str.isprintable, line))
