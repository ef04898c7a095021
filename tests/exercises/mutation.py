"""Wrong answers made out of a right one: one small change each, as a learner's slip would be."""

import ast
import copy
import inspect
import re
from collections import Counter

import torch

from course_utils.exercises.checker.declare import Raises
from course_utils.exercises.checker.stubs import is_untouched
from course_utils.exercises.checker.trial import prepared_cases
from course_utils.exercises.solving import solution_source

OPERATORS = (  # each and what it is taken for, by the names of their classes in the syntax tree
    "Add-Sub Sub-Add Mult-Add Div-Mult FloorDiv-Mult Pow-Mult MatMult-Mult Mod-FloorDiv "
    "Lt-LtE LtE-Lt Gt-GtE GtE-Gt Eq-NotEq NotEq-Eq In-NotIn NotIn-In Is-IsNot IsNot-Is "
    "And-Or Or-And"
)
SWAPPED = dict(re.findall(r"(\w+)-(\w+)", OPERATORS))
METHODS = {"clone", "t", "flatten", "contiguous", "mean", "sum", "squeeze"}
ARITHMETIC = (ast.Add, ast.Sub, ast.Mult, ast.Div, ast.FloorDiv)
TAKEN_FOR = (  # functions, both ways
    "max-min amax-amin sum-mean zeros-ones zeros_-ones_ new_zeros-new_ones relu-sigmoid ceil-floor "
    "stack-cat argmax-argmin cumsum-cumprod conv2d-conv_transpose2d randn-rand MaxPool2d-AvgPool2d "
    "ReLU-Sigmoid sqrt-square softmax-log_softmax rows-columns"
)
FUNCTIONS = dict(re.findall(r"(\w+)-(\w+)", TAKEN_FOR))
FUNCTIONS |= {other: one for one, other in FUNCTIONS.items()}


def mutants(exercise):
    """{what was changed: function}, of the solution's code and of its results.

    A mutant that is the broken stub of a repair is left out: it counts as not attempted.
    """
    made = {**code_mutants(exercise), **result_mutants(exercise)}
    return {name: fn for name, fn in made.items() if not is_untouched(fn, exercise.stub)}


def code_mutants(exercise):
    tree = ast.parse(solution_source(exercise.id))
    parameters = [argument.arg for argument in tree.body[0].args.args]
    raised = [node for node in ast.walk(tree) if isinstance(node, ast.Raise)]
    told = {id(part) for node in raised for part in ast.walk(node)}  # words for people
    made, count = {}, Counter()
    for node in ast.walk(tree):
        more = () if id(node) in told else _more_changes(node, parameters)
        for words, changed in (*_changes(node), *more):
            count[words] += 1
            name = words if count[words] == 1 else f"{words} #{count[words]}"
            mutated = copy.deepcopy(tree, {id(node): changed})  # a copy but for this node
            made[name] = _function(mutated, exercise)
    for parameter in inspect.signature(exercise.solution).parameters:
        for value in _constants_for(parameter, exercise):
            mutated = copy.deepcopy(tree)
            (function,) = mutated.body
            first = 0 if ast.get_docstring(function) is None else 1
            function.body[first:first] = ast.parse(f"{parameter} = {value}").body
            made[f"{parameter} taken for {value}"] = _function(mutated, exercise)
    return made


def _function(tree, exercise):
    scope = dict(exercise.solution.__globals__)
    exec(compile(ast.fix_missing_locations(tree), "<mutant>", "exec"), scope)
    return scope[exercise.name]


def _changes(node):
    """(words, changed node) of each slip that can happen at a node."""
    text = ast.unparse(node) if isinstance(node, ast.expr) else ""
    match node:
        case ast.BinOp(op=op) if type(op).__name__ in SWAPPED:
            yield f"operator in '{text}'", _with(node, op=_swapped(op))
        case ast.Compare(ops=[op, *more]):
            yield f"comparison in '{text}'", _with(node, ops=[_swapped(op), *more])
        case ast.BoolOp(op=op):
            yield f"and/or in '{text}'", _with(node, op=_swapped(op))
        case ast.Constant(value=bool(value)):
            yield f"{value} -> {not value}", _with(node, value=not value)
        case ast.Constant(value=int(value)):
            for other in (value + 1, value - 1):
                yield f"{value} -> {other}", _with(node, value=other)
        case ast.UnaryOp(op=ast.USub() | ast.Not()):
            yield f"sign or not dropped in '{text}'", node.operand
        case ast.Call(func=func, args=args, keywords=keywords):
            if isinstance(func, ast.Attribute) and not args and func.attr in METHODS:
                yield f".{func.attr}() dropped in '{text}'", func.value
            for word in keywords:
                others = [other for other in keywords if other is not word]
                yield f"{word.arg}= dropped in '{text}'", _with(node, keywords=others)
            if len(args) == 2 and not keywords:
                yield f"arguments exchanged in '{text}'", _with(node, args=args[::-1])
        case ast.IfExp(body=body, orelse=orelse):
            yield f"branches exchanged in '{text}'", _with(node, body=orelse, orelse=body)
        case ast.Raise():
            yield "raise dropped", ast.Pass()


def _more_changes(node, parameters):
    """Slips of whole parts: an operand, a statement, a bound of a slice, another name."""
    text = ast.unparse(node) if isinstance(node, ast.expr | ast.stmt) else ""
    match node:
        case ast.BinOp(left=left, op=op, right=right):
            yield f"only the left of '{text}'", left
            yield f"only the right of '{text}'", right
            usual = SWAPPED.get(type(op).__name__)
            for other in ARITHMETIC:
                if isinstance(op, ARITHMETIC) and other not in (type(op), getattr(ast, usual)):
                    yield f"{other.__name__} in '{text}'", _with(node, op=other())
        case ast.Compare(ops=[_]):
            yield f"'{text}' always true", ast.Constant(True)
            yield f"'{text}' never true", ast.Constant(False)
        case ast.Constant(value=float(value)):
            yield f"{value} -> {value * 1.5 + 0.5}", _with(node, value=value * 1.5 + 0.5)
        case ast.Name(id=name, ctx=ast.Load()) if name in parameters:
            for other in parameters:
                if other != name:
                    yield f"{other} for {name}", _with(node, id=other)
        case ast.Name(id=name) | ast.Attribute(attr=name) if name in FUNCTIONS:
            key = "id" if isinstance(node, ast.Name) else "attr"
            if isinstance(node.ctx, ast.Load):
                yield f"{FUNCTIONS[name]} for {name}", _with(node, **{key: FUNCTIONS[name]})
        case ast.Slice(lower=lower, upper=upper, step=step):
            for part, given in (("lower", lower), ("upper", upper), ("step", step)):
                if given is not None:
                    yield f"{part} dropped in '{ast.unparse(node)}'", _with(node, **{part: None})
        case ast.Call(args=args) if len(args) > 1:
            yield f"last argument dropped in '{text}'", _with(node, args=args[:-1])
        case ast.Assign() | ast.AugAssign() | ast.For() | ast.While() | ast.If() | ast.With():
            yield f"dropped: {text.splitlines()[0]}", ast.Pass()
        case ast.Expr(value=ast.Call()):
            yield f"dropped: {text}", ast.Pass()
        case ast.Tuple(elts=[one, *_, last], ctx=ast.Load()) | ast.List(elts=[one, *_, last]):
            if ast.unparse(one) == ast.unparse(last):
                return
            yield f"ends exchanged in '{text}'", _with(node, elts=[last, *node.elts[1:-1], one])


def _swapped(operator):
    return getattr(ast, SWAPPED[type(operator).__name__])()


def _with(node, **fields):
    new = copy.copy(node)
    vars(new).update(fields)
    return new


def _constants_for(name, exercise):
    """What an ignored argument is replaced by: what it is in the smallest and largest case."""
    signature, values = inspect.signature(exercise.solution), []
    for prepared in prepared_cases(exercise):
        given = signature.bind(*prepared.case.args, **prepared.case.kwargs)
        given.apply_defaults()
        values.append(given.arguments[name])
    plain = [v for v in values if isinstance(v, int | float | str | tuple | type(None))]
    if len(plain) < len(values) or len(set(map(repr, values))) < 2:
        return []
    return dict.fromkeys([repr(plain[0]), repr(plain[-1])])


def result_mutants(exercise):
    """The solution, and then something is wrong with what it returns or does."""
    solution, cases = exercise.solution, prepared_cases(exercise)

    def after(change):
        return lambda *args, **kwargs: change(solution(*args, **kwargs))

    def spoiling(*args, **kwargs):
        result = solution(*args, **kwargs)
        first = next(value for value in args if isinstance(value, torch.Tensor))
        first.detach().view(-1)[0] += 1
        return result

    def seeding(*args, **kwargs):
        torch.manual_seed(0)
        return solution(*args, **kwargs)

    def after_a_change(change):
        """Something is done to the first network, or tensor, that was passed."""

        def answer(*args, **kwargs):
            result = solution(*args, **kwargs)
            change(next(value for value in args if isinstance(value, first)))
            return result

        return answer

    made = {"returns nothing": after(lambda y: None), "prints": after(print), "seeds": seeding}
    made["returns the function"] = lambda *args, **kwargs: solution
    if inspect.signature(solution).parameters:
        made["returns its first argument"] = lambda *args, **kwargs: [*args, *kwargs.values()][0]
    first = torch.nn.Module
    if any(isinstance(value, first) for value in cases[0].case.args):
        made["leaves another mode"] = after_a_change(lambda net: net.train(not net.training))
        if any(list(v.parameters()) for v in cases[0].case.args if isinstance(v, first)):
            made["freezes its argument"] = after_a_change(
                lambda net: [p.requires_grad_(not p.requires_grad) for p in net.parameters()]
            )
    elif any(isinstance(v, torch.Tensor) and v.is_floating_point() for v in cases[0].case.args):
        first = torch.Tensor
        made["argument requires gradients"] = after_a_change(
            lambda X: X.requires_grad_() if X.is_floating_point() and X.is_leaf else None
        )
    example = cases[0].expected
    if any(str(case.expected) != str(example) for case in cases):
        made["hard-coded example"] = lambda *args, **kwargs: copy.deepcopy(example)
    if any(isinstance(value, torch.Tensor) for value in cases[0].case.args):
        made["changes its argument in place"] = spoiling
    returned = [c.expected for c in cases if not isinstance(c.expected, Raises | type(None))]
    for kind, changes in CHANGED_RESULTS.items():
        if all(isinstance(value, kind) for value in returned):
            made |= {name: after(change) for name, change in changes.items()}
            break
    if exercise.gradient:
        made["gradient cut"] = after(lambda y: y.detach())
        made["gradient doubled"] = after(lambda y: y * 2 - y.detach())
    return made


def _spoil_last(y):
    y = y.clone()
    y.view(-1)[-1] += 1
    return y


CHANGED_RESULTS = {
    torch.Tensor: {
        "off by one in the size": lambda y: y[..., 1:] if y.ndim else y + 1,
        "axes exchanged": lambda y: y.mT if y.ndim > 1 else y[None],
        "batch dropped": lambda y: y[0] if y.ndim else y[None],
        "wrong dtype": lambda y: y.half() if y.is_floating_point() else y.float(),
        "whole numbers": lambda y: y.long() if y.is_floating_point() else y.float(),
        "as a list": lambda y: y.tolist(),
        "sign": lambda y: -y - 0.5,
        "last value wrong": _spoil_last,
    },
    list: {
        "last entry missing": lambda y: y[:-1],
        "one entry too many": lambda y: [*y, 1],
        "in reverse": lambda y: y[::-1],
        "first entry wrong": lambda y: [None, *y[1:]],
    },
    int | float: {
        "one too many": lambda y: y + 1,
        "one too few": lambda y: y - 1,
        "negative": lambda y: -y - 1,
        "in a list": lambda y: [y],
    },
}
