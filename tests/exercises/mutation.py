"""Wrong answers made out of a right one: one small change each, as a learner's slip would be."""

import ast
import copy
import inspect

import torch

from course_utils.exercises.checker.stubs import is_untouched
from course_utils.exercises.checker.trial import prepared_cases
from course_utils.exercises.solving import solution_source

OPERATORS = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Add,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Pow: ast.Mult,
    ast.MatMult: ast.Mult,
    ast.Mod: ast.FloorDiv,
}
COMPARISONS = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
}


METHODS = {"clone", "t", "flatten", "contiguous", "mean", "sum", "squeeze"}


def mutants(exercise):
    """{what was changed: function}, of the solution's code and of its results.

    A mutant that is the broken stub of a repair is left out: it counts as not attempted.
    """
    made = {**code_mutants(exercise), **result_mutants(exercise)}
    return {name: fn for name, fn in made.items() if not is_untouched(fn, exercise.stub)}


def code_mutants(exercise):
    tree = ast.parse(solution_source(exercise.id))
    made = {}
    for index, node in enumerate(ast.walk(tree)):
        for words, change in _changes(node):
            mutated = copy.deepcopy(tree)
            target = next(n for i, n in enumerate(ast.walk(mutated)) if i == index)
            mutated = _Replace(target, change(copy.deepcopy(target))).visit(mutated)
            name, count = words, 1
            while name in made:
                count += 1
                name = f"{words} #{count}"
            made[name] = _function(mutated, exercise)
    for parameter in inspect.signature(exercise.solution).parameters.values():
        for value in _instead_of(parameter, exercise):
            mutated = copy.deepcopy(tree)
            assignment = ast.parse(f"{parameter.name} = {value}").body
            body = mutated.body[0].body
            first = 1 if ast.get_docstring(mutated.body[0]) is not None else 0
            body[first:first] = assignment
            made[f"{parameter.name} taken for {value}"] = _function(mutated, exercise)
    return made


class _Replace(ast.NodeTransformer):
    def __init__(self, target, new):
        self.target, self.new = target, new

    def visit(self, node):
        return self.new if node is self.target else super().visit(node)


def _function(tree, exercise):
    ast.fix_missing_locations(tree)
    scope = dict(exercise.solution.__globals__)
    exec(compile(tree, "<mutant>", "exec"), scope)
    return scope[exercise.name]


def _changes(node):
    """(words, function node -> changed node) for one node."""
    text = ast.unparse(node) if isinstance(node, ast.expr) else ""
    if isinstance(node, ast.BinOp) and type(node.op) in OPERATORS:
        yield from _one(f"operator in '{text}'", _set(op=OPERATORS[type(node.op)]()))
    if isinstance(node, ast.Compare) and type(node.ops[0]) in COMPARISONS:
        new = COMPARISONS[type(node.ops[0])]()
        yield from _one(f"comparison in '{text}'", _set(ops=[new, *node.ops[1:]]))
    if isinstance(node, ast.Constant) and type(node.value) is int:
        for value in (node.value + 1, node.value - 1):
            yield from _one(f"{node.value} -> {value}", _set(value=value))
    if isinstance(node, ast.Constant) and type(node.value) is bool:
        yield from _one(f"{node.value} -> {not node.value}", _set(value=not node.value))
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.Not):
        yield from _one(f"sign or not dropped in '{text}'", lambda n: n.operand)
    if isinstance(node, ast.BoolOp):
        other = ast.Or() if isinstance(node.op, ast.And) else ast.And()
        yield from _one(f"and/or in '{text}'", _set(op=other))
    if isinstance(node, ast.Call):
        if isinstance(node.func, ast.Attribute) and not node.args and node.func.attr in METHODS:
            yield from _one(f".{node.func.attr}() dropped in '{text}'", lambda n: n.func.value)
        for i, word in enumerate(node.keywords):
            yield from _one(f"{word.arg}= dropped in '{text}'", _without_keyword(i))
        if len(node.args) == 2 and not node.keywords:
            yield from _one(f"arguments exchanged in '{text}'", _set(args=node.args[::-1]))
    if isinstance(node, ast.IfExp):
        yield from _one(f"branches exchanged in '{text}'", _exchange)
    if isinstance(node, ast.Raise):
        yield from _one("raise dropped", lambda n: ast.Pass())


def _one(words, change):
    yield words, change


def _set(**fields):
    def change(node):
        for name, value in fields.items():
            setattr(node, name, copy.deepcopy(value))
        return node

    return change


def _without_keyword(i):
    def change(node):
        del node.keywords[i]
        return node

    return change


def _exchange(node):
    node.body, node.orelse = node.orelse, node.body
    return node


def _instead_of(parameter, exercise):
    """Constants that an ignored argument is replaced by: what it is in the smallest case, and 1."""
    name, values = parameter.name, []
    for prepared in prepared_cases(exercise):
        given = inspect.signature(exercise.solution).bind(
            *prepared.case.args, **prepared.case.kwargs
        )
        given.apply_defaults()
        values.append(given.arguments[name])
    plain = [v for v in values if isinstance(v, int | float | str | tuple | type(None))]
    if len(plain) < len(values) or len(set(map(repr, values))) < 2:
        return []
    return dict.fromkeys([repr(plain[0]), repr(plain[-1])])


def result_mutants(exercise):
    """The solution, and then something is wrong with what it returns or does."""
    solution, cases = exercise.solution, prepared_cases(exercise)
    example = cases[0].expected
    made = {"returns nothing": lambda *a, **k: [solution(*a, **k)].clear()}
    made["prints"] = lambda *a, **k: print(solution(*a, **k))
    if any(str(case.expected) != str(example) for case in cases):
        made["hard-coded example"] = lambda *a, **k: copy.deepcopy(example)
    tensors = [v for v in cases[0].case.args if isinstance(v, torch.Tensor)]
    if tensors:
        made["changes its argument in place"] = _spoils_argument(solution)
    if all(isinstance(case.expected, torch.Tensor) for case in cases if _returns(case)):
        made |= _tensor_mutants(exercise)
    elif all(isinstance(case.expected, list) for case in cases if _returns(case)):
        made["last entry missing"] = lambda *a, **k: solution(*a, **k)[:-1]
        made["one entry too many"] = lambda *a, **k: [*solution(*a, **k), 1]
        made["in reverse"] = lambda *a, **k: solution(*a, **k)[::-1]
        made["first entry wrong"] = lambda *a, **k: [None, *solution(*a, **k)[1:]]
    elif all(isinstance(case.expected, int | float) for case in cases if _returns(case)):
        made["one too many"] = lambda *a, **k: solution(*a, **k) + 1
        made["one too few"] = lambda *a, **k: solution(*a, **k) - 1
        made["negative"] = lambda *a, **k: -solution(*a, **k) - 1
        made["in a list"] = lambda *a, **k: [solution(*a, **k)]
    return made


def _returns(case):
    return (
        not isinstance(case.expected, type(None)) and "Raises" not in type(case.expected).__name__
    )


def _tensor_mutants(exercise):
    solution = exercise.solution

    def after(change):
        return lambda *a, **k: change(solution(*a, **k))

    made = {
        "off by one in the size": after(lambda y: y[..., 1:] if y.ndim else y + 1),
        "axes exchanged": after(lambda y: y.mT if y.ndim > 1 else y[None]),
        "batch dropped": after(lambda y: y[0] if y.ndim else y[None]),
        "wrong dtype": after(lambda y: y.half() if y.is_floating_point() else y.float()),
        "whole numbers": after(lambda y: y.long() if y.is_floating_point() else y.float()),
        "as a list": after(lambda y: y.tolist()),
        "sign": after(lambda y: -y - 0.5),
        "last value wrong": after(_spoil_last),
    }
    if exercise.gradient:
        made["gradient cut"] = after(lambda y: y.detach())
        made["gradient doubled"] = after(lambda y: y * 2 - y.detach())
    return made


def _spoil_last(y):
    y = y.clone()
    y.view(-1)[-1] += 1
    return y


def _spoils_argument(solution):
    def mutant(*args, **kwargs):
        result = solution(*args, **kwargs)
        first = next(value for value in args if isinstance(value, torch.Tensor))
        with torch.no_grad():
            first.view(-1)[0] += 1
        return result

    return mutant
