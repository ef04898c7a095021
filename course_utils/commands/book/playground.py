"""The playground: a page where a network that a chapter trained answers what a reader draws.

The page exists exactly when a chapter's outputs hold LeNet-5's weights (`share_weights`).
"""

import json
import math
from html import escape
from importlib.resources import files
from string import Template

from course_utils.commands.book.page import raw_html
from course_utils.errors import BookError, WeightsError
from course_utils.nets.fit import misfit
from course_utils.nets.quantised import WEIGHTS_MIME, dequantise, packed_bytes

NAME = "playground"
SCRIPTS = ("lenet.js", "digit.js", "field.js", "maps.js", "playground.js")
LINK = "Draw a digit, and let this network answer"
# what lenet.js computes with
SHAPES = {
    "conv1.weight": (6, 1, 5, 5),
    "conv1.bias": (6,),
    "conv2.weight": (16, 6, 5, 5),
    "conv2.bias": (16,),
    "conv3.weight": (120, 16, 5, 5),
    "conv3.bias": (120,),
    "fc1.weight": (84, 120),
    "fc1.bias": (84,),
    "fc2.weight": (10, 84),
    "fc2.bias": (10,),
}
NUMBERS = ("mean", "std", "test_acc", "test_acc_quantised", "train_examples", "test_examples")


def add_playground(chapters, notebooks, source, assets):
    """Write the page and its files into `source`; whether there is one.

    chapters: of the manifest. notebooks: chapter name -> executed notebook; where one shares its
    weights, that output becomes a link to the page. source: folder that Sphinx will read. assets:
    folder of the page's parts.
    Raises BookError if the weights are damaged or not LeNet-5's.
    """
    taken = [(chapter, _take(notebooks[chapter.name])) for chapter in chapters]
    found = [(chapter, given) for chapter, given in taken if given is not None]
    if not found:
        return False
    chapter, given = found[-1]
    _check(given, chapter)
    text = Template((assets / f"{NAME}.md").read_text(encoding="utf-8"))
    loaded = ("lenet-weights.js", "explorers.js", *SCRIPTS)
    page = text.substitute(
        note=_note(given),
        facts=_facts(given),
        chapter=chapter.name,
        title=chapter.title,
        scripts="\n".join(f'<script defer src="_static/{name}"></script>' for name in loaded),
        lines=len((assets / "lenet.js").read_text(encoding="utf-8").splitlines()),
    )
    (source / f"{NAME}.md").write_text(page, encoding="utf-8")
    static = source / "_static"
    static.mkdir(exist_ok=True)
    for name in (*SCRIPTS, "playground.css"):
        (static / name).write_bytes((assets / name).read_bytes())
    shared = files("course_utils.explorers") / "shared.js"
    (static / "explorers.js").write_bytes(shared.read_bytes())
    script = f"const LENET_WEIGHTS = {json.dumps(given, separators=(',', ':'))};\n"
    (static / "lenet-weights.js").write_text(script, encoding="utf-8")
    return True


def _take(notebook):
    """What the notebook shares, taken out of its outputs; None if nothing."""
    taken = None
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            if WEIGHTS_MIME in data:
                taken = data.pop(WEIGHTS_MIME)
                data["text/html"] = f'<a href="{NAME}.html">{LINK}</a>'
    return taken


def _check(given, chapter):
    try:
        problem = misfit(SHAPES, dequantise(given["weights"]))
        for name in NUMBERS:
            if not isinstance(given[name], int | float):
                problem = f"{name} is no number"
        problem = problem or ("std is not positive" if given["std"] <= 0 else None)
    except KeyError as error:
        problem = f"{error} is missing"
    except (WeightsError, TypeError) as error:
        problem = str(error)
    if problem:
        raise BookError(
            f"{chapter.name}: the weights in its outputs are not those of LeNet-5: {problem}\n"
            f"Run `course run {chapter.name}` again."
        )


def _note(given):
    """HTML that warns of a network that has hardly been trained; else nothing."""
    if not given["fast"]:
        return ""
    return (
        '<p class="run-note provisional">This book comes from a fast run: the network saw a few '
        "batches only, and guesses. <code>course run</code> trains it.</p>"
    )


def _facts(given):
    count, digits = given["test_examples"], given["train_examples"]
    source = escape(str(given.get("source", "unknown data")))
    parts = [
        f"trained on {digits:,} digits ({source})",
        f"{given['test_acc']:.3f} of {count:,} test digits right as trained",
        f"{given['test_acc_quantised']:.3f} as it lies in this page, its weights rounded to a byte "
        f"each: {packed_bytes(given['weights']) / 1000:.0f} kB instead of "
        f"{4 * sum(map(math.prod, SHAPES.values())) / 1000:.0f} kB",
        f"run on {escape(str(given['date']))}",
    ]
    return raw_html(f"<ul>{''.join(f'<li>{part}</li>' for part in parts)}</ul>")
