"""Chapters as files: alike in JupyterLab, VS Code, Colab and through papermill; one look."""

import ast
import re
import subprocess

import nbformat
import pytest
from conftest import REPOSITORY
from kernels import every_chapter

# What editors write about themselves, their kernels and a reader's clicks has no place in a file
# that all of them open: `execution`, `vscode`, `colab`, `collapsed`, …
METADATA = {
    "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
FOLDED = {"jupyter", "jp-MarkdownHeadingCollapsed"}  # JupyterLab's own words for it
CELL_METADATA = {"tags", "alt", "caption", "backs", "unclaimed"} | FOLDED
# one scale from light to dark or through white, told apart with any kind of sight
COLOUR_MAPS = {"gray", "viridis", "cividis", "magma", "inferno", "Blues", "Oranges", "RdBu_r"}
COLOUR_ARGUMENTS = re.compile(r"c|ec|fc|mfc|mec|colors?|\w+colors?")


def code_of(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


@every_chapter
def test_nothing_of_one_editor_or_machine(chapter):
    notebook = nbformat.read(chapter, as_version=4)
    assert notebook.metadata == METADATA
    tags = [tag for cell in notebook.cells for tag in cell.metadata.get("tags", [])]
    assert tags.count("parameters") <= 1
    for cell in notebook.cells:
        assert cell.metadata.keys() <= CELL_METADATA, cell.source
        if cell.cell_type == "code":
            magics = [line for line in cell.source.splitlines() if re.match(r"\s*[%!]", line)]
            assert not magics, "a chapter is a script, too"


def headings_of(notebook):
    """Levels and texts of all headings, in order; what stands in fenced code is none."""
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            prose = re.sub(r"^(```|~~~).*?^\1", "", cell.source, flags=re.MULTILINE | re.DOTALL)
            for marks, text in re.findall(r"^(#+) +(.+)$", prose, flags=re.MULTILINE):
                yield len(marks), text


@every_chapter
def test_headings_make_a_table_of_contents(chapter):
    levels = [0]
    texts = []
    for level, text in headings_of(nbformat.read(chapter, as_version=4)):
        assert level <= levels[-1] + 1, f"a level is skipped before “{text}”"
        assert len(text) <= 70, "it has to fit beside the page"
        levels.append(level)
        texts.append(text)
    assert levels.count(1) == 1 and levels[1] == 1
    assert levels.count(2) >= 5
    assert len(set(texts)) == len(texts), "two headings with one name: links find only the first"


@every_chapter
def test_saved_outputs_are_whole_quiet_and_readable_without_scripts(chapter):
    assert chapter.stat().st_size < 700_000
    for cell in code_of(nbformat.read(chapter, as_version=4)):
        assert cell.execution_count or not cell.source, "saved without having been run"
        if "samples" in cell.metadata.get("tags", []):
            assert cell.outputs == [], "pictures of data-set images are not saved"
        for output in cell.outputs:
            assert output.output_type != "error", output.get("evalue")
            assert output.get("name") != "stderr", output.get("text")
            saved = output.get("text", output.get("data", {}).get("text/plain"))
            assert saved is not None, "what a place cannot show is shown as text"
            assert str(REPOSITORY.parent) not in saved, "the path of a machine"
            assert "Warning" not in saved


def colours_in(source):
    """Colours and colour maps that code names, as far as they are literals."""
    from matplotlib.colors import is_color_like

    colours, maps = set(), set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.keyword) and node.arg:
            literals = {n.value for n in ast.walk(node.value) if isinstance(n, ast.Constant)}
            words = {literal for literal in literals if isinstance(literal, str)}
            if node.arg == "cmap":
                maps |= words
            elif COLOUR_ARGUMENTS.fullmatch(node.arg):
                colours |= {word for word in words if is_color_like(word)}
        elif isinstance(node, ast.Constant) and re.fullmatch(r"#[0-9a-fA-F]{6}", str(node.value)):
            colours.add(node.value)
    return colours, maps


def of_the_style(colour):
    """Whether a colour is one of the style's, or a grey, which says nothing by itself."""
    from matplotlib import rc_params_from_file
    from matplotlib.colors import to_hex

    from course_utils.plotting import STYLE

    if colour.lower() == "none" or re.fullmatch(r"C\d", colour):
        return True
    cycle = rc_params_from_file(STYLE, use_default_template=False)["axes.prop_cycle"]
    red, green, blue = (to_hex(colour)[i : i + 2] for i in (1, 3, 5))
    return red == green == blue or to_hex(colour) in map(to_hex, cycle.by_key()["color"])


def assert_one_look(sources):
    for source in sources:
        colours, maps = colours_in(source)
        assert {colour for colour in colours if not of_the_style(colour)} == set()
        assert maps <= COLOUR_MAPS


@every_chapter
def test_figures_have_the_course_style_and_its_colours(chapter):
    sources = [cell.source for cell in code_of(nbformat.read(chapter, as_version=4))]
    styled = [i for i, source in enumerate(sources) if "use_course_style()" in source]
    assert len(styled) == 1
    assert not any(re.search(r"\bplt\.\w|_images\(", source) for source in sources[: styled[0]])
    assert not any("rcParams" in source or "style.use" in source for source in sources)
    assert_one_look(sources)


def test_the_packages_figures_have_the_styles_colours():
    modules = (REPOSITORY / "course_utils").rglob("*.py")
    sources = [module.read_text(encoding="utf-8") for module in modules]
    assert_one_look(source for source in sources if "import matplotlib" in source)


def test_other_colours_are_noticed():
    with pytest.raises(AssertionError, match="crimson"):
        assert_one_look(['ax.plot(x, color="C0" if a else "crimson")'])
    with pytest.raises(AssertionError, match="#ff0000"):
        assert_one_look(['KINDS = {"a": "#ff0000"}'])
    with pytest.raises(AssertionError, match="jet"):
        assert_one_look(['ax.imshow(x, cmap="jet")'])
    assert_one_look(['ax.plot(x, c="k"); ax.text(0, 0, "blue", color="#808080", ec="#0072B2")'])


def test_places_that_are_notebooks(monkeypatch):
    """Colab's shell is a kernel's shell by another name; IPython in a terminal is none."""
    import IPython

    from course_utils.settings import in_notebook

    kernel = type("ZMQInteractiveShell", (), {})
    shells = {kernel: True, type("Shell", (kernel,), {}): True, type("Terminal", (), {}): False}
    for shell, answer in shells.items():
        monkeypatch.setattr(IPython, "get_ipython", shell)
        assert in_notebook() is answer
    monkeypatch.setattr(IPython, "get_ipython", lambda: None)
    assert not in_notebook()


@every_chapter
def test_blocks_of_shell_are_shell(chapter):
    """They are shown and not run: read them, at least. A doubled backslash ends no line."""
    for cell in nbformat.read(chapter, as_version=4).cells:
        for block in re.findall(r"```sh\n(.*?)```", cell.source, re.DOTALL):
            assert "\\\\" not in block, block
            read = subprocess.run(["bash", "-n"], input=block, capture_output=True, text=True)
            assert read.returncode == 0, read.stderr
