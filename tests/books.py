"""The books that tests look at: a small one of two chapters, and that of our own chapters."""

import base64
import json
from dataclasses import replace
from io import BytesIO

import nbformat
import pytest
from nbformat import v4

from course_utils.commands.manifest import load_manifest
from course_utils.results import RECORD_MIME
from course_utils.settings import REPOSITORY

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


def edit(path, change):
    """Apply `change` to the notebook at `path`."""
    loaded = nbformat.read(path, as_version=4)
    change(loaded)
    nbformat.write(loaded, path)


@pytest.fixture(scope="session")
def small_site(tmp_path_factory):
    """Folder of the small book, built once."""
    from course_utils.commands.book import build_book

    root = tmp_path_factory.mktemp("course")
    manifest, run = small_course(root)
    return build_book(manifest, run, root / "book").parent


@pytest.fixture(scope="session")
def real_book(tmp_path_factory):
    """Folder of the book of our own chapters with the outputs saved in them, for a repository on
    GitHub."""
    from course_utils.commands.book import build_book

    manifest = load_manifest(REPOSITORY / "book.toml")
    html = replace(manifest.html, git_repository_url="https://github.com/someone/course")
    out = tmp_path_factory.mktemp("real") / "book"
    return build_book(replace(manifest, html=html), manifest.book.src, out).parent
