"""The `course` command: parse, call, print. What takes long to import is imported when needed.

Exit status: 0 all well; 1 a chapter or a check failed; 2 bad input; 130 stopped with Ctrl-C.
"""

import argparse
import sys
from pathlib import Path

import course_utils
from course_utils.commands.notebooks import plain
from course_utils.errors import CourseError

EXAMPLES = """\
examples:
  course run                          every chapter, quick profile, into build/run/quick
  course run 03 --profile full        the published settings of chapter 03
  course run lenet --param lr=0.5     one chapter with a parameter of your own
  course book                         the executed notebooks as a website, into build/book
  course data --get fashion-mnist     fetch a data set
  course save --check                 are the modules in course_utils/nets up to date?
  course lab                          JupyterLab on your own copies of the chapters
  course grade returned               judge a folder of returned notebooks
"""

RUN_EXAMPLES = """\
A chapter is named by number (3, 03), topic (lenet), name (03_lenet) or file. A parameter is given
to every chosen chapter whose `parameters` cell has it; it is an error when none has.

A run begins anew and replaces what is in its folder, chapter by chapter. With --resume it keeps a
chapter that passed there, as long as its notebook, its parameters, its data, the installed
packages and course_utils are what they were and its executed notebook is whole; it says for each
chapter "kept" or why it runs. That holds after anything: Ctrl-C, a kill, a full disk, a power cut.
Only one run at a time may use a folder.

examples:
  course run 01 02 --jobs 2
  course run lenet --param num_epochs=3 --param lr=0.9
  course run --keep-going --resume    go on where an earlier run failed or was stopped
"""

LAB_EXAMPLES = """\
Your copies are made once, in my-course/ (or --dir), and are yours: no update writes to them.

examples:
  course lab
  course lab --refresh 03             the new version of chapter 03; yours is kept beside it
  course lab --no-browser -- --allow-root     in a container; after -- come Jupyter's arguments
"""

GRADE_EXAMPLES = """\
DIR holds a notebook for each student, or a folder for each; the name is the student's. Writes
grades.csv and a page for each student. Students' code runs in processes with limits, but as you:
use a container or another account for code that you do not trust.
"""


TRAIN_EXAMPLES = """\
Several processes share each batch: the result is that of one process, but for rounding (batch
normalisation sees the parts of a batch one by one).

examples:
  course train lenet --epochs 3
  course train resnet18 --nproc 2 --checkpoint build/resnet18.ckpt
  course train resnet18 --nproc 8 --nnodes 2 --rdzv-endpoint first-machine:29400   (on both)
"""

# Options that go to torch's launcher as they are.
MEETING = (
    "nnodes",
    "node-rank",
    "rdzv-backend",
    "rdzv-endpoint",
    "rdzv-id",
    "master-addr",
    "master-port",
)


BENCH_EXAMPLES = """\
Parts: lenet, nets, limit, operators, data, imports, chapters, scaling, gpu. Sides are measured in
turn, and ratios taken round by round. Stop other programs first. All parts take about 12 minutes
on two cores; the results of parts that are not run again stay in bench.json.

examples:
  course bench
  course bench --only lenet,operators --rounds 3
  course bench --only nets --rounds 3 --examples 60000    accuracies after a whole epoch, too
"""


def main(argv=None):
    """Run one command; returns its exit status."""
    args = _parser().parse_args(argv)
    try:
        return args.handler(args)
    except CourseError as error:
        print(f"course: {plain(str(error))}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("course: stopped", file=sys.stderr)
        return 130


def _parser():
    parser = argparse.ArgumentParser(
        prog="course",
        description="Run, check and publish the course Classic ConvNets, Hands-On.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"course {course_utils.__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    def command(name, handler, help, epilog=None):
        sub = commands.add_parser(
            name,
            help=help,
            description=help[0].upper() + help[1:] + ".",
            epilog=epilog,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        sub.set_defaults(handler=handler)
        return sub

    run = command("run", _run, "execute chapters and report", RUN_EXAMPLES)
    run.add_argument("chapters", nargs="*", metavar="CHAPTER", help="default: all of them")
    run.add_argument("--profile", default="quick", help="quick (default) or full")
    run.add_argument(
        "--param", action="append", default=[], metavar="NAME=VALUE", help="may be repeated"
    )
    run.add_argument("--jobs", type=_positive_int, metavar="N", help="chapters at a time")
    run.add_argument("--out", metavar="DIR", help="default: build/run/PROFILE")
    run.add_argument("--keep-going", action="store_true", help="a failure does not stop the rest")
    run.add_argument("--resume", action="store_true", help="keep what passed and has not changed")
    run.add_argument(
        "--timeout",
        type=_positive_number,
        metavar="S",
        help="seconds a cell may take (default: 1200 in quick, no limit in full)",
    )
    run.add_argument(
        "--no-rate",
        action="store_true",
        help="do not measure the machine's matrix rate first (saves about 3 s)",
    )

    book = command("book", _book, "build the website from executed notebooks")
    book.add_argument("--from", dest="source", metavar="DIR", help="default: build/run/quick")
    book.add_argument("--out", metavar="DIR", help="default: build/book")

    data = command("data", _data, "show which data sets are here, or fetch one")
    data.add_argument("--get", metavar="NAME", help="fetch this data set")

    save = command("save", _save, "write the chapters' #@save cells to course_utils/nets")
    save.add_argument("--check", action="store_true", help="write nothing, fail if out of date")

    refresh = command("refresh", _refresh, "execute chapters in place, to renew saved outputs")
    refresh.add_argument("chapters", nargs="*", metavar="CHAPTER", help="default: all of them")
    refresh.add_argument(
        "--allow-standin", action="store_true", help="accept results on the Fashion-MNIST stand-in"
    )
    refresh.add_argument(
        "--timeout", type=_positive_number, metavar="S", help="seconds a cell may take"
    )

    lab = command("lab", _lab, "open your own copies of the chapters in JupyterLab", LAB_EXAMPLES)
    lab.add_argument("--dir", metavar="DIR", help="default: my-course, beside book.toml")
    lab.add_argument(
        "--refresh",
        nargs="+",
        metavar="CHAPTER",
        help="put new versions of these chapters in place, keep yours beside them; start nothing",
    )
    lab.add_argument("--no-browser", action="store_true", help="only print the address")
    lab.add_argument("--port", type=int, metavar="N", help="0: any that is free")
    lab.add_argument("jupyter", nargs="*", metavar="-- ARGUMENT", help="passed to jupyter lab")

    train = command(
        "train", _train, "train a network by name, in one process or more", TRAIN_EXAMPLES
    )
    train.add_argument("network", metavar="NETWORK", help="a preset, such as resnet18 or lenet")
    train.add_argument(
        "--data", default="fashion-mnist", choices=["fashion-mnist"], help="default: fashion-mnist"
    )
    train.add_argument(
        "--nproc", type=_positive_int, default=1, metavar="N", help="processes on this machine"
    )
    train.add_argument("--epochs", type=_positive_int, default=1, metavar="N", help="default: 1")
    train.add_argument(
        "--batch-size",
        type=_positive_int,
        default=128,
        metavar="N",
        help="examples of a step, of all processes together (default: 128)",
    )
    train.add_argument(
        "--lr", type=_positive_number, default=0.002, metavar="X", help="default: 0.002"
    )
    train.add_argument("--optimizer", default="adamw", help="adamw (default) or sgd")
    train.add_argument(
        "--scheduler", default="warmup-decay", help="warmup-decay (default) or constant"
    )
    train.add_argument("--init", default="kaiming", help="kaiming (default) or xavier")
    train.add_argument(
        "--size",
        type=_positive_int,
        metavar="N",
        help="pixels a side (default: 32 if the network takes it, else its own)",
    )
    train.add_argument("--train-examples", type=_positive_int, metavar="N", help="default: all")
    train.add_argument("--test-examples", type=_positive_int, metavar="N", help="default: all")
    train.add_argument("--seed", type=int, default=0, metavar="N", help="default: 0")
    train.add_argument(
        "--amp",
        nargs="?",
        const="on",
        default="off",
        choices=["on", "off", "auto"],
        help="bfloat16: off (default), on, or auto, where it is faster",
    )
    train.add_argument(
        "--accumulate",
        type=_positive_int,
        default=1,
        metavar="K",
        help="compute each batch in K parts, for less memory",
    )
    train.add_argument("--compile", action="store_true", help="compile the network first")
    train.add_argument(
        "--checkpoint", metavar="PATH", help="keep the state here; go on from it if it is there"
    )
    train.add_argument(
        "--checkpoint-every",
        type=_positive_int,
        default=200,
        metavar="N",
        help="steps between two, besides that after each epoch (default: 200)",
    )
    train.add_argument("--history", metavar="PATH", help="write the record as JSON")
    train.add_argument("--save", metavar="PATH", help="write the trained weights")
    train.add_argument(
        "--max-restarts",
        type=int,
        default=3,
        metavar="N",
        help="how often to start again when a process dies (default: 3)",
    )
    machines = train.add_argument_group("several machines (as torchrun's options of these names)")
    for name in MEETING:
        machines.add_argument(f"--{name}", metavar=name.rsplit("-")[-1].upper())

    command("progress", _progress, "show which exercises you have solved")

    exercises = command("exercises", _exercises, "list exercises, or export them for students")
    exercises.add_argument("chapters", nargs="*", metavar="CHAPTER", help="default: all of them")
    exercises.add_argument("--export", metavar="DIR", help="write notebooks without solutions")
    exercises.add_argument("--with-checks", action="store_true", help="with the cells that check")
    exercises.add_argument("--force", action="store_true", help="replace files that are there")

    grade = command("grade", _grade, "judge a folder of returned notebooks", GRADE_EXAMPLES)
    grade.add_argument("folder", metavar="DIR", help="with the returned notebooks")
    grade.add_argument(
        "--time",
        type=_positive_number,
        default=20,
        metavar="S",
        help="seconds an exercise may take (default: 20)",
    )
    grade.add_argument(
        "--memory",
        type=_positive_int,
        default=2048,
        metavar="MB",
        help="memory for an exercise, on top of what torch needs itself (default: 2048)",
    )
    grade.add_argument("--out", metavar="DIR", help="default: DIR-grades")
    grade.add_argument("--jobs", type=_positive_int, metavar="N", help="notebooks at a time")

    bench = command("bench", _bench, "measure time and memory beside d2l and torch", BENCH_EXAMPLES)
    bench.add_argument("--only", metavar="A,B,…", help="only these parts")
    bench.add_argument(
        "--rounds",
        type=_positive_int,
        default=5,
        metavar="N",
        help="measure each side so often (default: 5)",
    )
    bench.add_argument(
        "--examples",
        type=_positive_int,
        metavar="N",
        help="train each net of the part nets on so many (default: some seconds' worth)",
    )
    bench.add_argument("--out", metavar="DIR", help="default: build/bench")
    return parser


def _positive_int(text):
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"expected at least 1, got {value}")
    return value


def _positive_number(text):
    value = float(text)
    if not value > 0:
        raise argparse.ArgumentTypeError(f"expected more than 0, got {text}")
    return value


def _run(args):
    from course_utils.commands.manifest import load_manifest
    from course_utils.commands.run.batch import run_batch

    return run_batch(
        load_manifest(),
        args.chapters,
        profile=args.profile,
        params=args.param,
        jobs=args.jobs,
        out=args.out,
        keep_going=args.keep_going,
        resume=args.resume,
        timeout=args.timeout,
        measure=not args.no_rate,
    )


def _book(args):
    from course_utils.commands.book import build_book
    from course_utils.commands.manifest import load_manifest

    manifest = load_manifest()
    source = Path(args.source) if args.source else manifest.build_dir / "run" / "quick"
    out = Path(args.out) if args.out else manifest.build_dir / "book"
    print(f"book: {build_book(manifest, source, out)}")
    return 0


def _data(args):
    from rich.table import Table

    from course_utils import data
    from course_utils.commands.run.progress import make_console

    if args.get:
        print(f"{args.get} is in {data.download(args.get)}")
        return 0
    table = Table()
    for column in ("data set", "present", "verified", "where", "note"):
        table.add_column(column, overflow="fold")
    words = {True: "yes", False: "no", None: "–"}
    for row in data.describe():
        state = (words[row["present"]], words[row["verified"]])
        table.add_row(row["name"], *state, row["where"], row["note"])
    make_console().print(table)
    return 0


def _save(args):
    from course_utils.commands import save
    from course_utils.commands.manifest import load_manifest

    manifest = load_manifest(check_files=False)
    nets = manifest.root / "course_utils" / "nets"
    if args.check:
        problems = save.check_modules(manifest.book.src, nets).problems()
        for problem in problems:
            print(f"course_utils/nets/{problem}", file=sys.stderr)
        if problems:
            print("run `course save` and commit what it changes", file=sys.stderr)
        return 1 if problems else 0
    state = save.save_modules(manifest.book.src, nets)
    for verb, names in (("wrote", state.stale + state.missing), ("removed", state.orphaned)):
        for name in names:
            print(f"{verb} course_utils/nets/{name}")
    return 0


def _refresh(args):
    from course_utils.commands.manifest import load_manifest
    from course_utils.commands.refresh import refresh_chapters

    return refresh_chapters(
        load_manifest(), args.chapters, allow_standin=args.allow_standin, timeout=args.timeout
    )


def _lab(args):
    from course_utils.commands import lab
    from course_utils.commands.manifest import load_manifest

    manifest = load_manifest()
    folder = lab.lab_folder(manifest, args.dir)
    if args.refresh:
        print("\n".join(lab.refresh_copies(manifest, folder, args.refresh)))
        return 0
    for sentence in lab.make_copies(manifest, folder):
        print(sentence)
    return lab.start_jupyterlab(
        folder, browser=not args.no_browser, port=args.port, more=args.jupyter
    )


def _train(args):
    from course_utils.commands.train import job_of, launch, train_job

    job = job_of(args)
    chosen = {name: getattr(args, name.replace("-", "_")) for name in MEETING}
    meeting = {name: value for name, value in chosen.items() if value is not None}
    if args.nproc == 1 and not meeting:
        train_job(job)
    else:
        launch(job, args.nproc, args.max_restarts, meeting)
    return 0


def _progress(args):
    from course_utils.exercises.progress import progress_text

    print(progress_text())
    return 0


def _exercises(args):
    from course_utils.commands.grade import export
    from course_utils.commands.manifest import load_manifest

    manifest = load_manifest()
    if args.export is None:
        print(export.overview(manifest, args.chapters))
        return 0
    for path in export.export_exercises(
        manifest, args.chapters, args.export, checks=args.with_checks, force=args.force
    ):
        print(path)
    return 0


def _grade(args):
    from course_utils.commands.grade.grade import grade_folder

    return grade_folder(
        args.folder, seconds=args.time, memory=args.memory, out=args.out, jobs=args.jobs
    )


def _bench(args):
    from course_utils.commands.bench.run import bench_sizes, run_bench
    from course_utils.commands.manifest import load_manifest

    sizes = bench_sizes(args.rounds, args.examples)
    return run_bench(load_manifest(), args.only, args.out, sizes)


if __name__ == "__main__":
    sys.exit(main())
