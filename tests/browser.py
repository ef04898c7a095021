"""A headless Chromium over a built book: what the book tests and `check_site` share."""

import functools
import http.server
import os
import shutil
import threading
from contextlib import contextmanager
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag, urlsplit

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "msedge")
ARGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PHONE = {"width": 360, "height": 740}
TOUCH = {"viewport": PHONE, "has_touch": True, "is_mobile": True}  # of a browser's context
PAGE_BUDGET = 1_500_000  # bytes that a page may load
WHOLE_BOOK = "print.html"  # all pages on one, for paper: no page that one reads on a screen


def find_chromium(playwright):
    """Path of a Chromium: $COURSE_CHROMIUM, Playwright's own, one on PATH; None: there is none."""
    named = os.environ.get("COURSE_CHROMIUM")
    if named:
        return named
    own = playwright.chromium.executable_path
    if own and Path(own).is_file():
        return own
    return next(filter(None, map(shutil.which, NAMES)), None)


@contextmanager
def chromium():
    """A headless Chromium; yields None if there is none."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        path = find_chromium(playwright)
        instance = path and playwright.chromium.launch(executable_path=path, args=ARGS)
        yield instance
        if instance:
            instance.close()


@contextmanager
def chromium_or_skip():
    """`chromium()` for fixtures: without one skips, or fails if COURSE_REQUIRE_BROWSER=1.

    For modules, not for a whole session: Playwright holds an event loop that other tests trip over.
    """
    with chromium() as instance:
        if instance is None:
            reason = "no Chromium found: install one or set COURSE_CHROMIUM (see tests/README.md)"
            if os.environ.get("COURSE_REQUIRE_BROWSER") == "1":
                pytest.fail(reason)
            pytest.skip(reason)
        yield instance


def full_in_browser(test):
    """Marks a test in the browser that only `make test-all` runs."""
    return pytest.mark.full(pytest.mark.browser(test))


@pytest.fixture(scope="module")
def browser():
    """`chromium_or_skip()`, closed after each module."""
    with chromium_or_skip() as instance:
        yield instance


@contextmanager
def served(folder):
    """The folder over HTTP on the loopback; yields its base URL."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

    handler = functools.partial(Quiet, directory=str(folder))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class Watch:
    """A browser context without network that notes whatever goes wrong in its pages."""

    def __init__(self, browser, **options):
        self.problems = []
        self.context = browser.new_context(**options)
        self.context.set_default_timeout(120_000)  # the whole book on one page, a busy machine
        self.context.route("**/*", self._route)
        self.page = self.context.new_page()
        self.page.on("console", self._console)
        self.page.on("pageerror", lambda error: self._note(f"script error: {error}"))
        self.page.on("requestfailed", self._failed)
        self.page.on("response", self._response)

    def _failed(self, request):
        # A page that is left drops the pictures that it had still to load, and its icon ("other").
        picture = request.resource_type == "image" or request.url.endswith("/mark.svg")
        left = request.failure == "net::ERR_ABORTED" and picture
        if not left:
            self._note(f"request failed: {request.url}")

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.context.close()

    def _note(self, text):
        self.problems.append(f"{Path(urlsplit(self.page.url).path).name}: {text}")

    def _route(self, route):
        url = urlsplit(route.request.url)
        if url.scheme in ("file", "data", "blob") or url.hostname == "127.0.0.1":
            route.continue_()
        else:
            self._note(f"outside request: {route.request.url}")
            route.abort()

    def _console(self, message):
        if message.type == "error":
            self._note(f"console error: {message.text}")

    def _response(self, response):
        if response.status >= 400:
            self._note(f"status {response.status}: {response.url}")

    def open(self, url):
        """Go to the page and wait until it is loaded."""
        self.page.goto(url, wait_until="load")
        return self.page


@contextmanager
def alone(browser, explorer, **context):
    """The element of an explorer on a page of its own, on which nothing may go wrong."""
    with Watch(browser, **context) as watch:
        head = '<meta name="viewport" content="width=device-width">'
        watch.page.set_content(head + explorer.html())
        yield watch.page.locator(explorer.element)
        assert watch.problems == []


def search(watch, base, words):
    """Open a book's search page; returns it, and the addresses of what was found."""
    page = watch.open(f"{base}/search.html?q={'+'.join(words.split())}")
    page.wait_for_selector("#search-results li a")
    found = page.eval_on_selector_all("#search-results li a", "all => all.map(a => a.href)")
    return page, found


class _Links(HTMLParser):
    def __init__(self):
        super().__init__()
        self.ids, self.links, self.dark = set(), [], set()  # dark: loaded by dark pages only

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.ids.add(attributes.get("id"))
        self.ids.add(attributes.get("name") if tag == "a" else None)
        for name in ("href", "src"):
            if attributes.get(name):
                self.links.append(attributes[name])
                if "only-dark" in (attributes.get("class") or ""):
                    self.dark.add(attributes[name])


def broken_links(folder):
    """Local links of all pages in the folder that lead nowhere, as "page -> link"."""
    pages = {}
    for path in Path(folder).rglob("*.html"):
        parser = _Links()
        parser.feed(path.read_text(encoding="utf-8"))
        pages[path.resolve()] = parser
    broken = []
    for path, parser in pages.items():
        for link in parser.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target, fragment = urldefrag(link)
            file = (path.parent / unquote(target.split("?")[0])).resolve() if target else path
            missing_anchor = fragment and file in pages and unquote(fragment) not in pages[file].ids
            if not file.exists() or missing_anchor:
                broken.append(f"{path.name} -> {link}")
    return broken


def page_sizes(folder):
    """Bytes that each page loads, by name: itself and its scripts, styles and pictures once."""
    sizes = {}
    for path in sorted(Path(folder).glob("*.html")):
        parser = _Links()
        parser.feed(path.read_text(encoding="utf-8"))
        loaded = {path}
        for link in set(parser.links) - parser.dark:
            file = path.parent / unquote(urlsplit(link).path)
            kind = file.suffix in (".js", ".css", ".png", ".webp", ".svg", ".jpg")
            if not urlsplit(link).scheme and kind and file.is_file():
                loaded.add(file.resolve())
        sizes[path.name] = sum(file.stat().st_size for file in loaded)
    return sizes


def check_site(index_path, browser):
    """Everything that must hold for any book, from disk and over HTTP; returns the problems.

    index_path: index.html of a built book. An empty list means that all is well.
    """
    folder = Path(index_path).parent
    problems = [f"broken link: {link}" for link in broken_links(folder)]
    problems += [
        f"{name}: loads {size} bytes, more than {PAGE_BUDGET}"
        for name, size in page_sizes(folder).items()
        if size > PAGE_BUDGET and name != WHOLE_BOOK
    ]
    names = sorted(path.name for path in folder.glob("*.html"))
    with served(folder) as http_base:
        for base in (folder.resolve().as_uri(), http_base):
            with Watch(browser, viewport=PHONE) as watch:
                for name in names:
                    page = watch.open(f"{base}/{name}")
                    problems += [f"{name}: {problem}" for problem in _look_at(page)]
                problems += watch.problems
    return problems


LOOK = """() => {
  const found = [];
  for (const bad of document.querySelectorAll("mjx-merror, [data-mjx-error]"))
    found.push("formula: " + (bad.getAttribute("data-mjx-error") || bad.textContent));
  for (const math of document.querySelectorAll(".math"))
    if (!math.querySelector("mjx-container")) found.push("formula not set: " + math.textContent);
  for (const img of document.querySelectorAll("img")) {
    if (img.getAttribute("alt") === null || (img.closest(".cell_output") && !img.alt.trim()))
      found.push("picture without alt text: " + img.src.slice(0, 80));
    if (img.complete && !img.naturalWidth) found.push("broken picture: " + img.src.slice(0, 80));
  }
  const titles = document.querySelectorAll("main h1:not(.onlyprint h1)").length;
  if (titles !== 1) found.push(titles + " H1 headings");
  const width = document.documentElement.scrollWidth;
  if (width > window.innerWidth) {
    const wide = [...document.querySelectorAll("main *")].filter(
      (e) => e.getBoundingClientRect().right > window.innerWidth + 1);
    found.push(`scrolls sideways: ${width} px wide at ${window.innerWidth}; first: `
      + wide.slice(0, 2).map((e) => e.outerHTML.slice(0, 90)).join(" / "));
  }
  return found;
}"""


def _look_at(page):
    return page.evaluate(LOOK)
