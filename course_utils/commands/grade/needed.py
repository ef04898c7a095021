"""Which statements of a chapter does an answer need? An exported notebook has no others."""

import ast
import symtable
from dataclasses import dataclass


@dataclass(frozen=True)
class Statement:
    """One top-level statement. binds: names that it sets. uses: global names that it, or a
    function in it, reads. source: its lines."""

    node: ast.stmt
    source: str
    binds: frozenset
    uses: frozenset

    @property
    def imports(self):
        return isinstance(self.node, ast.Import | ast.ImportFrom)


def statements(cells):
    """The Statements of the sources of code cells, in order; a cell with magic in it has none."""
    found = []
    for source in cells:
        try:
            tree = ast.parse(source)
        except SyntaxError:
            continue
        lines = source.splitlines()
        for node in tree.body:
            first = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", []))])
            table = symtable.symtable(ast.unparse(node), "cell", "exec")
            binds = (
                s.get_name() for s in table.get_symbols() if s.is_assigned() or s.is_imported()
            )
            text = "\n".join(lines[first - 1 : node.end_lineno])
            found.append(Statement(node, text, frozenset(binds), _used(table)))
    return found


def needed(found, names):
    """The statements that set `names`, and those that set what these use, and so on; in order."""
    wanted, chosen = set(names), []
    while True:
        before = len(chosen)
        chosen = [statement for statement in found if statement.binds & wanted]
        wanted.update(*(statement.uses for statement in chosen))
        if len(chosen) == before:
            return chosen


def _used(table):
    top = table.get_type() == "module"
    names = {s.get_name() for s in table.get_symbols() if s.is_referenced()}
    if not top:
        names = {name for name in names if table.lookup(name).is_global()}
    return frozenset(names.union(*map(_used, table.get_children())))
