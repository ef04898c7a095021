"""Servers that fail in every way: given up in time, nothing half is kept, a retry works.

No clock is read here: most of these servers would hold a careless client for hours, and the test
then ends by its time limit.
"""

import gzip
import http.server
import io
import os
import shutil
import socket
import ssl
import subprocess
import threading
import zlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from unittest import mock

import pytest
import torch
from smalldata import publish, publish_weights, saved, small_dataset, small_files

from course_utils.data import download, load_data_fashion_mnist, sources
from course_utils.data.download import fetch
from course_utils.errors import DataError, WeightsError
from course_utils.nets.pretrained import fetch_torchvision_weights
from faults.harness import SOAK

pytestmark = pytest.mark.timeout(120)
FILES = {f"{name}.gz": gzip.compress(content) for name, content in small_files().items()}
FIRST = "train-images-idx3-ubyte.gz"
FAST = {"timeout": 0.6, "slowest": 50_000}  # loopback is faster than any network


# --- how a server answers: with the request's handler and the content it should send -------------


def reply(handler, content, length=None, sent=None, status=200, **headers):
    handler.send_response(status)
    handler.send_header("Content-Length", str(len(content) if length is None else length))
    for name, value in headers.items():
        handler.send_header(name, value)
    handler.end_headers()
    handler.wfile.write(content[:sent])
    handler.wfile.flush()


def good(handler, content):
    reply(handler, content)


def cut(handler, content):
    reply(handler, content, sent=len(content) // 2)


def damaged(handler, content):
    middle = len(content) // 2
    reply(handler, content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :])


def another_file(handler, content):
    changed = bytearray(gzip.decompress(content))
    changed[-1] ^= 1
    reply(handler, gzip.compress(changed))


def bomb(handler, content):
    """Zeros without end: 16 MB in every 16 kB."""
    packer = zlib.compressobj(wbits=31)
    start = packer.compress(bytes(1 << 24)) + packer.flush(zlib.Z_FULL_FLUSH)
    more = zlib.compressobj(wbits=-15)
    block = more.compress(bytes(1 << 24)) + more.flush(zlib.Z_FULL_FLUSH)
    reply(handler, start + 300 * block)


def says(content=b"", **options):
    return lambda handler, _: reply(handler, content, **options)


def redirect(where):
    return lambda handler, _: reply(handler, b"", status=302, Location=where(handler))


def silent(handler, content):
    handler.server.stopped.wait()


def stalls(handler, content):
    cut(handler, content)
    silent(handler, content)


def drips(start):
    """After `start` a byte now and then: never silent for long, and never done."""

    def answer(handler, content):
        handler.wfile.write(start)
        for byte in b"0" * 60_000:
            if handler.server.stopped.wait(0.2):
                return
            handler.wfile.write(bytes([byte]))
            handler.wfile.flush()

    return answer


def never_ends(handler, content):
    handler.send_response(200)
    handler.end_headers()
    while not handler.server.stopped.is_set():
        handler.wfile.write(content)


def resets(handler, content):
    linger = b"\1\0\0\0\0\0\0\0"
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    handler.connection.close()


BAD = {
    "cut": cut,
    "says more": lambda handler, content: reply(handler, content, length=len(content) + 1000),
    "says less": lambda handler, content: reply(handler, content, length=len(content) - 10),
    "says gigabytes": lambda handler, content: reply(handler, content, length=10**12),
    "damaged": damaged,
    "another file": another_file,
    "a login page": says(b"<html>Please log in.</html>"),
    "nothing at all": says(),
    "bomb": bomb,
    "forbidden": says(status=403),
    "missing": says(status=404),
    "broken": says(status=500),
    "loop": redirect(lambda handler: handler.path),
    "to a file": redirect(lambda handler: "file:///etc/hosts"),
    "to nowhere": redirect(lambda handler: "http://127.0.0.1:9/"),
    "silent": silent,
    "stalls": stalls,
    "drips": drips(b"HTTP/1.0 200 OK\r\nContent-Length: 60000\r\n\r\n"),
    "drips headers": drips(b"HTTP/1.0 200 OK\r\nX-Padding: "),
    "drips a chunk size": drips(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
    "never ends": never_ends,
    "no http": lambda handler, content: handler.wfile.write(b"220 mail.example ESMTP\r\n" * 10),
    "resets": resets,
}
# one of each kind: `make test` tries the rest on single files only
FEW = BAD if SOAK else ["cut", "another file", "bomb", "missing", "loop", "silent", "drips headers"]


@pytest.fixture(autouse=True)
def smaller_limit(monkeypatch):
    """Servers without end are given up sooner."""
    monkeypatch.setattr(sources, "LARGEST", 3_000_000)


@contextmanager
def server(answer, certificate=None):
    """A server on loopback: its `url`, and `answer` and `files`, which may be changed meanwhile."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            name = self.path.rsplit("/", 1)[-1]
            instance.requests.append(name)
            instance.answer(self, instance.files[name])

        def log_message(self, *_):
            pass

    class Quiet(http.server.ThreadingHTTPServer):
        def handle_error(self, *_):  # clients that give up are what is tested
            pass

    instance = Quiet(("127.0.0.1", 0), Handler)
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        instance.socket = context.wrap_socket(instance.socket, server_side=True)
    instance.answer, instance.files, instance.requests = answer, FILES, []
    instance.stopped = threading.Event()
    scheme = "http" if certificate is None else "https"
    instance.url = f"{scheme}://127.0.0.1:{instance.server_port}/"
    threading.Thread(target=instance.serve_forever, daemon=True).start()
    try:
        yield instance
    finally:
        instance.stopped.set()
        instance.shutdown()
        instance.server_close()


def names_in(folder):
    """Files under a folder; an empty lock is none."""
    paths = [path for path in folder.rglob("*") if not path.is_dir()]
    return sorted(path.name for path in paths if path.name != ".lock" or path.stat().st_size)


def assert_whole(root):
    train, test = load_data_fashion_mnist(8, root=root, source="files")
    assert (train.num_examples, test.num_examples) == (20, 10)
    assert names_in(root) == sorted(small_files())


# --- data sets --------------------------------------------------------------------------------


@pytest.mark.parametrize("answer", BAD)
def test_a_bad_server_is_given_up_and_a_retry_works(tmp_path, monkeypatch, answer):
    root = tmp_path / "here"
    with server(BAD[answer]) as publisher:
        publish(monkeypatch, small_dataset([publisher.url]))
        with pytest.raises(DataError, match=r"could not be fetched \(127.*course data --get") as e:
            download("fashion-mnist", root, **FAST)
        assert len(str(e.value).splitlines()) <= 2
        assert not root.exists(), "no part is kept, under any name, and no empty folder"
        with pytest.raises(DataError, match="not found"):
            load_data_fashion_mnist(8, root=root, source="files")
        publisher.answer = good
        assert download("fashion-mnist", root) == root
    assert_whole(root)


@pytest.mark.parametrize("answer", FEW)
def test_the_next_mirror_is_asked(tmp_path, monkeypatch, answer):
    with server(BAD[answer]) as first, server(good) as second:
        publish(monkeypatch, small_dataset([first.url, second.url]))
        download("fashion-mnist", tmp_path, **FAST)
        assert_whole(tmp_path)
        assert first.requests and set(second.requests) == set(FILES)
        asked = len(first.requests), len(second.requests)
        download("fashion-mnist", tmp_path)
        assert asked == (len(first.requests), len(second.requests)), "what is there is not asked"


def test_what_came_whole_is_not_fetched_again(tmp_path, monkeypatch):
    def later(handler, content):
        (good if handler.path.endswith(FIRST) else cut)(handler, content)

    with server(later) as publisher:
        publish(monkeypatch, small_dataset([publisher.url]))
        with pytest.raises(DataError):
            download("fashion-mnist", tmp_path, **FAST)
        assert names_in(tmp_path) == [FIRST.removesuffix(".gz")]
        assert sources.FASHION_MNIST.find(tmp_path) is None
        publisher.answer = good
        publisher.requests.clear()
        killed = tmp_path / "FashionMNIST" / "raw" / ".train-labels-idx1-ubyte.0123abcd.part"
        killed.touch()  # what a process leaves that is killed as it writes
        download("fashion-mnist", tmp_path)
        assert FIRST not in publisher.requests
    assert_whole(tmp_path)


@pytest.mark.parametrize("answer", ["cut", "silent", "drips"])
def test_in_a_notebook_the_standin_steps_in_once(tmp_path, monkeypatch, capsys, answer):
    monkeypatch.delenv("COURSE_OFFLINE")
    monkeypatch.setattr(sources, "_said", set())
    with server(BAD[answer]) as publisher:
        publish(monkeypatch, small_dataset([publisher.url]))
        for _ in range(2):
            train, _ = load_data_fashion_mnist(8, root=tmp_path, train_examples=9, test_examples=9)
            assert train.source == "Fashion-MNIST stand-in"
        assert len(publisher.requests) == 1, "who did not answer is not asked again"
    said = capsys.readouterr().out
    assert said.count("using the stand-in") == 1 and "course data --get fashion-mnist" in said
    assert list(tmp_path.iterdir()) == []


def test_no_server_at_all(tmp_path, monkeypatch):
    with socket.socket() as closed:  # bound, but not listening
        closed.bind(("127.0.0.1", 0))
        publish(monkeypatch, small_dataset([f"http://127.0.0.1:{closed.getsockname()[1]}/"]))
        with pytest.raises(DataError, match="refused"):
            download("fashion-mnist", tmp_path)


def test_stopped_by_hand(tmp_path, monkeypatch):
    """Ctrl-C during a download: what has come stays, folders made for nothing do not."""
    monkeypatch.setattr(sources, "fetch", mock.Mock(side_effect=KeyboardInterrupt))
    for folder in ("new/deep", "mine"):
        (tmp_path / "mine").mkdir(exist_ok=True)
        with pytest.raises(KeyboardInterrupt):
            download("fashion-mnist", tmp_path / folder)
        assert [path.name for path in tmp_path.rglob("*")] == ["mine"]


def test_a_name_that_is_never_found(tmp_path, monkeypatch):
    """A name server that does not answer holds getaddrinfo for half a minute and more."""
    end = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: end.wait() and [])
    publish(monkeypatch, small_dataset(["https://data.invalid/"]))
    with pytest.raises(DataError, match="no answer in time"):
        download("fashion-mnist", tmp_path, **FAST)
    end.set()


@pytest.mark.parametrize(
    "said", [b"HTTP/1.0 403 \x1b[31m\x1b]0;owned\x07", b"\x1b[31mHTTP/9 what \x9b31m"]
)
def test_what_a_server_says_cannot_reach_the_terminal(tmp_path, monkeypatch, said):
    with server(lambda handler, _: handler.wfile.write(said + b"\r\n\r\n")) as publisher:
        publish(monkeypatch, small_dataset([publisher.url]))
        with pytest.raises(DataError) as caught:
            download("fashion-mnist", tmp_path, **FAST)
    assert str(caught.value).isprintable()


def test_redirected_to_another_host_it_is_still_checked(tmp_path, monkeypatch):
    with server(good) as other:
        there = redirect(lambda handler: other.url + handler.path.lstrip("/"))
        with server(there) as publisher:
            publish(monkeypatch, small_dataset([publisher.url]))
            download("fashion-mnist", tmp_path, **FAST)
            assert_whole(tmp_path)
            other.answer = another_file
            with pytest.raises(DataError, match="not the published file"):
                download("fashion-mnist", tmp_path / "again", **FAST)


def test_damage_found_later_is_not_called_fetched(tmp_path, monkeypatch):
    with server(good) as publisher:
        publish(monkeypatch, small_dataset([publisher.url]))
        download("fashion-mnist", tmp_path)
        path = tmp_path / "FashionMNIST" / "raw" / "t10k-labels-idx1-ubyte"
        path.write_bytes(path.read_bytes()[:-1])
        with pytest.raises(DataError, match="t10k-labels.*Delete it and fetch it again"):
            download("fashion-mnist", tmp_path)
        path.unlink()
        download("fashion-mnist", tmp_path)
    assert_whole(tmp_path)


@pytest.mark.parametrize("blocked", ["file", "folder", "full"])
def test_a_folder_that_cannot_take_it(tmp_path, monkeypatch, blocked):
    root = tmp_path / "root"
    if blocked == "file":
        root.write_text("")
    elif blocked == "folder":
        (root / "FashionMNIST/raw/train-images-idx3-ubyte/in the way").mkdir(parents=True)
    else:
        full = OSError(28, "No space left on device")
        monkeypatch.setattr(os, "fsync", mock.Mock(side_effect=full))
    with server(good) as publisher:
        publish(monkeypatch, small_dataset([publisher.url]))
        with pytest.raises(DataError, match="cannot be written .*COURSE_DATA"):
            download("fashion-mnist", root)
    assert not list(tmp_path.rglob("*.part"))
    assert blocked != "full" or not root.exists()


def test_three_at_once_fetch_once(tmp_path, monkeypatch):
    def slowly(handler, content):
        handler.server.stopped.wait(0.3)
        reply(handler, content)

    with server(slowly) as publisher:
        publish(monkeypatch, small_dataset([publisher.url]))
        with ThreadPoolExecutor() as pool:
            roots = list(pool.map(download, ["fashion-mnist"] * 3, [tmp_path] * 3))
        assert roots == [tmp_path] * 3
        assert sorted(publisher.requests) == sorted(FILES)
    assert_whole(tmp_path)


# --- TLS ---------------------------------------------------------------------------------------


def test_every_address_is_one_with_tls():
    for dataset in sources.DATASETS.values():
        assert dataset.mirrors and all(url.startswith("https://") for url in dataset.mirrors)


@pytest.fixture
def certificate(tmp_path):
    """A key and its certificate for 127.0.0.1, signed by nobody but itself."""
    if shutil.which("openssl") is None:
        pytest.skip("NOT RUN: needs openssl to make a certificate")
    key, cert, both = (tmp_path / name for name in ("key", "cert", "both"))
    subject = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *subject]
    subprocess.run([*command, "-keyout", key, "-out", cert], check=True, capture_output=True)
    both.write_bytes(key.read_bytes() + cert.read_bytes())
    return both


def test_a_certificate_of_nobody_is_refused(certificate):
    with (
        server(good, certificate=certificate) as publisher,
        pytest.raises(DataError, match="(?i)certificate verify failed"),
    ):
        fetch(publisher.url + FIRST, io.BytesIO(), **FAST, largest=10**6)


def test_tls_is_not_left_by_redirection(certificate, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with server(good) as plain, server(good, certificate=certificate) as publisher:
        url, file = publisher.url + FIRST, io.BytesIO()
        limits = {"timeout": 20, "slowest": 1000, "largest": 10**6}
        fetch(url, file, **limits)
        assert file.getvalue() == FILES[FIRST]
        publisher.answer = redirect(lambda handler: plain.url + FIRST)
        with pytest.raises(DataError, match="without TLS"):
            fetch(url, io.BytesIO(), **limits)
        assert plain.requests == []


# --- pretrained weights ----------------------------------------------------------------------


@pytest.mark.parametrize("answer", FEW)
def test_weights_from_a_bad_server(tmp_path, monkeypatch, answer):
    monkeypatch.delenv("COURSE_OFFLINE")
    monkeypatch.setattr("course_utils.nets.pretrained.TIMEOUT", FAST["timeout"])
    monkeypatch.setattr("course_utils.nets.pretrained.LARGEST", 3_000_000)
    content = saved({"weight": torch.arange(2000.0)})
    answer = BAD[answer]
    if answer is another_file:  # of weights, not of gzipped data
        answer = says(saved({"weight": torch.zeros(2000)}))
    with server(answer) as publisher:
        path = publish_weights(monkeypatch, tmp_path, content, publisher.url)
        publisher.files = {path.name: content}
        path.parent.rmdir()
        with pytest.raises(WeightsError, match=f"{path.name} could not be fetched .*Try again"):
            fetch_torchvision_weights("net")
        assert list(tmp_path.iterdir()) == []
        publisher.answer = good
        state = fetch_torchvision_weights("net")
        assert torch.equal(state["weight"], torch.arange(2000.0))
        assert names_in(tmp_path) == [path.name]
        publisher.requests.clear()
        fetch_torchvision_weights("net")
        assert publisher.requests == []
