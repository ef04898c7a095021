"""Run a learner's function on one case, safely: on copies, with a time limit, its output kept."""

import contextlib
import copy
import inspect
import io
import os
import traceback
from dataclasses import dataclass

import torch
from torch.random import fork_rng

from course_utils.exercises.checker.spy import (
    SEED,
    Spy,
    flags,
    forbidden,
    left_behind,
    state,
)
from course_utils.exercises.checker.time_limit import TimeUp, limited


@dataclass(frozen=True)
class Trouble:
    """An exception from the learner's code: its name, its message, and the line it came from."""

    name: str
    message: str
    line: int | None
    code: str
    error: BaseException

    def __str__(self):
        where = [] if self.line is None else [f"line {self.line}: {self.code}".rstrip()]
        return "\n".join([*where, f"{self.name}: {self.message}"])


@dataclass(frozen=True)
class Outcome:
    """What one call gave. result: as returned (`trouble` None and not `endless`).

    printed: what it printed. gradients: {argument: tensor or None} where they were asked for.
    traces: sentences about what it left behind, or used. raw: the result before the `view`.
    arguments: {name: what became of it}. spy: the Spy that saw its calls.
    """

    result: object = None
    trouble: Trouble | None = None
    endless: bool = False
    printed: str = ""
    gradients: dict | None = None
    traces: tuple = ()
    raw: object = None
    arguments: dict | None = None
    spy: Spy | None = None


def copied(value, grad=False):
    """A copy that shares nothing: tensors keep dtype and layout, containers are copied too.

    grad: whether floating-point tensors of the copy record gradients.
    """
    if isinstance(value, torch.Tensor):
        return value.detach().clone().requires_grad_(grad and value.is_floating_point())
    if isinstance(value, list | tuple):
        return type(value)(copied(entry, grad) for entry in value)
    if callable(value) and not isinstance(value, torch.nn.Module):
        return value
    new = copy.deepcopy(value)
    if isinstance(value, torch.nn.Module):
        for mine, theirs in zip(new.parameters(), value.parameters(), strict=True):
            mine.grad = copy.deepcopy(theirs.grad)  # left behind by a module's own deepcopy
    return new


def bind(solution, args, kwargs):
    """Arguments by the names of the solution's parameters, in order, without defaults."""
    return dict(inspect.signature(solution).bind(*args, **kwargs).arguments)


def call(fn, case, exercise, grad=False, seconds=None, seed=SEED):
    """Outcome of `fn` on copies of the arguments of `case`.

    seconds: another limit than the exercise's. seed: of the random numbers that it may draw.
    grad: also differentiate. The sum over the result's entries, each with its own weight, is
    differentiated with respect to every floating-point tensor.
    """
    args = copied(case.args, grad)
    kwargs = {name: copied(value, grad) for name, value in case.kwargs.items()}
    after = bind(exercise.solution, args, kwargs)
    before = bind(exercise.solution, case.args, case.kwargs)
    flags_before = {name: flags(value) for name, value in after.items()}
    printed, spy = io.StringIO(), Spy(keep=exercise.witness is not None)

    def attempt():
        raw = result = fn(*args, **kwargs)
        spy.on = False
        traces = (
            ()
            if grad
            else (
                *forbidden(exercise, fn, spy, after),
                *left_behind(exercise, before, after, flags_before, raw),
            )
        )
        gradients = _gradients(result, after) if grad else None
        if exercise.view is not None and result is not None:
            result = exercise.view(result)
        return raw, result, gradients, traces

    try:
        # a stopped answer may leave its `no_grad` in force: `enable_grad` puts back what was
        with contextlib.redirect_stdout(printed), fork_rng(devices=[]), torch.enable_grad(), spy:
            # random answers repeat; on no other device
            torch.default_generator.manual_seed(seed)
            raw, result, gradients, traces = limited(seconds or exercise.seconds, attempt)
    except TimeUp:
        return Outcome(endless=True, printed=printed.getvalue())
    except (Exception, SystemExit) as error:
        return Outcome(trouble=_trouble(error, fn), printed=printed.getvalue())
    if exercise.changes:
        result = {"returned": result, **{name: state(after[name]) for name in exercise.changes}}
    return Outcome(result, None, False, printed.getvalue(), gradients, traces, raw, after, spy)


def _gradients(result, arguments):
    """Gradient of each floating-point tensor argument; None where the result does not depend."""
    inputs = {n: v for n, v in arguments.items() if isinstance(v, torch.Tensor) and v.requires_grad}
    if not isinstance(result, torch.Tensor) or not result.requires_grad:
        return dict.fromkeys(inputs)
    weights = torch.linspace(-1, 2, max(1, result.numel()), dtype=result.dtype)
    # a sum, for with `grad_outputs` torch imports sympy at the first call, which takes a second
    total = (result * weights.reshape(result.shape)).sum()
    found = torch.autograd.grad(total, list(inputs.values()), allow_unused=True)
    return dict(zip(inputs, found, strict=True))


def _trouble(error, fn):
    """The learner's own line: the innermost frame that is in the file of `fn`, or in a cell."""
    code = getattr(inspect.unwrap(fn), "__code__", None)
    line, text = None, ""
    for frame in traceback.extract_tb(error.__traceback__):
        of_a_cell = os.path.basename(os.path.dirname(frame.filename)).startswith("ipykernel_")
        if of_a_cell or (code is not None and frame.filename == code.co_filename):
            line, text = frame.lineno, frame.line
    message = str(error).strip().partition("\n")[0]
    return Trouble(type(error).__name__, message, line, text, error)
