"""The index of functions: every public name of the course, what it is for, and where it stands.

Made from the sources, which are read but never imported. A saved cell's name leads to the section
of the chapter that builds it, every other one to the listing of its module.
"""

import ast
import re
from dataclasses import dataclass

from course_utils.commands.book.prose import page_link, sections
from course_utils.commands.book.templates import render
from course_utils.errors import BookError

PACKAGE = "course_utils"
LEFT_OUT = ("commands", "nets")  # the publisher; what `course save` makes of the chapters
FENCE = "`````"
SAVED = re.compile(r"#\s*@save\s*$", re.MULTILINE)


@dataclass(frozen=True)
class Name:
    """A function or class at the top of a module or cell."""

    name: str
    arguments: str  # "(X, K)" of a function, "" of a class
    about: str  # first sentence or line of its docstring, "" without one
    start: int  # its first line, decorators included, counted from 1


@dataclass(frozen=True)
class Module:
    name: str  # "course_utils.training.trainer"
    source: str
    names: list[Name]  # the public ones, in the order of the source


def public_names(source):
    """The public functions and classes at the top level of a piece of source, as Names."""
    found = []
    for node in ast.parse(source).body:
        function = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        if not (function or isinstance(node, ast.ClassDef)) or node.name.startswith("_"):
            continue
        about = " ".join((ast.get_docstring(node) or "").split("\n\n")[0].split())
        if function:  # shown without defaults
            node.args.defaults = []
            node.args.kw_defaults = [None] * len(node.args.kwonlyargs)
        arguments = f"({ast.unparse(node.args)})" if function else ""
        first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
        found.append(Name(node.name, arguments, about, first))
    return found


def saved_names(notebook):
    """[(anchor of the section, Name)] of the cells that a chapter saves."""
    found = []
    for anchor, source in sections(notebook, "code"):
        if SAVED.match(source):
            found += [(anchor, name) for name in public_names(source)]
    return found


def modules_of(package):
    """The modules with public names, by name. package: folder of course_utils.

    Where a room says what it exports (`__all__`), only that is public, in its inner rooms, too.
    """
    found = []
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(package).with_suffix("").parts
        if parts[0] in LEFT_OUT and parts != ("nets", "__init__"):
            continue
        source = path.read_text(encoding="utf-8")
        exported = _exported(package / parts[0] / "__init__.py") if len(parts) > 1 else None
        names = [n for n in public_names(source) if exported is None or n.name in exported]
        if names:
            dotted = ".".join([PACKAGE, *parts]).removesuffix(".__init__")
            found.append(Module(dotted, source, names))
    return found


def _exported(init):
    """The names in a package's `__all__`; None if it has none."""
    for node in ast.parse(init.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return ast.literal_eval(node.value)
    return None


def index_page(manifest, notebooks, modules):
    """MyST source of the index. modules: as `modules_of` gives them, for the listings."""
    built, used = {}, {}  # heading -> [(Name, where it leads)]
    for chapter in manifest.chapters:
        built[page_link(chapter)] = [
            (name, f"{chapter.name}.ipynb#{anchor}".removesuffix("#"))
            for anchor, name in saved_names(notebooks[chapter.name])
        ]
    for module in modules:
        used[f"`{module.name}`"] = [(name, f"#{_label(module, name)}") for name in module.names]
    return render("functions.md", built=built, used=used, pages=listing_pages(modules))


def _label(module, name):
    """Anchors know no capitals: `Summary` and `summary` must differ in another way."""
    return f"source-{_dashed(module.name)}{'' if name.arguments else '-class'}-{_dashed(name.name)}"


def _dashed(name):
    return re.sub("[._]", "-", name.lower())


def listing_pages(modules):
    """Page name -> MyST source: the source of the modules, a page for each package.

    Every public function or class is a block of its own, with an anchor.
    """
    pages = {}
    for module in modules:
        package = f".{module.name.split('.')[1]}" if module.name.count(".") > 1 else ""
        lines = pages.setdefault(
            f"source{_dashed(package)}", [f"# Source of `{PACKAGE}{package}`", ""]
        )
        lines += [f"## `{module.name}`", "", *_blocks(module)]
    return {page: "\n".join(lines) for page, lines in pages.items()}


def _blocks(module):
    if FENCE in module.source:
        raise BookError(f"{module.name}: {FENCE} in a source cannot be listed")
    rows = module.source.splitlines()
    starts = [1, *(name.start for name in module.names), len(rows) + 1]
    for name, start, end in zip([None, *module.names], starts, starts[1:], strict=False):
        text = "\n".join(rows[start - 1 : end - 1]).strip("\n")
        if text:
            anchor = [f"({_label(module, name)})="] if name else []
            yield "\n".join([*anchor, f"{FENCE}python", text, FENCE, ""])
