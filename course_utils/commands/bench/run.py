"""`course bench`: run the chosen parts, save and show what each gives."""

import datetime
import json
import time
from dataclasses import dataclass, field, replace
from pathlib import Path

from course_utils.commands.bench import parts
from course_utils.commands.bench.cases import TOPICS
from course_utils.commands.bench.rival import real_data
from course_utils.commands.bench.rounds import lines, not_run
from course_utils.commands.manifest import nearest
from course_utils.commands.run import machine
from course_utils.commands.run.folder import prepare_folder
from course_utils.commands.run.progress import make_console
from course_utils.commands.run.report import minutes
from course_utils.errors import RunError
from course_utils.files import write_whole, writing_whole
from course_utils.settings import fast_dev_run

NAME, PLOT = "bench.json", "bench.png"
PARTS = {
    "lenet": ("LeNet's epoch against d2l", parts.lenet),
    "nets": ("The larger networks against d2l", parts.nets),
    "limit": ("Steps against the machine's rate of matrix products", parts.limit),
    "operators": ("Our operators against torch's", parts.operators),
    "data": ("From raw files to the first batch", parts.data),
    "imports": ("Imports", parts.imports),
    "chapters": ("Whole chapters, quick profile", parts.chapters),
    "scaling": ("Cost against data and threads", parts.scaling),
    "gpu": ("GPU", parts.gpu),
}
EXAMPLES = {  # training examples of each network: a few seconds' worth on two cores
    "lenet": {"lenet": 60_000},
    "quick": {"alexnet": 2560, "vgg": 12_800, "googlenet": 3840, "resnet": 3840},
    "published": dict.fromkeys(TOPICS, 160),
    "limit": {"lenet": 15_360, "alexnet": 768, "vgg": 5120, "googlenet": 1280, "resnet": 1280},
    "scaling": {"lenet": 7680, "resnet": 384},  # 1× the data
    "gpu": {"lenet": 60_000, **dict.fromkeys(TOPICS, 15_360)},
}


@dataclass(frozen=True)
class Sizes:
    """How much is measured.

    rounds: how often each side is. seconds: of each look at an operator or at the rate of products
    of two square matrices, of so many rows. examples: part, of nets its two sizes -> topic ->
    training examples.
    """

    rounds: int = 5
    seconds: float = 0.3
    matrix: int = 2048
    examples: dict = field(default_factory=lambda: EXAMPLES)


def bench_sizes(rounds=5, examples=None):
    """`Sizes` with so many rounds, and so many training examples for each net of the part nets."""
    sizes = Sizes(rounds)
    if examples is None:
        return sizes
    return replace(sizes, examples=EXAMPLES | {"quick": dict.fromkeys(TOPICS, examples)})


def chosen_parts(only=None):
    """Names of the parts in `only`, "a,b,…", in the order of PARTS; None: all of them.

    Raises RunError for a name that is none.
    """
    if only is None:
        return list(PARTS)
    names = [name.strip() for name in only.split(",")]
    for name in names:
        if name not in PARTS:
            raise RunError(f"--only {only}: there is no part {name!r}; {nearest(name, PARTS)}")
    return [name for name in PARTS if name in names]


def run_bench(manifest, only=None, out=None, sizes=None):
    """Measure, print a table for each part, and write bench.json (and bench.png); returns 0.

    only: see `chosen_parts`. out: folder, None: build/bench. sizes: a `Sizes`, None: its defaults.
    A part's results replace those of an earlier run in the same folder, the others' stay.
    Raises RunError if nothing can be measured or written.
    """
    names = chosen_parts(only)
    if fast_dev_run():
        raise RunError("COURSE_FAST_DEV_RUN is set, so nothing would really run: unset it")
    out = prepare_folder(Path(out) if out else manifest.build_dir / "bench")
    found, console = read_bench(out), make_console()
    for name in names:
        part = found[name] = _measure(name, sizes or Sizes(), manifest, console)
        write_whole(out / NAME, json.dumps(found, indent=2) + "\n")
        if any("examples" in result for result in part["results"]):
            with writing_whole(out / PLOT) as path:
                parts.plot(part["results"], path)
        _print(part, console)
        console.print(f"[dim]{name} took {minutes(part['seconds'])}[/]", highlight=False)
    console.print(f"bench: {out / NAME}", highlight=False, soft_wrap=True)
    return 0


def read_bench(out):
    """Part -> what an earlier run in the folder `out` wrote of it; nothing if there was none.

    Raises RunError if the file is not one of these.
    """
    path = out / NAME
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if all("results" in found[name] for name in found):
            return found
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError, LookupError):
        pass
    raise RunError(f"{path} is damaged: delete it, or give another folder with --out")


def _measure(name, sizes, manifest, console):
    """A part as bench.json holds it: on what it ran, when, on which data, and its results."""
    import torch

    (title, measure), began = PARTS[name], time.perf_counter()
    try:
        real_data()
        source = "Fashion-MNIST"
    except RunError as reason:
        source = f"stand-in: {reason}"
    part = {
        "title": title,
        "started": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "data": source,
        "threads": torch.get_num_threads(),
        "versions": machine.versions(),
        **machine.describe_machine(),
        "rounds": sizes.rounds,
    }
    with console.status(f"{name}: starting") as status:
        try:
            results = measure(sizes, manifest, lambda text: status.update(f"{name}: {text}"))
        except RunError as reason:
            results = [not_run(title, reason)]
    return part | {"seconds": round(time.perf_counter() - began, 1), "results": results}


def _print(part, console):
    where = (
        f"{part['started']}, {part['cpu_count']} cores, {part['threads']} threads, "
        f"{part['rounds']} rounds, {part['data']}"
    )
    console.print(f"\n[bold]{part['title']}[/]  [dim]({where})[/]", highlight=False)
    for result in part["results"]:
        for line in lines(result):
            style = "red" if line.endswith("missed") else None
            console.print(line, markup=False, highlight=False, style=style, soft_wrap=True)
