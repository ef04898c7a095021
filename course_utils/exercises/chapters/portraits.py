"""What to compare of a network that an answer builds: its layers, and what they compute."""

import torch


def portrait(height=7, width=6):
    """A `view` for exercises whose answers build networks of (N, C, height, width).

    Of a network it gives a dict: shapes of the weights, number of parameters, dtype, and the
    output where all weights and running averages are known numbers. These depend on the order of
    the layers, but neither on their names nor on how they are nested. C is what the first layer
    takes.
    """

    def view(net):
        weights = [module for module in net.modules() if _ndim(module) > 1]
        norms = [module for module in net.modules() if hasattr(module, "running_mean")]
        seen = {
            "shapes of the weights": [tuple(module.weight.shape) for module in weights],
            "number of parameters": sum(p.numel() for p in net.parameters()),
            "dtype": str(weights[0].weight.dtype) if weights else "",
        }
        channels = next(
            getattr(module, "in_channels", getattr(module, "num_features", None))
            for module in net.modules()
            if hasattr(module, "in_channels") or hasattr(module, "num_features")
        )
        X = _waves((2, channels, height, width), 5) ** 3
        net = net.eval().double()  # so that small differences are seen
        with torch.no_grad():
            for number, module in enumerate(weights):
                _fill(module, number)
            for number, module in enumerate(norms):
                _fill_norm(module, number)
        return seen | {"output with given weights": net(X)}

    return view


def _ndim(module):
    weight = getattr(module, "weight", None)
    return weight.ndim if isinstance(weight, torch.Tensor) else 0


def _waves(shape, start):
    """Numbers in [-1, 1] that are all over the place, but always the same."""
    count = torch.Size(shape).numel()
    return torch.sin(torch.arange(count, dtype=torch.float64) ** 2 * 0.37 + start).reshape(shape)


def _fill(module, number):
    module.weight.copy_(_waves(module.weight.shape, number) * 2 / module.weight[0].numel() ** 0.5)
    if getattr(module, "bias", None) is not None:
        module.bias.copy_(_waves(module.bias.shape, number + 0.5))


def _fill_norm(module, number):
    size = module.running_mean.shape
    module.weight.copy_(1 + _waves(size, number) / 2)
    module.bias.copy_(_waves(size, number + 0.3) / 2)
    module.running_mean.copy_(_waves(size, number + 0.6) / 2)
    module.running_var.copy_(1 + _waves(size, number + 0.9) / 2)
