"""Ten garments, each drawn from random measurements on sheets: see `sheets.py`."""

import numpy as np

from course_utils.data.sheets import SIDE, band, ellipse, limb, profile, stripes


def fabric(s, plain=0.5, striped=0.12, checked=0.08, flowered=0.12, dotted=0.05):
    """Tones of cloth: light, grey or dark, with a pattern (the rest is mottled) and folds."""
    greys = np.float32([0.94, 0.74, 0.5, 0.25])
    base = s.rng.choice(greys, (s.n, 1, 1), p=[0.55, 0.25, 0.13, 0.07])
    pitch, phase = s.between(1.1, 2.2), s.between(0, 6)
    rows, columns = np.sin(s.y * pitch + phase), np.sin(s.x * pitch)
    grain = s.rng.random((s.n, SIDE // 2, SIDE // 2), np.float32).repeat(2, 1).repeat(2, 2)
    grain = grain + np.roll(grain, (1, 1), (1, 2)) - 1
    kind = s.rng.random((s.n, 1, 1), np.float32)
    kinds = [kind < edge for edge in np.cumsum([plain, striped, checked, flowered, dotted])]
    bars, tartan = np.clip(2 * rows, -1, 1), (rows + columns) / 2
    patterns = [0 * grain, bars, tartan, 1.4 * grain, rows * columns]
    pattern = np.select(kinds, patterns, 0.3 * grain)
    folds = np.sin(s.x * s.between(0.3, 0.9) + s.y * s.between(-0.3, 0.3) + phase)
    contrast = s.between(0.08, 0.45) * s.either(0.5, 1, -1)
    tone = base + s.between(-0.1, 0.1) + contrast * pattern + s.between(0, 0.08) * folds
    return np.clip(tone, 0.06, 1)


# Upper body: symmetric, so the parts below measure |x| --------------------------------------------


def torso(s, cloth, shoulder, waist, flare, bottom, neck, depth, sleeve, cuff, spread):
    """Sleeves, body and neckline; returns |x|, the distance of the body, and y of the neck.

    shoulder, waist, neck: half widths. flare: what the hem, at y = `bottom`, adds to the waist.
    depth: of the neckline. sleeve: length (0: none), ending `cuff` half wide, `spread` its slope.
    """
    a, top, drop = np.abs(s.x), s.between(0.3, 1.8), s.between(1.5, 3.0)
    x0, y0, slope = shoulder - 1.6, top + drop + 1.4, np.hypot(spread, 1)
    x1, y1 = x0 + sleeve * spread / slope, y0 + sleeve / slope
    arm = limb(a, s.y, x0, y0, x1, y1, s.between(2.2, 3.0), cuff)
    s.paint(cloth * s.between(0.7, 1.0) * s.either(0.08, 0.4, 1), arm, often=1.0 * (sleeve > 0))
    shape = [(top, neck), (top + drop, shoulder), (9, shoulder - 0.8), (16, waist)]
    width = profile(s.y, *shape, (bottom, waist + flare))
    body = np.maximum(a - width, band(s.y, top, bottom))
    s.paint(cloth * 0.4, body - 0.8, often=0.8 * (sleeve > 0))  # the shadow between arm and body
    s.paint(cloth * (1 - s.between(0, 0.3) * (a / width) ** 2), body)
    pointed, round_ = 1.3 - 1.3 * a / neck, np.sqrt(np.clip(1 - (a / neck) ** 2, 0, 1))
    opening = np.maximum(band(s.y - top, -0.7, depth * s.either(0.3, pointed, round_)), a - neck)
    s.paint(s.tone * s.between(0.6, 1.1), opening - 0.9, body)
    s.paint(cloth * s.either(0.6, 0, 0.4), opening)
    return a, body, top


def emblem(s, often):
    """A print on the chest: a box or a disc with lettering."""
    y0, half, tall = s.between(8, 12), s.between(1.5, 4), s.between(1, 3.5)
    square = np.maximum(np.abs(s.x) - half, np.abs(s.y - y0) - tall)
    ink = s.between(0, 1) + 0.4 * np.sin(2.2 * s.x) * np.sin(1.6 * s.y)
    disc = ellipse(s.x, s.y, 0, y0, half, half)
    s.paint(np.clip(ink, 0.03, 1), s.either(0.5, square, disc), often=often)


def closure(s, a, body, zipped, buttoned):
    """A front that closes in the middle, with a zip or with buttons; more or less visible."""
    shade, strength = s.either(0.5, 0.1, 1), s.between(0.3, 1)
    s.paint(shade, a - 0.6, body, often=strength * s.chance(zipped))
    buttoned = strength * s.chance(buttoned)
    s.paint(s.tone * 0.75, a - 0.6, body, often=buttoned)
    knobs = a + np.abs((s.y + s.between(0, 4)) % 4 - 2) - 0.6
    s.paint(shade, knobs, body, often=buttoned)


def collar(s, a, top, often):
    """Two flaps that fall from the neck and leave a wedge between them."""
    down, here, light = s.y - top, 1.0 * s.chance(often), s.tone.max((1, 2), keepdims=True)
    ends = band(down, -1, s.between(3, 6) - a * 0.4)
    flap = np.maximum(np.abs(a - 1.9 - down * 0.15) - 1.6, ends)
    s.paint(light * 0.45, flap - 0.5, often=here)
    s.paint(light * s.between(0.7, 1.0), flap, often=here)


def t_shirt(s):
    cloth, waist = fabric(s, plain=0.55, striped=0.15), s.between(5.4, 7.8)
    sleeve = s.either(0.8, s.between(3.5, 8), s.either(0.5, 0, s.between(9, 17)))
    arms = sleeve, s.between(2.2, 3.2), s.between(0.3, 0.8)
    bottom, neck, depth = s.between(23.5, 27), s.between(2.4, 4.4), s.between(1, 4.5)
    torso(s, cloth, s.between(6, 8.5), waist, s.between(-0.3, 1.3), bottom, neck, depth, *arms)
    emblem(s, 0.35)


def pullover(s):
    cloth, waist = fabric(s, plain=0.45, striped=0.2, checked=0.03), s.between(5.6, 8)
    arms = s.between(16, 22), s.between(1.3, 2.3), s.between(0.08, 0.27)
    bottom, neck, depth = s.between(22.5, 27), s.between(2.2, 4.2), s.between(0.5, 3.5)
    shape = s.between(6.3, 8.5), waist, s.between(-0.6, 0.8), bottom, neck, depth
    a, body, top = torso(s, cloth, *shape, *arms)
    s.paint(s.tone * s.between(0.5, 0.9), body, bottom - 2.5 - s.y, often=0.45)  # ribbed hem
    emblem(s, 0.2)
    closure(s, a, body, zipped=0.06, buttoned=0.1)
    collar(s, a, top, 0.12)


def dress(s):
    cloth, waist = fabric(s, plain=0.6), s.between(3.4, 6.6)
    sleeve = s.either(0.4, 0, s.either(0.65, s.between(2, 7), s.between(10, 19)))
    arms = sleeve, s.between(1.2, 2.4), s.between(0.12, 0.5)
    bottom, neck, depth = s.between(25, 27.5), s.between(1.8, 3.4), s.between(1, 5)
    shape = s.between(4.2, 7.6), waist, s.between(-0.2, 4), bottom, neck, depth
    _, body, _ = torso(s, cloth, *shape, *arms)
    belt = s.y - s.between(10, 15)
    s.paint(s.tone * s.between(0.3, 0.6), body, np.abs(belt) - 0.6, often=0.35)
    s.paint(s.tone * (0.8 + 0.2 * np.sin(s.x * 2.5)), body, -belt, often=0.3)  # pleats


def coat(s):
    cloth = fabric(s, plain=0.68, striped=0.03, checked=0.08, flowered=0.05, dotted=0.02)
    arms = s.between(16, 22), s.between(1.3, 2.3), s.between(0.08, 0.27)
    bottom, neck, depth = s.between(23, 27.5), s.between(2.2, 4.2), s.between(0.5, 3.5)
    shape = s.between(6.2, 8.5), s.between(5.6, 8), s.between(-0.4, 1.4), bottom, neck, depth
    a, body, top = torso(s, cloth, *shape, *arms)
    lapel = a - s.between(1.2, 3.2) * (1 - (s.y - top) / s.between(6, 13))
    s.paint(s.tone * s.either(0.5, 0.3, 0.7), lapel, body, often=0.4)
    closure(s, a, body, zipped=0.5, buttoned=0.4)
    collar(s, a, top, 0.5)
    pocket = s.y - s.between(17, 19)
    across, down = band(a, 2.2, s.between(3.8, 5.2)), band(pocket, 0, s.between(0.3, 3))
    s.paint(s.tone * 0.6, across, down, often=0.4)


def shirt(s):
    cloth, waist = fabric(s, plain=0.42, checked=0.2), s.between(5.4, 7.8)
    long = s.between(13, 21.5), s.between(1.3, 2.2), s.between(0.1, 0.28)
    short = s.between(4, 9), s.between(2.2, 3.2), s.between(0.3, 0.8)
    arms = np.where(s.chance(0.68), long, short)
    bottom, neck, depth = s.between(23, 27.3), s.between(2.2, 4.2), s.between(0.7, 4)
    shape = s.between(6, 8.4), waist, s.between(-0.3, 1.3), bottom, neck, depth
    a, body, top = torso(s, cloth, *shape, *arms)
    closure(s, a, body, zipped=0.04, buttoned=0.7)
    collar(s, a, top, 0.6)
    s.paint(s.tone * 0.7, band(s.x, 1.8, 4.6), band(s.y, 9, 12), often=0.2)  # pocket


# Trousers and bags ------------------------------------------------------------------------------


def trousers(s):
    cloth = fabric(s, plain=0.75, striped=0.02, checked=0.05, flowered=0.04, dotted=0.02)
    waist, ankle, apart = s.between(3.8, 5.4), s.between(1.8, 3.4), s.between(0.7, 2.6)
    crotch, bottom = s.between(7.5, 11), s.either(0.88, s.between(26, 27.5), s.between(15, 24))
    a = np.abs(s.x - s.between(-0.06, 0.06) * (s.y - 10))
    hips, ends = waist + s.between(0.3, 1.5), apart + 1.8 * ankle
    outer = profile(s.y, (1, waist), (crotch, hips), (27, ends))
    inner = profile(s.y, (crotch - 1, -1), (crotch + 2, 0.5), (27, apart))
    legs = np.maximum(np.maximum(a - outer, inner - a), band(s.y, 1, bottom))
    fold = np.abs(a - (outer + np.maximum(inner, 0)) / 2)
    s.paint(cloth * (1.05 - s.between(0.05, 0.2) * fold), legs)
    s.paint(s.tone * s.between(0.5, 1), legs, s.y - 2.8, often=0.6)  # waistband
    s.paint(s.tone * 0.6, legs, a - 0.5, s.y - crotch, often=0.6)  # fly
    s.paint(s.tone * 0.6, np.abs(a - waist * 0.8) - 0.5, band(s.y, 3, 6), often=0.4)  # pockets


def bag(s):
    cloth, a = fabric(s, plain=0.62, striped=0.05, checked=0.06), np.abs(s.x)
    half, tall, bottom = s.between(9, 13.5), s.between(11, 18), s.between(23.5, 27)
    top, rim, grip = bottom - tall, half * s.between(0.72, 1.08), half * s.between(0.35, 0.75)
    reach, thick = s.between(3.5, 8), s.between(0.5, 1.1)
    arch = np.abs(ellipse(s.x, s.y, 0, top, grip, np.minimum(reach, top - 0.5))) - thick
    straps = limb(a, s.y, grip, top + 2, grip * 0.5, top - reach, thick, thick)
    belt = np.abs(ellipse(s.x, s.y, 0, top + 3, half + 0.8, reach + 3)) - thick
    kind = s.between(0, 1)
    handle = np.select([kind < 0.35, kind < 0.55, kind < 0.75], [arch, straps, belt], SIDE)
    s.paint(s.between(0.3, 0.9), handle)
    body = np.maximum(a - profile(s.y, (top, rim), (bottom, half)), band(s.y, top, bottom))
    rounded = np.maximum(body, ellipse(s.x, s.y, 0, bottom - tall * 0.35, half * 1.12, tall * 0.68))
    s.paint(cloth, s.either(0.4, rounded, body))
    flap = top + tall * s.between(0.3, 0.6) * s.either(0.5, 1, 1 - 0.5 * a / half)
    covered = s.chance(0.5)
    s.paint(s.tone * 0.45, np.abs(s.y - flap) - 0.5, body, often=1.0 * covered)
    clasp = ellipse(s.x, s.y, 0, flap, 1.2, 1.2)
    s.paint(s.either(0.5, 0.05, 1), clasp, body, often=1.0 * (covered & s.chance(0.6)))
    s.paint(s.tone * 0.5, np.abs(s.y - top - 1.6) - 0.5, body, often=0.4)
    s.paint(s.tone * 0.6, np.abs(a - half * 0.6) - 0.5, body, often=0.2)


# Shoes, toe to the left -------------------------------------------------------------------------


def sneaker(s):
    cloth = fabric(s, plain=0.65, striped=0.02, checked=0.02, flowered=0.06, dotted=0.03)
    ground, left, right = s.between(18, 20.5), s.between(-13.5, -12), s.between(11, 13.3)
    toe, tongue, mouth = s.between(2.2, 3.8), s.between(0, 3), s.between(6, 8.5)
    ankle = s.either(0.85, s.between(6.5, 9.5), s.between(9.5, 13))
    front = [(left, toe * 0.3), (left + 2.5, toe), (-5, toe + s.between(0.8, 2.5)), (tongue, ankle)]
    back = [(mouth, ankle - s.between(1.2, 3.5)), (right, ankle - s.between(-0.6, 1))]
    up = ground - s.y
    edge = up - profile(s.x, *front, *back)
    upper = np.maximum(np.maximum(edge, -up), band(s.x, left, right - 0.15 * up))
    s.paint(cloth, upper)
    inside = upper + 0.8  # trimmings keep off the outline
    contrast = s.either(0.5, s.between(0, 0.2), s.between(0.8, 1))
    laces = stripes(s.x * s.between(0.5, 1) + s.y, 2.8, 0.5)
    s.paint(contrast, laces, band(edge, -s.between(2, 3.5), 1), band(s.x, -6, tongue), often=0.6)
    begin, slant = s.between(-4, 4), s.between(-0.8, 0.8)
    side = band(s.x, begin, begin + s.between(1, 8))
    s.paint(contrast, stripes(s.x - s.y * slant, 3.5, 0.6), side, inside, often=0.45)
    s.paint(s.tone * s.between(0.4, 1.2), inside, 9 - s.x, often=0.5)  # heel cap
    s.paint(s.tone * s.between(0.5, 1.2), inside, s.x - left - 4, often=0.4)  # toe cap
    sole = band(s.y, ground - s.between(0.2, 1), ground + s.between(1, 2.2))
    shade = s.either(0.6, s.between(0.75, 1), s.between(0.1, 0.5))
    s.paint(shade, sole, band(s.x, left - 0.3, right + 0.3))


def boot(s):
    cloth = fabric(s, plain=0.8, striped=0, checked=0.02, flowered=0.04, dotted=0.02)
    ground, left, right = s.between(23, 26), s.between(-13.5, -11), s.between(8, 12.5)
    heel = s.either(0.45, s.between(0, 1.5), s.between(2, 9))
    up = ground - profile(s.x, (-5, 0), (6, heel)) - s.y  # above the sole
    shaft, toe = s.between(-2.5, 1.5), s.between(3.2, 5)
    instep = [(left, toe * 0.4), (left + 2.5, toe), (shaft - 4, toe + 2), (shaft, toe + 6)]
    lean = s.between(-0.1, 0.2) * (s.y - 14)
    height = s.either(0.75, s.between(19, 23), s.between(11, 19))
    rim = ground - height + s.between(-0.15, 0.15) * s.x
    leg = np.maximum(band(s.x, shaft - 1.5 + lean, right + lean * s.between(-0.6, 0.4)), rim - s.y)
    low = np.maximum(band(s.x, left, right), up - profile(s.x, *instep))
    shoe = np.maximum(np.minimum(leg, low), -up)
    s.paint(cloth, shoe)
    dark = s.either(0.6, s.between(0.2, 0.5), s.between(0.7, 0.9))
    raised = ground - heel - 1
    block = limb(s.x, s.y, right - 2.2, raised, right - 1.5, ground + 1, 2.2, s.between(0.6, 2))
    s.paint(dark, block, often=1.0 * (heel > 1.7))
    s.paint(dark, np.abs(up) - s.between(0.4, 1), band(s.x, left - 0.2, right))
    inside = shoe + 0.8
    panel = np.abs(s.x - shaft - s.between(2, 6)) - s.between(0.4, 2)
    s.paint(s.tone * s.between(0.4, 0.7), panel, inside, often=0.45)
    laces = np.maximum(stripes(s.y + 0.4 * s.x, 3, 0.5), band(s.x, shaft - 4, shaft + 2))
    s.paint(s.either(0.6, 0.15, 0.95), laces, shoe, often=0.35)
    s.paint(s.tone * s.between(0.5, 1.2), inside, s.y - rim - s.between(1.5, 4), often=0.4)  # cuff


def sandal(s):
    cloth = fabric(s, plain=0.6, flowered=0.2)
    left, right, thick = s.between(-13.5, -11), s.between(9.5, 13), s.between(0.6, 1.3)
    lift = s.either(0.5, s.between(0, 1.5), s.between(4, 12))
    ground = s.between(18, 20.5) + lift * 0.5
    up = ground - profile(s.x, (-6, 0), (7, lift)) - s.y  # above the sole
    wedge = s.chance(0.3)
    below = np.where(wedge, s.y - ground - 1, -up - thick)
    s.paint(cloth, up - thick, below, band(s.x, left, right))
    x0, x1 = right - 1.5, right - 0.5
    heel = limb(s.x, s.y, x0, ground - lift, x1, ground + 1, 1.2, s.between(0.4, 1))
    s.paint(cloth, heel, often=1.0 * (~wedge & (lift > 2)))
    strip, half = cloth * s.between(0.75, 1.0), s.between(0.6, 1.3)
    toes = ellipse(s.x, up, left + 4.5, 0, s.between(2.5, 4), s.between(2.5, 4.5))
    s.paint(strip, s.either(0.5, toes, np.abs(toes) - half), -up, often=0.7)
    vamp = up - profile(s.x, (left, 1), (-8, 3.5), (0, s.between(5, 7.5)), (4, s.between(6, 9)))
    lattice = stripes(s.x + up * s.between(-0.8, 0.8), s.between(2.8, 4.5), half)
    caged, till = 1.0 * s.chance(0.4), s.between(-2, 4)
    s.paint(strip, np.minimum(lattice, np.abs(vamp) - half), vamp, -up, s.x - till, often=caged)
    x0, high = s.between(-4, 0), s.between(3.5, 6)
    rising = limb(s.x, up, left + 3, 0, x0, high, half, half)
    thong = np.minimum(rising, limb(s.x, up, x0, high, 5, 0, half, half))
    s.paint(strip, thong, often=(1 - caged) * s.chance(0.6))
    high, strapped = s.between(5, 9), 1.0 * s.chance(0.65)
    ankle = np.abs(ellipse(s.x, up, 6.5, high, s.between(3.5, 5), s.between(1, 2.2))) - half * 0.8
    s.paint(strip, ankle, -up, often=strapped)
    s.paint(strip, limb(s.x, up, 9.5, 0, 10.5, high, half * 2, half), often=strapped)


# in the order of Fashion-MNIST's class numbers
GARMENTS = (t_shirt, trousers, pullover, dress, coat, sandal, shirt, sneaker, bag, boot)
