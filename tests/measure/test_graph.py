"""A network's graph is what its `forward` does: branches, joins, and shortcuts round a block."""

import matplotlib

matplotlib.use("agg")

import torch
from matplotlib import pyplot as plt
from torch import nn

from course_utils.measure import draw_architecture, summary
from course_utils.measure.graph import graph_of
from course_utils.nets.googlenet import Inception
from course_utils.nets.resnet import BasicBlock


def graph(net, shape, depth=1):
    return graph_of(net, shape, summary(net, shape, depth=depth).rows)


def name(node):
    return node.row.name if node.row else node.label


def edges(nodes):
    return {(name(each), name(node)) for node in nodes for each in node.inputs}


def test_a_shortcut_with_a_projection_is_a_branch_beside_the_block():
    nodes = {name(node): node for node in graph(BasicBlock(8, 16, 2), (8, 6, 6))}
    assert {("input", "conv1"), ("input", "shortcut"), ("norm2", "+"), ("shortcut", "+")} <= edges(
        nodes.values()
    )
    assert nodes["shortcut"].lane == 1 and nodes["conv2"].lane == nodes["+"].lane == 0
    assert nodes["+"].column > nodes["norm2"].column and nodes["+"].shape == (16, 3, 3)


def test_a_shortcut_without_one_is_an_arrow_from_the_input():
    nodes = graph(BasicBlock(8, 8), (8, 6, 6))
    assert ("input", "+") in edges(nodes)
    assert {node.lane for node in nodes} == {0}


def test_branches_lie_side_by_side():
    nodes = graph(Inception(8, 4, (4, 4), (4, 4), 4), (8, 6, 6), depth=2)
    (join,) = [node for node in nodes if node.label == "cat"]
    assert [node.lane for node in join.inputs] == [0, 1, 2, 3]
    assert len({node.column for node in join.inputs}) == 1


def test_a_lane_is_free_again_where_it_has_met_another():
    nodes = graph(nn.Sequential(BasicBlock(4, 8, 2), BasicBlock(8, 16, 2)), (4, 8, 8), depth=2)
    assert [node.lane for node in nodes if name(node).endswith("shortcut")] == [1, 1]


class ByItsNumbers(nn.Module):
    """What it does depends on what it gets: no graph can say that beforehand."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3, 3)

    def forward(self, X):
        return self.layer(X) if X.sum() > 0 else self.layer(-X)


def test_what_cannot_be_traced_is_drawn_as_a_chain():
    net = ByItsNumbers()
    assert graph(net, (3,)) == []
    fig = draw_architecture(net, (3,))
    assert [text.get_text() for text in fig.axes[0].texts] == ["input", "3", "Linear", "3"]
    plt.close(fig)


def test_the_picture_has_an_arrow_for_every_edge_and_the_net_is_left_as_it_was():
    net = BasicBlock(8, 16, 2).train()
    before = {key: value.clone() for key, value in net.state_dict().items()}
    fig = draw_architecture(net, (8, 6, 6))
    (ax,) = fig.axes
    arrows = [text for text in ax.texts if getattr(text, "arrow_patch", None)]
    nodes = graph(net, (8, 6, 6))
    assert len(arrows) == len(edges(nodes))
    fronts = [patch for patch in ax.patches if patch.get_gid() == "front"]
    assert len(fronts) == len(nodes) - 1  # the sum is a circle
    assert net.training
    assert all(torch.equal(before[key], value) for key, value in net.state_dict().items())
    plt.close(fig)
