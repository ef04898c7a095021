"""A report as a page for people (HTML) and as a file for CI (JUnit XML)."""

from pathlib import Path

from course_utils.commands.notebooks import plain
from course_utils.commands.run.report import COLUMNS, error_line, minutes, notes, rows
from course_utils.files import write_whole


def write_pages(report, book_title):
    """Write report.html and junit.xml beside report.json; returns their paths."""
    page, junit = report.out / "report.html", report.out / "junit.xml"
    write_whole(page, html_text(report.data, book_title))
    write_whole(junit, junit_text(report.data))
    return page, junit


def html_text(data, book_title):
    """The page: one file, nothing fetched, dark where the reader's system is."""
    facts = {
        "profile": data["profile"] + (" (fast dev run: not trained)" * data["fast_dev_run"]),
        "started": data["started"],
        "finished": (data["finished"] or "–") + " (stopped)" * data["interrupted"],
        "platform": f"{data['platform']}, {data['cpu_count']} cores",
        "accelerator": data["accelerator"] or "none found",
        "fp32 matrix rate": f"{data['matmul_gflops'] or '–'} GFLOP/s",
    } | data["versions"]
    return _rendered(
        "report.html.j2",
        title=f"{book_title}: run report",
        data=data,
        facts=facts,
        columns=COLUMNS,
        rows=rows(data["chapters"]),
        notes=notes(data),
    )


def html_page(title, body):
    """A whole page of the course's reports. title, body: HTML. It can load and run nothing."""
    from markupsafe import Markup

    return _rendered("page.html.j2", title=Markup(title), body=Markup(body))


def junit_text(data):
    """One test case per chapter: failures with their error, chapters not run as skipped."""
    return _rendered("junit.xml.j2", data=data)


def _rendered(template, **values):
    from jinja2 import Environment, FileSystemLoader

    folder = FileSystemLoader(Path(__file__).parent)
    pages = Environment(loader=folder, autoescape=True, trim_blocks=True, lstrip_blocks=True)
    pages.filters |= {"line": error_line, "minutes": minutes}
    return plain(pages.get_template(template).render(values)) + "\n"
