"""A network as a graph: which layer feeds which, as `torch.fx` sees its `forward`."""

from dataclasses import dataclass, field
from statistics import mean

import torch
from torch import fx, nn
from torch.fx.passes.shape_prop import ShapeProp

from course_utils.training import in_mode

FUNCTIONS = {"add": "+", "iadd": "+", "cat": "cat", "relu": "ReLU", "relu_": "ReLU"}


@dataclass(eq=False)  # two nodes may look alike
class Node:
    """One layer, or one function that stands between layers, for one example.

    row: of `summary`; None for the input and for a function. label: of these. shape: without the
    batch. inputs: the nodes that feed it. column: the longest way to it. lane: 0 is the main path,
    branches lie in 1, 2, …
    """

    row: object
    label: str
    shape: tuple
    inputs: list = field(default_factory=list)
    column: int = 0
    lane: int = 0


def graph_of(net, input_shape, rows):
    """The nodes of the net in the order in which they run; [] if `forward` cannot be traced.

    input_shape: without the batch. rows: of `summary`, which say how deep blocks are opened.
    """
    known = {row.name: row for row in rows}

    class Tracer(fx.Tracer):
        def is_leaf_module(self, module, name):
            return name in known or super().is_leaf_module(module, name)

    try:
        with in_mode(net, training=False), torch.no_grad():
            traced = fx.GraphModule(net, Tracer().trace(net))
            like = next(net.parameters(), torch.zeros(1))
            ShapeProp(traced).propagate(torch.zeros(1, *input_shape, device=like.device))
    except Exception:  # a `forward` may do anything: what cannot be traced is no error
        return []
    nodes, shown = [], {}  # shown: fx node -> the Node that stands for it
    for step in traced.graph.nodes:
        inputs = list(dict.fromkeys(shown[each] for each in step.all_input_nodes if each in shown))
        node = _node(step, known)
        if node is None:
            if inputs:
                shown[step] = inputs[0]  # such as a reshape: seen through
            continue
        node.inputs = inputs
        node.column = 1 + max((each.column for each in inputs), default=-1)
        nodes.append(node)
        shown[step] = node
    _choose_lanes(nodes)
    return nodes


def chain_of(input_shape, rows):
    """The input and the rows of `summary` as nodes, each fed by the one before it."""
    nodes = [Node(None, "input", tuple(input_shape))]
    for column, row in enumerate(rows, start=1):
        nodes.append(Node(row, "", row.output_shape, [nodes[-1]], column))
    return nodes


def middle_lane(node, nodes):
    """Its lane; where three or more part or meet, the middle between theirs."""
    after = {each.lane for each in nodes if node in each.inputs}
    for lanes in ({each.lane for each in node.inputs}, after):
        if len(lanes) > 2:
            return mean(lanes)
    return node.lane


def skips(start, end):
    """Whether the arrow between them leads over other nodes of its lane."""
    return start.lane == end.lane and end.column > start.column + 1 and len(end.inputs) > 1


def _node(step, known):
    meta = step.meta.get("tensor_meta")
    shape = tuple(getattr(meta, "shape", (1,))[1:])
    if step.op == "placeholder":
        return Node(None, "input", shape)
    if step.op == "call_module" and step.target in known:
        row = known[step.target]
        nothing = isinstance(row.module, nn.Identity) or (
            isinstance(row.module, nn.Sequential) and not len(row.module)
        )
        return None if nothing else Node(row, "", shape)
    name = step.target if isinstance(step.target, str) else getattr(step.target, "__name__", "")
    label = FUNCTIONS.get(name) if step.op in ("call_function", "call_method") else None
    return Node(None, label, shape) if label else None


def _choose_lanes(nodes):
    """The first that a node feeds goes on in its lane, others open the next free one; where lanes
    meet, the lowest goes on."""
    last = {}  # node -> its last consumer's place
    for place, node in enumerate(nodes):
        last |= dict.fromkeys(node.inputs, place)
    continued = set()
    for place, node in enumerate(nodes):
        if len(node.inputs) > 1:
            node.lane = min(each.lane for each in node.inputs)
        elif node.inputs and node.inputs[0] in continued:
            taken = {each.lane for each in nodes[:place] if last.get(each, -1) >= place}
            node.lane = min(set(range(len(nodes))) - taken - {node.inputs[0].lane})
        elif node.inputs:
            node.lane = node.inputs[0].lane
        continued.update(node.inputs)
