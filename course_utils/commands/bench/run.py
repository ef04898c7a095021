"""`course bench`: run the chosen parts, save and show what each gives."""

import datetime
import json
import time
from dataclasses import dataclass, field, replace
from pathlib import Path

from course_utils.commands.bench.chapters import chapters
from course_utils.commands.bench.gpu import gpu
from course_utils.commands.bench.limit import limit
from course_utils.commands.bench.operators import operators
from course_utils.commands.bench.parts import lenet, nets
from course_utils.commands.bench.rounds import NotRun, not_run
from course_utils.commands.bench.scaling import plot, scaling
from course_utils.commands.bench.startup import data, imports
from course_utils.commands.bench.table import print_part
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
    "lenet": ("LeNet's epoch against d2l", lenet),
    "nets": ("The larger networks against d2l", nets),
    "limit": ("Steps against the machine's rate of matrix products", limit),
    "operators": ("Our operators against torch's", operators),
    "data": ("From raw files to the first batch", data),
    "imports": ("Imports", imports),
    "chapters": ("Whole chapters, quick profile", chapters),
    "scaling": ("Cost against data and threads", scaling),
    "gpu": ("GPU", gpu),
}


@dataclass(frozen=True)
class Sizes:
    """How much is measured; the numbers of examples take a few seconds on two cores.

    rounds: how often each side is measured. lenet_train, lenet_test: examples, None: all. nets:
    training examples of each network, quick profile. published: the same at published image sizes.
    limit: examples of each network's steps. product_seconds, product_size: of each look at the
    rate of products of two square matrices.
    operator_calls: for each look at an operator. scaling: examples that are 1× the data.
    """

    rounds: int = 5
    lenet_train: int | None = None
    lenet_test: int | None = None
    nets: dict = field(
        default_factory=lambda: {"alexnet": 2560, "vgg": 12800, "googlenet": 3840, "resnet": 3840}
    )
    published: int = 160
    limit: dict = field(
        default_factory=lambda: {
            "lenet": 15360,
            "alexnet": 768,
            "vgg": 5120,
            "googlenet": 1280,
            "resnet": 1280,
        }
    )
    product_seconds: float = 0.3
    product_size: int = 2048
    operator_calls: int = 20
    scaling: dict = field(default_factory=lambda: {"lenet": 7680, "resnet": 384})


def bench_sizes(rounds=5, examples=None):
    """`Sizes` with so many rounds, and so many training examples for each net of the part nets."""
    sizes = Sizes(rounds=rounds)
    if examples is None:
        return sizes
    return replace(sizes, nets=dict.fromkeys(sizes.nets, examples))


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
    names, sizes = chosen_parts(only), sizes or Sizes()
    if fast_dev_run():
        raise RunError("COURSE_FAST_DEV_RUN is set, so nothing would really run: unset it")
    out = prepare_folder(Path(out) if out else manifest.build_dir / "bench")
    found, console = read_bench(out), make_console()
    for name in names:
        title, measure = PARTS[name]
        start = time.perf_counter()
        with console.status(f"{name}: starting") as status:

            def tell(text, name=name, status=status):
                status.update(f"{name}: {text}")

            where = _where()
            try:
                results = measure(sizes, manifest, tell)
            except NotRun as reason:
                results = [not_run(title, reason)]
        seconds = round(time.perf_counter() - start, 1)
        part = {"title": title, **where, "rounds": sizes.rounds, "seconds": seconds}
        found[name] = part | {"results": results}
        write_whole(out / NAME, json.dumps(found, indent=2) + "\n")
        if any("examples" in result for result in results):
            with writing_whole(out / PLOT) as path:
                plot(results, path)
        print_part(found[name], console)
        console.print(f"[dim]{name} took {minutes(seconds)}[/]", highlight=False)
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
    except (OSError, ValueError, TypeError):
        pass
    raise RunError(f"{path} is damaged: delete it, or give another folder with --out")


def _where():
    """What a part ran on, when, and on which data."""
    import torch

    from course_utils.commands.bench.rival import real_data

    try:
        real_data()
        source = "Fashion-MNIST"
    except NotRun as reason:
        source = f"stand-in: {reason}"
    return {
        "started": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "data": source,
        "threads": torch.get_num_threads(),
        "versions": machine.versions(),
        **machine.describe_machine(),
    }
