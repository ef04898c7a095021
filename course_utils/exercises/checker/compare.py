"""Is a result what was expected, and if not, in which way does it differ first?"""

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
    if isinstance(expected, Band):
        return _band(actual, expected, differs)
    if isinstance(expected, dict):
        return _dicts(actual, expected, exercise, where, differs)
    if isinstance(expected, list | tuple):
        return _sequences(actual, expected, exercise, where, differs)
    if isinstance(expected, bool) or not isinstance(expected, numbers.Number):
        actual = _plain(actual)
        if type(actual) is not type(expected):
            return differs("type", f"{_a(actual)} instead of {_a(expected)}")
        return None if actual == expected else differs("values", "another value")
    return _numbers(actual, expected, exercise, differs)


def _tensors(actual, expected, exercise, differs):
    if not isinstance(actual, torch.Tensor):
        return differs("type", f"{_a(actual)} instead of a tensor")
    if not is_plain(actual):
        return differs("type", "an unusual tensor (sparse, complex, …) instead of a plain one")
    actual = actual.detach().cpu()
    if actual.shape != expected.shape:
        shapes = f"shape {tuple(actual.shape)} instead of {tuple(expected.shape)}"
        return differs("shape", shapes)
    cells = ~torch.isclose(*_comparable(actual, expected), **tolerance(exercise, actual, expected))
    if cells.any():
        count = int(cells.sum())
        return differs("values", f"{count} of {cells.numel()} values differ", cells)
    floats = actual.is_floating_point() and expected.is_floating_point()
    if actual.dtype != expected.dtype and not (exercise.dtype == "kind" and floats):
        return differs("dtype", f"the values are right, but {actual.dtype}, not {expected.dtype}")
    return None


def is_plain(value):
    """True for a tensor of real numbers that are all there, one after the other."""
    dense = isinstance(value, torch.Tensor) and value.layout == torch.strided
    return dense and not (value.is_meta or value.is_complex() or value.is_quantized)


def tolerance(exercise, actual, expected):
    """Keyword arguments for isclose: the exercise's own, or those of the coarser dtype."""
    pairs = [TOLERANCES.get(dtype, (0, 0)) for dtype in (actual.dtype, expected.dtype)]
    rtol, atol = max(pairs)
    return {
        "rtol": rtol if exercise.rtol is None else exercise.rtol,
        "atol": atol if exercise.atol is None else exercise.atol,
        "equal_nan": True,
    }


def _comparable(actual, expected):
    return actual.double(), expected.detach().cpu().double()


def _band(actual, expected, differs):
    number = _plain(actual)
    if isinstance(number, bool) or not isinstance(number, numbers.Real):
        return differs("type", f"{_a(actual)} instead of a number")
    if expected.low <= number <= expected.high:
        return None
    return differs("band", f"{number:.4g} is not between {expected.low:g} and {expected.high:g}")


def _numbers(actual, expected, exercise, differs):
    if exercise.python_number and not isinstance(actual, int | float):
        return differs("type", f"{_a(actual)} instead of a number of Python's own")
    number = _plain(actual)
    if isinstance(number, bool) or not isinstance(number, numbers.Number):
        return differs("type", f"{_a(actual)} instead of a number")
    if isinstance(expected, int):
        right = number == expected
        if right and not hasattr(number, "__index__"):
            return differs("dtype", f"the value is right, but {number!r} is no whole number (int)")
        return None if right else differs("values", "another value")
    rtol = 1e-5 if exercise.rtol is None else exercise.rtol
    atol = 1e-7 if exercise.atol is None else exercise.atol
    same = number == expected or abs(number - expected) <= atol + rtol * abs(expected)
    both_nan = number != number and expected != expected
    return None if same or both_nan else differs("values", "another value")


def _sequences(actual, expected, exercise, where, differs):
    values = actual.tolist() if hasattr(actual, "tolist") else actual
    if not isinstance(values, list | tuple):
        return differs("type", f"{_a(actual)} instead of a {type(expected).__name__}")
    if len(values) != len(expected):
        return differs("shape", f"{len(values)} entries instead of {len(expected)}")
    for i, (mine, right) in enumerate(zip(values, expected, strict=True)):
        found = difference(mine, right, exercise, f"{where}[{i}]")
        if found is not None:
            return found
    return None


def _dicts(actual, expected, exercise, where, differs):
    if not isinstance(actual, dict):
        return differs("type", f"{_a(actual)} instead of a dict")
    for key, right in expected.items():
        if key not in actual:
            return differs("shape", f"the entry {key!r} is missing")
        found = difference(actual[key], right, exercise, f"{where}[{key!r}]")
        if found is not None:
            return found
    extra = [key for key in actual if key not in expected]
    return differs("shape", f"there is an entry {extra[0]!r} too many") if extra else None


def _plain(value):
    """A Python number for a tensor or a NumPy number that holds one; anything else as it is."""
    if isinstance(value, torch.Tensor) and value.ndim == 0:
        return value.item()
    if (
        not isinstance(value, torch.Tensor)
        and hasattr(value, "item")
        and not hasattr(value, "keys")
    ):
        try:
            return value.item()
        except (TypeError, ValueError):
            return value
    return value


def _a(value):
    """What a value is, in words: "a tensor", "None", "a list"."""
    if value is None:
        return "None"
    if isinstance(value, torch.Tensor):
        return f"a tensor of shape {tuple(value.shape)}"
    name = type(value).__name__
    module = type(value).__module__.partition(".")[0]
    name = f"NumPy {name}" if module == "numpy" else name
    return f"an {name}" if name[0].lower() in "aeiou" else f"a {name}"
