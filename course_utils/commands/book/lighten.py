"""Make a built site light and independent: half the bytes, icons that work from disk, and a name
for the one control that the theme leaves without."""

import base64
import re
import shutil

from PIL import Image  # comes with matplotlib

from course_utils.commands.book.ink import inked

# The theme brings its icons twice: as a script of 1.5 MB, and as fonts, which do as well.
ICON_SCRIPT = re.compile(r'\s*<script[^>]*src="[^"]*fontawesome\.js[^"]*"[^>]*></script>')
ICON_RULE = re.compile(r'(\.fa-[\w.,-]+)\{--fa:"[^"]*"\}')
ICON_FONT = re.compile(r"url\(([^)]*fa-solid[^)]*\.woff2)\)")
ICON_CLASS = re.compile(r"\bfa-[\w-]+")
# Only the page of results searches; the others need neither its scripts nor the index.
SEARCH_SCRIPT = re.compile(
    r'\s*<script src="(?:_static/(?:searchtools|language_data)|searchindex)\.js[^"]*"></script>'
)
TOGGLE = '<summary><span class="toctree-toggle"'  # the theme gives it an icon, but no name
FIGURE = re.compile(r'<img(?P<before>[^>]*)src="_images/(?P<file>[^"]+\.png)"(?P<after>[^>]*)>')
LINK = re.compile(r'href="_images/([^"]+\.png)"')  # from a figure to itself in full size
SPACE = re.compile(r'<span class="w">(\s+)</span>')  # highlighting that nobody can see


def lighten(site):
    """Rewrite the site in place; all that a reader sees change is that figures read better."""
    files = _images_to_webp(site / "_images")
    icons = set()
    for path in site.glob("*.html"):
        text = SPACE.sub(r"\1", ICON_SCRIPT.sub("", path.read_text(encoding="utf-8")))
        text = FIGURE.sub(lambda tag: _figure(tag, files), text)
        text = LINK.sub(lambda link: f'href="_images/{files[link[1]][0]}"', text)
        if path.name != "search.html":
            text = SEARCH_SCRIPT.sub("", text)
        text = text.replace(TOGGLE, TOGGLE.replace("summary", 'summary aria-label="More pages"'))
        icons.update(ICON_CLASS.findall(text))
        path.write_text(text, encoding="utf-8")
    _lighten_styles(site / "_static/styles/pydata-sphinx-theme.css", icons)
    for unused in [*site.rglob("*.map"), *site.rglob("*webpack-macros.html")]:
        unused.unlink()
    for unused in ("_static/scripts/fontawesome.js", ".buildinfo"):
        (site / unused).unlink(missing_ok=True)
    for unused in ("_static/locales", "_sources"):
        shutil.rmtree(site / unused, ignore_errors=True)


def _images_to_webp(folder):
    """Store figures without loss in half the bytes, one for light and one for dark pages.

    Returns {name of a PNG: (its file now, its file for dark pages or None)}.
    """
    files = {}
    for path in sorted(folder.glob("*.png")):
        with Image.open(path) as image:
            pages = inked(image) or [image]
            names = [f"{path.stem}{kind}" for kind in ("", "-dark")[: len(pages)]]
            stored = [_store(page, folder / name) for page, name in zip(pages, names, strict=True)]
        path.unlink()
        files[path.name] = (stored[0], stored[1] if len(stored) > 1 else None)
    return files


def _store(image, path):
    """Write the picture as WebP; returns the file's name."""
    file = path.with_suffix(".webp")
    image.save(file, lossless=True, exact=True)
    return file.name


def _figure(tag, files):
    """The tag of a figure with its new file; a second one follows, which only dark pages show."""
    light, dark = files[tag["file"]]
    before, after = tag["before"], tag["after"]
    if dark is None:
        return f'<img{before}src="_images/{light}"{after}>'
    only = "only-dark pst-js-only"  # without scripts a page is light
    return (
        f'<img class="only-light"{before}src="_images/{light}"{after}>'
        f'<img class="{only}" loading="lazy"{before}src="_images/{dark}"{after}>'
    )


def _lighten_styles(path, icons):
    """Drop the rules of 2,000 icons that no page shows; take the icon font into the style sheet,
    since some browsers refuse a page on disk a font from another file."""

    def used(rule):
        names = rule[1].replace(".", "").split(",")
        return rule[0] if icons.intersection(names) else ""

    def embedded(font):
        data = base64.b64encode((path.parent / font[1]).read_bytes()).decode()
        return f"url(data:font/woff2;base64,{data})"

    text = path.read_text(encoding="utf-8")
    path.write_text(ICON_FONT.sub(embedded, ICON_RULE.sub(used, text)), encoding="utf-8")
