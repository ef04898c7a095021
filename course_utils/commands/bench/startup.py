"""How long a learner waits before anything happens: imports, and the first batch of data."""

from course_utils.commands.bench import rival
from course_utils.commands.bench.fresh import first_batch, import_seconds, in_fresh_process
from course_utils.commands.bench.rounds import at_most, interleave, measured

_D2L = "from course_utils.commands.bench.rival import load_d2l; load_d2l()"


def data(sizes, manifest, tell):
    """All of Fashion-MNIST, from raw files to the first batch; the files are in memory's cache."""
    root = str(rival.real_data())
    rival.load_d2l()

    def side(name):
        return lambda number: in_fresh_process(first_batch, name, root)

    sides = {name: side(name) for name in ("course", "d2l")}
    found = interleave(sides, sizes.rounds, tell, warm_up=True)

    def of(key):
        return {name: [entry[key] for entry in entries] for name, entries in found.items()}

    what = "all of Fashion-MNIST, raw files to first batch"
    over = ("d2l", "course")
    return [
        measured(what, "s", of("seconds"), ratio=over, goal=at_most(0.5, of="course")),
        measured(
            f"{what}: memory", "MB", of("megabytes"), ratio=over, goal=at_most(120, of="course")
        ),
        measured("imports before that, torch's among them", "s", of("imports"), ratio=over),
    ]


def imports(sizes, manifest, tell):
    """Imports in fresh processes, each after torch."""
    blocks = {
        "course_utils": "\n".join(course_imports(manifest)),
        "matplotlib.pyplot": "import matplotlib.pyplot",
        "torchvision": "import torchvision",
        "d2l": _D2L,
    }

    def side(block):
        return lambda number: in_fresh_process(import_seconds, "import torch", block)

    sides = {name: side(block) for name, block in blocks.items()}
    found = interleave(sides, sizes.rounds, tell, warm_up=True)
    beyond = {name: [seconds for _, seconds in entries] for name, entries in found.items()}
    torch = [seconds for seconds, _ in found["course_utils"]]
    return [
        measured("import torch", "s", {"torch": torch}),
        measured(
            "import beyond torch; of course_utils, all that the chapters import of it",
            "s",
            beyond,
            ratio=("d2l", "course_utils"),
            goal=at_most(0.15, of="course_utils"),
        ),
    ]


def course_imports(manifest):
    """Every import of course_utils in the chapters' code cells, once each."""
    import nbformat

    from course_utils.commands.grade.needed import statements

    lines = set()
    for chapter in manifest.chapters:
        cells = nbformat.read(chapter.file, as_version=4).cells
        code = [cell.source for cell in cells if cell.cell_type == "code"]
        found, _ = statements([source for source in code if "course_utils" in source])
        for statement in found:
            words = statement.source.split()
            if statement.imports and words[1].split(".")[0] == "course_utils":
                lines.add(statement.source)
    return sorted(lines)
