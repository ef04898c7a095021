"""The book: what it refuses, what its pages say, and how it behaves in a real browser."""

import base64
import json
import shutil
from dataclasses import replace
from io import BytesIO
from itertools import combinations
from types import SimpleNamespace

import nbformat
import pytest
from browser import PHONE, Watch, check_site, chromium_or_skip, search, served
from nbformat import v4

from course_utils.commands.book import build_book
from course_utils.commands.book.coursemap import lanes_of, needed_directly
from course_utils.commands.book.page import facts_of
from course_utils.commands.manifest import load_manifest
from course_utils.errors import BookError
from course_utils.results import RECORD_MIME

pytestmark = pytest.mark.xdist_group("book")  # one worker: one site, one browser

BOOK = """
[book]
title = "A Small Course"
authors = ["A. Author"]
description = "Two chapters for the tests."
src = "chapters"
[profiles]
quick = "quick"
full = "full"
[[chapter]]
file = "01_window.ipynb"
title = "Window"
minutes = 20
summary = "Slide a window over a picture."
[[chapter]]
file = "02_train.ipynb"
title = "Training"
minutes = 45
needs = ["01_window"]
summary = "Train something small."
[chapter.published]
test_acc = [0.7, 0.8]
source = "our own three runs"
"""

MATHS = r"""## A formula, and its matrix

The output of a window of height $k$ has $\lfloor (n - k) / s \rfloor + 1$ rows.

$$
\begin{aligned}
y_{ij} &= \sum_{a} \sum_{b} w_{ab}\, x_{i+a,\,j+b} \\
       &= \operatorname{tr}(W^\top X_{ij})
\end{aligned}
$$

$$
W = \begin{pmatrix} 1 & 0 & -1 \\ 2 & 0 & -2 \\ 1 & 0 & -1 \end{pmatrix}
$$

Read on in [Training](02_train.ipynb), or at once at [its result](02_train.ipynb#the-result).

| layer | weight | output | parameters | multiply-accumulate operations | receptive field |
|---|---|---|--:|--:|--:|
| `torch.nn.Conv2d(1, 6, kernel_size=5)` | (6, 1, 5, 5) | (1, 6, 28, 28) | 156 | 117,600 | 5 |
"""


def figure():
    """A PNG in base64, drawn as chapters draw."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot as plt

    from course_utils.plotting import use_course_style

    use_course_style()
    fig, ax = plt.subplots()
    ax.plot([1.2, 0.7, 0.5, 0.42], label="train loss")
    ax.plot([0.6, 0.7, 0.78, 0.8], label="test accuracy")
    ax.set(xlabel="epoch", title="A curve")
    ax.legend()
    buffer = BytesIO()
    fig.savefig(buffer, format="png")
    plt.close(fig)
    return base64.b64encode(buffer.getvalue()).decode()


def code(source, *outputs, **metadata):
    cell = v4.new_code_cell(source, execution_count=1, outputs=list(outputs))
    cell.metadata.update(metadata)
    return cell


def shown(**data):
    return v4.new_output("display_data", {key.replace("_", "/", 1): v for key, v in data.items()})


def stream(text):
    return v4.new_output("stream", name="stdout", text=text)


def notebook(*cells, **papermill):
    metadata = {"language_info": {"name": "python", "pygments_lexer": "ipython3"}}
    return v4.new_notebook(cells=list(cells), metadata=metadata | {"papermill": papermill})


def first_chapter():
    return notebook(
        v4.new_markdown_cell("# A sliding window\n\nYou will be able to slide a window."),
        code("import torch\n\n\ndef corr2d(X, K):\n    return X  # unfinished, cross-correlation"),
        v4.new_markdown_cell(MATHS),
        code("plt.plot(loss)", shown(image_png=figure(), text_plain="<Figure>")),
        code("plt.plot(loss)", shown(image_png=figure()), alt="Loss falls, accuracy rises"),
        code("print(X)", stream("tensor([[1., 2.]])\n"), stream("a second line\n")),
        code("secret = 1", stream("shown below hidden source"), tags=["hide-input"]),
        code("not_in_the_book = 1", stream("gone"), tags=["remove-cell"]),
        duration=3.2,
    )


def second_chapter(source="Fashion-MNIST stand-in"):
    record = {"test_acc": 0.7531, "source": source, "device": "cpu"}
    recorded = v4.new_output(
        "display_data", {RECORD_MIME: record, "text/plain": "recorded: test_acc 0.753"}
    )
    table = "<table class='dataframe'><tr>" + "<td>0.123456789</td>" * 30 + "</tr></table>"
    return notebook(
        v4.new_markdown_cell(
            "# Training\n\nYou will train, later in [Depth](03_depth.ipynb#why) too.\n"
            "Back to [the window](01_window.ipynb)."
        ),
        code("num_epochs = 1", tags=["parameters"]),
        code("# Parameters\nnum_epochs = 3\n", tags=["injected-parameters"]),
        v4.new_markdown_cell("## The result"),
        code("hist.to_frame()", shown(text_html=table, text_plain="a table")),
        code("record(test_acc=acc)", recorded),
        duration=72.4,
        parameters={"num_epochs": 3},
    )


def small_course(root):
    """A course of two chapters, written to `root`: (manifest, folder of executed notebooks)."""
    for folder in ("chapters", "run"):
        (root / folder).mkdir()
    for name, cells in (("01_window", first_chapter()), ("02_train", second_chapter())):
        nbformat.write(cells, root / "run" / f"{name}.ipynb")
        (root / "chapters" / f"{name}.ipynb").write_text(
            json.dumps({"original": name}), encoding="utf-8"
        )
    (root / "book.toml").write_text(BOOK, encoding="utf-8")
    entry = {"status": "passed", "seconds": 72.4, "verdict": "reached"}
    report = {
        "profile": "full",
        "fast_dev_run": False,
        "versions": {"torch": "9.9.1", "d2l": None},
        "chapters": [entry | {"name": "01_window", "verdict": "–"}, entry | {"name": "02_train"}],
    }
    (root / "run/report.json").write_text(json.dumps(report), encoding="utf-8")
    return load_manifest(root / "book.toml"), root / "run"


@pytest.fixture
def course(tmp_path):
    return small_course(tmp_path)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The small book, built once; returns its folder."""
    root = tmp_path_factory.mktemp("course")
    manifest, run = small_course(root)
    return build_book(manifest, run, root / "book").parent


@pytest.fixture(scope="module")
def browser():
    with chromium_or_skip() as instance:
        yield instance


def edit(path, change):
    """Apply `change` to the notebook at `path`."""
    loaded = nbformat.read(path, as_version=4)
    change(loaded)
    nbformat.write(loaded, path)


# --- what the pages say ---------------------------------------------------------------------------


def test_pages_tell_the_run(site):
    text = (site / "02_train.html").read_text(encoding="utf-8")
    for part in ("Fashion-MNIST stand-in", "<strong>cpu</strong>", "0.753", "0.700–0.800"):
        assert part in text
    assert 'class="run-note provisional"' in text  # drawn garments are never passed off as real
    assert "Set differently for this run: <code>num_epochs = 3</code>" in text
    assert "later in Depth too" in text  # a chapter that is still to come is no link
    assert "vnd.course-record" not in text
    assert "run-note" not in (site / "01_window.html").read_text(encoding="utf-8")


def test_status_page_lists_runs_and_versions(site):
    text = (site / "status.html").read_text(encoding="utf-8")
    for part in ("1 min 12 s", "0.753", "reached", "our own three runs", "9.9.1", "not installed"):
        assert part in text


def test_tags_and_alt_texts(site):
    text = (site / "01_window.html").read_text(encoding="utf-8")
    assert "not_in_the_book" not in text
    assert "tag_hide-input" in text
    assert 'alt="Figure of the cell under “A formula, and its matrix”"' in text
    assert 'alt="Loss falls, accuracy rises"' in text


def test_the_notebook_to_download_is_the_chapter_itself(site):
    link = "notebooks/02_train.ipynb"
    assert link in (site / "02_train.html").read_text(encoding="utf-8")
    assert json.loads((site / link).read_text(encoding="utf-8")) == {"original": "02_train"}


def test_repository_link_only_when_the_manifest_names_one(course, site, tmp_path):
    assert "github" not in (site / "index.html").read_text(encoding="utf-8").lower()
    manifest, run = course
    url = "https://github.com/someone/some-course"
    manifest = replace(manifest, html=replace(manifest.html, git_repository_url=url))
    index = build_book(manifest, run, tmp_path / "book")
    assert f'href="{url}"' in index.read_text(encoding="utf-8")


def test_a_chapter_without_records_says_nothing_about_data():
    facts = facts_of(first_chapter(), None, "01_window")
    assert not facts.trained
    assert facts.seconds == 3.2


def test_fast_runs_are_called_fast(course, tmp_path):
    manifest, run = course
    report = json.loads((run / "report.json").read_text(encoding="utf-8"))
    (run / "report.json").write_text(json.dumps(report | {"fast_dev_run": True}), encoding="utf-8")
    index = build_book(manifest, run, tmp_path / "book")
    assert "fast run" in (index.parent / "02_train.html").read_text(encoding="utf-8")


def chapters(*needs):
    """Chapters a, b, c, … that need what the strings name."""
    return [SimpleNamespace(name="abcdef"[i], needs=list(names)) for i, names in enumerate(needs)]


def test_course_map_draws_what_is_needed_and_no_more():
    assert needed_directly(chapters("", "a", "ab")) == [(0, 1), (1, 2)]  # a -> c follows
    assert needed_directly(chapters("", "a", "a", "bc")) == [(0, 1), (0, 2), (1, 3), (2, 3)]


def test_course_map_rails_do_not_cover_each_other():
    edges = [(0, 1), (0, 2), (1, 4), (2, 5)]
    lanes = lanes_of(edges)
    assert lanes[0, 1] == 0
    for (i, j), (a, b) in combinations([e for e in edges if lanes[e]], 2):
        assert lanes[i, j] != lanes[a, b] or j <= a or b <= i


# --- what it refuses ------------------------------------------------------------------------------


def refused(manifest, run, out):
    """The message of the BookError; it must be short."""
    with pytest.raises(BookError) as caught:
        build_book(manifest, run, out)
    message = str(caught.value)
    assert len(message.splitlines()) <= 5
    return message


def test_without_a_run_it_says_what_to_run(course, tmp_path):
    manifest, run = course
    assert "run `course run` first" in refused(manifest, tmp_path / "nowhere", tmp_path / "book")
    (run / "02_train.ipynb").unlink()
    assert "run `course run 02_train` first" in refused(manifest, run, tmp_path / "book")
    assert not (tmp_path / "book").exists()


def fail_last_cell(loaded):
    error = v4.new_output("error", ename="ValueError", evalue="lr is negative", traceback=[])
    loaded.cells[-1].outputs = [error]


def test_a_failed_chapter_names_cell_and_error(course, tmp_path):
    manifest, run = course
    edit(run / "02_train.ipynb", fail_last_cell)
    message = refused(manifest, run, tmp_path / "book")
    assert "02_train" in message and "code cell 4" in message and "lr is negative" in message


def test_an_error_shown_on_purpose_is_no_failure(course, tmp_path):
    manifest, run = course
    edit(run / "02_train.ipynb", fail_last_cell)
    edit(run / "02_train.ipynb", lambda n: n.cells[-1].metadata.update(tags=["raises-exception"]))
    assert build_book(manifest, run, tmp_path / "book").is_file()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda n: n.cells[-1].metadata.update(papermill={"status": "pending"}), "was stopped"),
        (lambda n: [c.update(outputs=[]) for c in n.cells if "outputs" in c], "no outputs"),
        (lambda n: n.cells.pop(0), "no title"),
        (lambda n: n.cells[0].update(source="# T\n\n[gone](01_gone.ipynb)"), "01_gone"),
        (lambda n: n.cells[0].update(source="# T\n\n[gone](#nowhere)"), "nowhere"),
    ],
    ids=["stopped", "never run", "no title", "dead link", "dead anchor"],
)
def test_chapters_that_make_no_page(course, tmp_path, change, said):
    manifest, run = course
    edit(run / "02_train.ipynb", change)
    message = refused(manifest, run, tmp_path / "book")
    assert said in message and "02_train" in message


def test_a_failed_build_keeps_the_old_book(course, tmp_path):
    manifest, run = course
    book = tmp_path / "book"
    before = build_book(manifest, run, book).read_bytes()
    edit(run / "02_train.ipynb", lambda n: n.cells[0].update(source="# T\n\n[x](gone.ipynb)"))
    refused(manifest, run, book)
    assert (book / "index.html").read_bytes() == before
    assert not list(tmp_path.glob(".book-*"))


def test_never_overwrites_what_is_no_book(course, tmp_path):
    manifest, run = course
    kept = tmp_path / "home/letter.txt"
    kept.parent.mkdir()
    kept.write_text("dear reader")
    assert "is no book" in refused(manifest, run, kept.parent)
    assert kept.read_text() == "dear reader"


def test_a_report_of_a_failed_run_is_believed(course, tmp_path):
    manifest, run = course
    text = (run / "report.json").read_text(encoding="utf-8")
    (run / "report.json").write_text(text.replace("passed", "interrupted"), encoding="utf-8")
    assert "interrupted" in refused(manifest, run, tmp_path / "book")
    (run / "report.json").write_text("{", encoding="utf-8")
    assert "report.json" in refused(manifest, run, tmp_path / "book")


# --- in a browser ---------------------------------------------------------------------------------


@pytest.mark.browser
def test_site_is_sound(site, browser):
    assert check_site(site / "index.html", browser) == []


@pytest.mark.browser
def test_check_site_sees_what_is_wrong(site, browser, tmp_path):
    """The checks above can fail: one page with every fault."""
    broken = tmp_path / "broken"
    shutil.copytree(site, broken)
    page = broken / "01_window.html"
    faults = (
        '<img src="https://example.org/x.png" alt="x"><img src="_static/mark.svg">'
        '<a href="gone.html">x</a><a href="#gone">y</a><div class="math">\\(\\frac{1}\\)</div>'
        '<div style="width:900px">wide</div><script>console.error("oops")</script>'
    )
    text = page.read_text(encoding="utf-8")
    page.write_text(text.replace("</article>", faults + "</article>"), encoding="utf-8")
    problems = "\n".join(check_site(broken / "index.html", browser))
    for sign in (
        "outside request",
        "without alt text",
        "gone.html",
        "#gone",
        "formula: ",
        "sideways",
        "oops",
    ):
        assert sign in problems, sign


@pytest.mark.browser
@pytest.mark.parametrize("transport", ["disk", "http"])
def test_search_finds_words(site, browser, transport):
    with served(site) as http, Watch(browser) as watch:
        base = site.resolve().as_uri() if transport == "disk" else http
        page, found = search(watch, base, "window")
        assert any("01_window.html" in link for link in found)
        page.wait_for_timeout(300)  # excerpts are fetched after the list
        assert watch.problems == []


@pytest.mark.browser
def test_theme_switches_and_figures_stay_transparent(site, browser):
    look = "() => getComputedStyle(document.body).backgroundColor"
    with Watch(browser, color_scheme="light") as watch:
        page = watch.open((site / "01_window.html").resolve().as_uri())
        light = page.evaluate(look)
        page.locator(".theme-switch-button:visible").first.click()
        page.locator(".theme-change-button[data-mode=dark]:visible").click()
        assert page.evaluate("document.documentElement.dataset.theme") == "dark"
        assert page.evaluate(look) != light
        style = page.eval_on_selector(
            ".cell_output img",
            "i => [getComputedStyle(i).backgroundColor, getComputedStyle(i).filter]",
        )
        assert style == ["rgba(0, 0, 0, 0)", "none"]
        page.reload()  # the choice is kept
        assert page.evaluate(look) != light
        assert watch.problems == []


@pytest.mark.browser
def test_course_map_leads_to_chapters_on_a_phone(site, browser):
    with Watch(browser, viewport=PHONE) as watch:
        page = watch.open((site / "index.html").resolve().as_uri())
        page.click(".course-map a:has-text('Training')")
        page.wait_for_url("**/02_train.html")
        assert watch.problems == []


@pytest.mark.browser
def test_the_real_chapters_make_a_sound_book(real_book, browser):
    assert check_site(real_book / "index.html", browser) == []
