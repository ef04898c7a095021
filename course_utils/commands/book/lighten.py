"""Make a built site light and independent: a third of the bytes, icons without a font, figures that
can be read on light and on dark pages, and a name for the one control that the theme leaves
without."""

import re
import shutil
from html import unescape
from urllib.parse import quote

import numpy as np
import tinycss2  # comes with nbconvert
from PIL import Image, ImageFilter  # comes with matplotlib

# The theme brings its icons twice: as a script of 1.5 MB, and as fonts of 240 kB.
ICONS = "_static/scripts/fontawesome.js"
ICON_SCRIPT = re.compile(r'\s*<script[^>]*src="[^"]*fontawesome\.js[^"]*"[^>]*></script>')
ICON_CLASS = re.compile(r"\bfa-([\w-]+)")
ICON = r'["{{,]{name}"?:\[(\d+),(\d+),\[[^]]*\],"[0-9a-f]+","([^"]+)"\]'
MASK = (
    '.fa-{name}::before{{content:""!important;display:inline-block;width:1em;height:1em;'
    'background:currentColor;mask:url("data:image/svg+xml,{picture}") center/contain no-repeat}}'
)
# Sphinx's search, which the course's own replaces (search.py), on the page of results only.
SEARCH_SCRIPT = re.compile(
    r'\s*<script src="(?:_static/(?:searchtools|language_data)|searchindex)\.js[^"]*"></script>'
)
OWN_SEARCH = '<script defer src="searchindex.js"></script><script defer src="_static/search.js">'
SKIP = 'href="#main-content">Skip to main content', 'href="#article">Skip to main content'
ARTICLE = '<article class="bd-article">', '<article class="bd-article" id="article" tabindex="-1">'
TOGGLE = '<summary><span class="toctree-toggle"'  # the theme gives it an icon, but no name
FIGURE = re.compile(r'<img(?P<before>[^>]*)src="_images/(?P<file>[^"]+\.png)"(?P<after>[^>]*)>')
LINK = re.compile(r'href="_images/([^"]+\.png)"')  # from a figure to itself in full size
CODE = re.compile(r"<pre>(.*?)</pre>", re.DOTALL)
FITS = 74  # characters of code in a line of the book's column
TAG = re.compile(r"<[^>]*>")
GLYPH = re.compile(r'<path id="(MJX-[^"]*)"[^>]*></path>')  # a letter of formulas
SPACE = re.compile(r'<span class="w">(\s+)</span>')  # highlighting that nobody can see
UNUSED = (
    *("**/*.map", "**/*webpack-macros.html", ICONS, ".buildinfo"),
    *("_static/searchtools.js", "_static/language_data.js", "_static/*-stemmer.js"),
)

ON_LIGHT, ON_DARK = (74, 79, 85), (190, 197, 204)  # contrast with the page 8:1 and 10:1
NEAR = 2  # levels of 255 that rounding may have moved the style's grey
STROKE = 4  # pixels to either side, at most, until the ground shows: lines are thin


def lighten(site):
    """Rewrite the site in place; all that a reader sees change is that figures read better."""
    files = _images_to_webp(site / "_images")
    icons, known = set(), set()
    for path in site.glob("*.html"):
        text = SPACE.sub(r"\1", ICON_SCRIPT.sub("", path.read_text(encoding="utf-8")))
        text = FIGURE.sub(lambda tag: _figure(tag, files), text)
        text = LINK.sub(lambda link: f'href="_images/{files[link[1]][0]}"', text)
        text = CODE.sub(_with_columns, _letters_once(text))
        text = SEARCH_SCRIPT.sub("", text)
        if path.name == "search.html":
            text = text.replace("</head>", f"{OWN_SEARCH}</script></head>", 1)
        text = text.replace(TOGGLE, TOGGLE.replace("summary", 'summary aria-label="More pages"'))
        if ARTICLE[0] in text:
            text = text.replace(*SKIP).replace(*ARTICLE)  # over the toolbar, too
        icons.update(ICON_CLASS.findall(text))
        known.update(*map(str.split, re.findall(r'class="([^"]*)"', text)))
        path.write_text(text, encoding="utf-8")
    masks = _masks((site / ICONS).read_text(encoding="utf-8"), icons)
    for unused in [path for pattern in UNUSED for path in site.glob(pattern)]:
        unused.unlink()
    for unused in ("_static/locales", "_static/vendor", "_sources"):
        shutil.rmtree(site / unused, ignore_errors=True)
    scripts = "".join(p.read_text(encoding="utf-8") for p in site.glob("_static/**/*.js"))
    known.update(re.findall(r"[A-Za-z][\w-]*", scripts))  # they add classes while one reads
    _thin_styles(site, known, scripts)
    theme = site / "_static/styles/pydata-sphinx-theme.css"
    theme.write_text(theme.read_text(encoding="utf-8") + masks, encoding="utf-8")


def _images_to_webp(folder):
    """Store figures without loss in half the bytes, one for light and one for dark pages.

    Returns {name of a PNG: [its file now, and its file for dark pages if that is another]}.
    """
    files = {}
    for path in sorted(folder.glob("*.png")):
        with Image.open(path) as image:
            names = files[path.name] = []
            pictures = for_light_and_dark(image) or [image]
            for picture, kind in zip(pictures, ("", "-dark"), strict=False):
                names.append(f"{path.stem}{kind}.webp")
                picture.save(folder / names[-1], lossless=True, exact=True)
        path.unlink()
    return files


def for_light_and_dark(image):
    """A figure as two RGBA pictures, for light and for dark pages; None if they need not differ.

    Chapters draw text and axes in the one grey of the course's style on a transparent ground, since
    a notebook may be shown anywhere. A page of the book knows its ground: that grey becomes darker
    or lighter. Only what lies on the transparent ground does; a grey inside a picture stays.
    """
    image = image.convert("RGBA")
    pixels = np.array(image)
    lowest = image.getchannel("A")
    for _ in range(STROKE):  # the least alpha within so many pixels, one pixel further each time
        lowest = lowest.filter(ImageFilter.MinFilter(3))
    far = np.abs(pixels[..., :3].astype(int) - _style_grey()).max(axis=-1)
    ink = (far <= NEAR) & (pixels[..., 3] > 0) & (np.array(lowest) < 255)
    if not ink.any():
        return None
    pictures = []
    for colour in (ON_LIGHT, ON_DARK):
        pixels[ink, :3] = colour
        pictures.append(Image.fromarray(pixels.copy(), "RGBA"))
    return tuple(pictures)


def _style_grey():
    from matplotlib import rc_params_from_file
    from matplotlib.colors import to_rgb

    from course_utils.plotting import STYLE

    style = rc_params_from_file(STYLE, use_default_template=False)
    return [round(255 * part) for part in to_rgb(style["text.color"])]


def _letters_once(text):
    """The page with the outline of each letter where it comes first; its formulas share them."""
    seen = set()

    def first(glyph):
        again = glyph[1] in seen
        seen.add(glyph[1])
        return "" if again else glyph[0]

    return GLYPH.sub(first, text)


def _with_columns(code):
    """Code or output whose lines are too long says how long: course.css sets it smaller."""
    columns = max(map(len, unescape(TAG.sub("", code[1])).split("\n")))
    return code[0] if columns <= FITS else f'<pre style="--columns: {columns}">{code[1]}</pre>'


def _figure(tag, files):
    """The tag of a figure with its new file; a second one follows, which only dark pages show."""
    light, *dark = (f'{tag["before"]}src="_images/{f}"{tag["after"]}>' for f in files[tag["file"]])
    if not dark:
        return f"<img{light}"
    only_dark = 'class="only-dark pst-js-only" loading="lazy"'  # without scripts a page is light
    return f'<img class="only-light"{light}<img {only_dark}{dark[0]}'


# --- style sheets ---------------------------------------------------------------------------------


def _masks(script, icons):
    """CSS that draws the icons of these names, from the script that holds them all."""
    rules = []
    for name in sorted(icons):
        if drawn := re.findall(ICON.format(name=re.escape(name)), script):
            width, height, path = drawn[-1]
            svg = (
                f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {width} {height}'>"
                f"<path d='{path}'/></svg>"
            )
            rules.append(MASK.format(name=name, picture=quote(svg, safe=" ='/:")))
    return "\n".join(rules)


def _thin_styles(site, known, scripts):
    """Drop from all style sheets the rules for classes that no page has, and unused variables.

    known: names of classes, those that scripts may add among them. scripts: their text.
    """
    sheets = {path: path.read_text(encoding="utf-8") for path in site.glob("_static/**/*.css")}
    sheets.pop(site / "_static/course.css")  # its own rules are all used, some on pages to come
    for path, text in sheets.items():
        sheets[path] = _thin(tinycss2.parse_stylesheet(text, True, True), known)
    for _ in range(3):  # an unused variable may be all that uses another
        used = set(re.findall(r"var\((--[\w-]+)", "".join([scripts, *sheets.values()])))
        for path, text in sheets.items():
            sheets[path] = _without_variables(text, used)
    for path, text in sheets.items():
        path.write_text(text, encoding="utf-8")


def _without_variables(text, used):
    """The sheet without declarations of variables that nothing uses."""
    declared = re.compile(r'(--[\w-]+):[^;{}"]*(?:;|(?=\}))')
    return declared.sub(lambda found: found[0] if found[1] in used else "", text)


def _thin(rules, known):
    """The rules of a sheet as text, those left out that cannot match a page."""
    kept = []
    for rule in rules:
        if rule.type == "qualified-rule":
            selectors = _selectors(rule.prelude)
            if alive := [selector for selector in selectors if _may_match(selector, known)]:
                kept.append(f"{','.join(alive)}{{{tinycss2.serialize(rule.content).strip()}}}")
        elif rule.type == "at-rule" and rule.lower_at_keyword in ("media", "supports"):
            if inside := _thin(tinycss2.parse_rule_list(rule.content, True, True), known):
                head = tinycss2.serialize(rule.prelude).strip()
                kept.append(f"@{rule.at_keyword} {head}{{{inside}}}")
        elif rule.type == "at-rule" and rule.lower_at_keyword != "font-face":  # icons, all of them
            kept.append(rule.serialize())
    return "\n".join(kept)


def _selectors(prelude):
    """The selectors of a rule: its prelude cut at the commas that stand in no bracket."""
    parts = [[]]
    for token in prelude:
        if token == ",":
            parts.append([])
        else:
            parts[-1].append(token)
    return [tinycss2.serialize(part).strip() for part in parts]


def _may_match(selector, known):
    """Whether all classes that it asks for exist; what stands in brackets only may be asked for."""
    while (outer := re.sub(r"\([^()]*\)|\[[^\]]*\]", "", selector)) != selector:
        selector = outer
    return known.issuperset(re.findall(r"\.(-?[A-Za-z_][\w-]*)", selector))
