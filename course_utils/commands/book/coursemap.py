"""The course map: chapters down the page, what each needs drawn as rails at their left.

Rows have one height in `rem`, so the drawing and the text keep together at every font size and
on a phone, without a script.
"""

from html import escape

ROW = 80  # height of a row in drawing units; the style sheet makes it 5rem
LANE = 13  # distance between rails
RADIUS = 7


def needed_directly(chapters):
    """Pairs (i, j), chapter j needs chapter i, without those that follow from the others.

    chapters: in reading order. Returns indices, i < j.
    """
    index = {chapter.name: i for i, chapter in enumerate(chapters)}
    before = []  # everything that chapter j stands on, near and far
    edges = []
    for j, chapter in enumerate(chapters):
        needs = {index[name] for name in chapter.needs if name in index}
        implied = set().union(*(before[i] for i in needs))
        before.append(needs | implied)
        edges += [(i, j) for i in sorted(needs - implied)]
    return edges


def lanes_of(edges):
    """A lane for each edge: 0 between neighbours, else the first where it meets no other."""
    lanes, used = {}, {}
    for i, j in sorted(edges, key=lambda edge: edge[1] - edge[0]):
        lane = 0
        if j - i > 1:
            lane = 1
            while any(i < b and a < j for a, b in used.get(lane, [])):
                lane += 1
            used.setdefault(lane, []).append((i, j))
        lanes[i, j] = lane
    return lanes


def course_map(chapters):
    """HTML of the map; links go to `<name>.html`."""
    edges = needed_directly(chapters)
    lanes = lanes_of(edges)
    width = RADIUS + 4 + LANE * max(lanes.values(), default=0) + RADIUS + 4
    spine = width - RADIUS - 4
    rails = "".join(
        f'<path d="{_rail(i, j, lane, spine)}"/>' for (i, j), lane in sorted(lanes.items())
    )
    stops = "".join(
        f'<circle cx="{spine}" cy="{_middle(i)}" r="{RADIUS}"/>' for i in range(len(chapters))
    )
    height = ROW * len(chapters)
    drawing = (
        f'<svg aria-hidden="true" viewBox="0 0 {width} {height}" '
        f'style="width:{width / 16}rem;height:{height / 16}rem">{rails}{stops}</svg>'
    )
    after = [[str(chapters[i].number) for i, k in edges if k == j] for j in range(len(chapters))]
    rows = "\n".join(map(_row, chapters, after))
    return f'<div class="course-map">{drawing}<ol>\n{rows}\n</ol></div>'


def hours(minutes):
    """90 -> "1 h 30 min"."""
    whole, rest = divmod(round(minutes), 60)
    return " ".join(
        part for part in (f"{whole} h" * bool(whole), f"{rest} min" * bool(rest)) if part
    )


def _row(chapter, after):
    meta = hours(chapter.minutes) + (f" · after {', '.join(after)}" if after else "")
    return (
        f'<li><a href="{escape(chapter.name)}.html">'
        f'<span class="number">{chapter.number}</span>'
        f'<span class="title">{escape(chapter.title)}</span>'
        f'<span class="meta">{meta}</span>'
        f'<span class="summary">{escape(chapter.summary or "")}</span></a></li>'
    )


def _middle(row):
    return ROW * row + ROW / 2


def _rail(i, j, lane, spine):
    top, bottom, x = _middle(i), _middle(j), spine - LANE * lane
    if lane == 0:
        return f"M{spine} {top}V{bottom}"
    bend = ROW / 3
    return (
        f"M{spine} {top}C{x} {top} {x} {top} {x} {top + bend}"
        f"V{bottom - bend}C{x} {bottom} {x} {bottom} {spine} {bottom}"
    )
