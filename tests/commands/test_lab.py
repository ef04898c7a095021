"""`course lab`: copies are made once, and nothing that a learner typed is ever lost."""

import os
from types import SimpleNamespace

import nbformat
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from publishing import assert_refused, called, make_course, notebook

from course_utils.commands import lab
from course_utils.commands.manifest import load_manifest
from course_utils.errors import RunError


def small_course(folder):
    """Manifest of a course of two chapters, and the folder of the learner's copies."""
    folder.mkdir(exist_ok=True)
    chapters = {f"0{n}_{name}": notebook(f"{name} = 1") for n, name in ((1, "first"), (2, "two"))}
    manifest = load_manifest(make_course(folder, chapters) / "book.toml")
    return manifest, lab.lab_folder(manifest)


def update(manifest, number, text):
    """A new version of a chapter comes with the repository."""
    nbformat.write(notebook(text), manifest.chapters[number].file)


def type_into(path, text):
    """What a learner does: a new cell in a notebook, saved with outputs, as JupyterLab saves."""
    loaded = nbformat.read(path, as_version=4)
    cell = nbformat.v4.new_code_cell(text, execution_count=7)
    cell.outputs = [nbformat.v4.new_output("stream", text="seen")]
    loaded.cells.append(cell)
    nbformat.write(loaded, path)


def all_text(folder):
    return "\n".join(path.read_text(encoding="utf-8") for path in folder.glob("*.ipynb"))


@pytest.fixture
def home(tmp_path):
    manifest, folder = small_course(tmp_path)
    return SimpleNamespace(manifest=manifest, folder=folder)


def test_copies_are_clean_and_complete(home):
    chapter = home.manifest.chapters[0]
    type_into(chapter.file, "print('run by the authors')")
    said = lab.make_copies(home.manifest, home.folder)
    assert said == ["copied to my-course/: 01_first, 02_two"]
    copy = nbformat.read(home.folder / "01_first.ipynb", as_version=4)
    nbformat.validate(copy)
    source = nbformat.read(chapter.file, as_version=4)
    assert [c.source for c in copy.cells] == [c.source for c in source.cells]
    for cell in copy.cells[1:]:
        assert cell.outputs == [] and cell.execution_count is None


def test_a_second_start_is_silent_and_changes_nothing(home):
    lab.make_copies(home.manifest, home.folder)
    type_into(home.folder / "01_first.ipynb", "mine = 2")
    before = all_text(home.folder)
    assert lab.make_copies(home.manifest, home.folder) == []
    assert all_text(home.folder) == before


def test_new_outputs_of_a_chapter_are_no_new_version(home):
    lab.make_copies(home.manifest, home.folder)
    file = home.manifest.chapters[0].file
    loaded = nbformat.read(file, as_version=4)
    loaded.cells[1].outputs = [nbformat.v4.new_output("stream", text="new")]
    nbformat.write(loaded, file)
    assert lab.make_copies(home.manifest, home.folder) == []


def test_a_new_version_is_announced_and_brought_on_demand(home):
    lab.make_copies(home.manifest, home.folder)
    type_into(home.folder / "01_first.ipynb", "mine = 2")
    update(home.manifest, 0, "second_version = 1")
    for _ in range(2):
        (sentence,) = lab.make_copies(home.manifest, home.folder)
        assert "01_first has a new version" in sentence and "course lab --refresh 01" in sentence
    assert "second_version" not in all_text(home.folder)

    (sentence,) = lab.refresh_copies(home.manifest, home.folder, ["1"])
    assert sentence.endswith("yours is kept as 01_first.old-1.ipynb")
    assert "second_version" in (home.folder / "01_first.ipynb").read_text()
    assert "mine = 2" in (home.folder / "01_first.old-1.ipynb").read_text()
    assert lab.make_copies(home.manifest, home.folder) == []
    (sentence,) = lab.refresh_copies(home.manifest, home.folder, ["first"])
    assert sentence == "01_first is the present version already"

    type_into(home.folder / "01_first.ipynb", "mine = 3")
    lab.refresh_copies(home.manifest, home.folder, ["01"])
    assert "mine = 2" in (home.folder / "01_first.old-1.ipynb").read_text()
    assert "mine = 3" in (home.folder / "01_first.old-2.ipynb").read_text()


def test_a_damaged_copy_is_the_learners_too(home):
    lab.make_copies(home.manifest, home.folder)
    (home.folder / "02_two.ipynb").write_text('{"cells": [{"source": "mine')
    (sentence,) = lab.make_copies(home.manifest, home.folder)
    assert "02_two has a new version" in sentence
    lab.refresh_copies(home.manifest, home.folder, ["02"])
    assert "mine" in (home.folder / "02_two.old-1.ipynb").read_text()
    assert lab.make_copies(home.manifest, home.folder) == []


def test_a_save_at_the_very_moment_of_a_refresh_is_kept(home, monkeypatch):
    lab.make_copies(home.manifest, home.folder)
    target, replace = home.folder / "01_first.ipynb", os.replace
    update(home.manifest, 0, "second_version = 1")

    def replace_and_save(old, new):
        replace(old, new)
        monkeypatch.setattr(lab.os, "replace", replace)
        nbformat.write(notebook("saved_just_now = 1"), target)

    monkeypatch.setattr(lab.os, "replace", replace_and_save)
    (sentence,) = lab.refresh_copies(home.manifest, home.folder, ["01"])
    assert "01_first.old-1.ipynb and 01_first.old-2.ipynb" in sentence
    assert "saved_just_now" in (home.folder / "01_first.old-2.ipynb").read_text()
    assert "second_version" in target.read_text()


def test_the_first_page_shows_progress_and_stays_the_learners(home, monkeypatch):
    monkeypatch.setenv("COURSE_PROGRESS_FILE", str(home.folder / "progress.json"))
    page = home.folder / "index.ipynb"
    lab.make_copies(home.manifest, home.folder)
    nbformat.validate(nbformat.read(page, as_version=4))
    assert "[T](01_first.ipynb)" in page.read_text() and "0 of" in page.read_text()
    assert "1 of" not in page.read_text()

    from course_utils.exercises.progress import remember

    remember("02.1")
    lab.make_copies(home.manifest, home.folder)
    assert "1 of" in page.read_text(), "made anew: nobody wrote on it"
    type_into(page, "# my notes")
    before = page.read_bytes()
    remember("02.2")
    lab.make_copies(home.manifest, home.folder)
    assert page.read_bytes() == before
    assert list(home.folder.glob("index.old*")) == []


ACTIONS = st.one_of(
    st.just(("start",)),
    st.tuples(st.just("type"), st.integers(0, 10)),
    st.tuples(st.just("update"), st.integers(0, 1)),
    st.tuples(st.just("refresh"), st.sampled_from([["01"], ["02"], ["01", "02"]])),
    st.tuples(st.just("damage"), st.integers(0, 10)),
    st.tuples(st.just("remove"), st.integers(0, 1)),  # the repository's file, not the learner's
)


@settings(max_examples=40)
@given(actions=st.lists(ACTIONS, max_size=12))
def test_no_sequence_of_events_loses_a_word(tmp_path_factory, actions):
    manifest, folder = small_course(tmp_path_factory.mktemp("course"))
    typed = []
    for step, (what, *about) in enumerate([("start",), *actions]):
        word = f"word_{step}_"
        if what == "start":
            lab.make_copies(manifest, folder)
        elif what == "refresh":
            lab.refresh_copies(manifest, folder, *about)
        elif what == "update":
            update(manifest, about[0], f"version_{step} = 1")
        elif what == "remove":
            update(manifest, about[0], "")
        else:
            files = sorted(folder.glob("*.ipynb"))
            file = files[about[0] % len(files)]
            try:
                type_into(file, word)
            except nbformat.reader.NotJSONError:  # damaged: then in an editor
                file.write_text(file.read_text() + word)
            typed.append(word)
            if what == "damage":
                file.write_text("{" + file.read_text())
        text = all_text(folder)
        assert [word for word in typed if word not in text] == []


# --- the command ----------------------------------------------------------------------------------


def test_bad_input(tmp_path):
    manifest, _ = small_course(tmp_path)
    assert_refused(called("lab", "--refresh", "7", cwd=tmp_path), "unknown chapter '7'")
    (tmp_path / "file").touch()
    assert_refused(called("lab", "--dir", "file", cwd=tmp_path), "--dir")
    with pytest.raises(RunError, match="the chapters themselves"):
        lab.lab_folder(manifest, manifest.book.src)


def test_refresh_starts_nothing(tmp_path):
    small_course(tmp_path)
    result = called("lab", "--refresh", "1", "2", "--dir", "here", cwd=tmp_path)
    said = [f"{name} is the present version now" for name in ("01_first", "02_two")]
    assert result.stdout.splitlines() == said and result.returncode == 0
    names = sorted(path.name for path in (tmp_path / "here").iterdir())
    assert names == ["01_first.ipynb", "02_two.ipynb"]


def test_without_jupyterlab_it_says_how_to_get_it(tmp_path, monkeypatch):
    small_course(tmp_path)
    monkeypatch.setattr(lab.importlib.util, "find_spec", lambda name: None)
    assert_refused(called("lab", cwd=tmp_path), "JupyterLab is not installed", "-m pip install")
