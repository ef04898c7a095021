"""README tells the truth: its commands parse, its files are there, its lists are complete."""

import re
import shlex

from conftest import REPOSITORY

from course_utils.commands import cli
from course_utils.commands.manifest import load_manifest

README = (REPOSITORY / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^ *```\w*\n(.*?)^ *```", README, flags=re.MULTILINE | re.DOTALL)
PROSE = re.sub(r"^ *```.*?^ *```", "", README, flags=re.MULTILINE | re.DOTALL)
CODE = re.findall(r"`([^`\n]+)`", PROSE)
LINES = [line.split(" #")[0].strip() for block in BLOCKS for line in block.splitlines()]
COMMANDS = [line for line in LINES + CODE if re.match(r"(course|make|papermill)\b", line)]
FILES = "py|toml|md|yml|ipynb|mplstyle|json|html"
WRITTEN_LATER = ("report.json", "report.html", "out.ipynb", "build/", "my-course/", ".venv", "../")
ROOMS = ("", "commands", "commands/book", "exercises", "training")
FOLDERS = [REPOSITORY / "tests", *(REPOSITORY / "course_utils" / room for room in ROOMS)]


def test_every_command_is_one():
    named = {line.split()[0] for line in COMMANDS}
    assert named == {"course", "make", "papermill"}
    targets = re.findall(r"^([a-z-]+):", (REPOSITORY / "Makefile").read_text(), flags=re.MULTILINE)
    for line in COMMANDS:
        program, *arguments = shlex.split(line)
        if program == "make":
            assert set(arguments) <= set(targets), line
        elif program == "course" and arguments and arguments != ["--help"]:
            name, *more = arguments
            with cli.course.make_context("course", [name, *more], obj=[]) as course:
                # an error if they make no sense
                cli.course.commands[name].make_context(name, more, parent=course)


def test_every_file_is_there():
    tree = next(block for block in BLOCKS if block.startswith("book.toml"))
    words = {*re.findall(r"[\w./-]+", tree), *CODE}
    paths = {word for word in words if re.fullmatch(rf"[\w./-]+(/|\.({FILES}))", word)}
    assert len(paths) > 20
    for path in paths:
        if not path.startswith(WRITTEN_LATER) and "NN_" not in path:
            assert any((folder / path).exists() for folder in [REPOSITORY, *FOLDERS]), path


def test_pictures_are_there_and_light():
    pictures = re.findall(r"!\[([^\]]+)\]\(([^)]+)\)", README)
    assert len(pictures) == 3
    for text, path in pictures:
        assert len(text) > 20, "what it shows, for those who cannot see it"
        assert (REPOSITORY / path).stat().st_size < 300_000
    for path in re.findall(r"(?<!!)\[[^\]]+\]\(([^)]+)\)", README):
        assert (REPOSITORY / path).exists(), path


def test_every_chapter_and_command_is_named():
    for chapter in load_manifest(REPOSITORY / "book.toml").chapters:
        assert f"| {chapter.number:02} | {chapter.title} |" in README
    wing = re.search(r"the `course` command: ([^;]+);", README)[1]
    assert set(re.findall(r"\w+", wing)) == set(cli.course.commands)
