"""A hundred digits as hands draw them: ten digits in ten ways, as strokes on a field of 100 × 100.

A form is strokes, parted by ";", each of them points "x,y" with a smooth line through them; a
point with "!" is a corner.
"""

import math
import random

# Three hands: the first draws round, the second plain and straight, the third as on the continent.
FORMS = {
    0: (
        "52,14 35,20 26,40 27,62 37,82 52,87 67,78 74,58 72,36 63,18 50,14",
        "58,18 44,14 33,30 31,52 36,76 50,87 63,78 69,54 66,30 54,13",
        "46,15 32,26 26,50 32,76 50,87 68,76 74,50 66,24 48,14 40,18",
    ),
    1: ("52,13 50,50 49,87", "58,12 43,88", "33,38 56,13! 55,87"),
    2: (
        "28,32 36,17 52,13 68,22 68,40 54,58 28,86! 50,84 76,85",
        "30,26 46,13 66,20 66,38 48,62 27,86! 75,86",
        "27,30 40,14 60,15 69,30 60,50 42,72 28,84 26,76 36,72 54,82 76,82",
    ),
    3: (
        "28,22 42,13 62,17 66,32 56,44 44,48! 62,52 72,66 64,81 46,88 27,80",
        "30,17 48,13 64,24 60,40 45,47! 64,55 69,72 54,87 31,85",
        "30,15! 68,15! 46,44! 64,50 71,66 62,82 44,87 27,78",
    ),
    4: (
        "40,13 34,36 26,57! 76,56;63,32 59,88",
        "60,13 24,62! 78,62;61,12 60,88",
        "44,12 25,60! 77,60;60,38 57,88",
    ),
    5: (
        "69,14 35,16! 31,46! 47,42 64,49 70,64 62,80 46,88 28,80",
        "36,15 33,45! 52,42 68,56 64,78 46,87 29,82;36,15 69,14",
        "70,15 38,14! 34,42! 54,43 69,60 60,82 40,87 27,78",
    ),
    6: (
        "64,13 48,25 35,45 30,68 38,85 54,88 68,78 67,63 54,56 40,61 32,72",
        "58,12 40,40 32,66 40,86 58,86 67,72 58,59 42,62 34,72",
        "68,16 52,14 38,30 29,58 34,80 50,89 66,80 68,65 56,55 40,60 31,72",
    ),
    7: (
        "26,18 50,17 74,15! 62,40 52,62 46,88",
        "28,15 72,15! 44,88",
        "27,24! 29,15! 74,15! 60,44 46,88;38,52 70,50",
    ),
    8: (
        "66,23 53,13 37,20 36,34 50,47 66,61 68,77 52,88 36,80 34,64 49,48 63,35 66,22",
        "50,47 36,36 38,18 52,13 64,20 63,38 50,47 34,62 36,82 52,88 68,80 66,60 50,47",
        "62,18 48,13 36,24 44,42 60,56 68,72 58,87 40,86 33,72 44,54 60,40 66,26 60,16",
    ),
    9: (
        "67,31 57,16 42,16 32,31 38,47 54,49 66,36! 66,52 62,70 56,88",
        "66,24 50,13 34,26 38,46 56,46 66,26! 64,88",
        "66,32 54,14 38,18 32,36 44,50 60,44 67,28! 67,60 60,80 46,88 32,82",
    ),
}
# way -> (hand, what it does: see `_drawn`)
WAYS = {
    "plain": (0, {}),
    "thin": (1, {"size": 1.25}),
    "thick": (0, {"again": 6}),
    "slanted": (0, {"slant": 0.4}),
    "backward": (1, {"slant": -0.25}),
    "tiny": (2, {"size": 0.2, "corner": (82, 15)}),
    "European": (2, {}),
    "wide": (0, {"wide": 1.35}),
    "narrow": (1, {"wide": 0.55}),
    "shaky": (2, {"shake": 1.5, "turn": 9}),
}


def hundred_digits(seed=0):
    """[(way, digit, strokes)]: strokes are lists of points (x, y). seed: of hands that shake."""
    rng = random.Random(seed)
    return [
        (way, digit, _drawn(FORMS[digit][hand], rng, **how))
        for way, (hand, how) in WAYS.items()
        for digit in FORMS
    ]


def _drawn(form, rng, size=1, wide=1, slant=0, turn=0, shake=0, again=0, corner=(50, 50)):
    """A form: sheared, turned (degrees), shaken, or drawn twice, `again` apart: a thick line."""
    cos, sin = math.cos(math.radians(turn)), math.sin(math.radians(turn))

    def moved(x, y, aside):
        y -= 50
        x = wide * (x - 50) - slant * y + aside
        x, y = cos * x - sin * y, sin * x + cos * y
        x, y = (n + rng.gauss(0, shake) if shake else n for n in (x, y))
        return tuple(
            round(min(100, max(0, at + size * n)), 2) for at, n in zip(corner, (x, y), strict=True)
        )

    strokes = [_smooth(stroke) for stroke in form.split(";")]
    return [
        [moved(x, y, aside) for x, y in stroke]
        for aside in ((-again / 2, again / 2) if again else (0,))
        for stroke in strokes
    ]


def _smooth(text):
    """Points on a smooth line through those of a stroke, with a corner at each "!"."""
    piece, line = [], []
    for word in text.split():
        piece.append(tuple(float(n) for n in word.rstrip("!").split(",")))
        if word.endswith("!"):
            line += _through(piece)
            piece = piece[-1:]
    return [*line, *_through(piece)]


def _through(points, steps=6):
    """Catmull and Rom's line through points (as in playground.js)."""
    line = [points[0]]
    for n, (b, c) in enumerate(zip(points, points[1:], strict=False)):
        a, d = points[max(0, n - 1)], points[min(len(points) - 1, n + 2)]
        for t in (step / steps for step in range(1, steps + 1)):
            line.append(
                tuple(
                    q
                    + t / 2 * (r - p + t * (2 * p - 5 * q + 4 * r - s + t * (3 * (q - r) + s - p)))
                    for p, q, r, s in zip(a, b, c, d, strict=True)
                )
            )
    return line
