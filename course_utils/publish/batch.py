"""`course run`: choose chapters, check their parameters, execute them, report.

Everything that can be wrong is found before the first kernel starts.
"""

import ast
import hashlib
import json
import os
from contextlib import closing, contextmanager
from pathlib import Path

import course_utils
from course_utils.errors import RunError
from course_utils.publish import machine, pool
from course_utils.publish.display import make_console, show_progress
from course_utils.publish.manifest import PROFILES, nearest
from course_utils.publish.render import write_pages
from course_utils.publish.report import REPORT_NAME, Report, print_report, read_report
from course_utils.publish.worker import Job

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
    jobs: chapters at a time. out: folder; default <build>/run/<profile>. timeout: seconds a cell.
    measure: whether to measure the machine's matrix rate first (about 3 s).
    Returns the exit status: 0, 1 if a chapter failed, 130 if stopped by Ctrl-C.
    Raises RunError, before anything runs, if the input is wrong.
    """
    console = console or make_console()
    chapters = select_chapters(manifest, names)
    if profile not in PROFILES:
        raise RunError(f"unknown profile {profile!r}; {nearest(profile, PROFILES)}")
    if timeout is None and profile == "quick":
        timeout = _QUICK_TIMEOUT
    settings = settings_of(manifest, chapters, profile, params)
    out = prepare_folder(Path(out) if out else manifest.build_dir / "run" / profile)
    earlier = _earlier(out, console) if resume else {}
    facts = {"versions": machine.versions(), **machine.describe_machine()}
    library = library_hash()

    todo = {}
    facts |= {"matmul_gflops": None, "accelerator": None}
    report = Report(chapters, profile, out, facts)
    for chapter in chapters:
        entry = report[chapter.name]
        entry["parameters"] = settings[chapter.name]
        entry["fingerprint"] = fingerprint(chapter, profile, entry["parameters"], library, facts)
        before = earlier.get(chapter.name)
        output = out / f"{chapter.name}.ipynb"
        if before and before["fingerprint"] == entry["fingerprint"] and output.is_file():
            report.keep(chapter.name, before)
        else:
            todo[chapter.name] = Job(
                notebook=str(chapter.file),
                output=str(output),
                cwd=str(chapter.file.parent),
                parameters=settings[chapter.name],
                timeout=timeout,
                report=str(out.resolve() / REPORT_NAME),
            )
    jobs = jobs or pool.default_jobs()
    interrupted = False
    with _sigterm_as_ctrl_c():
        try:
            if measure and todo:
                report.data.update(machine.measure())
            with (
                show_progress(console, list(todo), report.begin) as show,
                closing(pool.run_jobs(todo, jobs, show, not keep_going)) as results,
            ):
                for name, result in results:
                    if result["error"] and result["error"]["cell"] is None:
                        # it left no notebook: the one of an earlier run must not stand for it
                        Path(todo[name].output).unlink(missing_ok=True)
                    report.add(name, result)
        except KeyboardInterrupt:
            interrupted = True
        report.finish(interrupted)
    for leftover in out.glob(".*.partial.ipynb"):
        leftover.unlink()
    pages = write_pages(report, manifest.book.title)
    print_report(report, console)
    for path in (out, *pages):
        console.print(_short(path), style="dim", soft_wrap=True, highlight=False)
    if interrupted:
        console.print("stopped; what had finished is in the report", style="yellow")
        return 130
    return 1 if report.failed() else 0


def select_chapters(manifest, names):
    """Chapters for what users write – 3, 03, lenet, 03_lenet, a path –, in the book's order.

    Raises RunError with the nearest names for an unknown one.
    """
    if not names:
        return list(manifest.chapters)
    chosen = set()
    for name in names:
        bare = str(name).removesuffix(".ipynb")
        matches = [
            chapter.name
            for chapter in manifest.chapters
            if bare in (chapter.name, chapter.topic)
            or (bare.isdecimal() and int(bare) == chapter.number)
            or (os.sep in str(name) and Path(name).resolve() == chapter.file.resolve())
        ]
        if not matches:
            known = [n for chapter in manifest.chapters for n in (chapter.name, chapter.topic)]
            close = nearest(bare, known)
            if close.startswith("known"):
                close = nearest(bare, [chapter.name for chapter in manifest.chapters])
            raise RunError(f"unknown chapter {name!r}; {close}")
        chosen.update(matches)
    return [chapter for chapter in manifest.chapters if chapter.name in chosen]


def settings_of(manifest, chapters, profile, params):
    """Chapter name -> parameters to inject: the profile's, then the user's `params` over them.

    A user's parameter goes to each chapter whose `parameters` cell has it. Raises RunError if a
    chapter lacks one that book.toml sets, or if no chapter has one that the user gave.
    """
    known = {chapter.name: parameter_names(chapter.file) for chapter in chapters}
    settings = {}
    for chapter in chapters:
        settings[chapter.name] = dict(chapter.full) if profile == "full" else {}
        for name in settings[chapter.name]:
            where = f"{manifest.path.name}: {chapter.name} sets full.{name}"
            _check_parameter(name, known[chapter.name], [chapter], where)
    for name, value in map(parse_param, params):
        takers = [chapter.name for chapter in chapters if name in (known[chapter.name] or ())]
        if not takers:
            every = sorted(set().union(*(names or () for names in known.values())))
            lacking = all(names is None for names in known.values())
            _check_parameter(name, None if lacking else every, chapters, f"--param {name}")
        for taker in takers:
            settings[taker][name] = value
    return settings


def _check_parameter(name, known, chapters, where):
    if known is None:
        names = ", ".join(chapter.name for chapter in chapters)
        verb = "have" if len(chapters) > 1 else "has"
        raise RunError(f"{where}: {names} {verb} no cell tagged `parameters`, so it can take none")
    if name not in known:
        raise RunError(f"{where}: unknown parameter; {nearest(name, known)}")


def parse_param(text):
    """ "lr=0.5" -> ("lr", 0.5): Python literals, true/false as in TOML, anything else a string."""
    name, equals, value = text.partition("=")
    name, value = name.strip(), value.strip()
    if not equals or not name.isidentifier():
        raise RunError(f"--param {text}: expected NAME=VALUE, such as lr=0.5")
    if value in ("true", "false"):
        return name, value == "true"
    try:
        return name, ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return name, value


def parameter_names(notebook):
    """Names that the notebook's `parameters` cell assigns; None if it has no such cell.

    Raises RunError if the file is not a notebook or the cell is not Python.
    """
    for cell in _cells(notebook):
        if "parameters" not in cell.get("metadata", {}).get("tags", []):
            continue
        try:
            tree = ast.parse("".join(cell["source"]))
        except SyntaxError as error:
            raise RunError(f"{notebook.name}: the parameters cell: {error.msg}") from None
        targets = []
        for node in tree.body:
            if isinstance(node, ast.Assign):
                targets += node.targets
            elif isinstance(node, ast.AnnAssign):
                targets.append(node.target)
        return [target.id for target in targets if isinstance(target, ast.Name)]
    return None


def _cells(notebook):
    try:
        return json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RunError(f"{notebook} is not a notebook ({type(error).__name__})") from None


def prepare_folder(out):
    """Make the folder and see that it can be written; returns its absolute path."""
    out = out.resolve()
    try:
        out.mkdir(parents=True, exist_ok=True)
        probe = out / ".probe"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise RunError(
            f"{out} cannot be written ({error.strerror}): give another folder with --out"
        ) from None
    return out


def library_hash():
    """Hash of the code that chapters import; the publisher's wing cannot change their results."""
    folder = Path(course_utils.__file__).parent
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*.py")):
        name = path.relative_to(folder).as_posix()
        if not name.startswith("publish/"):
            digest.update(name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def fingerprint(chapter, profile, parameters, library, facts):
    """Everything that a chapter's result depends on, as one hash; saved outputs do not count."""
    cells = [
        [cell["cell_type"], "".join(cell["source"]), cell.get("metadata", {}).get("tags", [])]
        for cell in _cells(chapter.file)
    ]
    # where data comes from and whether it is a fast run; how progress is shown does not matter
    variables = {
        name: value
        for name, value in os.environ.items()
        if name.startswith("COURSE_") and name != "COURSE_PROGRESS"
    }
    parts = [cells, profile, parameters, library, facts["versions"], variables]
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()


def _earlier(out, console):
    """Chapters that an earlier run in this folder passed, by name."""
    try:
        data = read_report(out)
    except RunError as error:
        console.print(f"{error}: every chapter runs again", style="yellow", soft_wrap=True)
        return {}
    if data is None:
        return {}
    return {entry["name"]: entry for entry in data["chapters"] if entry["status"] == "passed"}


@contextmanager
def _sigterm_as_ctrl_c():
    """A CI job that is cancelled gets SIGTERM: leave the same partial report as after Ctrl-C."""
    import signal

    def stop(signum, frame):
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _short(path):
    """A path as short as it can be written from here."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
