"""Has the learner written anything yet? Functions are compared by their compiled code.

So comments, spaces and line breaks do not count, and it works where no source is at hand.
"""

import ast
import dis
import functools
import inspect

NOTHING = {"RESUME", "NOP", "LOAD_CONST", "RETURN_VALUE", "RETURN_CONST"}


def is_untouched(fn, stub=None):
    """True if `fn` does nothing (`...`, `pass`, a docstring), or just what `stub` does."""
    fn = inspect.unwrap(fn)
    if not inspect.isfunction(fn):
        return False
    steps = _steps(fn.__code__)
    constants = [value for name, value in steps if name in ("LOAD_CONST", "RETURN_CONST")]
    does_nothing = {name for name, _ in steps} <= NOTHING and constants == ["None"]
    return does_nothing or (stub is not None and steps == _steps_alone(stub))


def _steps(code):
    """The bytecode's (name, argument) one by one, without file names or line numbers."""
    return [
        (step.opname, _steps(step.argval) if inspect.iscode(step.argval) else repr(step.argval))
        for step in dis.get_instructions(code)
    ]


@functools.cache
def _steps_alone(stub):
    """Those of a stub compiled by itself, as a notebook's cell is: beside imports it differs."""
    (tree,) = ast.parse(inspect.getsource(stub)).body
    module = compile(ast.Module([tree], []), "<stub>", "exec")
    (code,) = (constant for constant in module.co_consts if inspect.iscode(constant))
    return _steps(code)
