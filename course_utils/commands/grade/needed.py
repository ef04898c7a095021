"""Which statements of a notebook does a function need? Only these, not all cells, are then run.

A returned notebook may train for an hour, or never end, in a cell that its exercises do not need.
"""

import ast
import re
import symtable
from dataclasses import dataclass


@dataclass(frozen=True)
class Statement:
    """One top-level statement. cell: number of its code cell, from 1. source: its lines.

    binds: names that it sets or changes in place. uses: global names that it, or a function in
    it, reads. star: whether it imports everything from somewhere.
    """

    cell: int
    node: ast.stmt
    source: str
    binds: frozenset
    uses: frozenset
    star: bool

    @property
    def imports(self):
        return isinstance(self.node, ast.Import | ast.ImportFrom)


@dataclass(frozen=True)
class Broken:
    """A code cell that is no Python. error: the SyntaxError."""

    cell: int
    source: str
    error: SyntaxError

    def mentions(self, name):
        return re.search(rf"\b{name}\b", self.source) is not None

    def __str__(self):
        line = f", line {self.error.lineno}" if self.error.lineno else ""
        return f"code cell {self.cell}{line}: {type(self.error).__name__}: {self.error.msg}"


def statements(cells):
    """(list of Statement, list of Broken) of the sources of code cells."""
    found, broken = [], []
    for number, source in enumerate(cells, 1):
        try:
            found += _of_cell(number, source)
        except SyntaxError as error:
            broken.append(Broken(number, source, error))
        except (ValueError, RecursionError, MemoryError) as error:  # null bytes, endless nesting
            broken.append(Broken(number, source, SyntaxError(str(error) or "too deeply nested")))
    return found, broken


def needed(found, names):
    """The statements that set `names`, and those that set what these use, and so on; in order."""
    wanted, imported = set(names), {n for s in found if s.imports for n in s.binds}
    chosen = []
    while True:
        before = len(chosen)
        chosen = [
            statement
            for statement in found
            if statement.star
            or statement.binds & wanted
            # `table.append(…)` changes a table, but `torch.save(…)` no torch
            or _changed(statement.node) & (wanted - imported)
        ]
        wanted.update(*(statement.uses for statement in chosen))
        if len(chosen) == before:
            return chosen


def _of_cell(number, source):
    tree, source = _parsed(source)
    lines = source.splitlines()
    for node in tree.body:
        first = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", []))])
        text = "\n".join(lines[first - 1 : node.end_lineno])
        table = symtable.symtable(ast.unparse(node), f"cell {number}", "exec")
        star = isinstance(node, ast.ImportFrom) and node.names[0].name == "*"
        yield Statement(number, node, text, _bound(table, node), _used(table), star)


def _parsed(source):
    """(tree, source); IPython's own syntax, such as `%time`, is translated first."""
    try:
        return ast.parse(source), source
    except SyntaxError:
        from IPython.core.inputtransformer2 import TransformerManager

        translated = TransformerManager().transform_cell(source)
        if translated.rstrip() == source.rstrip():
            raise
        return ast.parse(translated), translated


def _bound(table, node):
    names = {s.get_name() for s in table.get_symbols() if s.is_assigned() or s.is_imported()}
    if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        for inner in ast.walk(node):  # table[key] = …
            if isinstance(inner, ast.Subscript) and isinstance(inner.ctx, ast.Store):
                names |= _root(inner)
    return frozenset(names)


def _used(table):
    top = table.get_type() == "module"
    names = {s.get_name() for s in table.get_symbols() if s.is_referenced()}
    if not top:
        names = {name for name in names if table.lookup(name).is_global()}
    return frozenset(names.union(*map(_used, table.get_children())))


def _changed(node):
    """{name} if the statement calls one of its methods, as `name.append(…)` does."""
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        return _root(node.value.func) if isinstance(node.value.func, ast.Attribute) else set()
    return set()


def _root(node):
    while isinstance(node, ast.Attribute | ast.Subscript):
        node = node.value
    return {node.id} if isinstance(node, ast.Name) else set()
