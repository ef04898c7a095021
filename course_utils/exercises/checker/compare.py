"""Is a result what was expected, and if not, in which way does it differ first?"""

import contextlib
import numbers
from dataclasses import dataclass

import torch

from course_utils.exercises.checker.declare import Band

TOLERANCES = {  # dtype -> (rtol, atol): room for another order of additions
    torch.float64: (1e-7, 1e-9),
    torch.float32: (1e-4, 1e-5),
    torch.float16: (1e-2, 1e-3),
    torch.bfloat16: (2e-2, 1e-2),
}


@dataclass(frozen=True)
class Difference:
    """kind: "type", "shape", "dtype", "values" or "band". words: what differs, in a sentence.

    where: the place within the result, such as "[2]". expected, actual: what is there.
    cells: bool tensor, True where tensors of one shape differ; else None.
    """

    kind: str
    words: str
    where: str
    expected: object
    actual: object
    cells: torch.Tensor | None = None


def difference(actual, expected, exercise, where=""):
    """The first Difference between a result and what was expected, or None."""

    def differs(kind, words, cells=None):
        return Difference(kind, words, where, expected, actual, cells)

    if isinstance(expected, torch.Tensor):
        return _tensors(actual, expected, exercise, differs)
    if isinstance(expected, dict):
        return _dicts(actual, expected, exercise, where, differs)
    if isinstance(expected, list | tuple):
        return _sequences(actual, expected, exercise, where, differs)
    if isinstance(expected, Band | numbers.Real) and not isinstance(expected, bool):
        return _numbers(actual, expected, exercise, differs)
    actual = python_value(actual)
    if type(actual) is not type(expected):
        return differs("type", f"{_described(actual)} instead of {_described(expected)}")
    return None if actual == expected else differs("values", "another value")


def _tensors(actual, expected, exercise, differs):
    if not isinstance(actual, torch.Tensor):
        return differs("type", f"{_described(actual)} instead of a tensor")
    if not is_plain(actual):
        return differs("type", "an unusual tensor (sparse, complex, …) instead of a plain one")
    actual, expected = actual.detach().cpu(), expected.detach().cpu()
    if actual.shape != expected.shape:
        shapes = f"shape {tuple(actual.shape)} instead of {tuple(expected.shape)}"
        return differs("shape", shapes)
    coarser = max(TOLERANCES.get(tensor.dtype, (0, 0)) for tensor in (actual, expected))
    rtol, atol = _tolerance(exercise, *coarser)
    cells = ~torch.isclose(actual.double(), expected.double(), rtol, atol, equal_nan=True)
    if cells.any():
        count = int(cells.sum())
        return differs("values", f"{count} of {cells.numel()} values differ", cells)
    floats = actual.is_floating_point() and expected.is_floating_point()
    if actual.dtype != expected.dtype and not (exercise.dtype == "kind" and floats):
        return differs("dtype", f"the values are right, but {actual.dtype}, not {expected.dtype}")
    return None


def _tolerance(exercise, rtol, atol):
    """(rtol, atol): the exercise's own, else those given."""
    return (
        rtol if exercise.rtol is None else exercise.rtol,
        atol if exercise.atol is None else exercise.atol,
    )


def is_plain(value):
    """True for a tensor of real numbers that are all there, one after the other."""
    dense = isinstance(value, torch.Tensor) and value.layout == torch.strided
    return dense and not (value.is_meta or value.is_complex() or value.is_quantized)


def _numbers(actual, expected, exercise, differs):
    if exercise.python_number and not isinstance(actual, int | float):
        return differs("type", f"{_described(actual)} instead of a number of Python's own")
    number = python_value(actual)
    if isinstance(number, bool) or not isinstance(number, numbers.Real):
        return differs("type", f"{_described(actual)} instead of a number")
    if isinstance(expected, Band):
        inside = expected.low <= number <= expected.high
        return None if inside else differs("band", f"{number:.4g} cannot come out here")
    if isinstance(expected, int):
        right = number == expected
        if right and not hasattr(number, "__index__"):
            return differs("dtype", f"the value is right, but {number!r} is no whole number (int)")
    else:
        rtol, atol = _tolerance(exercise, 1e-5, 1e-7)
        both_nan = number != number and expected != expected
        near = abs(number - expected) <= atol + rtol * abs(expected)
        right = number == expected or near or both_nan
    return None if right else differs("values", "another value")


def _sequences(actual, expected, exercise, where, differs):
    values = actual.tolist() if hasattr(actual, "tolist") else actual
    if not isinstance(values, list | tuple):
        return differs("type", f"{_described(actual)} instead of a {type(expected).__name__}")
    if len(values) != len(expected):
        return differs("shape", f"{len(values)} entries instead of {len(expected)}")
    return _dicts(dict(enumerate(values)), dict(enumerate(expected)), exercise, where, differs)


def _dicts(actual, expected, exercise, where, differs):
    if not isinstance(actual, dict):
        return differs("type", f"{_described(actual)} instead of a dict")
    for key, right in expected.items():
        if key not in actual:
            return differs("shape", f"the entry {key!r} is missing")
        found = difference(actual[key], right, exercise, f"{where}[{key!r}]")
        if found is not None:
            return found
    extra = [key for key in actual if key not in expected]
    return differs("shape", f"there is an entry {extra[0]!r} too many") if extra else None


def python_value(value):
    """A Python number for a tensor or a NumPy number that holds one; anything else as it is."""
    if not (isinstance(value, torch.Tensor) and value.ndim):
        with contextlib.suppress(AttributeError, RuntimeError, TypeError, ValueError):
            return value.item()
    return value


def _described(value):
    """What a value is, in words: "a tensor", "None", "a list"."""
    if value is None:
        return "None"
    if isinstance(value, torch.Tensor):
        return f"a tensor of shape {tuple(value.shape)}"
    module, name = type(value).__module__.partition(".")[0], type(value).__name__
    name = f"NumPy {name}" if module == "numpy" else name
    return f"an {name}" if name[0].lower() in "aeiou" else f"a {name}"
