"""What axe-core finds on a book's pages, and what holds up the first paint.

    python tests/book/look_over.py build/book

prints what `check_site` and axe-core find, and how much each page loads before it paints.
"""

import sys
from pathlib import Path
from urllib.parse import unquote, urlsplit

from browser import WHOLE_BOOK, Watch, check_site, chromium, served

SCHEMES = ("light", "dark")
COLOUR = ["color-contrast", "link-in-text-block"]  # the rules that a scheme can change
# without preload, which fetches style sheets: a page on disk may not
OPTIONS = {"resultTypes": ["violations"], "preload": False}
STRUCTURE = OPTIONS | {  # WCAG 2.0 to 2.2, levels A and AA
    "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"],
    "rules": {name: {"enabled": False} for name in COLOUR},
}
COLOURS = OPTIONS | {"runOnly": {"type": "rule", "values": COLOUR}}
# Closed boxes hold text, too; colours are judged where they end, not half-way through a fade.
SETTLE = """() => {
  for (const box of document.querySelectorAll("details")) box.open = true;
  for (const moving of document.getAnimations())
    try { moving.finish(); } catch { moving.cancel(); }
}"""
# Contrast follows from the look of a text: its colour, size and weight, and all grounds under it.
# Of the thousands of texts that look the same, one says as much as all. (axe judges no text of one
# letter. What a shadow hides from this is looked at on every page.)
MARK = """([seen, scheme]) => {
  const looks = new Set(seen), grounds = new Map([[null, ""]]);
  const ground = (node) => {
    if (!grounds.has(node)) {
      const {backgroundColor, backgroundImage, opacity} = getComputedStyle(node);
      const own = [backgroundColor, backgroundImage, opacity].join(" ");
      const clear = own === "rgba(0, 0, 0, 0) none 1";
      grounds.set(node, (clear ? "" : own + "/") + ground(node.parentElement));
    }
    return grounds.get(node);
  };
  for (const node of document.querySelectorAll("body :not(svg, svg *)")) {
    const own = [...node.childNodes].filter((n) => n.nodeType === 3).map((n) => n.data).join("");
    const text = node.matches("input, select, textarea") ? "control" : own;
    const mark = () => (node.dataset.look = `${node.dataset.look ?? ""} ${scheme}`);
    if (node.shadowRoot) mark();
    if (text.trim().length < 2 || !node.checkVisibility()) continue;
    const {color, fontSize, fontWeight, textShadow} = getComputedStyle(node);
    const link = node.closest("a") ? "link" : "";
    const look = [color, fontSize, fontWeight, textShadow, link, ground(node)].join();
    if (!looks.has(look)) mark();
    looks.add(look);
  }
  return [...looks];
}"""
# What is left of code: words that say nothing to the rules but for their colour.
THIN = """() => document.querySelectorAll(".highlight pre span:not(:has(*), [data-look])")
  .forEach((word) => word.remove())"""
BLOCKING = """() => performance.getEntriesByType("resource")
  .filter((entry) => entry.renderBlockingStatus === "blocking").map((entry) => entry.name)"""


def pages_of(folder):
    """The pages that one reads on a screen."""
    pages = sorted(Path(folder).resolve().glob("*.html"))
    return [page for page in pages if page.name != WHOLE_BOOK]


def accessibility_problems(page, seen=None):
    """What axe-core finds on the page that is open, every box of it opened: a list of lines.

    Colours are judged in both schemes, between which the page must follow the system. seen: the
    looks of texts that were judged before, {scheme: list}; they are left out, and new ones added.
    """
    from axe_playwright_python.sync_playwright import Axe

    seen = {} if seen is None else seen
    for scheme in SCHEMES:
        _show(page, scheme)
        seen[scheme] = page.evaluate(MARK, [seen.get(scheme, []), scheme])
    page.evaluate(THIN)
    found = list(_lines(Axe().run(page, options=STRUCTURE)))
    for scheme in SCHEMES:
        new = f"[data-look~={scheme}]"
        if page.locator(new).count():
            _show(page, scheme)
            judged = _lines(Axe().run(page, context=new, options=COLOURS))
            found += [f"{scheme}: {line}" for line in judged]
    return found


def _show(page, scheme):
    page.emulate_media(color_scheme=scheme)
    page.wait_for_function(f"document.documentElement.dataset.theme === '{scheme}'")
    page.evaluate(SETTLE)


def _lines(results):
    for violation in results.response["violations"]:
        for node in violation["nodes"]:
            why = node["failureSummary"].splitlines()[-1].strip()
            yield f"{violation['id']}: {node['html'][:120]} ({why})"


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
    with chromium() as browser, Watch(browser) as watch:
        for problem in check_site(Path(folder) / "index.html", browser):
            print(problem)
        seen = {}
        for path in pages_of(folder):
            for problem in accessibility_problems(watch.open(path.as_uri()), seen):
                print(f"{path.name}: {problem}")
        for name, files in blocking_files(folder, browser).items():
            print(f"{name}: waits for {len(files)} files, {total_size(files) / 1000:.0f} kB")


if __name__ == "__main__":
    main(sys.argv[1])
