"""`course exercises --export`: a chapter's exercises as a notebook for students to hand in.

It holds the tasks and their stubs, no hints and no solutions, and in its first cell what the
answers need of the chapter: its imports, its saved functions, and those that are not saved.
"""

import ast
import re
from pathlib import Path

import nbformat
from nbformat import v4

from course_utils.commands.grade.needed import needed, statements
from course_utils.commands.notebooks import (
    CHAPTER_LINK,
    METADATA,
    code_cells,
    read_notebook,
    select_chapters,
)
from course_utils.commands.run.folder import prepare_folder
from course_utils.commands.save import module_source
from course_utils.errors import RunError
from course_utils.exercises.registry import CHAPTERS, exercises_of
from course_utils.exercises.solving import exercise_names, solution_source

_COMMON = {"torch", "nn", "F"}  # what students expect to be there
_QUOTED = re.compile(r"`(\w+)`")
_INTRODUCTION = """\
# Exercises: {title}

Replace each `...` by your own code. Keep the names of the functions, and do not print or train
at the top level of a cell. Give this file your name and hand it in.

Run the first cell before all others: it brings what the exercises use."""


def export_exercises(manifest, names, folder, *, checks=False, force=False):
    """Write DIR/<chapter>_exercises.ipynb for chapters that have exercises; returns the paths.

    names: chapters as users write them; none: all that have exercises. checks: keep the cells that
    call `check`. force: replace files. Raises RunError, before anything is written, if a chosen
    chapter has no exercises or a file is there.
    """
    chapters = select_chapters(manifest, names)
    without = [chapter.name for chapter in chapters if _key(chapter) not in CHAPTERS]
    if without and names:
        raise RunError(f"{', '.join(without)}: no exercises to export")
    folder = prepare_folder(Path(folder))
    made = {
        folder / f"{chapter.name}_exercises.ipynb": student_notebook(chapter, checks)
        for chapter in chapters
        if chapter.name not in without
    }
    present = [path.name for path in made if path.exists()]
    if present and not force:
        raise RunError(f"{folder} has {', '.join(present)} already: --force replaces")
    for path, notebook in made.items():
        nbformat.write(notebook, path)
    return list(made)


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
    made, prompt, seen = [], [], set()
    for cell in cells:
        if cell["cell_type"] == "markdown":
            prompt.append(cell["source"])
            continue
        if exercise_names(cell["source"]):
            made += [v4.new_markdown_cell(CHAPTER_LINK.sub(r"\1", text)) for text in prompt]
            made.append(v4.new_code_cell(cell["source"]))
            seen |= set(exercise_names(cell["source"]))
        elif checks and cell["source"].startswith("check("):
            made.append(v4.new_code_cell(cell["source"]))
        prompt = []
    setup = v4.new_code_cell(_setup(chapter, made, checks))
    introduction = v4.new_markdown_cell(_INTRODUCTION.format(title=chapter.title))
    return v4.new_notebook(cells=[introduction, setup, *made], metadata=METADATA)


def _setup(chapter, made, checks):
    """Source of the first cell: the imports and the chapter's functions that answers may need."""
    saved = _saved_names(chapter)
    sources = code_cells(read_notebook(chapter.file))
    found, _ = statements([source for source in sources if not exercise_names(source)])
    functions = {n for s in found if isinstance(s.node, ast.FunctionDef) for n in s.binds}
    quoted = {name for cell in made for name in _QUOTED.findall(cell.source)} & functions
    answers, _ = statements([solution_source(e.id) for e in exercises_of(_key(chapter))])
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
