"""What the book has beside its chapters: numbers, captions, glossary, references, index, print."""

import ast
import importlib
import inspect
import re
from dataclasses import replace

import nbformat
import pytest
from books import code, notebook, shown, small_course
from browser import Watch, broken_links, full_in_browser, served
from nbformat import v4

from course_utils.commands.book import build_book, claims, functions, glossary, prose, references
from course_utils.commands.book.front import hosted
from course_utils.commands.book.page import Captions
from course_utils.commands.manifest import load_manifest
from course_utils.commands.notebooks import shown_as
from course_utils.errors import BookError
from course_utils.evidence.claim import CLAIM_MIME
from course_utils.settings import REPOSITORY

pytestmark = pytest.mark.xdist_group("book")

MANIFEST = load_manifest(REPOSITORY / "book.toml")
CHAPTERS = MANIFEST.chapters
NOTEBOOKS = {c.name: nbformat.read(c.file, as_version=4) for c in CHAPTERS}
each_chapter = pytest.mark.parametrize("chapter", CHAPTERS, ids=[c.name for c in CHAPTERS])


def markdown(*sources):
    return notebook(*map(v4.new_markdown_cell, sources))


# --- our own chapters -----------------------------------------------------------------------------


@each_chapter
def test_a_chapter_says_what_one_will_be_able_to_do(chapter):
    cells = NOTEBOOKS[chapter.name].cells
    at = [i for i, c in enumerate(cells) if c.source.startswith("## What you will be able to do\n")]
    assert len(at) == 1 and at[0] <= 2, "once, near the top"
    assert 3 <= cells[at[0]].source.count("\n- ") <= 5


@each_chapter
def test_every_figure_has_alt_text_and_a_caption(chapter):
    cells = NOTEBOOKS[chapter.name].cells
    captions = Captions(chapter)
    for cell, below in zip(cells, [*cells[1:], v4.new_markdown_cell()], strict=True):
        if cell.cell_type != "code":
            continue
        drawn = [o for o in cell.outputs if any("image/" in kind for kind in o.get("data", {}))]
        if not drawn and "samples" not in cell.metadata.get("tags", []):
            continue
        assert cell.metadata.get("alt"), cell.source
        cell = v4.new_code_cell(outputs=[shown(image_png="")], metadata=cell.metadata)
        captions.after(cell)
        source = below.source if below.cell_type == "markdown" else ""
        assert cell.metadata.get("caption") or captions.within(source) != source, cell.metadata.alt


def test_equations_are_numbered_in_order_and_no_number_is_missing():
    known, mentioned = [], []
    for chapter in CHAPTERS:
        tags = prose.equation_numbers(NOTEBOOKS[chapter.name])
        assert tags == [f"{chapter.number}.{i}" for i in range(1, len(tags) + 1)]
        assert sum(c.source.count(r"\tag{") for c in NOTEBOOKS[chapter.name].cells) == len(tags)
        known += tags
        found = prose.MENTION.findall(prose.prose_of(NOTEBOOKS[chapter.name]))
        mentioned += [here or there for here, there in found]
    assert mentioned and set(mentioned) <= set(known)


def test_every_term_is_in_its_chapter():
    chapters = {chapter.number: chapter for chapter in CHAPTERS}
    terms = glossary.read_glossary(MANIFEST.book.src / glossary.FILE)
    assert len(terms) > 50
    for term in terms:
        cells = NOTEBOOKS[chapters[term.chapter].name].cells
        prose = " ".join(c.source for c in cells if c.cell_type == "markdown")
        assert term.name.lower() in " ".join(prose.split()).lower(), term
        assert all(re.search(r"[\u4e00-\u9fff]", name) for name in term.chinese_names), term


def test_references_are_exactly_what_chapters_name():
    works = references.read_references(MANIFEST.book.src / references.FILE)
    on_page = {(references.first_author(work.authors), work.year) for work in works}
    named = {chapter.name: references.named_in(NOTEBOOKS[chapter.name]) for chapter in CHAPTERS}
    assert set().union(*named.values()) == on_page
    assert len({work.anchor for work in works}) == len(works)


def test_every_claim_is_on_the_page_of_claims_with_its_control():
    page = claims.claims_page(MANIFEST, NOTEBOOKS)
    found = [c for chapter in CHAPTERS for c in shown_as(NOTEBOOKS[chapter.name], CLAIM_MIME)]
    assert len({claim["sentence"] for claim in found}) == len(found) >= 60
    for claim in found:
        assert f"| {claim['sentence']} | {claim['measured']} | {claim['control']} |" in page
        assert claim["measured"] and claim["control"]


@each_chapter
def test_further_reading_leads_to_the_references(chapter):
    works = references.read_references(MANIFEST.book.src / references.FILE)
    cells = [c.source for c in NOTEBOOKS[chapter.name].cells if c.cell_type == "markdown"]
    (source,) = [source for source in cells if "## Further reading" in source]
    reading = source.partition("## Further reading")[2]
    items = len(re.findall(r"^- ", reading, re.MULTILINE))
    assert items >= 3
    assert references.link_references(reading, works).count('href="references.html#') == items


def test_the_index_has_every_public_name():
    """Against the imported modules, which know nothing of how the index is made."""
    modules = functions.modules_of(REPOSITORY / functions.PACKAGE)
    assert {"course_utils.training.trainer", "course_utils.data.fashion"} <= {
        m.name for m in modules
    }
    page = functions.index_page(MANIFEST, NOTEBOOKS, modules)
    looked_at = ["training.loop", "training.runner", "measure.summary", "plotting"]
    for name in [*looked_at, "nets.convolution", "nets.resnet"]:
        module = importlib.import_module(f"course_utils.{name}")
        package = importlib.import_module(module.__package__)
        for member, value in inspect.getmembers(module, callable):
            own = getattr(value, "__module__", None) == module.__name__
            exported = member in getattr(package, "__all__", [member]) or "nets." in name
            if own and exported and not member.startswith("_"):
                assert f"[`{member}`](" in page, f"{name}.{member}"


# --- one part at a time ---------------------------------------------------------------------------


def test_captions_are_counted_and_italics_below_a_figure_are_one():
    captions = Captions(CHAPTERS[2])
    drawn = code("plot()", shown(image_png=""), caption="A *curve*.")
    assert "**Figure 3.1.** A *curve*." in captions.after(drawn)[0].source
    assert captions.within("*Not a caption.*") == "*Not a caption.*"
    assert captions.after(code("plot()", shown(image_png=""))) == []
    below = captions.within("*Two things.* And more\nof it.\n\nProse again.")
    assert "**Figure 3.2.** *Two things.*\n::::\n\nAnd more\nof it.\n\nProse again." in below
    captions.after(code("plot()", shown(image_png="")))
    assert "*One **bold** thing.*\n::::" in captions.within("*One **bold** thing.*\n")
    captions.after(code("plot()", shown(image_png="")))
    assert captions.within("**Bold** is no caption.") == "**Bold** is no caption."
    captions.after(code("plot()", shown(image_png="")))
    assert captions.after(code("1 + 1")) == []
    assert captions.within("*Code came between.*") == "*Code came between.*"


def test_equations_and_their_mentions():
    source = (
        "As in ([1.2](01_x.ipynb)), not `(1.2)` or $(1.2)$, nor (7.6):\n\n"
        "$$\na\n$$\n\nand\n\n$$\nb \\\\ c\n\\tag{2.1}\n$$"
    )
    made = prose.number_equations(source, {"1.2": "01_x.html", "2.1": "02_y.html"})
    assert made.count("<a ") == 1
    assert '<a href="01_x.html#equation-eq-1-2">(1.2)</a>' in made
    assert "`(1.2)` or $(1.2)$, nor (7.6)" in made
    assert "$$\na\n$$" in made
    assert ":label: eq-2-1\n\\begin{equation}\nb \\\\ c\n\\tag{2.1}\n\\end{equation}" in made


@pytest.mark.parametrize(
    ("written", "named"),
    [
        ("(Lin, Chen and\nYan, 2014)", ("Lin", 2014)),
        ("He and others, 2015", ("He", 2015)),
        ("(Szegedy et al.,\n2016, section 4)", ("Szegedy", 2016)),
        ("Zhang (2019): *T*", ("Zhang", 2019)),
    ],
)
def test_works_are_known_by_name_and_year(written, named):
    assert references.named_in(markdown(f"See {written}.")) == {named}
    assert references.named_in(markdown(f"In 2012, `{written}`")) == set()


def test_sections_and_anchors():
    pages = markdown(
        "# T\n\nintro\n\n## One `x` & two\n\na", "b\n\n### Deep", "## One `x` & two\n\nc"
    )
    places = prose.sections(pages, "markdown")
    assert [anchor for anchor, _ in places] == ["", "one-x--two", "one-x--two", "deep", "deep"]
    assert prose.headings("# A *b*\n```\n# no\n```\n## C") == [(1, "A b"), (2, "C")]
    assert prose.slug("Xavier, and Kaiming: 1×1") == "xavier-and-kaiming-11"


def test_names_of_a_source_and_their_first_lines():
    source = (
        "import x\n\n\n@x.y\ndef f(a, *b, c=1, **d):\n    'One.\\n\\nMore.'\n\n\nclass _P: ...\n"
    )
    (name,) = functions.public_names(source)
    assert name == functions.Name("f", "(a, *b, c, **d)", "One.", 4)


def test_listings_lose_no_line():
    modules = functions.modules_of(REPOSITORY / functions.PACKAGE)
    text = "\n".join(functions.listing_pages(modules).values())
    blocks = re.findall(r"`{5}python\n(.*?)\n`{5}", text, re.DOTALL)
    listed = [line for block in blocks for line in block.splitlines() if line]
    assert sorted(listed) == sorted(row for m in modules for row in m.source.splitlines() if row)
    for block in blocks:
        ast.parse(block)


def test_colab_and_binder_only_with_a_repository_on_github():
    def addresses(url, branch="main"):
        html = replace(MANIFEST.html, git_repository_url=url, git_branch=branch)
        return hosted(CHAPTERS[2], replace(MANIFEST, html=html))

    assert addresses(None) == {}
    assert addresses("https://gitlab.com/someone/course") == {}
    assert addresses("https://github.com/someone/course.git", "next/one") == {
        "Colab": "https://colab.research.google.com/github/someone/course/blob/next%2Fone/chapters/"
        "03_lenet.ipynb",
        "Binder": "https://mybinder.org/v2/gh/someone/course/next%2Fone"
        "?labpath=chapters%2F03_lenet.ipynb",
    }


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        ("glossary.md", "window 窗口 01\n: No dots.\n", "no entry, but: window"),
        ("glossary.md", "nowhere · 无 · 01\n: Not said.\n", "“nowhere” is not in"),
        ("glossary.md", "window · 窗 · 07\n: A.\n", "is not in chapter 7"),
        ("references.md", "- Zhang: *No year*.\n", "an item is not of the form"),
    ],
)
def test_slips_in_the_lists_are_named(tmp_path, file, text, said):
    manifest, run = small_course(tmp_path)
    (manifest.book.src / file).write_text(f"# T\n\nHow\n\n## Terms\n\n{text}", encoding="utf-8")
    with pytest.raises(BookError, match=re.escape(said)):
        build_book(manifest, run, tmp_path / "book")


# --- built, and in a browser ----------------------------------------------------------------------


@pytest.mark.full
def test_no_link_is_broken_and_a_repository_gives_its_links(real_book):
    assert broken_links(real_book) == []
    text = (real_book / "03_lenet.html").read_text(encoding="utf-8")
    assert "Open in Colab" in text and "Open in Binder" in text


@pytest.mark.full
def test_the_printed_book_has_all_chapters_once_and_no_anchor_twice(real_book):
    text = (real_book / "print.html").read_text(encoding="utf-8")
    for chapter in CHAPTERS:
        assert text.count(f'<section class="printed" id="{chapter.name}">') == 1
    article = text[text.index("<article") : text.index("</article>")]
    ids = re.findall(r'\sid="([^"]+)"', article)
    assert len(ids) == len(set(ids))
    assert not re.search(r'href="\d\d_\w+\.html', article), "its links stay on the page"


@full_in_browser
def test_code_is_copied_as_it_is_written(real_book, browser):
    source = next(c.source for c in NOTEBOOKS["01_convolution"].cells if "def corr2d(" in c.source)
    with served(real_book) as http, Watch(browser) as watch:
        watch.context.grant_permissions(["clipboard-read", "clipboard-write"])
        page = watch.open(f"{http}/01_convolution.html")
        cell = page.locator("div.cell_input", has_text="def corr2d(").first
        cell.hover()
        cell.locator("button.copybtn").click()
        assert page.evaluate("navigator.clipboard.readText()").strip() == source.strip()


PAPER = """() => {
  const shown = (selector) => [...document.querySelectorAll(selector)].filter(
    (element) => element.getClientRects().length);
  const width = document.querySelector("article").getBoundingClientRect().right;
  return {
    navigation: shown(".bd-sidebar, .bd-header-article, .prev-next-area, footer, .copybtn").length,
    cut: shown(".highlight pre, .cell_output img, .bd-article table").filter(
      (e) => e.getBoundingClientRect().right > width + 1
        || (e.matches("pre") && e.scrollWidth > e.clientWidth + 1)).map(
      (e) => e.outerHTML.slice(0, 120)),
    colours: ["body", ".highlight .kn", ".cell_input", ".figure-caption"].map((selector) => {
      const {color, backgroundColor} = getComputedStyle(document.querySelector(selector));
      return [color, backgroundColor];
    }),
    chapters: shown(".printed").filter((e) => getComputedStyle(e).breakBefore === "page").length,
  };
}"""


@full_in_browser
def test_on_paper_nothing_is_cut_and_nothing_is_dark(real_book, browser):
    paper = {"width": 672, "height": 980}  # A4 less its margins, in CSS pixels
    found = {}
    for scheme in ("light", "dark"):
        with Watch(browser, viewport=paper, color_scheme=scheme) as watch:
            page = watch.open((real_book / "print.html").resolve().as_uri())
            on_screen = page.evaluate("document.documentElement.dataset.theme")
            page.evaluate("dispatchEvent(new Event('beforeprint'))")
            page.emulate_media(media="print")
            found[scheme] = page.evaluate(PAPER)
            page.evaluate("dispatchEvent(new Event('afterprint'))")
            assert page.evaluate("document.documentElement.dataset.theme") == on_screen == scheme
            assert watch.problems == []
    assert found["light"]["navigation"] == 0
    assert found["light"]["cut"] == []
    assert found["light"]["chapters"] >= len(CHAPTERS)
    assert found["light"]["colours"][0][1] == "rgb(255, 255, 255)"
    assert found["dark"] == found["light"]
