"""Sheets to draw on, and the shapes to draw with, for the stand-in's garments.

A picture is painted in layers on a sheet of 28×28 pixels, a hundred sheets at a time (axis 0).
A shape is a signed distance in pixels: negative inside, positive outside.
"""

import numpy as np

SIDE = 28  # pixels


class Sheets:
    """`n` pictures being drawn: `x` to the right of the middle, `y` down from the top, in pixels.

    Random measurements are (n, 1, 1), coordinates, distances and tones (n, 28, 28), all float32.
    Each sheet lies a little turned, shifted and zoomed, and some are mirrored.
    """

    def __init__(self, rng, n, turn=7, shift=2.2, smallest=0.88, largest=1.12, mirrored=0.5):
        self.rng, self.n = rng, n
        self.tone = np.zeros((n, SIDE, SIDE), np.float32)
        rows, columns = np.mgrid[:SIDE, :SIDE].astype(np.float32) - (SIDE - 1) / 2
        size = self.between(smallest, largest)
        columns = (columns - self.between(-shift, shift)) / size
        rows = (rows - self.between(-shift, shift)) / size
        angle = self.between(-turn, turn) * np.float32(np.pi / 180)
        x = np.cos(angle) * columns + np.sin(angle) * rows
        self.x = self.either(mirrored, -x, x)
        self.y = np.cos(angle) * rows - np.sin(angle) * columns + (SIDE - 1) / 2

    def between(self, low, high):
        """Uniform in [low, high)."""
        return low + (high - low) * self.rng.random((self.n, 1, 1), np.float32)

    def chance(self, probability):
        """True with this probability."""
        return self.rng.random((self.n, 1, 1), np.float32) < probability

    def either(self, probability, a, b):
        """`a` with this probability, else `b`."""
        return np.where(self.chance(probability), np.float32(a), np.float32(b))

    def paint(self, tone, *shapes, often=1.0):
        """Lay `tone` over what lies inside all the shapes, with soft edges; tone 0 cuts a hole.

        often: the probability that a sheet gets it, or an array (n, 1, 1): how strongly.
        """
        inside = shapes[0]
        for shape in shapes[1:]:
            inside = np.maximum(inside, shape)
        strength = often if isinstance(often, np.ndarray) else self.chance(often)
        self.tone += np.clip(0.5 - inside, 0, 1) * strength * (tone - self.tone)


def profile(t, *knots):
    """Piecewise linear curve through the (position, value) knots, flat beyond both ends."""
    (left, value), *rest = knots
    curve = value
    for right, target in rest:
        curve = curve + (target - value) * np.clip((t - left) / (right - left), 0, 1)
        left, value = right, target
    return curve


def band(t, low, high):
    """Everything between two parallel lines."""
    return np.maximum(low - t, t - high)


def stripes(t, pitch, half):
    """Parallel lines, `pitch` apart and 2·`half` wide."""
    return np.abs(t % pitch - pitch / 2) - half


def ellipse(x, y, cx, cy, rx, ry):
    """Ellipse; the distance is exact for a circle and good near the border."""
    return (np.hypot((x - cx) / rx, (y - cy) / ry) - 1) * np.minimum(rx, ry)


def limb(x, y, x0, y0, x1, y1, start, end):
    """Straight limb from (x0, y0) to (x1, y1), `start` and `end` its half widths, cut off flat."""
    dx, dy = x1 - x0, y1 - y0
    length = np.hypot(dx, dy) + np.float32(1e-3)
    along = ((x - x0) * dx + (y - y0) * dy) / length
    across = np.abs((x - x0) * dy - (y - y0) * dx) / length
    half = start + (end - start) * np.clip(along / length, 0, 1)
    return np.maximum(across - half, band(along, -start, length))
