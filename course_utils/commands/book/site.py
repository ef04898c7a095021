"""All pages, and the site that Sphinx makes of them; an old book stays until a new one is whole."""

import io
import re
import shutil
import tempfile
import warnings
from pathlib import Path

import nbformat

from course_utils.commands.book import (
    claims,
    contact,
    formulas,
    front,
    functions,
    glossary,
    printing,
    references,
    search,
)
from course_utils.commands.book.lighten import lighten
from course_utils.commands.book.page import facts_of, linker, page_of, read_executed
from course_utils.commands.book.playground import add_playground
from course_utils.commands.book.templates import ASSETS
from course_utils.commands.notebooks import FOLD
from course_utils.commands.run.report import read_report
from course_utils.errors import BookError, RunError

NOISE = re.compile(r"\x1b\[[0-9;]*m|( \[[\w.]+\])(?=\1)")  # colours; codes said twice


def build_book(manifest, executed_dir, out_dir):
    """Build the site of `manifest` from executed notebooks; returns the path of its index.html.

    executed_dir: holds `<chapter>.ipynb` with outputs and, if `course run` made it, report.json.
    out_dir: replaced as a whole once the new book is complete; untouched when the build fails.
    Raises BookError: chapters missing or broken, a warning of Sphinx (such as a dead link),
    `out_dir` holding something that is not a book.
    """
    executed_dir, out_dir = Path(executed_dir), Path(out_dir).absolute()
    notebooks = _read_all(manifest, executed_dir)
    try:
        report = read_report(executed_dir)
    except RunError as error:
        raise BookError(f"{error}: run `course run` again.") from error
    if out_dir.exists() and not (out_dir.is_dir() and _replaceable(out_dir)):
        raise BookError(f"{out_dir} exists and is no book: choose another folder or remove it.")
    try:
        out_dir.parent.mkdir(parents=True, exist_ok=True)
        work = tempfile.TemporaryDirectory(prefix=".book-", dir=out_dir.parent)
    except OSError as error:
        raise BookError(f"cannot write to {out_dir.parent}: {error.strerror}.") from error
    with work as folder:
        source, extra, site = (Path(folder) / part for part in ("source", "extra", "site"))
        printed = _write_source(manifest, notebooks, report, source, extra)
        _run_sphinx(manifest, source, extra, site, Path(folder) / "doctrees")
        lighten(site)
        contact.write_contact_sheet(site, manifest.chapters)
        printing.write_print_page(site, printed)
        old = Path(folder) / "old"
        if out_dir.exists():
            out_dir.rename(old)
        try:
            site.rename(out_dir)
        except OSError:
            if old.exists():
                old.rename(out_dir)
            raise
    return out_dir / "index.html"


def _read_all(manifest, executed_dir):
    """Chapter name -> executed notebook, for every chapter of the manifest."""
    chapters = manifest.chapters
    missing = [c.name for c in chapters if not (executed_dir / f"{c.name}.ipynb").is_file()]
    if len(missing) == len(chapters):
        raise BookError(f"no executed chapters in {executed_dir}: run `course run` first.")
    if missing:
        names = " ".join(missing)
        raise BookError(f"{executed_dir} lacks {names}: run `course run {names}` first.")
    return {chapter.name: read_executed(chapter, executed_dir) for chapter in chapters}


def _replaceable(folder):
    """Whether the folder is a book of ours, or empty: nothing else is ever deleted."""
    return (folder / "searchindex.js").is_file() or not any(folder.iterdir())


def _write_source(manifest, notebooks, report, source, extra):
    """What Sphinx reads: pages in `source`; what it only copies, in `extra`.

    Returns the names of the pages that print.html holds, in order.
    """
    # Pictures that chapters show lie beside them; texts there are no pages of the book.
    skip = shutil.ignore_patterns("*.ipynb", "*.md", "*.py", ".*", "__pycache__")
    shutil.copytree(manifest.book.src, source, ignore=skip)
    (extra / "notebooks").mkdir(parents=True)
    facts = {name: facts_of(notebook, report, name) for name, notebook in notebooks.items()}
    play = add_playground(manifest.chapters, notebooks, source)
    back, works = _back_matter(manifest, notebooks)
    with_links = linker(manifest.chapters, notebooks, works)
    for chapter in manifest.chapters:
        head = front.chapter_head(chapter, manifest, facts[chapter.name])
        page = page_of(notebooks[chapter.name], chapter, head, with_links)
        nbformat.write(page, source / f"{chapter.name}.ipynb")
        shutil.copy(chapter.file, extra / "notebooks")
    titles = {name: title for name, (title, _) in back.items() if title}
    pages = {name: text for name, (_, text) in back.items()} | {
        "index": front.title_page(manifest, facts, play, titles),
        "status": front.status_page(manifest, facts, report),
        printing.PAGE: front.print_cover(manifest, facts),
    }
    for name, text in pages.items():
        (source / f"{name}.md").write_text(text, encoding="utf-8")
    static = source / "_static"
    static.mkdir(exist_ok=True)
    for asset in ("course.css", "course.js", "mark.svg", search.SCRIPT):
        (static / asset).write_bytes((ASSETS / asset).read_bytes())
    printed = [chapter.name for chapter in manifest.chapters]
    return printed + [
        name for name in ("claims", "glossary", "references", "status") if name in pages
    ]


def _back_matter(manifest, notebooks):
    """What follows the chapters: {page name: (title in the contents, MyST source)}, the References.

    Glossary and references are there when their files lie beside the chapters, listings when the
    package does beside book.toml.
    """
    back, works = {}, []
    if (path := manifest.book.src / glossary.FILE).is_file():
        terms = glossary.read_glossary(path)
        back["glossary"] = ("Glossary", glossary.glossary_page(terms, manifest, notebooks))
    if (path := manifest.book.src / references.FILE).is_file():
        works = references.read_references(path)
        page = references.references_page(works, manifest, notebooks)
        back["references"] = ("References", page)
    if page := claims.claims_page(manifest, notebooks):
        back["claims"] = ("Claims and their numbers", page)
    back[contact.PAGE] = ("Figures", contact.COVER)
    modules = functions.modules_of(manifest.root / functions.PACKAGE)
    index = functions.index_page(manifest, notebooks, modules)
    back["functions"] = ("Functions and classes", index)
    listings = functions.listing_pages(modules)
    return back | {name: (None, text) for name, text in listings.items()}, works


def _run_sphinx(manifest, source, extra, site, doctrees):
    try:
        from sphinx.application import Sphinx
        from sphinx.util.docutils import docutils_namespace, patch_docutils
    except ImportError as error:
        raise BookError("Sphinx is not installed: `pip install -e .[book]`.") from error
    said = io.StringIO()
    options = _options(manifest, extra)
    try:
        with patch_docutils(), docutils_namespace(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            app = Sphinx(source, None, site, doctrees, "html", options, status=None, warning=said)
            app.connect("html-page-context", _add_buttons, priority=900)
            app.connect("doctree-read", _close_folds)
            index = search.Index(app, manifest)
            with formulas.typesetter() as typeset:
                formulas.render_with(app, typeset)
                app.build(force_all=True)
            index.write(site)
    except BookError:
        raise
    except Exception as error:  # whatever an extension raises, the message has to name the page
        why = " ".join(f"{type(error).__name__}: {error}".split())
        raise BookError(f"Sphinx failed: {why}") from error
    if complaints := _complaints(said.getvalue(), source):
        more = f" (and {len(complaints) - 1} more)" if len(complaints) > 1 else ""
        raise BookError(f"the book was not built{more}:\n{complaints[0]}")


def _close_folds(app, doctree):
    """Put what is under the hood behind a button; the heading stays, and links find it."""
    from docutils import nodes

    for section in doctree.findall(nodes.section):
        if section[0].astext().startswith(FOLD):
            opening = '<details class="fold"><summary>Show this part</summary>'
            section.insert(1, nodes.raw("", opening, format="html"))
            section.append(nodes.raw("", "</details>", format="html"))


def _complaints(text, source):
    lines = [line.replace(f"{source}/", "") for line in NOISE.sub("", text).splitlines()]
    return [line for line in lines if "WARNING" in line or "ERROR" in line]


def _options(manifest, extra):
    """Sphinx's settings, all of them: there is no conf.py."""
    book, html = manifest.book, manifest.html
    theme = {
        "logo": {
            "text": book.title,
            "image_light": "_static/mark.svg",
            "image_dark": "_static/mark.svg",
        },
        "home_page_in_toc": True,
        "navbar_persistent": [],
        "use_download_button": False,
        "use_fullscreen_button": False,
        "show_toc_level": 2,
        "pygments_light_style": "github-light-high-contrast",
        "pygments_dark_style": "github-dark",
    }
    if html.git_repository_url:
        theme |= {"repository_url": html.git_repository_url, "use_repository_button": True}
    return {
        "project": book.title,
        "author": ", ".join(book.authors),
        "language": book.language,
        "extensions": ["myst_nb", "sphinx_design", "sphinx_copybutton"],
        "html_theme": "sphinx_book_theme",
        "html_theme_options": theme,
        "html_context": {"default_mode": html.default_theme},
        "html_title": book.title,
        "html_static_path": ["_static"],
        "html_extra_path": [str(extra)],
        "html_css_files": ["course.css"],
        "html_js_files": ["course.js"],
        "html_favicon": "_static/mark.svg",
        "html_copy_source": False,
        "html_use_index": False,
        "html_show_sphinx": False,
        "html_show_copyright": False,
        # As JupyterLab reads Markdown: "$25 and $3" is no formula, ~~this~~ is struck through.
        "myst_enable_extensions": [
            *("amsmath", "colon_fence", "deflist", "dollarmath", "strikethrough", "tasklist"),
        ],
        "myst_dmath_allow_digits": False,
        "myst_dmath_allow_space": False,
        "suppress_warnings": ["myst.strikethrough"],
        "myst_heading_anchors": 3,
        "myst_html_meta": {"description": book.description},
        "nb_execution_mode": "off",
        "nb_merge_streams": True,
        "nb_code_prompt_show": "Show the code",
        "nb_code_prompt_hide": "Hide the code",
        "nb_ipywidgets_js": {},
        # Prompts and the shell's dollar are not part of what one wants to paste.
        "copybutton_prompt_text": r">>> |\.\.\. |\$ ",
        "copybutton_prompt_is_regexp": True,
    }


def _add_buttons(app, pagename, templatename, context, doctree):
    """Print, on each page; download, on each chapter's."""
    notebook = f"notebooks/{pagename}.ipynb"
    download = {"type": "link", "icon": "fas fa-download", "label": "download-notebook-button"}
    download["tooltip"] = "Download the notebook"
    paper = {"type": "javascript", "icon": "fas fa-print", "label": "print-button"}
    paper |= {"javascript": "window.print()", "tooltip": "Print, or save as PDF"}
    buttons = context.get("header_buttons", [])
    if any((Path(folder) / notebook).is_file() for folder in app.config.html_extra_path):
        buttons.append(download | {"url": context["pathto"](notebook, 1)})
    buttons.append(paper)
