"""What a browser says of a book's pages: axe-core's findings, and what holds up the first paint.

    python tests/book/look_over.py build/book

prints what `check_site` and axe-core find, and how soon each page paints on this machine.
"""

import sys
from pathlib import Path
from urllib.parse import unquote, urlsplit

from browser import WHOLE_BOOK, Watch, check_site, chromium, served

SCHEMES = ("light", "dark")
# WCAG 2.0 to 2.2, levels A and AA
RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}
# without preload, which fetches style sheets: a page on disk may not
OPTIONS = RULES | {"resultTypes": ["violations"], "preload": False}
# Closed boxes hold text, too; colours are judged where they end, not half-way through a fade.
# Of the thousands of words in code, one of each look says as much as all (axe judges no word of
# one letter).
SETTLE = """() => {
  for (const box of document.querySelectorAll("details")) box.open = true;
  for (const moving of document.getAnimations())
    try { moving.finish(); } catch { moving.cancel(); }
  const ground = (element) => {
    const colour = element ? getComputedStyle(element).backgroundColor : "";
    return colour === "rgba(0, 0, 0, 0)" ? ground(element.parentElement) : colour;
  };
  const seen = new Set();
  for (const word of document.querySelectorAll(".highlight pre span:not(:has(*))")) {
    const {color, fontSize, fontWeight, opacity} = getComputedStyle(word);
    const look = [color, fontSize, fontWeight, opacity, ground(word)].join();
    if (word.textContent.trim().length < 2 || seen.has(look)) word.remove();
    else seen.add(look);
  }
}"""
BLOCKING = """() => performance.getEntriesByType("resource")
  .filter((entry) => entry.renderBlockingStatus === "blocking").map((entry) => entry.name)"""
PAINT = """() => performance.getEntriesByName("first-contentful-paint")[0]?.startTime"""


def pages_of(folder):
    """The pages that one reads on a screen."""
    pages = sorted(Path(folder).resolve().glob("*.html"))
    return [page for page in pages if page.name != WHOLE_BOOK]


def accessibility_problems(page):
    """What axe-core finds on the page that is open, every box of it opened: a list of lines."""
    from axe_playwright_python.sync_playwright import Axe

    page.evaluate(SETTLE)
    found = []
    for violation in Axe().run(page, options=OPTIONS).response["violations"]:
        for node in violation["nodes"]:
            why = node["failureSummary"].splitlines()[-1].strip()
            found.append(f"{violation['id']}: {node['html'][:120]} ({why})")
    return found


def first_paints(folder, browser):
    """Page name -> milliseconds to its first contentful paint on this machine, from disk."""
    times = {}
    for path in pages_of(folder):
        with Watch(browser) as watch:  # a new context: nothing is cached
            watch.page.goto(path.as_uri())
            watch.page.wait_for_function(f"({PAINT})() !== undefined")
            times[path.name] = watch.page.evaluate(PAINT)
    return times


def blocking_files(folder, browser):
    """Page name -> the files that the browser must have before it paints, the page itself aside."""
    files = {}
    with served(folder) as base:  # from disk, Chromium does not say
        for path in pages_of(folder):
            with Watch(browser) as watch:
                watch.page.goto(f"{base}/{path.name}")
                paths = (unquote(urlsplit(url).path) for url in watch.page.evaluate(BLOCKING))
                files[path.name] = {Path(folder) / path.lstrip("/") for path in paths}
    return files


def total_size(files):
    return sum(file.stat().st_size for file in files)


def main(folder):
    with chromium() as browser:
        for problem in check_site(Path(folder) / "index.html", browser):
            print(problem)
        for scheme in SCHEMES:
            with Watch(browser, color_scheme=scheme) as watch:
                for path in pages_of(folder):
                    for problem in accessibility_problems(watch.open(path.as_uri())):
                        print(f"{path.name}, {scheme}: {problem}")
        blocking = blocking_files(folder, browser)
        for name, milliseconds in first_paints(folder, browser).items():
            files = f"{len(blocking[name])} files, {total_size(blocking[name]) / 1000:.0f} kB"
            print(f"{name}: first paint after {milliseconds:.0f} ms; waits for {files}")


if __name__ == "__main__":
    main(sys.argv[1])
