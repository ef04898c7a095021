"""On a real GPU: recorded and compiled steps give the losses of the eager loop."""

import pytest
import torch

from course_utils.data import TensorLoader
from course_utils.nets import build
from course_utils.training import train_ch6


def step_losses(preset, device, **options):
    """The losses of 60 steps from the same weights, over random images; and how they were made.

    Raises TrainingError if one is not finite.
    """
    g = torch.Generator().manual_seed(0)
    images = torch.randint(256, (1920, 28, 28), generator=g, dtype=torch.uint8)
    size = None if preset == "lenet" else 64
    data = TensorLoader(
        images, torch.arange(1920) % 10, 32, resize=size, shuffle=True, device=device, seed=1
    )
    torch.manual_seed(0)
    options = {"init": "kaiming", "seed": 3, "verbose": False} | options
    history = train_ch6(build(preset), data, None, 1, 0.01, device, **options)
    return history.step_loss, history.precision


@pytest.mark.full
@pytest.mark.timeout(600)
@pytest.mark.skipif(not torch.cuda.is_available(), reason="NOT RUN: needs a CUDA GPU")
@pytest.mark.parametrize(
    "options, tolerance",
    [({}, 1e-5), ({"amp": True}, 0.02), ({"amp": True, "compile": True}, 0.05)],
)
@pytest.mark.parametrize("preset", ["lenet", "resnet18-d2l", "googlenet-d2l"])
def test_losses_are_those_of_the_eager_loop(monkeypatch, preset, options, tolerance):
    monkeypatch.delenv("COURSE_FAST_DEV_RUN", raising=False)
    fast, how = step_losses(preset, "cuda", **options)
    assert how.endswith("recorded steps")
    monkeypatch.setenv("COURSE_EAGER", "1")
    eager, how = step_losses(preset, "cuda", **{"amp": options.get("amp", False)})
    assert not how.endswith("recorded steps") and len(eager) == 60
    assert fast[:20] == pytest.approx(eager[:20], abs=tolerance)  # then rounding has its way
