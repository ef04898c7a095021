"""`course exercises --export`: a chapter's exercises as a notebook for students to hand in.

It holds the tasks and their stubs, no hints and no solutions, and in its first cell what the
answers need of the chapter: its imports, its saved functions, and those that are not saved. Beside
it stands the instructor's side: otter's tests, the points, and Gradescope's autograder.zip.
"""

import ast
import contextlib
import importlib.metadata
import importlib.util
import random
import re
import tempfile
import tomllib
import zipfile
from pathlib import Path

import nbformat
from nbformat import v4

import course_utils
from course_utils.commands.grade.needed import needed, statements
from course_utils.commands.grade.returned import read_points
from course_utils.commands.notebooks import (
    CHAPTER_LINK,
    METADATA,
    TASK,
    code_cells,
    read_notebook,
    select_chapters,
)
from course_utils.commands.run.folder import prepare_folder
from course_utils.commands.save import module_source
from course_utils.errors import RunError
from course_utils.exercises.checker.judge import judge_answer
from course_utils.exercises.registry import CHAPTERS, exercises_of, find
from course_utils.exercises.solving import exercise_names, solution_source
from course_utils.files import write_whole
from course_utils.settings import REPOSITORY

_TEST = """\
OK_FORMAT = False

from course_utils.commands.grade.assess import assess
from otter.test_files import test_case

name = "{id}"
points = {points}
all_or_nothing = True  # or who has looked up the public cases would have half of the points


@test_case(name="the cases of `check`")
def test_public(env):
    assess("{id}", env, {seed}, hidden=False)


@test_case(name="fresh cases", hidden=True)
def test_fresh(env):
    assess("{id}", env, {seed}, hidden=True)
"""
_COMMON = {"torch", "nn", "F"}  # what students expect to be there
_QUOTED = re.compile(r"`(\w+)`")
_INTRODUCTION = """\
# Exercises: {title}

Replace each `...` by your own code. Keep the names of the functions, and do not print or train
at the top level of a cell. Give this file your name and hand it in.

Run the first cell before all others: it brings what the exercises use."""


def export_exercises(manifest, names, folder, *, checks=False, points=None, force=False):
    """Write DIR/<chapter>_exercises.ipynb, and DIR/instructor/<chapter> with tests, points.csv and
    autograder.zip, for chapters that have exercises; returns the paths of the notebooks.

    names: chapters as users write them; none: all that have exercises. checks: keep the cells that
    call `check`. points: a CSV of exercise,points. force: replace files. Raises RunError, before
    anything is written, if a chosen chapter has no exercises or a file is there.
    """
    chapters = select_chapters(manifest, names)
    without = [chapter.name for chapter in chapters if _key(chapter) not in CHAPTERS]
    if without and names:
        raise RunError(f"{', '.join(without)}: no exercises to export")
    chapters = [chapter for chapter in chapters if chapter.name not in without]
    worth = read_points(points, [e.id for c in chapters for e in exercises_of(_key(c))])
    folder = prepare_folder(Path(folder))
    made = {
        folder / f"{chapter.name}_exercises.ipynb": student_notebook(chapter, checks)
        for chapter in chapters
    }
    present = [path.name for path in made if path.exists()]
    if present and not force:
        raise RunError(f"{folder} has {', '.join(present)} already: --force replaces")
    seed = fresh_seed(worth)
    for chapter, (path, notebook) in zip(chapters, made.items(), strict=True):
        nbformat.write(notebook, path)
        mine = {id: value for id, value in worth.items() if id[:2] == _key(chapter)}
        side = folder / "instructor" / chapter.name
        write_tests(side / "tests", mine, seed)
        rows = [f"{id},{value:g}\n" for id, value in mine.items()]
        write_whole(side / "points.csv", "exercise,points\n" + "".join(rows))
        if importlib.util.find_spec("otter"):
            write_autograder(side / "autograder.zip", mine, seed, alone=True)
    return list(made)


def require_otter(what):
    """Raise RunError, with what to install, where otter-grader is missing."""
    if not importlib.util.find_spec("otter"):
        raise RunError(f'{what} needs otter-grader: pip install "classic-convnets[grade]"')


def fresh_seed(ids):
    """A seed for fresh cases that nobody can know, under which our own solutions are right: a
    statistical test may go either way where its numbers are random."""
    while True:
        seed = random.SystemRandom().randrange(1, 2**31)
        if all(judge_answer(find(id), find(id).solution, seed).passed for id in ids):
            return seed


def write_tests(folder, points, seed):
    """A test file of otter's for each exercise. points: exercise id -> points."""
    folder.mkdir(parents=True, exist_ok=True)
    for id, worth in points.items():
        write_whole(folder / f"{find(id).name}.py", _TEST.format(id=id, points=worth, seed=seed))


def write_autograder(path, points, seed, alone=False):
    """Let `otter generate` write the zip; returns its path. alone: with course_utils in it, and
    what that needs, as for Gradescope."""
    from otter.generate import main as generate

    needs = _dependencies() if alone else []
    with tempfile.TemporaryDirectory() as scratch, contextlib.chdir(scratch):
        write_tests(Path("tests"), points, seed)
        Path("requirements.txt").write_text("\n".join(needs))
        generate(tests_dir="tests", output_path="autograder.zip", no_environment=True)
        if alone:
            package = Path(course_utils.__file__).parent
            with zipfile.ZipFile("autograder.zip", "a", zipfile.ZIP_DEFLATED) as made:
                for file in sorted(package.rglob("*")):
                    if file.is_file() and "__pycache__" not in file.parts:
                        made.write(file, Path("files/course_utils") / file.relative_to(package))
        write_whole(path, Path("autograder.zip").read_bytes())
    return path


def _dependencies():
    """What the package needs, extras aside, be it installed or not."""
    try:
        needs = importlib.metadata.requires("classic-convnets") or []
    except importlib.metadata.PackageNotFoundError:
        project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))
        needs = project["project"]["dependencies"]
    return [need for need in needs if "extra ==" not in need]


def overview(manifest, names):
    """The exercises of chapters as text, a line each."""
    return "\n".join(
        f"{exercise.id:6} {exercise.kind:10} {exercise.minutes:3} min  {exercise.title}"
        for chapter in select_chapters(manifest, names)
        if _key(chapter) in CHAPTERS
        for exercise in exercises_of(_key(chapter))
    )


def student_notebook(chapter, checks=False):
    """The exercises of a chapter as a notebook; see the module's docstring."""
    cells = read_notebook(chapter.file)["cells"]
    tasks, prompt, task = {}, [], []  # tasks: name of an exercise -> its cells
    for cell in cells:
        if cell["cell_type"] == "markdown":
            pasted = {key: cell[key] for key in ("attachments",) if key in cell}
            text = CHAPTER_LINK.sub(r"\1", cell["source"])
            prompt = [] if TASK.match(text) else prompt  # what stands before it is the chapter's
            prompt.append(v4.new_markdown_cell(text, **pasted))
            continue
        if name := next(iter(exercise_names(cell["source"])), None):
            task = tasks[name] = [*prompt, v4.new_code_cell(cell["source"])]
        elif checks and cell["source"].startswith("check("):
            task.append(v4.new_code_cell(cell["source"]))
        prompt = []
    # by their numbers, from easy to hard, wherever the lesson has them
    order = [exercise.name for exercise in exercises_of(_key(chapter))]
    made = sum((tasks[name] for name in sorted(tasks, key=order.index)), [])
    setup = v4.new_code_cell(_setup(chapter, made, checks))
    introduction = v4.new_markdown_cell(_INTRODUCTION.format(title=chapter.title))
    return v4.new_notebook(cells=[introduction, setup, *made], metadata=METADATA)


def _setup(chapter, made, checks):
    """Source of the first cell: the imports and the chapter's functions that answers may need."""
    saved = _saved_names(chapter)
    sources = code_cells(read_notebook(chapter.file))
    found = statements([source for source in sources if not exercise_names(source)])
    functions = {n for s in found if isinstance(s.node, ast.FunctionDef) for n in s.binds}
    quoted = {name for cell in made for name in _QUOTED.findall(cell.source)} & functions
    answers = statements([solution_source(e.id) for e in exercises_of(_key(chapter))])
    used = set().union(*(statement.uses for statement in answers))
    # what is saved comes with everything that it needs itself
    wanted = (used | quoted | _COMMON) - set(saved)
    chosen = needed([s for s in found if not s.binds & set(saved)], wanted)
    lines = list(dict.fromkeys(s.source for s in chosen if s.imports))
    if checks:
        lines.append("from course_utils.exercises import check")
    if saved:
        names = "".join(f"    {name},\n" for name in saved)
        lines.append(f"from course_utils.nets.{chapter.topic} import (\n{names})")
    return "\n\n\n".join(["\n".join(lines), *(s.source for s in chosen if not s.imports)])


def _saved_names(chapter):
    """Public functions and classes of the chapter's generated module."""
    tree = ast.parse(module_source(chapter.file) or "")
    return [
        node.name
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_")
    ]


def _key(chapter):
    return f"{chapter.number:02}"
