"""What a network costs: output shapes, parameters, multiply-adds, memory, receptive field.

Hooks see the layers in the order in which they run; `torch.utils.flop_counter` counts the
arithmetic of the operators that really run (two operations per multiply-add); a dispatch mode of
our own follows the receptive field and the memory.
A net is measured in evaluation mode, without gradients, and left as it was.
"""

import contextlib
import html
import statistics
import time
from dataclasses import dataclass

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.weak import WeakTensorKeyDictionary

from course_utils.errors import CourseError
from course_utils.settings import fast_dev_run
from course_utils.training import in_mode

HEADINGS = ("layer", "type", "output", "parameters", "MACs", "memory", "receptive field")
FIRST_NUMBER = 3  # from this column on, right-aligned


def count_parameters(net):
    """Number of trainable and frozen parameters; one that is shared counts once."""
    return sum(parameter.numel() for parameter in net.parameters())


def count_macs(net, input_shape):
    """Multiply-adds of one example's way through the convolutions and matrix products of `net`.

    input_shape: (C, H, W) or any other shape without the batch. Biases, pooling, normalisation and
    activations are not counted. The number is half of what torch's flop counter reports.
    Raises CourseError if the net does not take that shape.
    """
    counter = _flop_counter()
    with in_mode(net, training=False), torch.no_grad(), _explained(net, input_shape), counter:
        net(_input(net, input_shape))
    return counter.get_total_flops() // 2


def _flop_counter():
    # not at the top: it imports triton, and that takes longer than the whole of course_utils
    from torch.utils.flop_counter import FlopCounterMode

    return FlopCounterMode(display=False)


def layer_shapes(net, X, leaves=False):
    """What each layer puts out: a list of (name, type, shape), in the order in which they run.

    X: input (N, …). leaves: list the innermost modules instead of the direct children.
    A layer that puts out a list has a list of shapes.
    """
    found, hooks = [], []
    for name, module in net.named_modules() if leaves else net.named_children():
        if leaves and next(module.children(), None) is not None:
            continue

        def note(module, args, output, name=name):
            found.append((name, type(module).__name__, _shape(output)))

        hooks.append(module.register_forward_hook(note))
    try:
        with in_mode(net, training=False), torch.no_grad():
            net(X)
    finally:
        for hook in hooks:
            hook.remove()
    return found


@dataclass(frozen=True)
class Row:
    """One layer, or one block taken together, for one example.

    name: path in the net, such as "features.0". type: class. output_shape: without the batch.
    parameters, macs: counts. memory: bytes of the float tensors that it creates (in-place
    operations and views create none). receptive_field: side, in pixels of the input, of what one
    output position sees, the largest over its paths; None where positions no longer mean a place.
    is_block: whether it has modules inside. module: the layer itself.
    """

    name: str
    type: str
    output_shape: tuple
    parameters: int
    macs: int
    memory: int
    receptive_field: int | None
    is_block: bool
    module: torch.nn.Module


class Summary:
    """Table of a network's layers: `.rows`, `.total_parameters`, `.total_macs`, `.total_memory`.

    Prints as a table in a terminal and shows as one in a notebook.
    """

    def __init__(self, title, input_shape, rows, total_parameters, total_macs, total_memory):
        self.title = title
        self.input_shape = tuple(input_shape)
        self.rows = rows
        self.total_parameters = total_parameters
        self.total_macs = total_macs
        self.total_memory = total_memory

    def cells(self):
        """The table's body as strings, one list per row, the totals last."""
        body = [
            [
                row.name,
                row.type,
                "×".join(map(str, row.output_shape)),
                f"{row.parameters:,}" if row.parameters else "–",
                f"{row.macs:,}" if row.macs else "–",
                f"{row.memory:,} B" if row.memory else "–",
                str(row.receptive_field or "–"),
            ]
            for row in self.rows
        ]
        totals = (f"{self.total_parameters:,}", f"{self.total_macs:,}", f"{self.total_memory:,} B")
        return [*body, ["total", "", "", *totals, ""]]

    @property
    def caption(self):
        return f"{self.title}, input {'×'.join(map(str, self.input_shape))}"

    def __str__(self):
        lines = [HEADINGS, *self.cells()]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        aligned = [
            "  ".join(
                cell.rjust(width) if i >= FIRST_NUMBER else cell.ljust(width)
                for i, (cell, width) in enumerate(zip(line, widths, strict=True))
            ).rstrip()
            for line in lines
        ]
        rule = "─" * (sum(widths) + 2 * len(widths) - 2)
        return "\n".join([self.caption, aligned[0], rule, *aligned[1:-1], rule, aligned[-1]])

    __repr__ = __str__

    def _repr_html_(self):
        def line(tag, cells):
            sides = ["left"] * FIRST_NUMBER + ["right"] * (len(HEADINGS) - FIRST_NUMBER)
            return "".join(
                f'<{tag} style="text-align:{side}">{html.escape(cell)}</{tag}>'
                for side, cell in zip(sides, cells, strict=True)
            )

        *body, total = self.cells()
        rows = "\n".join(f"<tr>{line('td', cells)}</tr>" for cells in body)
        return (
            f'<table class="course-summary">\n<caption>{html.escape(self.caption)}</caption>\n'
            f"<thead><tr>{line('th', HEADINGS)}</tr></thead>\n<tbody>\n{rows}\n</tbody>\n"
            f'<tfoot style="font-weight:bold"><tr>{line("td", total)}</tr></tfoot>\n</table>'
        )


def summary(net, input_shape, depth=2):
    """Measure a network layer by layer for one example; a `Summary`.

    input_shape: (C, H, W) or any other shape without the batch.
    depth: how deep to look into blocks; 1 lists the direct children, None the innermost modules.
    Every layer belongs to exactly one row. What only runs in training (auxiliary classifiers) has
    no row; its parameters are in the total.
    Raises CourseError if the net does not take that shape.
    """
    counter, trace = _flop_counter(), _Trace()
    names = {module: name for name, module in net.named_modules()}
    calls, running = [], []  # what was called, in this order; what is still under way

    def before(module, args):
        calls.append([module, counter.get_total_flops(), trace.memory])
        running.append(calls[-1])

    def after(module, args, output):
        call = running.pop()
        call[1:] = counter.get_total_flops() - call[1], trace.memory - call[2]
        call += trace.field(output), _shape(output)

    hooks = []
    for module in names:
        hooks += [module.register_forward_pre_hook(before), module.register_forward_hook(after)]
    try:
        X = _input(net, input_shape)
        trace.start(X)
        with contextlib.ExitStack() as stack:
            quiet = in_mode(net, training=False), torch.no_grad(), _explained(net, input_shape)
            for context in (*quiet, counter, trace):
                stack.enter_context(context)
            net(X)
    finally:
        for hook in hooks:
            hook.remove()
    rows, seen = [], set()
    for module, flops, memory, field, shape in calls:
        is_block = next(module.children(), None) is not None
        level = names[module].count(".") + 1 if names[module] else 0
        opened = is_block and (depth is None or level < depth)
        if opened or (depth is not None and level > depth):
            continue
        rows.append(
            Row(
                name=names[module] or type(module).__name__,
                type=type(module).__name__,
                output_shape=shape[1:],
                parameters=0 if module in seen else count_parameters(module),
                macs=flops // 2,
                memory=memory,
                receptive_field=field,
                is_block=is_block,
                module=module,
            )
        )
        seen.add(module)
    totals = count_parameters(net), counter.get_total_flops() // 2, trace.memory
    return Summary(type(net).__name__, input_shape, rows, *totals)


class _Trace(TorchDispatchMode):
    """Follows the receptive field from tensor to tensor, and the bytes of float tensors made.

    The field of a tensor is (side, step): what one position sees, and how far apart, in pixels of
    the input, two neighbours look. Source: the recursion of Araujo, Norris, Sim (2019).
    """

    def __init__(self):
        super().__init__()
        self.memory = 0
        self.fields = WeakTensorKeyDictionary()

    def start(self, X):
        self.fields[X] = (1, 1)

    def field(self, output):
        """Side of the receptive field of a layer's output; None if it is unknown."""
        known = [self.fields[t][0] for t in _tensors(output) if t in self.fields]
        return max(known, default=None)

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        outputs = func(*args, **(kwargs or {}))
        inputs = list(_tensors(args))
        known = [(self.fields[t], t.shape) for t in inputs if t in self.fields]
        storages = {t.untyped_storage()._cdata for t in inputs}
        for output in _tensors(outputs):
            if output.is_floating_point() and output.untyped_storage()._cdata not in storages:
                self.memory += output.numel() * output.element_size()
            if known and (field := _next_field(func, args, known, output.shape)):
                self.fields[output] = field
        return outputs


def _next_field(func, args, known, shape):
    """Field of an operator's output from those of its inputs; None if it has none.

    Convolution and pooling widen it, what keeps the image's size keeps the field, anything else
    (flattening, slicing, averaging over the whole image) ends it.
    """
    side, step = max(field for field, _ in known)
    name = func.overloadpacket.__name__
    if name == "convolution":
        weight, stride, dilation, transposed = args[1], args[3], args[5], args[6]
        if transposed:
            return None
        kernel, stride, dilation = weight.shape[2], stride[0], dilation[0]
    elif "pool" in name and "adaptive" not in name:
        kernel = args[1][0]
        stride = args[2][0] if len(args) > 2 and args[2] else kernel  # left out: the window's
        dilation = args[4][0] if name.startswith("max_pool") and len(args) > 4 else 1
    elif name == "constant_pad_nd" or any(shape[2:] == before[2:] for _, before in known):
        return (side, step) if len(shape) > 2 else None
    else:
        return None
    return side + (kernel - 1) * dilation * step, step * stride


def _tensors(value):
    """The tensors in a nest of lists and tuples."""
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, list | tuple):
        for part in value:
            yield from _tensors(part)


def _shape(output):
    """Shape of a tensor as a tuple; a list of them for a list of tensors."""
    if isinstance(output, torch.Tensor):
        return tuple(output.shape)
    return [_shape(part) for part in output]


def _input(net, input_shape):
    """One example of zeros where the net's parameters are, in their precision."""
    parameter = next(net.parameters(), torch.zeros(()))
    return torch.zeros((1, *input_shape), device=parameter.device, dtype=parameter.dtype)


@contextlib.contextmanager
def _explained(net, input_shape):
    """Turn an error in the net's forward pass into one that names net and shape."""
    try:
        yield
    except Exception as error:
        cause = str(error).partition("\n")[0]
        raise CourseError(
            f"{type(net).__name__} does not take an input of shape {tuple(input_shape)}: {cause}"
        ) from error


def median_time(function, repeats=5, warmup=1):
    """Median seconds of one call of `function()`, over `repeats` calls after `warmup` others."""
    return median_times([function], repeats, warmup)[0]


def median_times(functions, repeats=5, warmup=1):
    """Median seconds of one call of each of `functions`, called in turns.

    So a slow moment of the machine meets them all. In a fast dev run each is called once.
    """
    if fast_dev_run():
        repeats, warmup = 1, 0
    seconds = [[] for _ in functions]
    for turn in range(warmup + repeats):
        for function, mine in zip(functions, seconds, strict=True):
            start = time.perf_counter()
            function()
            if turn >= warmup:
                mine.append(time.perf_counter() - start)
    return [statistics.median(mine) for mine in seconds]
