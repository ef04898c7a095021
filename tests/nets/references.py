"""How the tests hold a network of the course against an independent one."""

import torch


def copy_in_order(net, state):
    """Load a state dict whose entries have other names, but the same order and shapes."""
    own = net.state_dict()
    assert [v.shape for v in own.values()] == [v.shape for v in state.values()]
    net.load_state_dict(dict(zip(own, state.values(), strict=True)), assign=True)
    return net


def assert_same_outputs(net, reference, X):
    """Both networks give the same for X, the same units dropped in training mode."""
    outputs = []
    for model in (net, reference):
        torch.manual_seed(1)  # of the dropout
        with torch.no_grad():
            outputs.append(model(X))
    torch.testing.assert_close(*outputs, rtol=0, atol=1e-6)
