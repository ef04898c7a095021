"""The `course` command: parse, call, print. What takes long to import is imported when needed.

Exit status: 0 all well; 1 a chapter or a check failed; 2 bad input; 130 stopped with Ctrl-C.
"""

import argparse
import sys

import course_utils
from course_utils.errors import CourseError

EXAMPLES = """\
examples:
  course run                          every chapter, quick profile, into build/run/quick
  course run 03 --profile full        the published settings of chapter 03
  course run lenet --param lr=0.5     one chapter with a parameter of your own
  course book                         the executed notebooks as a website, into build/book
  course data --get fashion-mnist     fetch a data set
  course save --check                 are the modules in course_utils/nets up to date?
"""

RUN_EXAMPLES = """\
A chapter is named by number (3, 03), topic (lenet), name (03_lenet) or file. A parameter is given
to every chosen chapter whose `parameters` cell has it; it is an error when none has.

examples:
  course run 01 02 --jobs 2
  course run lenet --param num_epochs=3 --param lr=0.9
  course run --keep-going --resume    go on where an earlier run failed or was stopped
"""


def main(argv=None):
    """Run one command; returns its exit status."""
    args = _parser().parse_args(argv)
    try:
        return args.handler(args)
    except CourseError as error:
        print(f"course: {error}", file=sys.stderr)
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

    save = command("save", _save, "write the chapters' #@save cells to course_utils/nets")
    save.add_argument("--check", action="store_true", help="write nothing, fail if out of date")
    return parser


def _save(args):
    from course_utils.publish import save
    from course_utils.publish.manifest import load_manifest

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


if __name__ == "__main__":
    sys.exit(main())
