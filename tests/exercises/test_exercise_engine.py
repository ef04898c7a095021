"""The checker itself: what it finds, how it says so, how it stops, and what it remembers."""

import base64
import contextlib
import copy
import io
import math
import re
import signal
import threading
import time

import nbformat
import pytest
import torch
from PIL import Image
from torch.nn import functional as F

from course_utils.errors import ExerciseError
from course_utils.exercises import (
    book_boxes,
    check,
    exercises_of,
    hint,
    judge,
    learner,
    progress_bar,
    progress_map,
    solution,
    solve,
)
from course_utils.exercises.chapters import convolution, lenet, pooling
from course_utils.exercises.checker.call import call
from course_utils.exercises.checker.compare import difference
from course_utils.exercises.checker.declare import Band, exercise
from course_utils.exercises.checker.show import as_html, as_text, image_html, value_text
from course_utils.exercises.checker.spy import AGAIN
from course_utils.exercises.checker.time_limit import TimeUp, limited
from course_utils.exercises.checker.trial import prepared_cases, try_case
from course_utils.exercises.progress import progress_text, remember, solved
from course_utils.exercises.registry import all_exercises, find

# What kind of mistake it looks like


def pool2d_ignoring_stride(X, pool_size, mode="max", stride=None):
    return pooling.ex02_3_pool2d(X, pool_size, mode, (1, 1))


def amax(X, window, stride=None):
    """Max pooling by hand, as 02.6 wants it."""
    stride = stride or window
    return X.unfold(2, window, stride).unfold(3, window, stride).amax(dim=(4, 5))


def rebound(net, X, y, lr):
    for p in net.parameters():
        p = p - lr  # a new tensor: the net never sees it
    return F.cross_entropy(net(X), y).item()


def never_reset(scores, patience):
    best, count = scores[0], 0
    for i, score in enumerate(scores[1:], 1):
        best, count = (score, count) if score > best else (best, count + 1)
        if count >= patience:
            return i
    return len(scores) - 1


def stays_in_eval(net, X):
    with torch.no_grad():
        return net.eval()(X)


def shallow(net, num_classes):
    """Only the last layer is new: all the others are those of the original, now frozen."""
    new = copy.copy(net)
    new._modules = dict(net._modules)
    new.requires_grad_(False)
    new.fc = torch.nn.Linear(net.fc.in_features, num_classes, dtype=net.fc.weight.dtype)
    return new


def in_a_loop(y, y_hat, num_classes):
    counts = torch.zeros(num_classes, num_classes, dtype=torch.int64)
    for true, predicted in zip(y, y_hat, strict=True):
        counts[true, predicted] += 1
    return counts


@pytest.mark.parametrize(
    ("id", "wrong", "words"),
    [
        ("02.3", pool2d_ignoring_stride, "stride is ignored"),
        ("02.5", lambda X: F.avg_pool2d(X, 3, 1, 1) + 0, "zeros of the padding count"),
        ("02.6", lambda X, window: amax(X, window)[0], "batch dimension is dropped"),
        ("02.6", lambda X, window: amax(X, window).detach(), "no gradient reaches `X`"),
        ("02.6", lambda X, window: amax(X.mul_(1.5), window), "argument `X` in place"),
        ("02.6", lambda X, window: amax(X, window).float(), "not torch.float64"),
        ("02.6", lambda X, window: amax(X, window).flatten(1), "the shape is not"),
        ("02.6", lambda X, window: amax(X, window).mT, "axes are in another order"),
        ("02.6", lambda X, window: amax(F.pad(X, (0, window, 0, window)), window), "one too large"),
        ("02.6", lambda X, window: print(amax(X, window)), "prints its result"),
        ("02.6", lambda X, window: [X].clear(), "returns None"),
        ("02.6", lambda X, window: amax(X, window).tolist(), "a list instead of a tensor"),
        ("02.6", lambda X, window: amax(X, window).numpy(), "NumPy ndarray"),
        ("02.6", lambda X, window: torch.tensor([[[[5.0]]]]), "whatever goes in"),
        ("02.8", lambda X, window, dilation, stride=1: amax(X, window, stride),
         "`dilation` is ignored"),
        ("02.3", lambda X, pool_size, mode="max", stride=None: pooling.ex02_3_pool2d(
            X, pool_size, "max", stride), "`mode` is ignored"),
        ("02.3", lambda X, pool_size, mode="max", stride=None: pooling.ex02_3_pool2d(
            X, pool_size, mode, stride and stride[::-1]), "rows and columns are exchanged"),
        ("02.2", lambda: [(8, 4, 10, 14)] * 4, "one too small"),
        ("03.1", lambda n, k, p, s: (n + 2 * p - k) / s + 1, "no whole number"),
        ("01.1", lambda k, d=1: d * (k - 1) // 2, "must raise ValueError; it returned"),
        # Right where a rest is left over: the guess "rounded down" must hold for other cases too.
        ("01.8", lambda pixels, k: (pixels - 1) // (k - 1) + 1, "It is one too large."),
        ("03.10", lambda net, X, y, lr: lenet.step_by_backward(net, X, y, -lr), "climbs"),
        ("02.6", lambda X, window: exit(), "SystemExit"),
        # What was done, whatever came out
        ("01.3", convolution.corr1d_by_torch, "uses `conv1d`"),
        ("02.6", F.max_pool2d, "uses `max_pool2d`"),
        ("02.9", pooling.backward_by_autograd, "uses `grad`"),
        ("03.5", in_a_loop, "Python goes round for every entry of `y`"),
        ("03.9", math.log, "0 images went through a network"),
        ("05.6", lambda X, size: torch.nn.Parameter(X, False).data, "shares memory with `X`"),
        ("05.5", lambda X, p: (torch.manual_seed(1), F.dropout2d(X, p))[1], "It seeds the random"),
        ("07.8", stays_in_eval, "leaves `net` with another mode"),
        ("08.10", shallow, "shares memory with `net`"),
        ("08.10", shallow, "leaves `net` with another `requires_grad`"),
        # What was seen, and no more
        ("03.10", rebound, "`net` is as it was before"),
        ("04.8", never_reset, "goes on after a new best"),
        ("02.6", lambda X: X, "TypeError"),
        ("02.6", lambda X, window: undefined_name, "NameError"),  # noqa: F821
        ("02.6", lambda X, window: (lambda f: f(f))(lambda f: f(f)), "RecursionError"),
        ("02.6", lambda X, window: X[[1, 2, 3], "a"], "raised an exception"),
    ],
)  # fmt: skip
def test_diagnosis(id, wrong, words):
    result = judge(id, wrong)
    assert result.status == "wrong"
    assert words in as_text(result)


@pytest.mark.parametrize(
    ("id", "wrong", "words"),
    [
        ("09.5", lambda p, q, n: True, "one too"),
        ("03.10", rebound, "lr"),
        ("04.8", never_reset, "off by one"),
        ("02.4", lambda X, window: pooling.ex02_4_avg_pool_by_conv(X, window) * 1.0001, "1 times"),
        ("02.13", lambda layer: 0.5, "0.7"),
        ("07.10", lambda layers, batch_norm: 0.5, "0.3"),
    ],
)
def test_nothing_is_said_that_was_not_seen(id, wrong, words):
    """Neither a wrong guess, nor the answer of an experiment."""
    result = judge(id, wrong)
    assert result.status == "wrong"
    assert words not in as_text(result).replace("`lr`", "").partition("\n")[2].rpartition("\n")[2]


EXPERIMENTS = [e for e in all_exercises() if e.kind == "experiment"]


@pytest.mark.parametrize("exercise", EXPERIMENTS, ids=lambda e: e.id)
def test_an_experiment_that_was_not_made_is_not_believed(exercise):
    """The very number, typed in: what was done is asked for, and the number not given away."""
    for prepared in prepared_cases(exercise):
        number = call(exercise.solution, prepared.case, exercise).result
        _, failure = try_case(exercise, lambda *_, number=number, **__: number, prepared)
        assert failure.objections and failure.difference is None
        assert not exercise.reveals and "about" not in prepared.case.note


@pytest.mark.parametrize("exercise", EXPERIMENTS, ids=lambda e: e.id)
def test_an_experiment_whose_number_was_not_used_is_not_believed(exercise):
    """Everything is done, but what is returned is the number of another time."""

    def judged(prepared):
        number = call(exercise.solution, prepared.case, exercise, seed=AGAIN).result

        def answer(*args, **kwargs):
            exercise.solution(*args, **kwargs)
            return number

        return try_case(exercise, answer, prepared)[1]

    assert any(judged(prepared) for prepared in prepared_cases(exercise))


def test_solutions_leave_no_traces():
    """What the solution does, answers may do: so it must be little."""
    allowed = {
        (exercise.id, trace)
        for exercise in all_exercises()
        for prepared in prepared_cases(exercise)
        for trace in prepared.allowed
    }
    assert sorted({id for id, _ in allowed}) == ["03.6", "04.6", "06.6"]


def test_a_net_is_shown_whole():
    text = as_text(judge("07.8", lambda net, X: net(X) * 2))
    assert "Linear(in_features=6, out_features=2" in text and "(net, X)" in text


def test_smallest_case_is_shown():
    """Wrong from three pixels on: the four-pixel case fails, and no larger one is shown."""

    def right_for_two(pixels, k):
        return convolution.ex01_8_layers_needed(pixels, k) + (pixels > 3)

    assert judge("01.8", right_for_two).failure.arguments == {"pixels": 4, "k": 3}


def test_prediction_is_not_given_away():
    text = as_text(judge("02.2", lambda: [(8, 4, 10, 14)] * 5))
    assert "(8, 6, 5, 7)" not in text
    assert "expected" not in text
    assert "[1][1]" in text  # the place is told


# Code that misbehaves


def test_exception_is_shown_with_the_learners_line():
    def broken(X, window):
        return X.reshape(X.shape[2] // window, 17, 3)

    result = judge("02.6", broken)
    assert result.failure.outcome.trouble.code == "return X.reshape(X.shape[2] // window, 17, 3)"
    assert "RuntimeError: shape" in as_text(result)
    assert "raised an exception" in result.diagnosis


def test_ctrl_c_is_not_swallowed():
    def interrupted(X, window):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        judge("02.6", interrupted)


def endless():
    while True:
        pass


def stubborn():
    while True:
        with contextlib.suppress(BaseException):  # as careless code does
            endless()


def here(work):
    work()


def in_a_thread(work):
    """As on Windows: no alarm can be set there."""
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(20)


@pytest.mark.parametrize(
    ("run", "loop"),
    [(here, endless), (here, stubborn), (here, lambda: time.sleep(60)), (in_a_thread, endless)],
)
def test_time_limit_stops(run, loop):
    stopped = []

    def work():
        with pytest.raises(TimeUp):
            limited(0.1, loop)
        stopped.append(True)

    run(work)
    assert stopped


def test_stopped_code_can_clean_up():
    """Stopping must not leave a `with torch.device(…)` of the answer in force."""

    def on_meta():
        with torch.device("meta"):
            endless()

    for _ in range(20):
        with pytest.raises(TimeUp):
            limited(0.01, on_meta)
    assert torch.zeros(1).device.type == "cpu"


def test_time_limit_leaves_nothing_behind():
    """What ends in time is not interrupted afterwards, in either way of stopping."""
    reached = []

    def work():
        for _ in range(20):
            limited(0.02, lambda: None)
        time.sleep(0.1)
        reached.append(True)

    work()
    in_a_thread(work)
    assert reached == [True, True]


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="NOT RUN: no alarm signals here")
def test_another_alarm_goes_on():
    """pytest-timeout and others set an alarm of their own: it must survive a check."""
    rang = []
    before = signal.signal(signal.SIGALRM, lambda *_: rang.append(True))
    rest = signal.setitimer(signal.ITIMER_REAL, 0.15)
    try:
        limited(5, lambda: None)
        time.sleep(0.4)
    finally:
        signal.signal(signal.SIGALRM, before)
        signal.setitimer(signal.ITIMER_REAL, *rest)
    assert rang == [True]


def test_endless_answer_is_stopped_and_said_so(monkeypatch):
    shorter = lambda seconds, work: limited(0.2, work)  # noqa: E731
    monkeypatch.setattr("course_utils.exercises.checker.call.limited", shorter)
    result = judge("02.6", lambda X, window: endless())
    assert result.status == "wrong"
    assert "never ends" in result.diagnosis


def test_answers_get_copies_and_leave_the_random_state_alone():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    judge("02.13", pooling.ex02_13_unsteadiness)
    torch.testing.assert_close(torch.rand(3), expected)
    judge("02.6", lambda X, window: amax(X.zero_(), window))
    assert judge("02.6", amax).passed, "an earlier answer spoilt the cases"


def test_what_is_printed_is_kept_back_until_something_is_wrong(capsys):
    def chatty(X, window, more=0):
        print("looking at", tuple(X.shape))
        return amax(X, window) + more

    assert judge("02.6", chatty).passed
    assert capsys.readouterr().out == ""
    wrong = judge("02.6", lambda X, window: chatty(X, window, 1))
    assert "looking at (1, 1, 2, 2)" in as_text(wrong)


# What is not attempted


@pytest.mark.parametrize("id", ["02.1", "02.5"])
def test_nothing_written_is_not_attempted_but_half_an_answer_is(id):
    def dots(X, window): ...

    def described(X, window):
        """To do."""

    def passing(X, window):
        pass

    def started(X, window):
        X.shape[2] // window

    for fn in (None, dots, described, passing, lambda X, window: None):
        assert judge(id, fn).status == "not attempted"
    assert judge(id, started).status == "wrong"


def test_broken_code_with_another_comment_is_not_attempted_but_any_change_is():
    scope = {"F": F}
    exec("def same(X):  # hm\n    return F.avg_pool2d(X,3,stride=1,\n        padding=1)", scope)
    exec("def changed(X):\n    return F.avg_pool2d(X, 3, stride=1, padding=2)", scope)
    assert judge("02.5", scope["same"]).status == "not attempted"
    assert judge("02.5", scope["changed"]).status == "wrong"


# Comparing


class Settings:
    rtol = atol = None
    dtype = "same"
    python_number = False


@pytest.mark.parametrize(
    ("actual", "expected", "kind"),
    [
        (torch.tensor(3), 3, None),
        (torch.tensor([3]).numpy()[0], 3, None),
        (torch.tensor(0.5), 0.5, None),
        (1, 1.0, None),
        (float("nan"), float("nan"), None),
        ((1, 2), [1, 2], None),
        (torch.tensor([1, 2]), [1, 2], None),
        (torch.Size([1, 2]), (1, 2), None),
        ({"a": [1.0]}, {"a": (1.0,)}, None),
        (0.75, Band(0.5, 1), None),
        (torch.tensor([1.0, float("inf")]), torch.tensor([1.0 + 1e-6, float("inf")]), None),
        (3.0, 3, "dtype"),
        (True, 1, "type"),
        ("3", 3, "type"),
        ([3], 3, "type"),
        (None, 3, "type"),
        (0.5001, 0.5, "values"),
        ([1, 2, 3], [1, 2], "shape"),
        ([1, 3], [1, 2], "values"),
        (5, [5], "type"),
        ({"a": 1}, {"a": 1, "b": 2}, "shape"),
        ({"a": 1, "b": 2}, {"a": 1}, "shape"),
        (1.5, Band(0.5, 1), "band"),
        (float("nan"), Band(0.5, 1), "band"),
        ("1", Band(0.5, 1), "type"),
        (1, True, "type"),
        (torch.tensor([1]), torch.tensor([1.0]), "dtype"),
        (torch.ones(2, 1), torch.ones(2), "shape"),
        (torch.tensor([float("nan")]), torch.ones(1), "values"),
        (torch.ones(2).to_sparse(), torch.ones(2), "type"),
        (torch.ones(2, device="meta"), torch.ones(2), "type"),
        (torch.ones(2, dtype=torch.complex64), torch.ones(2), "type"),
    ],
)
def test_the_kind_of_difference(actual, expected, kind):
    found = difference(actual, expected, Settings)
    assert kind == (None if found is None else found.kind)


# Showing


def test_differing_cells_are_marked_in_text_and_in_html():
    result = judge("02.6", lambda X, window: amax(X, window) + (X.numel() > 6))
    assert "[" in as_text(result).split("yours")[1]
    assert "outline:2px" in as_html(result)
    assert as_text(result) == as_text(judge("02.6", result.failure.fn)), "the same each time"


def test_text_from_a_learner_is_escaped():
    def nasty(X, window):
        print("<script>alert(1)</script>")
        raise ValueError("<img src=x onerror=alert(2)>")

    page = as_html(judge("02.6", nasty))
    assert "<script" not in page
    assert "<img src=x" not in page
    assert "&lt;script&gt;" in page


def test_one_wrong_number_in_many_is_found_and_shown():
    """The rows and columns around it, and all of the plane as an image."""
    right = torch.linspace(-1, 2, 1200).reshape(1, 1, 40, 30)
    wrong = right.clone()
    wrong[0, 0, 33, 20] -= 0.01
    cells = difference(wrong, right, Settings).cells
    text = value_text(wrong, cells, marked=True)
    assert "rows 31–38 of 40, columns 18–25 of 30" in text
    assert text.count("[") == 1
    assert image_html(wrong[..., :5, :5]) == ""
    data = re.search("base64,([^']+)", image_html(wrong, cells, marked=True))[1]
    image = Image.open(io.BytesIO(base64.b64decode(data)))
    assert (image.format, image.size) == ("PNG", (30, 40))
    assert image.getpixel((0, 0)) == (0, 0, 0) and image.getpixel((29, 39)) == (255, 255, 255)
    red, green, blue = image.getpixel((20, 33))
    assert red > 2 * green == 2 * blue


# What learners call


@pytest.fixture
def file(tmp_path, monkeypatch):
    path = tmp_path / "deep" / "progress.json"
    monkeypatch.setenv("COURSE_PROGRESS_FILE", str(path))
    return path


def test_check_prints_and_remembers(file, capsys):
    result = check("02.6", amax)
    assert result.passed
    assert capsys.readouterr().out == "✅ 02.6 Repair: four mistakes in five lines: passed\n"
    assert solved() == {"02.6"}
    assert not check("02.6", F.avg_pool2d).passed
    assert solved() == {"02.6"}, "once solved stays solved"


def test_wrong_or_missing_answers_raise_only_in_strict_mode(file, monkeypatch):
    check("02.6", None)
    check("02.6", F.avg_pool2d)
    monkeypatch.setenv("COURSE_EXERCISES", "strict")
    check("02.6", amax)
    for answer in (None, F.avg_pool2d):
        with pytest.raises(ExerciseError, match=re.escape("02.6")):
            check("02.6", answer)


@pytest.mark.parametrize("id", ["02.99", "99.1", "pooling", 2.3])
def test_unknown_exercise_says_what_there_is(id):
    with pytest.raises(ExerciseError, match="02"):
        check(id, None)


def test_hints_come_one_by_one_and_then_point_to_the_solution(capsys, monkeypatch):
    monkeypatch.setattr(learner, "_hints_given", {})
    first, second, _ = find("02.3").hints
    hint("02.3")
    out = capsys.readouterr().out
    assert first in out and second not in out
    hint("02.3")
    assert second in capsys.readouterr().out
    hint("02.3")
    hint("02.3")
    assert 'solution("02.3")' in capsys.readouterr().out


COMMENTED = '# hint("02.1")\n# solution("02.1")'


def test_solve_replaces_the_function_and_nothing_else():
    """Neither the commented hint and solution, in one cell or, as they used to be, in two."""
    stub = "x = 1\n\n\ndef ex02_1_min_pool2d(X, window):\n    ...\n\n\ny = 2"
    sources = [stub, "print(3)", COMMENTED, *COMMENTED.splitlines()]
    notebook = nbformat.v4.new_notebook(cells=list(map(nbformat.v4.new_code_cell, sources)))
    first, *others = [cell.source for cell in solve(notebook).cells]
    _, code, _ = book_boxes("02.1")
    assert first == f"x = 1\n\n\n{code.rstrip()}\n\n\ny = 2"
    assert others == sources[1:]
    assert notebook.cells[0].source == stub


def test_the_commented_cell_does_what_it_says_when_uncommented(capsys):
    exec(COMMENTED.replace("# ", ""), {"hint": hint, "solution": solution})
    out = capsys.readouterr().out
    assert "Hint 1 of" in out
    assert "    return -F.max_pool2d(-X, window)" in out and "@exercise" not in out
    assert find("02.1").explanation in out


# Progress


def test_bar_and_map(file, capsys):
    progress_bar("02")
    total = len(exercises_of("02"))
    assert capsys.readouterr().out.startswith(f"Chapter 02: 0 of {total} exercises solved")
    remember("02.3")
    progress_bar("02")
    assert f"1 of {total} exercises solved  ■□" in capsys.readouterr().out
    progress_map()
    assert capsys.readouterr().out.strip() == progress_text()
    assert re.search(rf"02  Pooling +1 of {total}  □□■□", progress_text())


@pytest.mark.parametrize("place", ["file/progress.json", "folder"])
def test_an_unwritable_place_is_said_and_does_no_harm(tmp_path, monkeypatch, capsys, place):
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    monkeypatch.setenv("COURSE_PROGRESS_FILE", str(tmp_path / place))
    assert solved() == set()
    assert check("02.6", amax).passed
    assert "could not be saved" in capsys.readouterr().out
    progress_bar("02")


def test_none_keeps_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_PROGRESS_FILE", "none")
    monkeypatch.chdir(tmp_path)
    assert check("02.6", amax).passed
    assert solved() == set()
    assert list(tmp_path.iterdir()) == []


# Declaring


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kind": "puzzle"}, "kind must be one of"),
        ({"hints": ["only one"]}, "two hints"),
        ({"explanation": ""}, "an explanation"),
        ({"kind": "repair"}, "broken stub"),
        ({"stub": len}, "broken stub"),
        ({"name": "pool2d"}, "named as ex02_3_topic"),
    ],
)
def test_a_wrong_declaration_is_refused(changes, message):
    fn = lambda x: x  # noqa: E731
    about = {"name": "ex02_99_new", "title": "t", "kind": "code", "minutes": 1, "cases": list}
    about |= {"hints": ["a", "b"], "explanation": "c", **changes}
    fn.__name__ = about.pop("name")
    with pytest.raises(ValueError, match=message):
        exercise(**about)(fn)
