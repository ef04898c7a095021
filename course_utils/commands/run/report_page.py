"""A report as a page for people (HTML) and as a file for CI (JUnit XML)."""

from html import escape
from xml.etree import ElementTree

from course_utils.commands.notebooks import plain
from course_utils.commands.run.report import COLUMNS, error_line, minutes, notes, rows
from course_utils.files import write_whole

_STYLE = """
:root { color-scheme: light dark; --line: #d0d7de; --dim: #57606a; --good: #1a7f37; --bad: #cf222e;
  --warn: #9a6700; }
@media (prefers-color-scheme: dark) { :root { --line: #3d444d; --dim: #9198a1; --good: #3fb950;
  --bad: #f85149; --warn: #d29922; } }
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 64rem; margin: 2rem auto; padding: 0 1rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .4rem .8rem; border-bottom: 1px solid var(--line);
  white-space: nowrap; }
th { color: var(--dim); font-weight: 600; }
.passed, .reached, .above { color: var(--good); } .failed, .below { color: var(--bad); }
.interrupted { color: var(--warn); } .not-run { color: var(--dim); }
pre { border-left: 3px solid var(--bad); padding: .5rem 1rem; overflow-x: auto; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1rem; }
dt { color: var(--dim); } dd { margin: 0; }
"""


def write_pages(report, book_title):
    """Write report.html and junit.xml beside report.json; returns their paths."""
    page, junit = report.out / "report.html", report.out / "junit.xml"
    write_whole(page, html_text(report.data, book_title))
    write_whole(junit, junit_text(report.data))
    return page, junit


def html_text(data, book_title):
    """The page: one file, nothing fetched, dark where the reader's system is."""
    head = "".join(f"<th>{column}</th>" for column in COLUMNS)
    body = "".join(
        "<tr>" + "".join(_cell(text) for text in row) + "</tr>\n" for row in rows(data["chapters"])
    )
    failures = "".join(
        f"<h2>{escape(entry['name'])}</h2>\n<p>{escape(error_line(entry['error']))}</p>\n"
        f"<pre>{escape(_details(entry['error']))}</pre>\n"
        for entry in data["chapters"]
        if entry["error"]
    )
    facts = {
        "profile": data["profile"] + (" (fast dev run: not trained)" * data["fast_dev_run"]),
        "started": data["started"],
        "finished": (data["finished"] or "–") + " (stopped)" * data["interrupted"],
        "platform": f"{data['platform']}, {data['cpu_count']} cores",
        "accelerator": data["accelerator"] or "none found",
        "fp32 matrix rate": f"{data['matmul_gflops'] or '–'} GFLOP/s",
    } | data["versions"]
    remarks = "".join(f"<p>{escape(note)}</p>\n" for note in notes(data))
    listed = "".join(
        f"<dt>{escape(name)}</dt><dd>{escape(str(value or '–'))}</dd>\n"
        for name, value in facts.items()
    )
    title = f"{escape(book_title)}: run report"
    return html_page(
        title,
        f'<div class="scroll"><table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}</tbody>\n'
        f"</table></div>\n{remarks}{failures}<h2>Where it ran</h2>\n<dl>\n{listed}</dl>\n",
    )


def html_page(title, body):
    """A whole page of the course's reports. title, body: HTML. It can load and run nothing."""
    return plain(
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta http-equiv="Content-Security-Policy" '
        "content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
        f"<title>{title}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n<h1>{title}</h1>\n"
        f"{body}</body>\n</html>\n"
    )


def _cell(text):
    known = text.split(" (")[0]
    kinds = ("passed", "failed", "interrupted", "not run", "reached", "above", "below")
    style = f' class="{known.replace(" ", "-")}"' if known in kinds else ""
    return f"<td{style}>{escape(text)}</td>"


def junit_text(data):
    """One test case per chapter: failures with their error, chapters not run as skipped."""
    entries = data["chapters"]
    failed = sum(entry["status"] == "failed" for entry in entries)
    skipped = sum(entry["status"] in ("not run", "interrupted") for entry in entries)
    seconds = sum(entry["seconds"] or 0 for entry in entries)
    suite = ElementTree.Element(
        "testsuite",
        name=f"course run --profile {data['profile']}",
        tests=str(len(entries)),
        failures=str(failed),
        errors="0",
        skipped=str(skipped),
        time=f"{seconds:.2f}",
        timestamp=data["started"],
    )
    for entry in entries:
        case = ElementTree.SubElement(
            suite,
            "testcase",
            classname="chapters",
            name=entry["name"],
            time=f"{entry['seconds'] or 0:.2f}",
        )
        if entry["status"] == "failed":
            failure = ElementTree.SubElement(
                case, "failure", message=plain(error_line(entry["error"]))
            )
            failure.text = _details(entry["error"])
        elif entry["status"] != "passed":
            ElementTree.SubElement(case, "skipped", message=entry["status"])
        if entry["records"]:
            lines = [f"{name}: {value}" for name, value in entry["records"].items()]
            lines.append(f"time: {minutes(entry['seconds'])}")
            ElementTree.SubElement(case, "system-out").text = plain("\n".join(lines))
    root = ElementTree.Element("testsuites")
    root.append(suite)
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _details(error):
    return plain(error["traceback"] or error["message"])
