"""The words around the chapters: title page, the strip under each title, the page on this build."""

import re
from html import escape
from importlib.resources import files
from string import Template
from urllib.parse import quote

from course_utils.commands.book.coursemap import course_map, hours
from course_utils.commands.book.page import raw_html
from course_utils.commands.run.report import minutes

GITHUB = re.compile(r"https://github\.com/([^/]+/[^/]+?)(?:\.git)?/?")
STAND_IN = (
    "**Stand-in** means: the real images were not at hand, and these networks learned garments "
    "that the course draws itself. Their numbers say nothing about Fashion-MNIST."
)


def assets():
    """Folder with the style sheet, the script and the texts of the book."""
    return files("course_utils.commands.book") / "assets"


def title_page(manifest, facts, play, back):
    """MyST source of index.md.

    facts: chapter name -> Facts. play: whether there is a playground. back: page name -> title of
    what follows the chapters.
    """
    chapters = manifest.chapters
    toctree = "\n".join(
        f"{chapter.number} · {chapter.title} <{chapter.name}>" for chapter in chapters
    )
    template = Template((assets() / "index.md").read_text(encoding="utf-8"))
    return template.substitute(
        title=_text(manifest.book.title),
        description=escape(manifest.book.description),
        first=chapters[0].name,
        chapters=f"{len(chapters)} chapter{'s' * (len(chapters) != 1)}",
        hours=hours(sum(chapter.minutes for chapter in chapters)),
        map=raw_html(course_map(chapters)),
        data=_data_of_build(facts.values()),
        toctree=toctree + "\nDraw a digit <playground>" * play,
        back="\n".join(f"{title} <{name}>" for name, title in back.items()),
        play='<a href="playground.html">or draw a digit and watch LeNet answer</a>' * play,
    )


def print_cover(manifest, facts):
    """MyST source of what print.html begins with."""
    template = Template((assets() / "print.md").read_text(encoding="utf-8"))
    return template.substitute(
        title=_text(manifest.book.title),
        description=escape(manifest.book.description),
        authors=escape(", ".join(manifest.book.authors)),
        map=raw_html(course_map(manifest.chapters)),
        data=_data_of_build(facts.values()),
    )


def status_page(manifest, facts, report):
    """MyST source of status.md: what ran, how long, on what, and how well.

    report: as `read_report` gives it, None for notebooks that come without one.
    """
    rows = [["Chapter", "Time", "Test accuracy", "Published", "Reached?", "Data", "Device"]]
    rows.append(["---", "--:", "--:", "---", "---", "---", "---"])
    for chapter in manifest.chapters:
        fact = facts[chapter.name]
        rows.append(
            [
                f"[{chapter.number} · {chapter.title}]({chapter.name}.ipynb)",
                minutes(fact.seconds),
                "–" if fact.test_acc is None else f"{fact.test_acc:.3f}",
                _band(chapter),
                _against_band(chapter, fact, report),
                ", ".join(map(_source, fact.sources)) or "–",
                fact.device or "–",
            ]
        )
    bands = "\n".join(
        f"- {chapter.number} · {_text(chapter.title)}: {_band(chapter)}, "
        + _text(chapter.published_source)
        for chapter in manifest.chapters
        if chapter.published
    )
    template = Template((assets() / "status.md").read_text(encoding="utf-8"))
    return template.substitute(
        table=_table(rows),
        bands=bands or "- No chapter has one yet.",
        stand_in=STAND_IN if any(fact.stand_in for fact in facts.values()) else "",
        machine=_table(_machine(report)) if report else "The notebooks came without a report.",
    )


def _source(name):
    return f"**{name}**" if "stand-in" in name else name


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


def _machine(report):
    """Rows on where and with what the chapters ran."""
    fast = " (fast dev run: a few batches, results are not judged)"
    known = {
        "Profile": report["profile"] + fast * report["fast_dev_run"],
        "Finished": (report.get("finished") or "").replace("T", " ").replace("+00:00", " UTC"),
        "Platform": report.get("platform"),
        "CPU cores": report.get("cpu_count"),
        "Accelerator": report.get("accelerator") or "none",
    }
    rows = [[name, str(value)] for name, value in known.items() if value]
    rows += [[name, value or "not installed"] for name, value in report["versions"].items()]
    return [["What", "Which"], ["---", "---"], *rows]


def _table(rows):
    """Markdown of a table; the second row holds the alignments."""
    return "\n".join(f"| {' | '.join(_text(c).replace('|', ' ') for c in row)} |" for row in rows)


def _text(words):
    """Words as Markdown that holds no HTML; marks of Markdown stay what they are."""
    return escape(words, quote=False)


def _band(chapter):
    band = (chapter.published or {}).get("test_acc")
    return f"{band[0]:.3f}–{band[1]:.3f}" if band else "–"


def chapter_head(chapter, manifest, fact):
    """HTML under a chapter's title: time, what comes before, download; what the run was on."""
    titles = {other.name: other.title for other in manifest.chapters}
    before = ", ".join(
        f'<a href="{escape(name)}.html">{escape(titles[name])}</a>'
        for name in chapter.needs
        if name in titles
    )
    parts = [f"Chapter {chapter.number}", f"about {hours(chapter.minutes)}"]
    parts += [f"after {before}"] if before else []
    parts.append(
        f'<a href="notebooks/{escape(chapter.name)}.ipynb" download>Download the notebook</a>'
    )
    parts += [
        f'<a href="{escape(url)}">Open in {place}</a>'
        for place, url in hosted(chapter, manifest).items()
    ]
    strip = f'<p class="chapter-facts">{" · ".join(parts)}</p>'
    if hosted(chapter, manifest):
        clone = f"!git clone -q {manifest.html.git_repository_url} course"
        strip += (
            f'<p class="chapter-facts">In Colab, run before all else: <code>{escape(clone)} '
            "&amp;&amp; pip install -q -e course</code> and <code>%cd course</code></p>"
        )
    return strip + (_run_note(chapter, fact) if fact.trained else "")


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


def _run_note(chapter, fact):
    known = []
    if fact.sources:
        known.append(f"on <strong>{escape(_list(fact.sources))}</strong>")
    if fact.device:
        known.append(f"on the device <strong>{escape(fact.device)}</strong>")
    if fact.seconds is not None:
        known.append(f"in {minutes(fact.seconds)}")
    text = f"The results on this page were computed {', '.join(known)}."
    if fact.test_acc is not None:
        text += f" Test accuracy <strong>{fact.test_acc:.3f}</strong>"
        text += (
            f"; published, with the full settings: {_band(chapter)}." if chapter.published else "."
        )
    if fact.fast:
        text += " This was a fast run of a few batches: its numbers show only that the code works."
    if fact.stand_in:
        text += (
            " The stand-in is drawn by the course itself, for times when the real images are not "
            "at hand: numbers on the real set differ."
        )
    kind = "provisional" if fact.stand_in or fact.fast else "real"
    return f'<p class="run-note {kind}">{text} <a href="status.html">This build</a></p>'


def _list(names):
    return " and ".join(re.sub(r"\s+", " ", name) for name in names)


def _data_of_build(facts):
    """One sentence on the data behind this build."""
    facts = list(facts)
    if any(fact.fast for fact in facts):
        return "This is a fast build: a few batches each, to see that the code works."
    names = list(dict.fromkeys(source for fact in facts for source in fact.sources))
    if not names:
        return "No chapter of this build trained a network."
    return f"The networks in this build were trained on {_text(_list(names))}."
