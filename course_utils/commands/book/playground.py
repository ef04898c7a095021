"""The playground: a page where a network that a chapter trained answers what a reader draws.

The page exists exactly when a chapter's outputs hold LeNet-5's weights (`share_weights`).
"""

import json
import math
from importlib.resources import files

from course_utils.commands.book.templates import ASSETS, render
from course_utils.errors import BookError, WeightsError
from course_utils.nets.quantised import WEIGHTS_MIME, dequantise, packed_bytes
from course_utils.training.checkpoint import misfit

NAME = "playground"
OWN = (
    *("lenet.js", "backward.js", "digit.js", "field.js"),
    *("unit.js", "maps.js", "nudge.js", "playground.js"),
)
SCRIPTS = ("lenet-weights.js", "explorers.js", *OWN)  # in the order in which a page loads them
LINK = "Draw a digit, and let this network answer"
NUMBERS = ("mean", "std", "test_acc", "test_acc_quantised", "train_examples", "test_examples")


def add_playground(chapters, notebooks, source):
    """Write the page and its files into `source`; the scripts that it loads, () without a page.

    chapters: of the manifest. notebooks: chapter name -> executed notebook; where one shares its
    weights, that output becomes a link to the page. source: folder that Sphinx will read.
    Raises BookError if the weights are damaged or not LeNet-5's.
    """
    taken = [(chapter, _take(notebooks[chapter.name])) for chapter in chapters]
    found = [(chapter, given) for chapter, given in taken if given is not None]
    if not found:
        return ()
    chapter, given = found[-1]
    _check(given, chapter)
    numbers = sum(math.prod(entry["shape"]) for entry in given["weights"].values())
    page = render(
        f"{NAME}.md",
        given=given,
        chapter=chapter,
        scripts=SCRIPTS,
        lines=len((ASSETS / "lenet.js").read_text(encoding="utf-8").splitlines()),
        packed=packed_bytes(given["weights"]),
        unpacked=4 * numbers,
    )
    (source / f"{NAME}.md").write_text(page, encoding="utf-8")
    static = source / "_static"
    static.mkdir(exist_ok=True)
    for name in (*OWN, "playground.css"):
        (static / name).write_bytes((ASSETS / name).read_bytes())
    shared = files("course_utils.explorers") / "shared.js"
    (static / "explorers.js").write_bytes(shared.read_bytes())
    script = f"const LENET_WEIGHTS = {json.dumps(given, separators=(',', ':'))};\n"
    (static / "lenet-weights.js").write_text(script, encoding="utf-8")
    return SCRIPTS


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
    from course_utils.nets.lenet5_lab import LeNet5

    shapes = {name: tuple(value.shape) for name, value in LeNet5().state_dict().items()}
    try:
        problem = misfit(shapes, dequantise(given["weights"]))
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
