"""print.html: all chapters and what follows them on one page, for paper or a PDF.

Made from the finished pages, so that it says what they say. Anchors get their page's name in front,
and links between pages become links on the page.
"""

import re
from html import unescape

PAGE = "print"
ARTICLE = re.compile(r'(<article class="bd-article"[^>]*>)(.*?)(</article>)', re.DOTALL)
ATTRIBUTE = re.compile(
    r'(?<=[\s"])(id|href|for|aria-(?:labelledby|describedby|controls))="([^"]*)"'
)
SCRIPT = re.compile(r"<script\b[^>]*>.*?</script>", re.DOTALL)
PAGE_NAME = "DOCUMENTATION_OPTIONS.pagename"  # said by a script of each page
TITLE = re.compile(r"<title>(.*?)</title>", re.DOTALL)
HEADING = re.compile(r"<(/?)h([1-5])\b")


def write_print_page(site, names):
    """Put the pages of these names, in their order, behind the cover that print.html is so far."""
    path = site / f"{PAGE}.html"
    cover = path.read_text(encoding="utf-8")
    known = {PAGE, *names}
    heads = []
    parts = [_attributes(ARTICLE.search(cover)[2], PAGE, known)]
    scripts = dict.fromkeys(_head_scripts(cover))
    for name in names:
        text = (site / f"{name}.html").read_text(encoding="utf-8")
        scripts |= dict.fromkeys(_head_scripts(text))
        body = HEADING.sub(_one_lower, _attributes(ARTICLE.search(text)[2], name, known))
        # a page without contents beside it has no margin, and the theme's script would look for it
        body = body.replace("figure-caption margin-caption", "figure-caption")
        parts.append(f'<section class="printed" id="{name}">{body}</section>')
        heads.append(_running_head(name, TITLE.search(text)[1]))
    whole = ARTICLE.sub(lambda match: match[1] + "".join(parts) + match[3], cover)
    missing = [script for script in scripts if script not in whole and PAGE_NAME not in script]
    head = "".join([*missing, "<style>", *heads, "</style>", "</head>"])
    whole = whole.replace("</head>", head, 1)
    path.write_text(whole, encoding="utf-8")


def _running_head(name, title):
    """CSS: what stands above each printed page of the section."""
    text = unescape(title).replace("\\", "").replace('"', "”").replace("<", "")
    rule = f'.printed[id="{name}"] {{ page: p{name}; }}'
    return rule + f'@page p{name} {{ @top-right {{ content: "{text}"; font: 8.5pt sans-serif; }} }}'


def _head_scripts(page):
    return SCRIPT.findall(page[: page.index("</head>")])


def _one_lower(match):
    """The book's title is the only heading of level 1."""
    return f"<{match[1]}h{int(match[2]) + 1}"


def _attributes(html, name, known):
    """The article's HTML with its anchors and links made for the one page."""

    def change(match):
        key, value = match.groups()
        if key != "href":
            return f'{key}="{" ".join(f"{name}--{part}" for part in value.split())}"'
        page, _, anchor = value.partition("#")
        target = page.removesuffix(".html") if page else name
        if target not in known or (page and not page.endswith(".html")):
            return match[0]
        return f'href="#{target}--{anchor}"' if anchor else f'href="#{target}"'

    return ATTRIBUTE.sub(change, html)
