"""`explore_network`: a network drawn from its own code, and what each of its layers costs."""

from course_utils.explorers.output import Explorer
from course_utils.measure.drawing import KINDS, slabs
from course_utils.measure.graph import chain_of, graph_of, middle_lane, skips
from course_utils.measure.summary import summary


def explore_network(net, input_shape, depth=1, title=None):
    """Point at a layer of a network: its code, shape, parameters and MACs; an `Explorer`.

    input_shape: (C, H, W). depth: how deep to open blocks, as in `summary`. title: None: the class.
    Branches and shortcuts are drawn as `draw_architecture` does.
    Raises CourseError if the net does not take that shape.
    """
    table = summary(net, input_shape, depth=depth)
    nodes = graph_of(net, input_shape, table.rows) or chain_of(input_shape, table.rows)
    state = {
        "title": title or table.caption,
        "parameters": table.total_parameters,
        "macs": table.total_macs,
        "nodes": [
            _entry(node, slab, nodes) for node, slab in zip(nodes, slabs(nodes), strict=True)
        ],
    }
    state["kinds"] = {
        kind: colour
        for kind, (colour, _) in KINDS.items()
        if any(entry["kind"] == kind and entry["tall"] for entry in state["nodes"])
    }
    return Explorer("course-network", state, f"the layers of {state['title']}", str(table))


def _entry(node, slab, nodes):
    """What the browser needs of a node; tall and wide are 0 where it is a function."""
    row, drawn = node.row, node.row or node.label == "input"
    entry = {
        "label": slab.label.split("\n"),
        "kind": slab.kind,
        "shape": "×".join(map(str, node.shape)),
        "tall": round(slab.height, 3) if drawn else 0,
        "wide": round(slab.width, 3) if drawn else 0,
        "column": node.column,
        "lane": middle_lane(node, nodes),
        "from": [[nodes.index(each), skips(each, node)] for each in node.inputs],
    }
    if row:
        entry |= {"name": row.name, "code": _code(row), "parameters": row.parameters}
        entry |= {"macs": row.macs, "sees": row.receptive_field}
    return entry


def _code(row):
    """How one would write the layer; of a block, what is in it."""
    if not row.is_block:
        return repr(row.module)
    inside = [type(module).__name__ for module in row.module.modules() if module is not row.module]
    leaves = [name for name in inside if name != "Sequential"]
    more = f", … ({len(leaves)} modules)" if len(leaves) > 5 else ""
    return f"{row.type}: {', '.join(leaves[:5])}{more}"
