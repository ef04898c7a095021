"""A figure for light pages and one for dark: its grey ink, made to be read on either, made darker
or lighter.

Chapters draw text and axes in the one grey of the course's style on a transparent ground, since a
notebook may be shown anywhere. A page of the book knows its ground and can do better.
"""

LIGHT_PAGE, DARK_PAGE = (74, 79, 85), (190, 197, 204)  # contrast with the page 8:1 and 10:1
NEAR = 2  # levels of 255 that rounding may have moved the ink
STROKE = 4  # pixels to either side of ink, at most, until the ground shows: lines are thin


def inked(image):
    """The figure as two RGBA pictures, for light and for dark pages; None if it has no ink.

    Only what lies on the transparent ground is ink. A grey inside a picture stays as it is.
    """
    import numpy as np
    from PIL import Image, ImageFilter

    image = image.convert("RGBA")
    pixels = np.array(image)
    lowest = image.getchannel("A")
    for _ in range(STROKE):  # the least alpha within so many pixels, one pixel further each time
        lowest = lowest.filter(ImageFilter.MinFilter(3))
    lowest = np.array(lowest)
    far = np.abs(pixels[..., :3].astype(int) - _style_ink()).max(axis=-1)
    ink = (far <= NEAR) & (pixels[..., 3] > 0) & (lowest < 255)
    if not ink.any():
        return None
    pages = []
    for colour in (LIGHT_PAGE, DARK_PAGE):
        pixels[ink, :3] = colour
        pages.append(Image.fromarray(pixels.copy(), "RGBA"))
    return tuple(pages)


def _style_ink():
    from matplotlib import rc_params_from_file
    from matplotlib.colors import to_rgb

    from course_utils.plotting import STYLE

    style = rc_params_from_file(STYLE, use_default_template=False)
    return [round(255 * part) for part in to_rgb(style["text.color"])]
