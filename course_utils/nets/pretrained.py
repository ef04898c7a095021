"""torchvision's weights in the course's hand-built networks."""

import contextlib
import io
import urllib.parse
from pathlib import Path

import torch

from course_utils import settings
from course_utils.data.sources import reachable, socket_timeout
from course_utils.errors import WeightsError

TIMEOUT = 5  # seconds without an answer after which a download is given up
NOT_THE_SAME = {
    "googlenet": "batch normalisation everywhere and 3×3 windows in the 5×5 branch",
    "inception_v3": "the later Inception-v3",
}


def load_torchvision_weights(net, state_dict_or_name):
    """Copy the weights of a torchvision model into a hand-built network; returns the net.

    net: a network whose layers stand in the same order as torchvision's.
    state_dict_or_name: a torchvision state dict, or the name of a torchvision model such as
    "resnet18", whose ImageNet weights are then read from torch's cache or downloaded.
    Entries are paired by order; each pair must agree in kind (weight, bias, running mean …) and in
    shape. The counters of batch normalisation (num_batches_tracked), which older files lack and
    which outputs do not depend on, are copied only when the state dict has them.
    Raises WeightsError, and changes nothing, if a pair disagrees, one side has more entries, or
    the weights cannot be had.
    """
    state = state_dict_or_name
    if isinstance(state, str):
        state = fetch_torchvision_weights(state)
    pairs = _pair(net.state_dict(), state)
    with torch.no_grad():
        for ours, theirs in pairs:
            ours.copy_(theirs)
    return net


def fetch_torchvision_weights(name):
    """State dict of torchvision's model `name`, trained on ImageNet: cached, else downloaded.

    Raises WeightsError within seconds when it cannot be had; the message says what to do.
    """
    if name in NOT_THE_SAME:
        raise WeightsError(
            f"torchvision's {name} is not the paper's GoogLeNet: it has {NOT_THE_SAME[name]}. "
            "Its weights do not fit; train the course's network instead."
        )
    from torchvision import models

    try:
        weights = models.get_model_weights(name).IMAGENET1K_V1
    except (ValueError, AttributeError):
        raise WeightsError(
            f"torchvision has no classification weights named {name!r}; try resnet18 or vgg16"
        ) from None
    parts = urllib.parse.urlparse(weights.url)
    file = Path(parts.path).name
    cached = Path(torch.hub.get_dir()) / "checkpoints" / file
    what_to_do = (
        f"Try again with a network, or put the file {file} into the folder "
        "checkpoints under torch.hub.get_dir()."
    )
    if not cached.is_file():
        if settings.offline():
            raise WeightsError(f"The weights of {name} are not here (offline). {what_to_do}")
        if not reachable(parts.hostname):
            raise WeightsError(f"The weights of {name} are not here (no network). {what_to_do}")
    try:
        # torch prints where it puts the file, a path that has no place in a notebook
        with socket_timeout(TIMEOUT), contextlib.redirect_stdout(io.StringIO()):
            return torch.hub.load_state_dict_from_url(
                weights.url, map_location="cpu", progress=False, check_hash=True, weights_only=True
            )
    except Exception as error:  # a damaged file may raise anything
        reason = (str(error) or type(error).__name__).splitlines()[0]
        fault = "cannot be read: delete it" if cached.is_file() else "could not be fetched"
        raise WeightsError(f"{file} {fault} ({reason}). {what_to_do}") from error


def _pair(ours, theirs):
    """Pairs (our tensor, their tensor); WeightsError at the first that disagrees."""
    counter = "num_batches_tracked"
    if not isinstance(theirs, dict) or not all(
        isinstance(v, torch.Tensor) for v in theirs.values()
    ):
        raise WeightsError(
            "expected a torchvision state dict or a model's name; "
            "of a torchvision model pass model.state_dict()"
        )
    if not any(name.endswith(counter) for name in theirs):
        ours = {name: value for name, value in ours.items() if not name.endswith(counter)}
    for (name, value), (name_, value_) in zip(ours.items(), theirs.items(), strict=False):
        same_kind = name.rpartition(".")[2] == name_.rpartition(".")[2]
        if not same_kind or value.shape != value_.shape:
            raise WeightsError(
                f"the weights do not fit: {name} {tuple(value.shape)} of the net meets "
                f"{name_} {tuple(value_.shape)} of the state dict. Nothing was changed."
            )
    if len(ours) != len(theirs):
        longer, whose = (ours, "net") if len(ours) > len(theirs) else (theirs, "state dict")
        name = list(longer)[min(len(ours), len(theirs))]
        raise WeightsError(
            f"the weights do not fit: {name} {tuple(longer[name].shape)} of the {whose} has no "
            f"partner ({len(ours)} entries in the net, {len(theirs)} in the state dict). "
            "Nothing was changed."
        )
    return list(zip(ours.values(), theirs.values(), strict=True))
