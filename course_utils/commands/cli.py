"""The `course` command: parse, call, print. What takes long to import is imported when needed.

Exit status: 0 all well; 1 a chapter or a check failed; 2 bad input; 130 stopped with Ctrl-C; 141
nobody reads any more what it prints, as in `course data | head -1`.
"""

import contextlib
import os
import sys
from pathlib import Path

import click

import course_utils
from course_utils import settings
from course_utils.commands.notebooks import plain
from course_utils.errors import CourseError


def main(argv=None):
    """Run one command; returns its exit status."""
    _prepare_streams()
    try:
        status = _run(sys.argv[1:] if argv is None else argv)
        sys.stdout.flush()  # here, where we can still say what is wrong
        return status
    except BrokenPipeError:
        status = 141  # as of a command that SIGPIPE ends
    except OSError as error:  # of files; commands say it better where they can
        status = _refuse(": ".join(map(str, filter(None, (error.filename, error.strerror)))))
    try:
        sys.stdout.flush()
    except OSError:  # Python would try once more at its end, and complain
        with contextlib.suppress(OSError), open(os.devnull, "w") as nowhere:
            os.dup2(nowhere.fileno(), sys.stdout.fileno())
    return status


def _prepare_streams():
    """Print what the encoding lacks as a backslash and its number; nowhere, if there is nowhere."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # closed by who started us
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_WRONLY), "w"))
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def _run(argv):
    try:  # not by click's own `main`, which words errors and Ctrl-C in its way
        with course.make_context("course", list(argv), obj=argv) as context:
            return course.invoke(context) or 0
    except click.exceptions.Exit as stop:  # after --help and --version
        return stop.exit_code
    except click.UsageError as error:
        command = error.ctx.command_path if error.ctx else "course"
        message = " ".join(error.format_message().split())
        return _refuse(f"{message}\n{command} --help says what it takes")
    except CourseError as error:
        return _refuse(str(error))
    except KeyboardInterrupt:
        print("course: stopped", file=sys.stderr)
        return 130


def _refuse(message):
    print(f"course: {plain(message)}", file=sys.stderr)
    return 2


class _InOrder(click.Group):
    """Lists its commands in the order in which they stand here."""

    def list_commands(self, ctx):
        return list(self.commands)


class _Above0(click.FloatRange):
    def convert(self, value, param, ctx):
        number = super().convert(value, param, ctx)
        return number if number > 0 else self.fail("expected a number", param, ctx)  # nan


def _count(*names, least=1, metavar="N", **more):
    return click.option(*names, type=click.IntRange(least), metavar=metavar, **more)


def _amount(*names, metavar="S", most=None, **more):
    kind = _Above0(min=0, min_open=True, max=most)
    return click.option(*names, type=kind, metavar=metavar, **more)


class _Path(click.ParamType):
    name = "path"

    def convert(self, value, param, ctx):  # of "" no path: it would be the working folder
        return str(settings.absolute(value)) if value else self.fail("is empty", param, ctx)


def _path(*names, metavar="PATH", **more):
    return click.option(*names, type=_Path(), metavar=metavar, **more)


def _folder(default, *names):
    return _path(*(names or ["--out"]), metavar="DIR", help=f"default: {default}")


def _manifest(**more):
    from course_utils.commands.manifest import load_manifest

    return load_manifest(**more)


_chapters = click.argument("chapters", nargs=-1, metavar="[CHAPTER]...")


@click.group(
    cls=_InOrder,
    no_args_is_help=False,
    context_settings={"help_option_names": ["-h", "--help"], "show_default": True},
)
@click.version_option(course_utils.__version__, message="course %(version)s")
def course():
    """Run, check and publish the course Classic ConvNets, Hands-On.

    \b
    examples:
      course run                        every chapter, quick profile, into build/run/quick
      course run 03 --profile full      the published settings of chapter 03
      course run lenet --param lr=0.5   one chapter with a parameter of your own
      course book                       the executed notebooks as a website, into build/book
      course data --get fashion-mnist   fetch a data set
      course save --check               are the modules in course_utils/nets up to date?
      course lab                        JupyterLab on your own copies of the chapters
      course grade returned             judge a folder of returned notebooks
    """
    settings.settle()


@course.command()
@_chapters
@click.option("--profile", default="quick", help="quick or full")
@click.option("--param", "params", multiple=True, metavar="NAME=VALUE", help="may be repeated")
@_count("--jobs", help="chapters at a time")
@_folder("build/run/PROFILE")
@click.option("--keep-going", is_flag=True, help="a failure does not stop the rest")
@click.option("--resume", is_flag=True, help="keep what passed and has not changed")
@_amount("--timeout", help="seconds a cell may take (default: 1200 in quick, no limit in full)")
@click.option("--no-rate", is_flag=True, help="do not measure the matrix rate first (saves 3 s)")
def run(chapters, no_rate, **options):
    """Execute chapters and report. Default: all of them.

    A chapter is named by number (3, 03), topic (lenet), name (03_lenet) or file. A parameter is
    given to every chosen chapter whose `parameters` cell has it; it is an error when none has.

    A run begins anew and replaces what is in its folder, chapter by chapter. With --resume it
    keeps a chapter that passed there, as long as its notebook, its parameters, its data, the
    installed packages and course_utils are what they were and its executed notebook is whole; it
    says for each chapter "kept" or why it runs. That holds after anything: Ctrl-C, a kill, a full
    disk, a power cut. Only one run at a time may use a folder.

    \b
    examples:
      course run 01 02 --jobs 2
      course run lenet --param num_epochs=3 --param lr=0.9
      course run --keep-going --resume   go on where an earlier run failed or was stopped
    """
    from course_utils.commands.run.batch import run_batch

    return run_batch(_manifest(), chapters, measure=not no_rate, **options)


@course.command()
@_folder("build/run/quick", "--from", "source")
@_folder("build/book")
def book(source, out):
    """Build the website from executed notebooks."""
    from course_utils.commands.book import build_book

    manifest = _manifest()
    source = Path(source or manifest.build_dir / "run" / "quick")
    print(f"book: {build_book(manifest, source, Path(out or manifest.build_dir / 'book'))}")


@course.command()
@click.option("--get", metavar="NAME", help="fetch this data set")
def data(get):
    """Show which data sets are here, or fetch one."""
    from rich.table import Table

    from course_utils import data
    from course_utils.commands.run.progress import make_console

    if get is not None:
        print(f"{get} is in {data.download(get)}")
        return
    table = Table()
    for column in ("data set", "present", "verified", "where", "note"):
        table.add_column(column, overflow="fold")
    words = {True: "yes", False: "no", None: "–"}
    for row in data.describe():
        state = (words[row["present"]], words[row["verified"]])
        table.add_row(row["name"], *state, row["where"], row["note"])
    make_console().print(table)


@course.command()
@click.option("--check", is_flag=True, help="write nothing, fail if out of date")
def save(check):
    """Write the chapters' #@save cells to course_utils/nets."""
    from course_utils.commands.save import check_modules, save_modules

    manifest = _manifest(check_files=False)
    nets = manifest.root / "course_utils" / "nets"
    if check:
        problems = check_modules(manifest.book.src, nets).problems()
        for problem in problems:
            print(f"course_utils/nets/{problem}", file=sys.stderr)
        if problems:
            print("run `course save` and commit what it changes", file=sys.stderr)
        return 1 if problems else 0
    state = save_modules(manifest.book.src, nets)
    for verb, names in (("wrote", state.stale + state.missing), ("removed", state.orphaned)):
        for name in names:
            print(f"{verb} course_utils/nets/{name}")


@course.command()
@_chapters
@click.option("--allow-standin", is_flag=True, help="accept results on Fashion-MNIST's stand-in")
@_amount("--timeout", help="seconds a cell may take")
def refresh(chapters, **options):
    """Execute chapters in place, to renew saved outputs. Default: all of them."""
    from course_utils.commands.refresh import refresh_chapters

    return refresh_chapters(_manifest(), chapters, **options)


@course.command()
@_folder("my-course, beside book.toml", "--dir")
@click.option("--refresh", multiple=True, metavar="CHAPTER...", help="bring new versions of these")
@click.option("--no-browser", is_flag=True, help="only print the address")
@click.option("--port", type=click.IntRange(0, 65_535), metavar="N", help="0: any that is free")
@click.argument("more", nargs=-1, metavar="[-- ARGUMENT...]")
def lab(dir, refresh, no_browser, port, more):
    """Open your own copies of the chapters in JupyterLab.

    Your copies are made once, in my-course/ (or --dir), and are yours: no update writes to them.
    --refresh puts new versions in place, keeps yours beside them, and starts nothing.

    \b
    examples:
      course lab
      course lab --refresh 03      the new version of chapter 03; yours is kept beside it
      course lab --no-browser -- --allow-root
                                   in a container; after -- come Jupyter's arguments
    """
    from course_utils.commands import lab

    manifest = _manifest()
    folder = lab.lab_folder(manifest, dir)
    if refresh:  # `--refresh 03 05`: the second is no option's value
        print("\n".join(lab.refresh_copies(manifest, folder, refresh + more)))
        return None
    for sentence in lab.make_copies(manifest, folder):
        print(sentence)
    return lab.start_jupyterlab(folder, browser=not no_browser, port=port, more=more)


@course.command()
@click.argument("network")
@click.option("--data", type=click.Choice(["fashion-mnist"]), default="fashion-mnist")
@_count("--nproc", default=1, help="processes on this machine")
@_count("--epochs", default=1)
@_count("--batch-size", default=128, help="examples of a step, of all processes together")
@_amount("--lr", metavar="X", default=0.002)
@click.option("--optimizer", default="adamw", help="adamw or sgd")
@click.option("--scheduler", default="warmup-decay", help="warmup-decay or constant")
@click.option("--init", default="kaiming", help="kaiming or xavier")
@_count("--size", help="pixels a side (default: 32 if the network takes it, else its own)")
@_count("--train-examples", help="default: all")
@_count("--test-examples", help="default: all")
@click.option("--seed", type=click.IntRange(-(2**63), 2**64 - 1), default=0, metavar="N")
@click.option(
    "--amp",
    type=click.Choice(["on", "off", "auto"]),
    is_flag=False,
    flag_value="on",
    default="off",
    help="bfloat16; auto: where it is faster",
)
@_count("--accumulate", default=1, metavar="K", help="compute each batch in K parts: less memory")
@click.option("--compile", is_flag=True, help="compile the network first")
@_path("--checkpoint", help="keep the state here; go on from it if there")
@_count("--checkpoint-every", default=200, help="steps between two, besides after each epoch")
@_path("--history", help="write the record as JSON")
@_path("--save", help="write the trained weights")
@_count("--max-restarts", least=0, default=3, help="how often all start again when one dies")
@click.pass_obj
def train(argv, data, amp, **options):
    """Train a network by name, in one process or more.

    NETWORK is a preset, such as resnet18 or lenet. Several processes share each batch: the result
    is that of one process, but for rounding (batch normalisation sees the parts of a batch one by
    one). For several machines, torch's own launcher takes the same options.

    \b
    examples:
      course train lenet --epochs 3
      course train resnet18 --nproc 2 --checkpoint build/resnet18.ckpt
      torchrun --nproc-per-node 8 --nnodes 2 --rdzv-backend c10d \\
        --rdzv-endpoint first-machine:29400 -m course_utils.commands train resnet18
    """
    from course_utils.commands.train import train

    train(argv, amp={"on": True, "off": False, "auto": "auto"}[amp], **options)


@course.command()
def progress():
    """Show which exercises you have solved."""
    from course_utils.exercises.progress import progress_text

    print(progress_text())


@course.command()
@_chapters
@_path("--export", metavar="DIR", help="write notebooks without solutions, and tests")
@click.option("--with-checks", is_flag=True, help="with the cells that check")
@_path("--points", metavar="FILE", help="CSV of exercise,points (default: 1 each)")
@click.option("--force", is_flag=True, help="replace files that are there")
def exercises(chapters, export, with_checks, points, force):
    """List exercises, or export them for students. Default: of all chapters.

    With --export, DIR/instructor holds otter-grader's tests, the points, and the autograder.zip
    that Gradescope takes.
    """
    from course_utils.commands.grade.export import export_exercises, overview

    if export is None:
        print(overview(_manifest(), chapters))
    else:
        options = {"checks": with_checks, "points": points, "force": force}
        made = export_exercises(_manifest(), chapters, export, **options)
        print(*made, sep="\n")


@course.command()
@_chapters
def evidence(chapters):
    """Run the experiments behind the chapters' claims.

    Each is done with and without what a claim names, with several seeds; one row a run is kept in
    chapters/evidence. What is recorded there is not run again, so stop whenever you like.
    """
    from course_utils.commands.notebooks import select_chapters
    from course_utils.evidence.experiment import experiments, run_missing

    names = [chapter.name for chapter in select_chapters(_manifest(), chapters)] if chapters else ()
    print(f"{sum(run_missing(each) for each in experiments(names))} runs were missing")


@course.command()
@click.argument("folder", type=_Path(), metavar="DIR")
@click.option("--chapters", metavar="02,05", help="(default: those of most notebooks)")
@_path("--roster", metavar="FILE", help="CSV with columns such as name, id, email")
@_path("--points", metavar="FILE", help="CSV of exercise,points (default: 1 each)")
@_amount(
    "--time", "seconds", most=86_400, default=20, help="seconds a cell or an exercise may take"
)
@_count("--memory", metavar="MB", default=2048, help="of a notebook, besides what torch needs")
@_folder("DIR-grades")
@_count("--jobs", help="notebooks at a time")
def grade(folder, **limits):
    """Judge a folder of returned notebooks.

    Otter-grader runs them. DIR holds a notebook, a folder or a zip for each student, or is
    a zip of that. Writes grades.csv, results.json and a page for each student. What looks as if it
    answered by other means than an answer is marked LOOK. Students' code runs in processes with
    limits, but as you: SECURITY.md shows how to use a container for code that you do not trust.
    """
    from course_utils.commands.grade.grade import grade_folder

    return grade_folder(folder, **limits)


@course.command()
@click.option("--only", metavar="A,B,…", help="only these parts")
@_count("--rounds", default=5, help="measure each side so often")
@_count("--examples", help="train each net of the part nets on so many (default: seconds' worth)")
@_folder("build/bench")
def bench(only, rounds, examples, out):
    """Measure time and memory beside d2l and torch.

    Parts: lenet, nets, limit, operators, data, imports, chapters, scaling, gpu. Sides are measured
    in turn, and ratios taken round by round. Stop other programs first. All parts take about 12
    minutes on two cores; the results of parts that are not run again stay in bench.json.

    \b
    examples:
      course bench
      course bench --only lenet,operators --rounds 3
      course bench --only nets --rounds 3 --examples 60000
                            accuracies after a whole epoch, too
    """
    from course_utils.commands.bench.run import bench_sizes, run_bench

    return run_bench(_manifest(), only, out, bench_sizes(rounds, examples))
