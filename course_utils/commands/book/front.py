"""What stands around the chapters: title page with the course map, the strip under each title, the
page on this build."""

import re
from urllib.parse import quote

from course_utils.commands.book.templates import render

GITHUB = re.compile(r"https://github\.com/([^/]+/[^/]+?)(?:\.git)?/?")

# The map's rows have one height in `rem`, so that its drawing and its text keep together at every
# font size and on a phone, without a script.
ROW = 80  # height of a row in drawing units; the style sheet makes it 5rem
LANE = 13  # distance between the rails that lead from chapter to chapter
RADIUS = 7
MARGIN = RADIUS + 4


def title_page(manifest, facts, play, back):
    """MyST source of index.md.

    facts: chapter name -> Facts. play: the scripts of the playground, () without one. back: page
    name -> title of what follows the chapters.
    """
    return render("index.md", **_of_all(manifest, facts), play=play, back=back)


def print_cover(manifest, facts):
    """MyST source of what print.html begins with."""
    return render("print.md", **_of_all(manifest, facts))


def _of_all(manifest, facts):
    """What title page and cover say: the book, its map, the data behind this build."""
    return {
        "book": manifest.book,
        "chapters": manifest.chapters,
        "map": course_map(manifest.chapters),
        "fast": any(fact.fast for fact in facts.values()),
        "sources": list(dict.fromkeys(s for fact in facts.values() for s in fact.sources)),
    }


def status_page(manifest, facts, report):
    """MyST source of status.md: what ran, how long, on what, and how well.

    report: as `read_report` gives it, None for notebooks that come without one.
    """
    of_chapters = [(chapter, facts[chapter.name]) for chapter in manifest.chapters]
    given = report or {}
    return render(
        "status.md",
        chapters=[(c, f, _band(c), _against_band(c, f, report)) for c, f in of_chapters],
        stand_in=any(fact.stand_in for fact in facts.values()),
        report=report,
        machine={
            "Finished": (given.get("finished") or "").replace("T", " ").replace("+00:00", " UTC"),
            "Platform": given.get("platform"),
            "CPU cores": given.get("cpu_count"),
            "Accelerator": given.get("accelerator") or "none",
        },
    )


def _against_band(chapter, fact, report):
    """Reached, above or below; "not run" where the published settings were not, and why."""
    if not chapter.published:
        return "–"
    if fact.verdict in ("reached", "above", "below"):
        return fact.verdict
    if report is None or fact.test_acc is None:
        return "not run"
    if fact.fast:
        return "not run: a fast run"
    return "not run: a stand-in" if fact.stand_in else f"not run: {report['profile']} settings"


def _band(chapter):
    """The published band of test accuracies; "" without one."""
    band = (chapter.published or {}).get("test_acc")
    return f"{band[0]:.3f}–{band[1]:.3f}" if band else ""


def chapter_head(chapter, manifest, fact):
    """HTML under a chapter's title: time, what comes before, download; what the run was on."""
    return render(
        "head.html",
        chapter=chapter,
        fact=fact,
        band=_band(chapter),
        before=[other for other in manifest.chapters if other.name in chapter.needs],
        hosted=hosted(chapter, manifest),
        repository=manifest.html.git_repository_url,
    )


def hosted(chapter, manifest):
    """Name -> address of what runs the chapter in a browser, if book.toml names a repository.

    Only GitHub's: {} without one, and for other hosts.
    """
    repository = GITHUB.fullmatch(manifest.html.git_repository_url or "")
    if not repository or not chapter.file.is_relative_to(manifest.root):
        return {}
    path = chapter.file.relative_to(manifest.root).as_posix()
    name, branch = repository[1], quote(manifest.html.git_branch, safe="")
    return {
        "Colab": f"https://colab.research.google.com/github/{name}/blob/{branch}/{quote(path)}",
        "Binder": f"https://mybinder.org/v2/gh/{name}/{branch}?labpath={quote(path, safe='')}",
    }


def course_map(chapters):
    """What map.html draws: chapters down the page, what each needs as rails at their left."""
    edges = needed_directly(chapters)
    lanes = lanes_of(edges)
    spine = MARGIN + LANE * max(lanes.values(), default=0)  # where the chapters' stops are
    after = [[chapters[i].number for i, k in edges if k == j] for j in range(len(chapters))]
    return {
        "width": spine + MARGIN,
        "height": ROW * len(chapters),
        "spine": spine,
        "radius": RADIUS,
        "rails": [_rail(i, j, lane, spine) for (i, j), lane in sorted(lanes.items())],
        "stops": [_middle(row) for row in range(len(chapters))],
        "rows": list(zip(chapters, after, strict=True)),
    }


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
    lanes = {}
    for i, j in sorted(edges, key=lambda edge: edge[1] - edge[0]):
        lane = 0 if j - i == 1 else 1
        while lane and any(n == lane and i < b and a < j for (a, b), n in lanes.items()):
            lane += 1
        lanes[i, j] = lane
    return lanes


def _middle(row):
    return ROW * row + ROW / 2


def _rail(i, j, lane, spine):
    """The path of an SVG from chapter i to chapter j."""
    top, bottom, x = _middle(i), _middle(j), spine - LANE * lane
    if lane == 0:
        return f"M{spine} {top}V{bottom}"
    bend = ROW / 3
    return (
        f"M{spine} {top}C{x} {top} {x} {top} {x} {top + bend}"
        f"V{bottom - bend}C{x} {bottom} {x} {bottom} {spine} {bottom}"
    )
