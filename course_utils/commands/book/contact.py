"""figures.html: all figures of the chapters, small, each a link to its place.

Made from the finished pages, as print.html is.
"""

import re
from html import escape

from PIL import Image  # comes with matplotlib

PAGE = "figures"
COVER = """# Figures

All figures of the chapters. Each leads to its place.

```{raw} html
<ul class="figure-sheet"></ul>
```
"""
# The picture that was seen last when a caption comes is the caption's.
SEEN = re.compile(
    r'(?P<images>(?:<img [^>]*src="_images/[^>]*>)+)'
    r'|id="(?P<anchor>figure-\d+-\d+)"(?P<caption>.*?</p>)',
    re.DOTALL,
)
FILE = re.compile(r'src="(_images/[^"]+)\.webp"')
SMALL = (384, 256)  # pixels, at most
TAG = re.compile(r"<[^>]*>")


def write_contact_sheet(site, chapters):
    """Fill the page; chapters: of the manifest."""
    path = site / f"{PAGE}.html"
    rows = [row for chapter in chapters for row in _rows(site / f"{chapter.name}.html")]
    sheet = '<ul class="figure-sheet">'
    text = path.read_text(encoding="utf-8").replace(sheet, sheet + "".join(rows), 1)
    path.write_text(text, encoding="utf-8")


def _rows(page):
    images = ""

    def thumbnail(source):
        small = f"{source[1]}-small.webp"
        with Image.open(page.parent / f"{source[1]}.webp") as image:
            image.thumbnail(SMALL)
            image.save(page.parent / small, quality=80)
        return f'src="{small}"'

    for seen in SEEN.finditer(page.read_text(encoding="utf-8")):
        if seen["images"]:
            images = seen["images"]
            continue
        words = " ".join(TAG.sub("", seen["caption"].partition(">")[2]).split())
        first = re.match(r"Figure [\d.]+ .*?(?:\. |$)", words)
        small = re.sub(r'(?:alt|style|width|height)="[^"]*"', "", images).replace(
            "<img", '<img alt=""'
        )
        small = FILE.sub(thumbnail, small)
        lazy = small.replace('loading="lazy"', "").replace("<img", '<img loading="lazy"')
        label = escape(first[0].strip(), quote=False) if first else words
        yield f'<li><a href="{page.name}#{seen["anchor"]}">{lazy}{label}</a></li>'
