"""What `measure` says about networks, against torchinfo, gradients and arithmetic by hand."""

import pytest
import torch
import torchinfo
from torch import nn

from course_utils.errors import CourseError
from course_utils.measure import count_macs, count_parameters, layer_shapes, summary


def lenet5():
    return nn.Sequential(
        nn.Conv2d(1, 6, 5),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(6, 16, 5),
        nn.ReLU(inplace=True),
        nn.AvgPool2d(2),
        nn.Conv2d(16, 120, 5),
        nn.Flatten(),
        nn.Linear(120, 84),
        nn.Linear(84, 10),
    )


class Branches(nn.Module):
    """Two paths, concatenated, a shortcut, and a second output while training."""

    def __init__(self):
        super().__init__()
        self.small = nn.Conv2d(3, 4, 1, bias=False)
        self.large = nn.Sequential(nn.Conv2d(3, 2, 3, padding=1), nn.Conv2d(2, 4, 5, padding=2))
        self.norm = nn.BatchNorm2d(8)
        self.mix = nn.Conv2d(8, 8, 3, stride=2, padding=2, dilation=2, groups=4)
        self.head = nn.Linear(8, 5)
        self.auxiliary = nn.Linear(8, 5)

    def forward(self, X):
        Y = torch.cat([self.small(X), self.large(X)], dim=1)
        Y = self.mix(nn.functional.relu(Y + self.norm(Y)))
        Y = Y.mean(dim=(2, 3))
        return [self.head(Y), self.auxiliary(Y)] if self.training else self.head(Y)


def by_name(net, shape, **options):
    return {row.name: row for row in summary(net, shape, **options).rows}


def test_lenet5_layer_by_layer():
    table = summary(lenet5(), (1, 32, 32))
    assert [row.parameters for row in table.rows if row.parameters] == [
        156,
        2416,
        48120,
        10164,
        850,
    ]
    assert [row.macs for row in table.rows if row.macs] == [117600, 240000, 48000, 10080, 840]
    assert [row.receptive_field for row in table.rows][:7] == [5, 5, 6, 14, 14, 16, 32]
    assert table.rows[-1].receptive_field is None
    assert (table.total_parameters, table.total_macs) == (61706, 416520)
    assert table.rows[0].memory == 6 * 28 * 28 * 4
    assert table.rows[4].memory == table.rows[7].memory == 0  # in place; a view
    assert table.rows[2].output_shape == (6, 14, 14)


@pytest.mark.parametrize("depth", [1, 2, None])
def test_every_layer_belongs_to_one_row(depth):
    net = nn.Sequential(nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3)), lenet5())
    net[1][0] = nn.Conv2d(3, 6, 3)
    table = summary(net, (1, 32, 32), depth=depth)
    assert sum(row.parameters for row in table.rows) == count_parameters(net)
    assert sum(row.macs for row in table.rows) == table.total_macs == count_macs(net, (1, 32, 32))
    assert sum(row.memory for row in table.rows) == table.total_memory
    assert len(table.rows) == (2 if depth == 1 else 12)


def test_branches_shortcut_and_two_outputs():
    net, rows = Branches(), by_name(Branches(), (3, 9, 9), depth=1)
    assert list(rows) == ["small", "large", "norm", "mix", "head"]
    assert rows["large"].is_block and not rows["small"].is_block
    # 3×3 then 5×5 sees 7, and the dilated 3×3 looks 4 further
    assert [rows[n].receptive_field for n in ("small", "large", "mix")] == [1, 7, 11]
    assert rows["head"].receptive_field is None
    # 10×10 → padding 2, effective kernel 5, stride 2: 5×5 positions of 2 channels in a group
    assert rows["mix"].output_shape == (8, 5, 5)
    assert rows["mix"].macs == 8 * 25 * 2 * 9
    assert summary(net, (3, 9, 9)).total_parameters == count_parameters(net)


def test_receptive_field_is_where_gradients_reach():
    net = nn.Sequential(
        nn.Conv2d(1, 2, 3, stride=2, padding=1),
        nn.AvgPool2d(3, stride=1),
        nn.Conv2d(2, 2, 3, dilation=2),
        nn.AvgPool2d(2),
    ).double()
    for parameter in net.parameters():
        nn.init.ones_(parameter)
    X = torch.ones(1, 1, 61, 61, dtype=torch.float64, requires_grad=True)
    Y = net(X)
    Y[0, 0, Y.shape[2] // 2, Y.shape[3] // 2].backward()
    side = int((X.grad[0, 0].sum(dim=1) > 0).sum())
    assert summary(net, (1, 61, 61)).rows[-1].receptive_field == side


def test_agrees_with_torchinfo():
    net = lenet5()
    reference = torchinfo.summary(net, (1, 1, 32, 32), verbose=0)
    layers = [layer for layer in reference.summary_list if layer.is_leaf_layer]
    rows = summary(net, (1, 32, 32)).rows
    assert [row.output_shape for row in rows] == [tuple(layer.output_size[1:]) for layer in layers]
    assert [row.parameters for row in rows] == [layer.num_params for layer in layers]
    assert summary(net, (1, 32, 32)).total_parameters == reference.total_params


def test_net_is_left_as_it_was():
    net = Branches()
    net.norm.eval()  # frozen by hand
    before = {name: value.clone() for name, value in net.state_dict().items()}
    state = torch.get_rng_state()
    summary(net, (3, 8, 8))
    count_macs(net, (3, 8, 8))
    layer_shapes(net, torch.zeros(2, 3, 8, 8))
    assert net.training and not net.norm.training
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert torch.equal(torch.get_rng_state(), state)
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in net.modules())


def test_a_layer_used_twice_counts_its_parameters_once():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(2, 2, 3, padding=1, bias=False)

        def forward(self, X):
            return self.conv(self.conv(X))

    table = summary(Twice(), (2, 8, 8))
    assert [row.parameters for row in table.rows] == [36, 0]
    assert [row.macs for row in table.rows] == [36 * 64, 36 * 64]
    assert [row.receptive_field for row in table.rows] == [3, 5]


def test_layer_shapes():
    net = nn.Sequential(nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU()), nn.Flatten())
    X = torch.zeros(2, 1, 5, 5)
    assert layer_shapes(net, X) == [("0", "Sequential", (2, 2, 3, 3)), ("1", "Flatten", (2, 18))]
    assert [row[:2] for row in layer_shapes(net, X, leaves=True)] == [
        ("0.0", "Conv2d"),
        ("0.1", "ReLU"),
        ("1", "Flatten"),
    ]


def test_tables_show_the_same_everywhere(monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")  # as ipykernel does
    monkeypatch.setenv("COLUMNS", "40")
    table = summary(lenet5(), (1, 32, 32))
    text, page = str(table), table._repr_html_()
    for shown in (text, page):
        assert "6×28×28" in shown and "61,706" in shown and "416,520" in shown
    assert text == repr(table) and all(line == line.rstrip() for line in text.splitlines())
    assert page.count("<tr>") == len(table.rows) + 2


def test_wrong_shape_is_explained():
    for measure in (summary, count_macs):
        with pytest.raises(CourseError, match=r"Sequential .* shape \(1, 10, 10\)"):
            measure(lenet5(), (1, 10, 10))
