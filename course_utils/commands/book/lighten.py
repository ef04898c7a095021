"""Make a built site light and independent: half the bytes, icons that work from disk, figures that
can be read on light and on dark pages, and a name for the one control that the theme leaves
without."""

import base64
import re
import shutil

import numpy as np
from PIL import Image, ImageFilter  # comes with matplotlib

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
UNUSED = ("**/*.map", "**/*webpack-macros.html", "_static/scripts/fontawesome.js", ".buildinfo")

ON_LIGHT, ON_DARK = (74, 79, 85), (190, 197, 204)  # contrast with the page 8:1 and 10:1
NEAR = 2  # levels of 255 that rounding may have moved the style's grey
STROKE = 4  # pixels to either side, at most, until the ground shows: lines are thin


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
    for unused in [path for pattern in UNUSED for path in site.glob(pattern)]:
        unused.unlink()
    for unused in ("_static/locales", "_sources"):
        shutil.rmtree(site / unused, ignore_errors=True)


def _images_to_webp(folder):
    """Store figures without loss in half the bytes, one for light and one for dark pages.

    Returns {name of a PNG: [its file now, and its file for dark pages if that is another]}.
    """
    files = {}
    for path in sorted(folder.glob("*.png")):
        files[path.name] = []
        with Image.open(path) as image:
            pictures = for_light_and_dark(image) or [image]
            for picture, kind in zip(pictures, ("", "-dark"), strict=False):
                files[path.name].append(f"{path.stem}{kind}.webp")
                picture.save(folder / files[path.name][-1], lossless=True, exact=True)
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


def _figure(tag, files):
    """The tag of a figure with its new file; a second one follows, which only dark pages show."""
    light, *dark = (f'{tag["before"]}src="_images/{f}"{tag["after"]}>' for f in files[tag["file"]])
    if not dark:
        return f"<img{light}"
    only_dark = 'class="only-dark pst-js-only" loading="lazy"'  # without scripts a page is light
    return f'<img class="only-light"{light}<img {only_dark}{dark[0]}'


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
