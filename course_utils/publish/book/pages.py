"""The words around the chapters: title page, the strip under each title, the page on this build."""

import re
from html import escape
from importlib.resources import files
from string import Template

from course_utils.publish.book.chapters import raw_html
from course_utils.publish.book.coursemap import course_map, hours


def assets():
    """Folder with the style sheet, the script and the texts of the book."""
    return files("course_utils.publish.book") / "assets"


def title_page(manifest, facts):
    """MyST source of index.md. facts: chapter name -> Facts."""
    chapters = manifest.chapters
    toctree = "\n".join(f"{chapter.number} · {chapter.title} <{chapter.name}>" for chapter in chapters)
    template = Template((assets() / "index.md").read_text(encoding="utf-8"))
    return template.substitute(
        title=manifest.book.title,
        description=manifest.book.description,
        authors=", ".join(manifest.book.authors),
        first=chapters[0].name,
        chapters=f"{len(chapters)} chapter{'s' * (len(chapters) != 1)}",
        hours=hours(sum(chapter.minutes for chapter in chapters)),
        map=raw_html(course_map(chapters)),
        data=_data_of_build(facts.values()),
        toctree=toctree,
    )


def status_page(manifest, facts, versions):
    """MyST source of status.md: what ran, how long, on what, and how well.

    versions: name -> version of the software of the run.
    """
    rows = ["| Chapter | Time | Data | Device | Test accuracy | Published band | Verdict |"]
    rows.append("|---|--:|---|---|--:|---|---|")
    for chapter in manifest.chapters:
        fact = facts[chapter.name]
        band = (chapter.published or {}).get("test_acc")
        cells = [
            f"[{chapter.number} · {chapter.title}]({chapter.name}.ipynb)",
            seconds(fact.seconds),
            ", ".join(fact.sources) or "–",
            fact.device or "–",
            "–" if fact.test_acc is None else f"{fact.test_acc:.3f}",
            f"{band[0]:.3f}–{band[1]:.3f}" if band else "–",
            verdict(fact, band),
        ]
        rows.append("| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |")
    bands = "\n".join(
        f"- {chapter.number} · {chapter.title}: {chapter.published_source}"
        for chapter in manifest.chapters
        if chapter.published
    )
    software = "\n".join(f"| {name} | {version} |" for name, version in versions.items())
    template = Template((assets() / "status.md").read_text(encoding="utf-8"))
    return template.substitute(
        table="\n".join(rows),
        bands=bands or "- no chapter has one yet",
        software=f"| Software | Version |\n|---|---|\n{software}" if software else "Not recorded.",
    )


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
    parts.append(f'<a href="notebooks/{escape(chapter.name)}.ipynb" download>Download the notebook</a>')
    strip = f'<p class="chapter-facts">{" · ".join(parts)}</p>'
    return strip + (_run_note(chapter, fact) if fact.trained else "")


def verdict(fact, band):
    """ "reached", "below", or why there is no verdict: the band holds for the real data only."""
    if fact.test_acc is None:
        return "–" if not band else "not run"
    if not band:
        return "–"
    if fact.stand_in:
        return "not comparable: stand-in data"
    return "reached" if fact.test_acc >= band[0] else "below"


def seconds(value):
    """72.4 -> "1 min 12 s"; None -> "–"."""
    if value is None:
        return "–"
    minutes, rest = divmod(round(value), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def _run_note(chapter, fact):
    known = []
    if fact.sources:
        known.append(f"on <strong>{escape(_list(fact.sources))}</strong>")
    if fact.device:
        known.append(f"on the device <strong>{escape(fact.device)}</strong>")
    if fact.seconds is not None:
        known.append(f"in {seconds(fact.seconds)}")
    text = f"The results on this page were computed {', '.join(known)}."
    if fact.test_acc is not None:
        text += f" Test accuracy <strong>{fact.test_acc:.3f}</strong>"
        band = (chapter.published or {}).get("test_acc")
        text += f"; published: {band[0]:.3f}–{band[1]:.3f}." if band else "."
    if fact.stand_in:
        text += (
            " The stand-in is drawn by the course itself, for times when the real images are not "
            "at hand: numbers on the real set differ."
        )
    kind = "stand-in" if fact.stand_in else "real-data"
    return f'<p class="run-note {kind}">{text} <a href="status.html">This build</a></p>'


def _list(names):
    return " and ".join(re.sub(r"\s+", " ", name) for name in names)


def _data_of_build(facts):
    """One sentence on the data behind this build."""
    names = list(dict.fromkeys(source for fact in facts for source in fact.sources))
    if not names:
        return "No chapter of this build trained a network."
    return f"The networks in this build were trained on {_list(names)}."
