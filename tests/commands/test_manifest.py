"""book.toml: what is read, and that every slip in it is named."""

import pytest
from publishing import HEAD, REPOSITORY, assert_refused, called, make_course, notebook

from course_utils.commands.manifest import find_manifest, load_manifest
from course_utils.errors import ManifestError

CHAPTER = '[[chapter]]\nfile = "01_first.ipynb"\ntitle = "First"\nminutes = 60\nsummary = "S"\n'
SECOND = CHAPTER.replace("01_first", "02_second")
PUBLISHED = '[chapter.published]\ntest_acc = [0.7, 0.8]\nsource = "a book"\n'

WHOLE = (
    HEAD + '[output.html]\ndefault-theme = "dark"\ngit-branch = "next"\n' + CHAPTER
    + SECOND + 'needs = ["01_first"]\n' "[chapter.full]\nlr = 0.9\nn = 3\n" + PUBLISHED
)  # fmt: skip


@pytest.fixture
def load(tmp_path):
    """Loads a manifest of the given text; its two chapters exist."""
    (tmp_path / "chapters").mkdir()
    for name in ("01_first", "02_second"):
        (tmp_path / "chapters" / f"{name}.ipynb").write_text("{}")

    def load_text(text):
        (tmp_path / "book.toml").write_text(text)
        return load_manifest(tmp_path / "book.toml")

    return load_text


def test_everything_is_read(load, tmp_path):
    manifest = load(WHOLE)
    assert manifest.root == tmp_path
    assert manifest.book.title == "A <small> course"
    assert manifest.book.src == tmp_path / "chapters"
    assert manifest.book.language == "en"
    assert manifest.build_dir == tmp_path / "build"
    assert manifest.html.default_theme == "dark"
    assert manifest.html.git_branch == "next"
    first, second = manifest.chapters
    assert (first.name, first.number, first.topic, first.needs) == ("01_first", 1, "first", [])
    assert first.published is None and first.full == {}
    assert second.file == tmp_path / "chapters" / "02_second.ipynb"
    assert second.needs == ["01_first"]
    assert second.full == {"lr": 0.9, "n": 3}
    assert second.published == {"test_acc": (0.7, 0.8)}
    assert second.published_source == "a book"


def test_the_courses_own_manifest_is_right():
    manifest = load_manifest(REPOSITORY / "book.toml")
    numbers = [chapter.number for chapter in manifest.chapters]
    assert numbers == sorted(numbers)
    on_disk = {path.stem for path in manifest.book.src.glob("[0-9]*.ipynb")}
    assert on_disk == {chapter.name for chapter in manifest.chapters}
    for chapter in manifest.chapters:
        assert chapter.full or not chapter.published, "a band holds for published settings only"


# what is written instead of what, in WHOLE, and what is said then
SLIPS = [
    ("[output", "[bok]\n[output", "bok: unknown key; did you mean book?"),
    ("authors", "autors", 'book.authors: is missing ("autors" looks like it)'),
    ("src =", 'lang = "en"\nsrc =', "book.lang: unknown key; did you mean language?"),
    ("needs =", "need =", "chapter[2].need: unknown key; did you mean needs?"),
    (
        "default-theme",
        "default-them",
        "output.html.default-them: unknown key; did you mean default",
    ),
    ("60", '"60"', "chapter[1].minutes: '60' is not of type 'integer'"),
    ("60", "true", "chapter[1].minutes: True is not of type 'integer'"),
    ("60", "60.0", "chapter[1].minutes: 60.0 is not of type 'integer'"),
    ("60", "0", "chapter[1].minutes: 0 is less than the minimum of 1"),
    ('["Nobody"]', "1", "book.authors: 1 is not of type 'array'"),
    ('["Nobody"]', "[1]", "book.authors[1]: 1 is not of type 'string'"),
    ("[book]", "book = 1\n[bok]", "book: 1 is not of type 'object'"),
    (
        "01_first",
        "01_frist",
        "chapter[1].file: there is no 01_frist.ipynb in chapters/; did you mean",
    ),
    ("01_first.", "first.", "chapter[1].file: 'first.ipynb' does not match"),
    ("01_first.", "first.", "as 03_lenet.ipynb does"),
    ("02_second", "01_first", "chapter[2].file: chapter[1] is number 1 already"),
    ('["01_first"]', '["02_second"]', 'chapter[2].needs: "02_second" is not an earlier chapter'),
    ('["01_first"]', '["01_frist"]', "did you mean 01_first?"),
    ("0.7, 0.8", "0.8, 0.7", "chapter[2].published.test_acc: expected [low, high], got [0.8, 0.7]"),
    ("0.7, 0.8", "0.7, nan", "chapter[2].published.test_acc: expected [low, high], got [0.7, nan]"),
    ("0.7, 0.8", "0.7", "chapter[2].published.test_acc: [0.7] is too short"),
    ('source = "a book"', "", "chapter[2].published.source: is missing"),
    (
        '"dark"',
        '"drak"',
        "output.html.default-theme: 'drak' is not one of ['auto', 'light', 'dark']",
    ),
    ("[[chapter]]", "[[chapter]", "is not valid TOML"),
]


@pytest.mark.parametrize("old, new, message", SLIPS)
def test_a_slip_is_named(load, old, new, message):
    assert old in WHOLE
    with pytest.raises(ManifestError) as caught:
        load(WHOLE.replace(old, new, 1))
    assert message in str(caught.value)
    assert "book.toml" in str(caught.value)


def test_the_users_home_is_written_as_in_a_shell(load, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    build = '[build]\nbuild-dir = "~/elsewhere"\n'
    manifest = load(WHOLE.replace('"chapters"', '"~/chapters"') + build)
    assert manifest.book.src == tmp_path / "chapters"
    assert manifest.build_dir == tmp_path / "elsewhere"


def test_a_book_without_chapters_is_none(load):
    with pytest.raises(ManifestError, match="chapter: is missing"):
        load(HEAD)


def test_found_from_below_and_from_anywhere(tmp_path):
    make_course(tmp_path, {"01_a": notebook()})
    assert find_manifest(tmp_path / "chapters") == tmp_path / "book.toml"
    assert find_manifest("/") == REPOSITORY / "book.toml"


def test_the_command_refuses_an_unknown_key(tmp_path):
    make_course(tmp_path, {"01_a": notebook("1")}, {"01_a": "colour = 3\n"})
    assert_refused(called("run", cwd=tmp_path), "book.toml", "chapter[1].colour", "unknown key")
