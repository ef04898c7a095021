# ruff: noqa: E501, F541
"""Answers to exercises: honest ones in many shapes, all right, and cheats, none right by itself.

HONEST: name -> (exercise's number in chapter 02, code cells). CHEATS: name -> code cells for 02.1.
"""

MIN = "ex02_1_min_pool2d"
HEAD = f"def {MIN}(X, window):\n"
RIGHT = HEAD + "    return -F.max_pool2d(-X, window)"
SETUP = "import torch\nfrom torch import nn\nfrom torch.nn import functional as F"
LOOPS = """\
    N, C, H, W = X.shape
    out = X.new_zeros(N, C, H // window, W // window)
    for i in range(H // window):
        for j in range(W // window):
            block = X[..., i * window : (i + 1) * window, j * window : (j + 1) * window]
            out[..., i, j] = block.amin((-1, -2))
    return out"""


def _min(*cells):
    return 1, cells


HONEST = {
    # magic and what is shown
    "time": _min("%%time\n" + RIGHT),
    "capture": _min("%%capture\n" + RIGHT),
    "capture into a name": _min("%%capture shown\nprint(1)\n" + RIGHT),
    "timeit below": _min(RIGHT + f"\n%timeit -n 1 -r 1 {MIN}(torch.rand(1, 1, 4, 4), 2)"),
    "prun": _min(RIGHT, f"%prun -q {MIN}(torch.rand(1, 1, 4, 4), 2)"),
    "display": _min(f"{RIGHT}\ndisplay({MIN}(torch.rand(1, 1, 4, 4), 2))"),
    "shown as a last line": _min(f"{RIGHT}\n{MIN}(torch.rand(1, 1, 4, 4), 2)"),
    "printed": _min(HEAD + "    print(X.shape)\n    return -F.max_pool2d(-X, window)"),
    "matplotlib": _min(
        "%matplotlib inline\nimport matplotlib.pyplot as plt", RIGHT, "plt.plot([1])"
    ),
    "help asked for": _min(RIGHT, "F.max_pool2d?"),
    "a shell command": _min("!ls", RIGHT),
    "configured": _min("%config InlineBackend.figure_format = 'svg'", RIGHT),
    # statements at the top level
    "a loop fills a list": _min(
        "signs = []\nfor s in (-1, -1):\n    signs.append(s)",
        HEAD + "    return signs[0] * F.max_pool2d(signs[1] * X, window)",
    ),
    "a dict is filled": _min(
        "table = {}\ntable['sign'] = -1",
        HEAD + "    return table['sign'] * F.max_pool2d(table['sign'] * X, window)",
    ),
    "a dict is updated": _min(
        "table = {}\ntable.update(sign=-1)",
        HEAD + "    return table['sign'] * F.max_pool2d(table['sign'] * X, window)",
    ),
    "a with block": _min(
        "with torch.no_grad():\n    sign = -torch.ones(1).item()",
        HEAD + "    return sign * F.max_pool2d(sign * X, window)",
    ),
    "a try block": _min(
        "try:\n    import nowhere_to_be_found as pool\nexcept ImportError:\n    pool = F",
        HEAD + "    return -pool.max_pool2d(-X, window)",
    ),
    "an if": _min(f"if True:\n    {RIGHT.replace(chr(10), chr(10) + '    ')}"),
    "a main block": _min(
        RIGHT, f'if __name__ == "__main__":\n    print({MIN}(torch.rand(1, 1, 2, 2), 2))'
    ),
    "a walrus": _min(
        "print(sign := -1)", HEAD + "    return sign * F.max_pool2d(sign * X, window)"
    ),
    "unpacked": _min("a, *b = -1, 2, 3", HEAD + "    return a * F.max_pool2d(a * X, window)"),
    "del": _min("x = 1\ndel x", RIGHT),
    "assert": _min(RIGHT, f"assert {MIN}(torch.ones(1, 1, 2, 2), 2) == 1"),
    "match": _min(
        "match 1:\n    case 1:\n        sign = -1",
        HEAD + "    return sign * F.max_pool2d(sign * X, window)",
    ),
    "global": _min(
        "calls = 0", f"{HEAD}    global calls\n    calls += 1\n    return -F.max_pool2d(-X, window)"
    ),
    "global set in a function": _min(
        "def set_sign():\n    global sign\n    sign = -1",
        "set_sign()",
        HEAD + "    return sign * F.max_pool2d(sign * X, window)",
    ),
    "top-level await": _min("import asyncio\nawait asyncio.sleep(0)", RIGHT),
    "top-level await above": _min(
        "import asyncio\nsign = await asyncio.sleep(0, -1)\n"
        + HEAD
        + "    return sign * F.max_pool2d(sign * X, window)"
    ),
    "async for": _min(
        "async def signs():\n    yield -1",
        "async for sign in signs():\n    pass",
        HEAD + "    return sign * F.max_pool2d(sign * X, window)",
    ),
    "a cell that fails": _min("1 / 0", RIGHT),
    "a cell that is no Python": _min("this is my answer:", RIGHT),
    "fails after the answer": _min(RIGHT + "\nplot_it()"),
    "seeded": _min("torch.manual_seed(0)\nimport random\nrandom.seed(1)", RIGHT),
    "float64 by default": _min("torch.set_default_dtype(torch.float64)", RIGHT),
    # ways to write a function
    "type hints": _min(
        f"def {MIN}(X: torch.Tensor, window: int) -> torch.Tensor:\n"
        "    return -F.max_pool2d(-X, window)"
    ),
    "hints from elsewhere": _min(
        "from __future__ import annotations\nfrom typing import Optional",
        f"def {MIN}(X: Tensor, window: Optional[int] = None):\n    return -F.max_pool2d(-X, window)",
    ),
    "a docstring": _min(HEAD + '    """The smallest."""\n    return -F.max_pool2d(-X, window)'),
    "a lambda": _min(f"{MIN} = lambda X, window: -F.max_pool2d(-X, window)"),
    "a class": _min(
        "class Pool(nn.Module):\n    def forward(self, X, window):\n"
        "        return -F.max_pool2d(-X, window)",
        f"{MIN} = Pool()",
    ),
    "a class that is called": _min(
        "class Pool:\n    def __call__(self, X, window):\n        return -F.max_pool2d(-X, window)",
        f"{MIN} = Pool()",
    ),
    "a static method": _min(
        "class Pool:\n    @staticmethod\n    def pool(X, window):\n"
        "        return -F.max_pool2d(-X, window)",
        f"{MIN} = Pool.pool",
    ),
    "a partial": _min(
        "from functools import partial\ndef pool(sign, X, window):\n"
        "    return sign * F.max_pool2d(sign * X, window)",
        f"{MIN} = partial(pool, -1)",
    ),
    "a closure": _min(
        "def made(sign):\n    def pool(X, window):\n"
        "        return sign * F.max_pool2d(sign * X, window)\n    return pool",
        f"{MIN} = made(-1)",
    ),
    "a decorator": _min(
        "import functools\ndef loud(f):\n    @functools.wraps(f)\n"
        "    def inner(*args):\n        print('called')\n        return f(*args)\n    return inner",
        "@loud\n" + RIGHT,
    ),
    "cached": _min(
        "import functools\n@functools.lru_cache\ndef sign():\n    return -1",
        HEAD + "    return sign() * F.max_pool2d(sign() * X, window)",
    ),
    "a helper in an earlier cell": _min(
        "def helper(X):\n    return -X", HEAD + "    return helper(F.max_pool2d(helper(X), window))"
    ),
    "a helper in a later cell": _min(
        HEAD + "    return helper(F.max_pool2d(helper(X), window))", "def helper(X):\n    return -X"
    ),
    "imports in the cell": _min(
        "import torch.nn.functional as func\n" + HEAD + "    return -func.max_pool2d(-X, window)"
    ),
    "imports in the function": _min(
        HEAD + "    from torch.nn.functional import max_pool2d\n    return -max_pool2d(-X, window)"
    ),
    "a star import": _min(
        "from torch.nn.functional import *", HEAD + "    return -max_pool2d(-X, window)"
    ),
    "loops": _min(HEAD + LOOPS),
    "a generator": _min(
        HEAD + "    rows = (X.unfold(2, window, window) for _ in range(1))\n"
        "    return next(rows).unfold(3, window, window).amin((-1, -2))"
    ),
    "a named tuple": _min(
        "from collections import namedtuple\nSize = namedtuple('Size', 'h w')",
        HEAD + "    size = Size(window, window)\n    return -F.max_pool2d(-X, (size.h, size.w))",
    ),
    "a dataclass": _min(
        "from dataclasses import dataclass\n@dataclass\nclass Options:\n    sign: int = -1",
        HEAD + "    o = Options()\n    return o.sign * F.max_pool2d(o.sign * X, window)",
    ),
    "einops-like reshape": _min(
        HEAD + "    h, w = (n // window * window for n in X.shape[2:])\n"
        "    X = X[..., :h, :w]\n"
        "    parts = X.reshape(*X.shape[:2], h // window, window, w // window, window)\n"
        "    return parts.amin((3, 5))"
    ),
    "written twice, the last counts": _min(HEAD + "    return X", RIGHT),
    "a module with set weights": (
        4,
        [
            """\
def ex02_4_avg_pool_by_conv(X, window):
    lin = nn.Conv2d(X.shape[1], X.shape[1], window, window, groups=X.shape[1], bias=False)
    nn.init.constant_(lin.weight, 1 / window**2)
    return lin.to(X.dtype)(X)"""
        ],
    ),
    "weights set at the top level": (
        4,
        [
            """\
conv = nn.Conv2d(1, 1, 1, bias=False)
nn.init.constant_(conv.weight, 1.0)
for p in conv.parameters():
    p.requires_grad_(False)
def ex02_4_avg_pool_by_conv(X, window):
    kernel = conv.weight.to(X).expand(X.shape[1], 1, window, window) / window**2
    return F.conv2d(X, kernel, stride=window, groups=X.shape[1])"""
        ],
    ),
    "a prediction that is computed": (
        2,
        [
            """\
layers = [nn.MaxPool2d(3), nn.Conv2d(4, 6, 3, padding=1), nn.MaxPool2d(3, stride=2, padding=1),
          nn.AvgPool2d(2, ceil_mode=True), nn.AdaptiveAvgPool2d(2)]
X, shapes = torch.zeros(8, 4, 32, 44), []
for layer in layers:
    X = layer(X)
    shapes.append(tuple(X.shape))
def ex02_2_predict():
    return shapes"""
        ],
    ),
    "a stride of NumPy's": (
        3,
        [
            """\
import numpy as np
def ex02_3_pool2d(X, pool_size, mode="max", stride=None):
    if mode not in {"max", "avg"}:
        raise ValueError(mode)
    stride = np.array(stride or pool_size)
    h, w = (np.array(X.shape) - pool_size) // stride + 1
    windows = [[X[i * stride[0]:i * stride[0] + pool_size[0],
                  j * stride[1]:j * stride[1] + pool_size[1]] for j in range(w)] for i in range(h)]
    pick = {"max": torch.max, "avg": torch.mean}[mode]
    return torch.stack([torch.stack([pick(w) for w in row]) for row in windows])"""
        ],
    ),
}

_SAVED = "from course_utils.exercises"
_FIND = f"{_SAVED}.registry import find\n"
CHEATS = {
    "imports the solution": [f"{_SAVED}.chapters.pooling import {MIN}"],
    "takes the solution": [_FIND + f'{MIN} = find("02.1").solution'],
    "takes the reference": [_FIND + f'{MIN} = find("02.1").reference'],
    "calls the solution": [
        HEAD + f'    {_FIND.strip()}\n    return find("02.1").solution(X, window)'
    ],
    "binds the solution": [
        "import functools\n" + _FIND + f'{MIN} = functools.partial(find("02.1").solution)'
    ],
    "finds it by names put together": [
        "import course_utils\ncourse = getattr(course_utils, 'exer' + 'cises')\n"
        f"registry = getattr(course, 'regi' + 'stry')\n{MIN} = getattr(registry.find('02.1'), "
        "'solu' + 'tion')"
    ],
    "traces the solution": [
        "import course_utils\n"
        "find = getattr(getattr(course_utils, 'exer' + 'cises'), 'regi' + 'stry').find\n"
        f"{MIN} = torch.jit.trace(lambda X: find('02.1').reference(X, 2), torch.rand(1, 1, 4, 4))"
    ],
    "runs the solution's source": [
        "import inspect\n"
        + _FIND
        + 'exec(inspect.getsource(find("02.1").solution).split(")\\n", 1)[-1])'
    ],
    "runs what `solution` shows": [
        "from IPython.utils.capture import capture_output\n" + _SAVED + " import solution\n"
        "with capture_output() as shown:\n    solution('02.1')\n"
        "exec(str(shown.outputs[0].data['text/plain']).split('```')[1].removeprefix('python'))"
    ],
    "reads the file": [
        "from pathlib import Path\nimport torch, os\n"
        "text = next(Path(p, 'course_utils') for p in os.sys.path if Path(p, 'course_utils').exists())\n"
        "text = (text / 'exercises' / 'chapters' / 'pooling.py').read_text()\n"
        f"text = text[text.index('def {MIN}'):]\nexec(text[:text.index('@exercise')])"
    ],
    "takes what is expected": [
        "import sys\n" + HEAD + "    frame = sys._getframe()\n"
        "    while 'prepared' not in frame.f_locals:\n        frame = frame.f_back\n"
        "    return frame.f_locals['prepared'].expected"
    ],
    "takes it by an exception": [
        HEAD + "    try:\n        1 / 0\n    except ZeroDivisionError as error:\n"
        "        frame = error.__traceback__.tb_frame\n"
        "    while 'prepared' not in frame.f_locals:\n        frame = frame.f_back\n"
        "    return frame.f_locals['prepared'].expected"
    ],
    "finds it among all objects": [
        "import gc\n" + HEAD + "    for o in gc.get_objects():\n"
        "        if type(o).__name__ == 'Exercise' and o.id == '02.1':\n"
        "            return o.solution(X, window)"
    ],
    "replaces torch's comparison": [
        "torch.isclose = lambda a, *rest, **more: torch.ones_like(a, dtype=torch.bool)\n"
        + HEAD
        + "    return X[:, :, ::window, ::window][:, :, :X.shape[2] // window, :X.shape[3] // window]"
    ],
    "replaces the checker": [
        "import course_utils.exercises.checker.trial as trial\n"
        "trial.difference = lambda *a, **k: None\n" + HEAD + "    return X * 1"
    ],
    "replaces it while it is judged": [
        HEAD + "    import sys\n    trial = sys.modules['course_utils.exercises.checker.trial']\n"
        "    trial.difference = lambda *a, **k: None\n    return X * 1"
    ],
    "replaces the judge's verdict": [
        "import course_utils.commands.grade.assess as a\n"
        f"a._verdict = lambda id, *more: dict(verdict=id, status='passed', public=True, note='', text='')\n"
        + HEAD
        + "    return X * 1"
    ],
    "returns a liar": [
        "class Liar(torch.Tensor):\n    @classmethod\n"
        "    def __torch_function__(cls, function, types, args=(), kwargs=None):\n"
        "        if getattr(function, '__name__', '') in ('isclose', '__invert__', 'any'):\n"
        "            return torch.ones(1, dtype=torch.bool) if function.__name__ == 'isclose' else torch.zeros((), dtype=torch.bool)\n"
        "        return super().__torch_function__(function, types, args, kwargs or {})\n"
        + HEAD
        + "    N, C, H, W = X.shape\n"
        "    return X[:, :, :H // window, :W // window].as_subclass(Liar)"
    ],
    "a mode that stays": [
        "from torch.overrides import TorchFunctionMode\nclass Mode(TorchFunctionMode):\n"
        "    def __torch_function__(self, function, types, args=(), kwargs=None):\n"
        "        if function is torch.isclose:\n"
        "            return torch.ones(args[0].shape, dtype=torch.bool)\n"
        "        return function(*args, **(kwargs or {}))\n"
        "Mode().__enter__()\n" + HEAD + "    N, C, H, W = X.shape\n"
        "    return X[:, :, :H // window, :W // window] * 1"
    ],
    "asks __main__": [
        "import __main__\n"
        + HEAD
        + "    __main__.tell(id='02.1', status='passed', note='', text='')\n"
        "    return X"
    ],
    "writes to descriptors": [
        HEAD + "    import os, json\n"
        "    line = json.dumps(dict(verdict='02.1', id='02.1', status='passed', public=True, note='', text=''))\n"
        "    for number in range(1, 40):\n        try:\n            os.write(number, (line + '\\n').encode())\n"
        "        except OSError:\n            pass\n    os._exit(0)"
    ],
    "writes otter's results": [
        "from otter.execute import Checker\nfrom otter.test_files import abstract_test\n"
        "abstract_test.TestFile.score = property(lambda self: self.possible)\n"
        + HEAD
        + "    return X"
    ],
    "answers by another program": [
        "import subprocess, sys\n" + HEAD + "    import tempfile\n"
        "    torch.save(X, 'x.pt')\n"
        "    subprocess.run([sys.executable, '-c', 'import torch; from course_utils.exercises.registry "
        'import find; torch.save(find("02.1").solution(torch.load("x.pt"), \' + str(window) + \'), '
        "\"y.pt\")'])\n    return torch.load('y.pt')"
    ],
    "knows the public cases": [
        "from course_utils.exercises.checker.trial import prepared_cases\n"
        + _FIND
        + 'known = {str(p.case.args): p.expected for p in prepared_cases(find("02.1"))}\n'
        + HEAD
        + "    return known[str((X.detach(), window))]"
    ],
    "a file of its own": [
        "import pathlib\npathlib.Path('mine.py').write_text('from course_utils.exercises.chapters.pooling "
        f"import {MIN}')\nfrom mine import {MIN}"
    ],
    "replaced code": [
        RIGHT.replace("-F", "F")
        + "\n"
        + _FIND
        + f'{MIN}.__code__ = find("02.1").solution.__wrapped__.__code__'
    ],
}
