"""What a person should look at in a returned notebook, noted while it runs; an IPython extension.

Students' code and the checks share a process, so this cannot stop a forger. It sees the ways that
need no skill, and many that do: Python's own audit events cannot be switched off again, what torch
and the checker consist of is compared with what it was, and our solutions tell when they are
called. All that is seen goes into a record outside of the notebook's folder, a line of JSON each.
"""

import ast
import importlib._bootstrap_external
import json
import os
import random
import re
import signal
import sys
import tempfile
import warnings
from pathlib import Path

_MODULES = {"IPython", "ipykernel", "pexpect", "ptyprocess", *sys.stdlib_module_names}
_MAKES = "makes code of its own, or looks into Python's frames and functions"
_STARTS = "starts other programs or opens connections"
_OPENS = "opens the grader's files or descriptors"
_KEEPS_BYTECODE = importlib._bootstrap_external._write_atomic.__code__
# start of an audit event -> (words, modules through which it still is the student's code)
_EVENTS = {
    r"exec$|compile$|gc\.|ctypes\.|object\.__|function\.__new|code\.__new": (
        _MAKES,
        {"runpy", "code"},
    ),
    r"sys\.(_getframe|_current|set(trace|profile)|addaudit)": (_MAKES, {"inspect"}),
    r"subprocess|socket\.(connect|bind)|os\.(system|fork|posix_spawn|exec|kill)": (
        _STARTS,
        _MODULES,
    ),
    r"open$": (_OPENS, _MODULES),
}
_SECRET = re.compile(r"^/(proc|dev/fd)\b|course_utils/(exercises|commands)/|\.pkl$")
# names that answers have no use for, and that lead to the grader without an audit event
_IMPORTS = re.compile(r"__main__|course_utils\.(exercises|commands)|otter|gc$|ctypes|importlib")
_TAUGHT = {"check", "guess", "hint", "solution", "progress_bar", "progress_map"}
_ATTRIBUTES = re.compile(
    r"__(globals|closure|wrapped|subclasses|code|builtins|torch_function|torch_dispatch)__|[ft]b?_"
    r"(back|locals|globals|frame)|exercises|commands|dup2?|fdopen|closerange|_exit|"
    r"run_cell"
)
_TEXTS = re.compile(r"__main__|course_utils\..*|bash|sh|script|writefile|__globals__")
_WATCHED = re.compile(
    r"torch(\.(_C|_tensor|functional|nn|autograd|random|overrides)(\..+)?)?$"
    r"|(course_utils|otter|builtins|inspect|dis|json|pickle)(\..+)?$"
)
# Jupyter replaces these while a cell runs, torch the last when it compiles
_OTHERS = {"exit", "quit", "input", "manual_seed"}
_record, _whole = None, {}


def record_at(path):
    """Let `say` write to this file."""
    global _record
    _record = Path(path)


def say(**event):
    """Add a line to the record. Opened each time: there is no descriptor that could be found."""
    with (_record or _own_record()).open("a", encoding="utf-8") as file:
        file.write(json.dumps(event) + "\n")


def said():
    """The record's events so far; what is no event of ours becomes one about that."""
    events = []
    for line in (_record or _own_record()).read_text("utf-8", "replace").splitlines():
        try:
            events.append(dict(json.loads(line)))
        except (ValueError, TypeError, RecursionError):
            events.append({"flag": "wrote into the grader's record"})
    return events


def _own_record():
    handle, path = tempfile.mkstemp()  # where the tests run without `course grade`
    os.close(handle)
    record_at(path)
    return _record


# --- before students' code -----------------------------------------------------------------------


def keep_whole():
    """Remember what the modules that judge consist of, for `damaged`."""
    modules = [m for name, m in list(sys.modules.items()) if _WATCHED.match(name)]
    classes = (v for m in modules for v in vars(m).values() if isinstance(v, type))
    for space in [*modules, *(c for c in classes if _WATCHED.match(c.__module__))]:
        kept = {k: v for k, v in vars(space).items() if callable(v) and k not in _OTHERS}
        _whole[id(space)] = (space, kept)


def damaged():
    """Names of functions in the modules that judge that are no longer what they were."""
    return sorted(
        f"{getattr(space, '__name__', '')}.{name}"
        for space, kept in _whole.values()
        for name, value in kept.items()
        if vars(space).get(name) is not value
    )


def set_tripwires(exercises):
    """Make solutions and references tell when anything but the checker calls them."""
    for exercise in exercises:
        module = sys.modules[exercise.solution.__module__]
        for role in ("solution", "reference"):
            function = getattr(exercise, role)
            if function is not None:
                wire = _tripwire(exercise.id, role, function)
                object.__setattr__(exercise, role, wire)
                if getattr(module, getattr(function, "__name__", ""), None) is function:
                    setattr(module, function.__name__, wire)


def _tripwire(id, role, function):
    import functools

    @functools.wraps(function)
    def wire(*args, **kwargs):
        caller = sys._getframe(1).f_globals.get("__name__", "")
        if not caller.startswith("course_utils.exercises."):
            say(flag=f"calls our own {role} of {id}")
        return function(*args, **kwargs)

    return wire


# --- while it runs -------------------------------------------------------------------------------


def load_ipython_extension(shell):
    """Watch a kernel that `course grade` started; $COURSE_GRADING says what it may take."""
    job = json.loads(os.environ.pop("COURSE_GRADING"))
    record_at(job["record"])
    sys.addaudithook(_hook_for(shell.user_ns, job["record"]))
    limit_memory(job["memory"])
    cell = 1 - job["before"]  # otter's own cells come first
    tell, replaced = say, damaged  # as they are now

    def alarm(*_):
        say(note=f"code cell {cell}: stopped after {job['seconds']:g} s")
        os.kill(os.getpid(), signal.SIGINT)

    def begin(info):
        if not _whole:  # in a cell of otter's
            keep_whole()
        if cell == job["cells"] + 1:  # in the one with the tests
            for name in replaced()[:1]:
                tell(flag=f"{name} is replaced")
        if 1 <= cell <= job["cells"]:
            say(cell=cell)
            for words in suspicious(info.transformed_cell or info.raw_cell or ""):
                say(flag=f"code cell {cell}: {words}")
            if hasattr(signal, "setitimer"):
                signal.signal(signal.SIGALRM, alarm)
                signal.setitimer(signal.ITIMER_REAL, job["seconds"], 1)

    def end(result):
        nonlocal cell
        if hasattr(signal, "setitimer"):
            signal.setitimer(signal.ITIMER_REAL, 0)
        if re.search(r"\bdef ex\d", result.info.raw_cell or ""):
            restore()  # one answer's settings are not the next one's
        error = result.error_before_exec or result.error_in_exec
        if error is not None and 1 <= cell <= job["cells"]:
            words = getattr(error, "msg", None) or error
            say(trouble=f"{type(error).__name__}: {words}"[:500], cell=cell, line=_line(error))
        cell += 1

    # Jupyter's `exit()` would end the kernel some cells later
    shell.ask_exit = lambda: say(note=f"code cell {cell}: exit() ends nothing here")
    shell.events.register("pre_run_cell", begin)
    shell.events.register("post_run_cell", end)


def _line(error):
    """Line of its cell in which an exception came up, or None."""
    line, trace = getattr(error, "lineno", None), error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_globals.get("__name__") == "__main__":
            line = trace.tb_lineno
        trace = trace.tb_next
    return line


def _hook_for(namespace, record):
    """The audit hook. It holds what it needs itself, so that nothing of it can be replaced."""
    busy, told, known, tell = [], set(), {}, say

    def hook(event, args):
        if busy:
            return
        if event not in known:
            known[event] = next((v for k, v in _EVENTS.items() if re.match(k, event)), None)
        if known[event] is None:
            return
        busy.append(True)
        try:
            words, through = known[event]
            frame = sys._getframe(1)
            while frame is not None and frame.f_globals is not namespace:
                if frame.f_globals.get("__name__", "").partition(".")[0] not in through:
                    return
                frame = frame.f_back
            if event == "open":
                opened = args[0]
                near = isinstance(opened, int) or opened is None
                if near and sys._getframe(1).f_code is _KEEPS_BYTECODE:
                    return  # the first import of a module anywhere
                if not near and not _SECRET.search(os.path.abspath(os.fsdecode(opened))):
                    near = os.fsdecode(opened) == record
                words = f"{words}: {opened}"[:200] if near else ""
            elif words == _MAKES:
                words = f"{words} ({event})"
            if frame is not None and words and words not in told:
                told.add(words)
                tell(flag=words)
        finally:
            busy.clear()

    return hook


def suspicious(source):
    """What in a cell leads to the grader or to our solutions, in words; [] if it is no Python."""
    try:
        nodes = list(ast.walk(ast.parse(source)))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []
    found = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {a.name for a in node.names if _IMPORTS.match(a.name)}
        elif isinstance(node, ast.ImportFrom) and _IMPORTS.match(node.module or ""):
            names = {alias.name for alias in node.names}
            taught = node.module == "course_utils.exercises" and names <= _TAUGHT
            found |= set() if taught else {f"{node.module} ({', '.join(sorted(names))})"}
        elif isinstance(node, ast.Attribute) and _ATTRIBUTES.fullmatch(node.attr):
            found.add(node.attr)
        elif isinstance(node, ast.Attribute) and ast.unparse(node) == "sys.modules":
            found.add("sys.modules")
        elif isinstance(node, ast.FunctionDef) and _ATTRIBUTES.fullmatch(node.name):
            found.add(node.name)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            compared = f"__name__ == {node.value!r}" in source.replace('"', "'")
            if _TEXTS.fullmatch(node.value) and not compared:
                found.add(node.value[:40])
    return [f"uses {', '.join(sorted(found))}"] if found else []


def limit_memory(megabytes):
    """Allow so much memory on top of what is in use (torch alone takes 3 GB of addresses), no core
    dumps and no files over 100 MB; what the system does not know stays unlimited."""
    try:
        import resource
    except ImportError:
        return
    limits = {resource.RLIMIT_FSIZE: 100_000_000, resource.RLIMIT_CORE: 0}
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        limits[resource.RLIMIT_AS] = pages * os.sysconf("SC_PAGE_SIZE") + megabytes * 2**20
    except OSError:
        pass
    for kind, value in limits.items():
        _, hard = resource.getrlimit(kind)
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(kind, (value, value))


def restore():
    """Put back what an answer may have set for the whole process."""
    import torch

    signal.signal(signal.SIGALRM, signal.SIG_DFL) if hasattr(signal, "SIGALRM") else None
    sys.setrecursionlimit(3000)
    warnings.resetwarnings()
    warnings.simplefilter("ignore")
    random.seed(0)
    torch.set_default_device(None)
    torch.set_default_dtype(torch.float32)
    torch.set_grad_enabled(True)
    torch.set_num_threads(1)
    torch.set_deterministic_debug_mode(0)
    torch.set_float32_matmul_precision("highest")
    torch.set_flush_denormal(False)
    torch.set_printoptions(profile="default")
    torch.autograd.set_detect_anomaly(False)
