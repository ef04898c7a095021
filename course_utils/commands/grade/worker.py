"""Judge the exercises of one returned notebook: what `course grade` starts for each.

Reads a job as one line of JSON on standard input: notebook (a path), largest (bytes that it may
have), ids, memory (MB) and seconds (an exercise). Writes lines of JSON on standard output: first
{"problem": null}, or what is wrong with the whole notebook, then for each exercise {"id",
"status", "note", "text"}. When standard input closes, it ends. The parent holds the clock, and
starts another one for what is left if this one dies, or ends early because an exercise left little
memory to the next.
"""

import ast
import json
import linecache
import os
import sys
import threading
from pathlib import Path

from course_utils.commands.grade.needed import needed, statements
from course_utils.commands.notebooks import code_cells, read_notebook
from course_utils.errors import RunError

FILE = "<code cell {}>"
_FILE_SIZE = 100_000_000  # bytes that answers may write to a file
_TEXT = 20_000  # characters of feedback on an exercise


def main():
    channel = os.fdopen(os.dup(1), "w", encoding="utf-8")

    def tell(**event):
        print(json.dumps(event), file=channel, flush=True)

    job = json.loads(sys.stdin.readline())
    threading.Thread(target=_end_with_parent, args=(os.dup(0),), daemon=True).start()
    try:
        cells = code_cells(_small(Path(job["notebook"]), job["largest"]))
    except RunError as error:
        tell(problem=str(error))
        return
    import course_utils.exercises  # brings torch, before memory is counted

    before = address_space()
    limit(job["memory"], job["seconds"] * (len(job["ids"]) + 1))
    tell(problem=None)
    for number, source in enumerate(cells, 1):  # so that messages can quote the line
        lines = source.splitlines(keepends=True)
        linecache.cache[FILE.format(number)] = (len(source), None, lines, FILE.format(number))
    found, broken = statements(cells)
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):  # from here on it is the student's code that reads and prints
        os.dup2(nowhere, stream)
    for id in job["ids"]:
        status, note, text = grade(id, found, broken)
        tell(id=id, status=status, note=note, text=text[:_TEXT])
        if address_space() - before > job["memory"] * 2**20 / 2:
            break


def _small(path, largest):
    if not path.is_file():  # a named pipe would be read for ever
        raise RunError(f"{path.name} is not a notebook (not even a file)")
    if path.stat().st_size > largest:
        raise RunError(f"{path.name} is larger than {largest // 10**6} MB")
    return read_notebook(path)


def _end_with_parent(stdin):
    os.read(stdin, 1)  # returns when the parent closes the pipe, or is gone
    os._exit(1)


def address_space():
    """Bytes of this process's address space; 0 where that is not known."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
    except OSError:
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


def limit(megabytes, seconds):
    """Allow so much memory on top of what is in use (torch alone takes 3 GB of addresses), so much
    CPU time, no large files and no core dumps; what the system does not know stays unlimited."""
    try:
        import resource
    except ImportError:
        return
    used = resource.getrusage(resource.RUSAGE_SELF)
    limits = {
        "RLIMIT_CPU": int(used.ru_utime + used.ru_stime + seconds) + 1,
        "RLIMIT_FSIZE": _FILE_SIZE,
        "RLIMIT_CORE": 0,
    }
    if address_space():
        limits["RLIMIT_AS"] = address_space() + megabytes * 2**20
    for name, value in limits.items():
        kind = getattr(resource, name)
        _, hard = resource.getrlimit(kind)
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(kind, (value, value))


def grade(id, found, broken):
    """(status, short note, text of feedback) of exercise `id` in a notebook's statements."""
    from course_utils.exercises.registry import find

    name = find(id).name
    syntax = [str(cell) for cell in broken if cell.mentions(name)]
    namespace, troubles = {"__name__": "__main__"}, []
    mine = needed(found, {name})
    for statement in mine if any(name in s.binds for s in mine) else ():
        trouble = _execute(statement, namespace)
        if trouble:
            troubles.append(trouble)
    if not callable(namespace.get(name)):
        problems = syntax + troubles
        if problems:
            return "error", problems[0], "\n".join(problems)
        return "not attempted", "", ""
    status, note, text = _judge(id, namespace[name])
    return status, note or (troubles[0] if troubles else ""), "\n".join([text, *troubles])


def _execute(statement, namespace):
    """Run one statement; a line about the exception, or None."""
    module = ast.Module([statement.node], [])
    try:
        exec(compile(module, FILE.format(statement.cell), "exec"), namespace)
    except (Exception, SystemExit) as error:
        message = f"{type(error).__name__}: {error}".partition("\n")[0]
        return f"code cell {statement.cell}, line {statement.node.lineno}: {message}"
    return None


def _judge(id, function):
    from course_utils.exercises import judge
    from course_utils.exercises.checker.show import as_text

    try:
        result = judge(id, function)
        text = as_text(result)
    except (Exception, SystemExit) as error:
        # what an answer returns may be an object that breaks whatever touches it
        return "error", f"{type(error).__name__} while it was judged", str(error)
    if result.failure is None:
        return result.status, "", text
    outcome = result.failure.outcome
    if outcome.endless:
        return "error", "did not end", text
    if outcome.trouble is not None and _out_of_memory(outcome.trouble):
        return "error", "needed too much memory", text
    return "failed", "", text


def _out_of_memory(trouble):
    return trouble.name == "MemoryError" or "can't allocate memory" in trouble.message


if __name__ == "__main__":
    main()
