"""torchvision's weights in the course's hand-built networks."""

import hashlib
import itertools
import re
import urllib.parse
from pathlib import Path

import torch

from course_utils import settings
from course_utils.data.download import fetch
from course_utils.errors import DataError, WeightsError
from course_utils.files import folder_for, writing_whole

TIMEOUT = 5  # seconds without an answer after which a download is given up
SLOWEST = 100_000  # bytes per second; a slower download is given up, too
LARGEST = 1_000_000_000  # bytes; the largest that fits a network of the course has 574 MB
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
    file = Path(urllib.parse.urlparse(weights.url).path).name
    cached = Path(torch.hub.get_dir()) / "checkpoints" / file
    what_to_do = (
        f"Try again with a network, or put the file {file} into the folder "
        "checkpoints under torch.hub.get_dir()."
    )
    try:
        if not cached.is_file():
            if settings.offline():
                raise WeightsError(f"The weights of {name} are not here (offline). {what_to_do}")
            _download(weights.url, cached)
        elif not _is_published(cached, file):
            raise WeightsError(f"{file} is damaged (its checksum differs): delete it. {what_to_do}")
    except (DataError, OSError) as error:
        raise WeightsError(f"{file} could not be fetched ({error}). {what_to_do}") from error
    try:
        return torch.load(cached, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file may raise anything
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise WeightsError(f"{file} cannot be read: delete it ({reason}). {what_to_do}") from error


def _download(url, target):
    """Fetch a file of weights; it gets its name when its checksum is right.

    torch.hub's own download knows no limit of time or size, and follows a redirection out of TLS.
    """
    with folder_for(target.parent), writing_whole(target) as partial:
        with partial.open("wb") as file:
            fetch(url, file, timeout=TIMEOUT, slowest=SLOWEST, largest=LARGEST)
        if not _is_published(partial, target.name):
            raise DataError("what arrived is not the published file")


def _is_published(path, name):
    """Whether the checksum of a file begins as its name ends: PyTorch's way to publish it."""
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    found = re.search(r"-([0-9a-f]{8,})\.\w+$", name)
    return found is not None and sha256.startswith(found[1])


def _pair(ours, theirs):
    """Pairs (our tensor, their tensor); WeightsError at the first that disagrees."""
    counter = "num_batches_tracked"
    if not isinstance(theirs, dict) or not all(map(_is_entry, theirs.items())):
        raise WeightsError(
            "expected a torchvision state dict or a model's name; "
            "of a torchvision model pass model.state_dict()"
        )
    if not any(name.endswith(counter) for name in theirs):
        ours = {name: value for name, value in ours.items() if not name.endswith(counter)}
    nothing = "nothing", torch.empty(0)
    pairs = list(itertools.zip_longest(ours.items(), theirs.items(), fillvalue=nothing))
    for (name, value), (name_, value_) in pairs:
        same_kind = name.rpartition(".")[2] == name_.rpartition(".")[2]
        if not same_kind or value.shape != value_.shape:
            raise WeightsError(
                f"the weights do not fit: {name} {tuple(value.shape)} of the net meets "
                f"{name_} {tuple(value_.shape)} of the state dict ({len(ours)} entries in the net, "
                f"{len(theirs)} in the state dict). Nothing was changed."
            )
    return [(value, value_) for (_, value), (_, value_) in pairs]


def _is_entry(entry):
    """Whether this is a name with a tensor whose numbers can be copied."""
    name, value = entry
    if not isinstance(name, str) or not name.isprintable() or not torch.is_tensor(value):
        return False
    no_numbers = value.is_meta or value.is_quantized or value.is_complex()
    return value.layout == torch.strided and not no_numbers
