"""Drawings made from a network itself: its architecture, and where its cost lies."""

import math
from dataclasses import dataclass

from course_utils.measure.graph import chain_of, graph_of, middle_lane, skips
from course_utils.measure.summary import summary

PER_LINE = 13
LANE = 1.95  # from one branch to the next, where a column is 1 wide
# kind of layer: its colour and the words that give it away in a class name; first match wins
KINDS = {
    "convolution": ("#0072B2", ("conv",)),
    "pooling": ("#D55E00", ("pool",)),
    "normalisation": ("#CC79A7", ("norm",)),
    "fully connected": ("#009E73", ("linear",)),
    "block": ("#56B4E9", ()),
    "other": ("#B0B0B0", ()),
}
GREY = "#808080"
_ROUND = ("+", "cat")  # functions that join lanes
_CIRCLE = {"boxstyle": "circle,pad=0.25", "facecolor": "none", "edgecolor": GREY}
FACES = {"front": 0.0, "top": 0.4, "side": -0.3}  # how much lighter than the layer's colour


@dataclass(frozen=True)
class Slab:
    """How a node is drawn: its words, its kind (of KINDS), its output's shape, and its size.

    height, width: from 0 to 1, by the side of the image and by its channels, both on a logarithmic
    scale; a vector is as high as if it were a square image, and has no width.
    """

    label: str
    kind: str
    shape: tuple
    height: float
    width: float


def slabs(nodes):
    """A `Slab` for each node of a graph."""
    tallest = max(_side(node.shape) for node in nodes)
    widest = max(_channels(node.shape) for node in nodes) or 1
    return [
        Slab(
            _label(node.row) if node.row else node.label,
            _kind(node.row) if node.row else "other",
            node.shape,
            _side(node.shape) / tallest,
            _channels(node.shape) / widest,
        )
        for node in nodes
    ]


def draw_architecture(net, input_shape, depth=1, title=None):
    """Draw a network as slabs, one per layer, from its own code.

    input_shape: (C, H, W). depth: how deep to open blocks, as in `summary`.
    A slab's height is the side of the image, its width the number of channels, both on a
    logarithmic scale; a vector is a thin bar. Branches lie under each other, a shortcut is an arrow
    over what it skips; a chain of layers has up to thirteen in a line. What torch.fx cannot trace
    is drawn as a chain, in the order in which it runs. Returns the figure.
    Raises CourseError if the net does not take that shape.
    """
    table = summary(net, input_shape, depth=depth)
    nodes = graph_of(net, input_shape, table.rows)
    branched = any(len(node.inputs) > 1 for node in nodes)
    fig, kinds = _draw_graph(nodes) if branched else _draw_chain(table, input_shape)
    _finish(fig, kinds, title or table.caption)
    return fig


def _draw_chain(table, input_shape):
    """The layers in rows, one after the other; returns the figure and the kinds that it shows."""
    import matplotlib.pyplot as plt

    found = slabs(chain_of(input_shape, table.rows))
    lines = -(-len(found) // PER_LINE)
    per_line = -(-len(found) // lines)
    size = (min(8.6, 1.0 + 0.7 * per_line), 2.1 * lines + 0.5)
    fig, axes = plt.subplots(lines, 1, figsize=size, squeeze=False)
    for i, slab in enumerate(found):
        _draw_slab(axes[i // per_line, 0], i % per_line, 0, slab)
    for ax in axes[:, 0]:
        ax.set(xlim=(-0.55, per_line - 0.35), ylim=(-0.85, 0.98))
        ax.set_axis_off()
    return fig, {slab.kind for slab in found}


def _draw_graph(nodes):
    """The layers where the graph puts them, and arrows; returns the figure and its kinds."""
    import matplotlib.pyplot as plt

    places = {node: (node.column, -LANE * middle_lane(node, nodes)) for node in nodes}
    columns = 1 + max(node.column for node in nodes)
    lanes = 1 + max(node.lane for node in nodes)
    over = any(skips(each, node) for node in nodes for each in node.inputs)
    size = (min(8.6, 1.0 + 0.85 * columns), 0.9 + 1.4 * lanes + 0.4 * over)
    fig, ax = plt.subplots(figsize=size)
    kinds = set()
    for node, slab in zip(nodes, slabs(nodes), strict=True):
        for each in node.inputs:
            _draw_arrow(ax, each, node, places)
        if node.label in _ROUND:
            ax.text(*places[node], node.label, ha="center", va="center", fontsize=9, bbox=_CIRCLE)
            continue
        kinds.add(slab.kind)
        _draw_slab(ax, *places[node], slab)
    heights = [y for _, y in places.values()]
    ax.set_xlim(-0.55, columns - 0.35)
    ax.set_ylim(min(heights) - 0.85, max(heights) + 1.2 + 0.4 * over)
    ax.set_axis_off()
    return fig, kinds


def _draw_arrow(ax, start, end, places):
    """From the right of one node to the left of another; a shortcut over what lies between."""
    (x, y), (to_x, to_y) = places[start], places[end]
    leave = x + (0.2 if start.label in _ROUND else 0.36)
    arrive = to_x - (0.2 if end.label in _ROUND else 0.38)
    if skips(start, end):
        way = [(leave, y + 0.1), (x + 0.6, y + 1.15), (to_x - 0.4, y + 1.15), (to_x, to_y + 0.2)]
    elif len(end.inputs) > 1:  # where lanes meet: first along its own
        way = [(leave, y), (to_x - 0.6, y), (arrive, to_y)]
    else:
        way = [(leave, y), (x + 0.6, to_y), (arrive, to_y)]
    ax.plot(*zip(*way[:-1], strict=True), color=GREY, lw=1, solid_joinstyle="round", zorder=0)
    arrow = {"arrowstyle": "->", "color": GREY, "lw": 1, "shrinkA": 0, "shrinkB": 0}
    ax.annotate("", way[-1], way[-2], arrowprops=arrow, zorder=0)


def _finish(fig, kinds, title):
    """Legend and title."""
    from matplotlib.patches import Patch

    fig.legend(
        handles=[Patch(color=KINDS[kind][0], label=kind) for kind in KINDS if kind in kinds],
        loc="lower center",
        ncols=len(KINDS),
        fontsize=8,
        handlelength=1,
    )
    fig.suptitle(title, fontsize=10)
    fig.tight_layout(rect=(0, 0.3 / fig.get_figheight(), 1, 1), pad=0.2)


def plot_cost(table):
    """Bars of parameters and of MACs, layer by layer, for a `Summary`; returns the figure."""
    import matplotlib.pyplot as plt

    rows = [row for row in table.rows if row.parameters or row.macs]
    names = [f"{row.name}  {_label(row).replace(chr(10), ' ')}" for row in rows]
    panels = (
        ("parameters", [row.parameters for row in rows], table.total_parameters, "#0072B2"),
        ("MACs", [row.macs for row in rows], table.total_macs, "#D55E00"),
    )
    height = 0.9 + 0.24 * len(rows)
    fig, axes = plt.subplots(1, 2, figsize=(8.4, height), sharey=True)
    places = range(len(rows))
    for ax, (title, values, total, colour) in zip(axes, panels, strict=True):
        bars = ax.barh(places, values, color=colour)
        ax.bar_label(bars, [_short(v) if v else "" for v in values], padding=2, fontsize=8)
        ax.set(title=f"{title}: {total:,}", xlim=(0, 1.2 * max([*values, 1])))
        ax.xaxis.set_major_formatter(lambda value, _: _short(value))
        ax.xaxis.set_major_locator(plt.MaxNLocator(4))
        ax.tick_params(labelsize=8)
        ax.grid(axis="y", visible=False)
    axes[0].set_yticks(places, names)
    axes[0].invert_yaxis()
    fig.suptitle(table.caption, fontsize=10)
    fig.tight_layout()
    return fig


def _draw_slab(ax, column, middle, slab):
    """One slab in oblique projection, its layer above and its output's shape below."""
    from matplotlib.patches import Polygon

    image = len(slab.shape) > 1
    half = 0.55 * slab.height
    width = 0.1 + 0.42 * slab.width
    lean, rise = (0.28 * half, 0.35 * half) if image else (0.06, 0.04)
    left, right = column - (width + lean) / 2, column + (width - lean) / 2
    low, high = middle - half - rise / 2, middle + half - rise / 2
    corners = {
        "front": [(left, low), (right, low), (right, high), (left, high)],
        "top": [
            (left, high),
            (right, high),
            (right + lean, high + rise),
            (left + lean, high + rise),
        ],
        "side": [
            (right, low),
            (right + lean, low + rise),
            (right + lean, high + rise),
            (right, high),
        ],
    }
    for face, lighter in FACES.items():
        colour = _shade(KINDS[slab.kind][0], lighter)
        ax.add_patch(Polygon(corners[face], facecolor=colour, edgecolor="white", lw=0.5, gid=face))
    ax.text(column, high + rise + 0.05, slab.label, ha="center", va="bottom", fontsize=7.5)
    text = "×".join(map(str, slab.shape))
    ax.text(column, low - 0.05, text, ha="center", va="top", fontsize=7.5 if len(text) < 9 else 6.5)


def _label(row):
    """A layer's name for a narrow column: its kind and its window."""
    if row.type == "Sequential":
        return f"block\n{row.name}"
    short = {
        "AdaptiveAvgPool2d": "global\navg pool",
        "AdaptiveMaxPool2d": "global\nmax pool",
        "LocalResponseNorm": "response\nnorm",
    }
    words = {"MaxPool": "max pool", "AvgPool": "avg pool", "BatchNorm": "batch\nnorm"}
    kind = row.type.removesuffix("2d")
    name = short.get(row.type) or words.get(kind) or kind
    if kind == "Pool2D":
        name = f"{row.module.mode} pool"
    kernel = getattr(row.module, "kernel_size", getattr(row.module, "size", None))
    if kernel is None or row.is_block or row.type in short:
        return name if len(name) < 12 else _fold(name)
    sides = kernel if isinstance(kernel, tuple) else (kernel, kernel)
    return f"{name}\n{'×'.join(map(str, sides))}"


def _fold(name):
    """A long class name on two lines, broken before the capital letter nearest its middle."""
    breaks = [i for i, letter in enumerate(name) if letter.isupper() and i]
    if not breaks:
        return name
    middle = min(breaks, key=lambda i: abs(i - len(name) / 2))
    return f"{name[:middle]}\n{name[middle:]}"


def _kind(row):
    if row.is_block:
        return "block"
    name = row.type.lower()
    return next((k for k, (_, words) in KINDS.items() if any(w in name for w in words)), "other")


def _side(shape):
    """Logarithmic height: of an image by its side, of a vector as if it were a square image."""
    return math.log2(1 + (max(shape[1:]) if len(shape) > 1 else math.sqrt(shape[0])))


def _channels(shape):
    return math.log2(1 + shape[0]) if len(shape) > 1 else 0


def _shade(colour, lighter):
    """A colour moved towards white (positive) or black (negative)."""
    from matplotlib.colors import to_rgb

    goal = 1.0 if lighter > 0 else 0.0
    return tuple(part + abs(lighter) * (goal - part) for part in to_rgb(colour))


def _short(value):
    """12345 -> 12.3k."""
    for unit, name in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= unit:
            return f"{value / unit:.3g}{name}"
    return f"{value:.3g}"
