"""`course run`: choose chapters, check their parameters, execute them, report.

Everything that can be wrong is found before the first kernel starts.
"""

import ast
import json
import os
import signal
from pathlib import Path

from course_utils.commands.manifest import PROFILES, nearest
from course_utils.commands.notebooks import parameter_cell, plain, select_chapters
from course_utils.commands.run import machine, pool
from course_utils.commands.run.execute import Job
from course_utils.commands.run.folder import claim, prepare_folder
from course_utils.commands.run.progress import make_console, show_progress
from course_utils.commands.run.report import REPORT_NAME, Report, print_report, read_report
from course_utils.commands.run.report_page import write_pages
from course_utils.commands.run.resume import plan
from course_utils.errors import RunError

# type of a chapter's own value -> types that a parameter may have in its place, and in words
_KINDS = {
    bool: ((bool,), "true or false"),
    int: ((int,), "a whole number"),
    float: ((int, float), "a number"),
    str: ((str, bool), "a text"),
    list: ((list,), "a list such as [1, 2]"),
    tuple: ((list,), "a list such as [1, 2]"),
    dict: ((dict,), 'a dict such as {"a": 1}'),
}
_ANY = ((*_KINDS, type(None)), "a value that JSON has")
_QUICK_TIMEOUT = 1200  # seconds a cell may take in the quick profile; full has no limit


def run_batch(
    manifest,
    names=(),
    *,
    profile="quick",
    params=(),
    jobs=None,
    out=None,
    keep_going=False,
    resume=False,
    timeout=None,
    measure=True,
    console=None,
):
    """Execute chapters and write report.json, report.html, junit.xml and the notebooks.

    names: chapters as users write them; none: all. params: "name=value" strings.
    jobs: chapters at a time. out: folder; default <build>/run/<profile>. timeout: seconds a cell,
    or infinity.
    resume: whether chapters that an earlier run in that folder passed, and that have not changed
    since, are kept; those that are not in `names` then stay in the report.
    measure: whether to measure the machine's matrix rate first (about 3 s).
    Returns the exit status: 0, 1 if a chapter failed, 130 if stopped by Ctrl-C.
    Raises RunError, before anything runs, if the input is wrong or the folder is in use; later,
    if something cannot be written, such as on a full disk. What had finished is kept.
    """
    console = console or make_console()
    chapters = select_chapters(manifest, names)
    if profile not in PROFILES:
        raise RunError(f"unknown profile {profile!r}; {nearest(profile, PROFILES)}")
    if timeout is None and profile == "quick":
        timeout = _QUICK_TIMEOUT
    settings = settings_of(manifest, chapters, profile, params)
    out = Path(out) if out else manifest.build_dir / "run" / profile
    if os.path.realpath(out) == os.path.realpath(manifest.book.src):
        raise RunError(f"{out} holds the chapters themselves: give another folder with --out")
    out = prepare_folder(out)
    with claim(out) as scratch:
        report, todo = _plan(manifest, chapters, profile, settings, out, resume, console)
        work = {
            chapter.name: Job(
                notebook=str(chapter.file),
                output=str(out / f"{chapter.name}.ipynb"),
                cwd=str(chapter.file.parent),
                parameters=settings[chapter.name],
                timeout=timeout,
                report=str(out / REPORT_NAME),
                alone=chapter.alone,
            )
            for chapter in todo
        }
        interrupted = _run(report, work, jobs, keep_going, measure, scratch, console)
        pages = write_pages(report, manifest.book.title)
    print_report(report, console)
    for path in (out, *pages):
        console.print(_from_here(path), style="dim", soft_wrap=True, highlight=False)
    if interrupted:
        console.print("stopped; what had finished is in the report", style="yellow")
        return 130
    return 1 if report.failed() else 0


def _plan(manifest, chapters, profile, settings, out, resume, console):
    """The report as it stands before anything runs, and the chapters that must run."""
    facts = {"versions": machine.versions(), **machine.describe_machine()}
    facts |= {"matmul_gflops": None, "accelerator": None}
    entries = _earlier(out, console) if resume else {}
    # chapters that were not asked for stay in a resumed report, with the parameters they had
    parameters = {name: entry.get("parameters", {}) for name, entry in entries.items()} | settings
    known = [chapter for chapter in manifest.chapters if chapter.name in parameters]
    prints, reasons = plan(known, parameters, profile, facts["versions"], entries, out)
    shown = [chapter for chapter in known if chapter in chapters or not reasons[chapter.name]]
    report = Report(shown, profile, out, facts)
    for name in (chapter.name for chapter in shown):
        report[name].update(parameters=parameters[name], fingerprint=prints[name])
        if reasons[name] is None:
            report.keep(name, entries[name])
    if resume:
        report.save()
        for name in settings:
            said = f"run: {reasons[name]}" if reasons[name] else "kept"
            console.print(f"{name}: {said}", markup=False, highlight=False, soft_wrap=True)
    return report, [chapter for chapter in chapters if reasons[chapter.name]]


def _run(report, work, jobs, keep_going, measure, scratch, console):
    """Execute jobs and enter what they gave; returns whether the run was stopped.

    Raises OSError if an executed notebook or the report could not be written.
    """

    def enter(name, result):
        if result["output_sha256"] is None:
            # it left no notebook: the one of an earlier run must not stand for it
            Path(work[name].output).unlink(missing_ok=True)
        report.add(name, result)

    interrupted = True
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)  # a cancelled CI job
    try:
        if measure and work:
            report.data.update(machine.measure())
        at_once = jobs or pool.default_jobs()
        with show_progress(console, list(work), report.begin) as show:
            pool.run_jobs(work, at_once, show, enter, scratch, stop_on_failure=not keep_going)
        interrupted = False
    except KeyboardInterrupt:
        pass
    finally:
        signal.signal(signal.SIGTERM, before)
        report.finish(interrupted)
    return interrupted


def settings_of(manifest, chapters, profile, params):
    """Chapter name -> parameters to inject: the profile's, then the user's `params` over them.

    A user's parameter goes to each chapter whose `parameters` cell has it. Raises RunError if a
    chapter lacks one that book.toml sets, if no chapter has one that the user gave, or if a value
    is of another kind than the chapter's own.
    """
    known = {chapter.name: parameter_cell(chapter.file) for chapter in chapters}
    settings = {chapter.name: {} for chapter in chapters}
    for chapter in chapters if profile == "full" else ():
        for name, value in chapter.full.items():
            where = f"{manifest.path.name}: {chapter.name} sets full.{name}"
            _require_parameter(where, name, {chapter.name: known[chapter.name]})
            settings[chapter.name][name] = _fitting(where, value, known[chapter.name][name])
    for text in params:
        name, equals, words = (part.strip() for part in text.partition("="))
        if not equals or not name.isidentifier():
            raise RunError(f"--param {_short(text)}: expected NAME=VALUE, such as lr=0.5")
        _require_parameter(f"--param {name}", name, known)
        for chapter, names in known.items():
            if name in (names or ()):
                where = f"--param {_short(text)}: {chapter}"
                settings[chapter][name] = _fitting(where, _value(words), names[name], words)
    return settings


def _require_parameter(where, name, known):
    """Raises RunError if no chapter has this parameter. known: chapter -> its parameters or None"""
    if all(names is None for names in known.values()):
        verb = "have" if len(known) > 1 else "has"
        chapters = ", ".join(known)
        raise RunError(
            f"{where}: {chapters} {verb} no cell tagged `parameters`, so it can take none"
        )
    every = [one for names in known.values() for one in names or ()]
    if name not in every:
        raise RunError(f"{where}: unknown parameter; {nearest(name, every)}")


def _value(words):
    """What a user wrote: a Python literal, true or false as in TOML, else the words themselves."""
    try:
        return ast.literal_eval({"true": "True", "false": "False"}.get(words, words))
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return words


def _fitting(where, value, default, words=None):
    """`value` if it is of the kind of the parameter's own, and JSON, as the report is, can hold it.

    default: the expression in the `parameters` cell; if it is no plain value any kind will do.
    words: what the user wrote; where a text is expected it is one, whatever else it could mean.
    Raises RunError if it does not fit.
    """
    try:
        own = ast.literal_eval(default)
    except (ValueError, TypeError):
        own = None
    types, kind = _KINDS.get(type(own), _ANY)
    if isinstance(own, str) and type(value) not in types and words is not None:
        value = words
    try:
        text = json.dumps(value, allow_nan=False, ensure_ascii=False)
        same = json.loads(text.encode()) == value  # half of a pair of surrogates is no text
    except (TypeError, ValueError, RecursionError):
        same = False
    if type(value) not in types or not same:
        given = _short(ast.unparse(default))
        raise RunError(f"{where}: expected {kind}, as the chapter's own {given} is")
    return value


def _short(text):
    return " ".join(plain(text)[:60].split())


def _earlier(out, console):
    """Name -> entry of the report that an earlier run left in this folder."""
    try:
        data = read_report(out)
    except RunError as error:
        console.print(f"{error}: every chapter runs again", style="yellow", soft_wrap=True)
        return {}
    return {entry["name"]: entry for entry in data["chapters"]} if data else {}


def _from_here(path):
    """A path as short as it can be written from here."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
