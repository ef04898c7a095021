"""Judge one answer where it was defined: what the test files call, here and on Gradescope.

The answer runs in a fork of the kernel. Whatever it does – a changed default dtype, a replaced
function, memory, the end of its process – is over with it, and the next one starts afresh.
"""

import functools
import io
import os
import signal
import sys
import time

from course_utils.commands.grade import watch
from course_utils.errors import ExerciseError

_TEXT = 20_000  # characters of feedback on an exercise
_verdicts = {}  # id -> what was found; public and hidden test ask for the same answer
seconds = 20  # that one answer may take; `course grade` sets it


def assess(id, env, seed, *, hidden):
    """Raise ExerciseError, with the feedback, unless the answer to exercise `id` is right.

    env: the notebook's names. seed: of the fresh cases. hidden: whether these are asked for.
    """
    if id not in _verdicts:
        _verdicts[id] = _judged_apart(id, env, seed)
    verdict = _verdicts[id]
    if verdict["status"] != "passed" and (hidden or not verdict["public"]):
        raise ExerciseError(verdict["text"] or verdict["note"] or verdict["status"])


def _judged_apart(id, env, seed):
    """The verdict of a process of its own, which may take `seconds`."""
    from course_utils.exercises.registry import find

    answer = env.get(find(id).name)
    watch.say(exercise=id)
    if not hasattr(os, "fork"):
        watch.say(**_verdict(id, answer, seed))
    else:
        child = os.fork()
        if not child:
            _judge_and_end(id, answer, seed)
        note = _ended(child)
    for event in reversed(watch.said()):
        if event.get("verdict") == id:
            return event
    watch.say(verdict=id, status="error", note=note, text=note, public=False)
    return watch.said()[-1]


def _ended(child):
    """Wait for a process; why it ended without a word, should it have done so."""
    last = time.monotonic() + seconds
    while time.monotonic() < last:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            code = os.waitstatus_to_exitcode(status)
            ended = f"was ended by {signal.Signals(-code).name}" if code < 0 else None
            return f"its process {ended or f'ended with status {code}'}"
        time.sleep(0.002)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return f"stopped after {seconds:g} s"


def _judge_and_end(id, answer, seed):
    """In the fork: no way back to the kernel but the record."""
    try:
        os.closerange(3, 4096)
        nowhere = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(nowhere, stream)
        sys.stdin, sys.stdout, sys.stderr = io.StringIO(), io.StringIO(), io.StringIO()
        say, verdict = watch.say, _verdict(id, answer, seed)
        say(**verdict)
    finally:
        os._exit(0)


def _verdict(id, answer, seed):
    """{"verdict": id, "status", "note", "text", "public": passed what students see, too}."""
    from course_utils.exercises.checker.judge import judge_answer
    from course_utils.exercises.registry import find

    watch.restore()
    found = functools.partial(dict, verdict=id, public=False, note="", text="")
    if not callable(answer):
        return found(status="not attempted")
    exercise, say = find(id), watch.say
    before = watch.damaged()
    watched = _watched(answer)
    try:
        results = [judge_answer(exercise, watched, seed=which) for which in (0, seed)]
        verdict = found(**_told(results))
    except (Exception, SystemExit) as error:
        # what an answer returns may be an object that breaks whatever touches it
        return found(
            status="error", note=f"{type(error).__name__} while it was judged", text=str(error)
        )
    if _blind(exercise):
        say(flag=f"{id}: after this answer the checker no longer sees differences")
    for name in before or watch.damaged():
        say(flag=f"{name} is replaced")
        break
    return verdict


def _blind(exercise):
    """Whether the checker now takes something wrong for what is expected."""
    import torch

    from course_utils.exercises.checker.compare import difference
    from course_utils.exercises.checker.declare import Raises
    from course_utils.exercises.checker.trial import prepared_cases

    for prepared in prepared_cases(exercise, 0):
        right, wrong = prepared.expected, object()
        if isinstance(right, torch.Tensor) and right.numel():
            wrong = torch.full_like(right, 0 if right.any() else 1)
        if not isinstance(right, Raises) and difference(wrong, right, exercise) is None:
            return True
    return False


def _told(results):
    from course_utils.exercises.checker.show import as_text

    public = results[0].passed
    result = results[1] if public else results[0]
    told = {"status": result.status, "public": public, "text": as_text(result)[:_TEXT]}
    if result.failure is None:
        return told
    trouble = result.failure.outcome.trouble
    if result.failure.outcome.endless:
        return told | {"status": "error", "note": "did not end"}
    if trouble is not None and (
        trouble.name == "MemoryError" or "can't allocate memory" in trouble.message
    ):
        return told | {"status": "error", "note": "needed too much memory"}
    note = "right on the public cases, wrong on fresh ones" if public else ""
    return told | {"status": "failed", "note": note}


def _watched(answer):
    """The answer, with a look at what it returns: an object may lie about what it is equal to."""

    @functools.wraps(answer)
    def watched(*args, **kwargs):
        result = answer(*args, **kwargs)
        for value in result if type(result) in (list, tuple) else [result]:
            own = [c for c in type(value).__mro__ if c.__module__ == "__main__"]
            liars = [c.__name__ for c in own if _LIES & set(vars(c))]
            if liars:
                watch.say(flag=f"returns a {liars[0]}, which says itself what it equals")
        return result

    return watched


_LIES = {"__eq__", "__ne__", "__torch_function__", "__torch_dispatch__", "__class__"}
_LIES |= {"__getattribute__", "__instancecheck__", "__float__", "__array__", "__index__", "item"}
