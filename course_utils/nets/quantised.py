"""A trained net in a byte per weight, small enough for a cell's output, and so for a web page.

The batch run keeps outputs with the executed notebook; `course book` takes the weights from there.
"""

import base64
import datetime
import math

import numpy as np

from course_utils.errors import WeightsError
from course_utils.settings import fast_dev_run
from course_utils.training.checkpoint import misfit

WEIGHTS_MIME = "application/vnd.course-weights+json"


def quantise(net):
    """The parameters of a net in few bytes: name -> {"shape", "codes", "scales"} or {"values"}.

    Of a weight with two axes or more, each output channel is divided by its scale, the largest
    absolute value over 127, and rounded: int8. Other parameters stay float32. All arrays are
    little-endian, in base64, so that the result is ready for JSON.
    Raises WeightsError if a parameter is not finite.
    """
    packed = {}
    for name, value in net.state_dict().items():
        array = value.detach().cpu().numpy().astype("<f4")
        if not np.isfinite(array).all():
            raise WeightsError(f"{name} holds numbers that are not finite: train the net again")
        entry = {"shape": list(array.shape)}
        if array.ndim < 2:
            entry["values"] = _text(array)
        else:
            rows = array.reshape(len(array), -1)
            largest = np.abs(rows).max(axis=1, keepdims=True)
            scales = np.where(largest > 0, largest / 127, 1).astype("<f4")  # a dead filter: any
            entry["codes"] = _text(np.rint(rows / scales).astype("i1"))
            entry["scales"] = _text(scales)
        packed[name] = entry
    return packed


def dequantise(packed):
    """What `quantise` packed: name -> float32 array of its shape.

    Raises WeightsError that names the parameter if something is missing, damaged or misshapen.
    """
    names = packed if isinstance(packed, dict) else ()
    if not names or not all(isinstance(name, str) and name.isprintable() for name in names):
        raise WeightsError("these are no quantised weights: expected what quantise() returned")
    return {name: _array(name, entry) for name, entry in packed.items()}


def load_quantised(net, packed):
    """Put quantised weights into a net; returns the net.

    Raises WeightsError, before anything changed, if they are damaged or of another net.
    """
    import torch

    arrays = dequantise(packed)
    if problem := misfit(net.state_dict(), arrays):
        raise WeightsError(f"the weights do not fit {type(net).__name__}: {problem}")
    net.load_state_dict({name: torch.from_numpy(array) for name, array in arrays.items()})
    return net


def share_weights(packed, **facts):
    """Hand quantised weights to the book, in the output of the cell; shows one line.

    facts: what the page has to know and to say about them: `source` of the data, `test_acc`
    (fraction), …; plain numbers and strings. The date, and whether this was a fast dev run, are
    added.
    """
    from IPython.display import display

    count = sum(array.size for array in dequantise(packed).values())
    facts |= {"date": datetime.date.today().isoformat(), "fast": fast_dev_run()}
    line = f"{count:,} weights in {packed_bytes(packed) / 1000:.0f} kB, kept for the book"
    display({WEIGHTS_MIME: {**facts, "weights": packed}, "text/plain": line}, raw=True)


def packed_bytes(packed):
    """Bytes of quantised weights, before base64 makes four of every three."""
    texts = [entry[key] for entry in packed.values() for key in entry if key != "shape"]
    return sum(len(base64.b64decode(text)) for text in texts)


def _array(name, entry):
    try:
        shape = tuple(entry["shape"])
        if "values" in entry:
            array = _numbers(entry["values"], "<f4")
        else:
            codes, scales = _numbers(entry["codes"], "i1"), _numbers(entry["scales"], "<f4")
            array = codes.reshape(len(scales), -1) * scales[:, None]
        if math.prod(shape) != array.size:  # a side of -1 would be any
            raise ValueError(f"{array.size} numbers for the shape {shape}")
        array = array.reshape(shape)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise WeightsError(f"the quantised weights of {name} are damaged: {error}") from error
    if not np.isfinite(array).all():
        raise WeightsError(f"the quantised weights of {name} are damaged: they are not finite")
    return array.astype(np.float32)


def _text(array):
    return base64.b64encode(array.tobytes()).decode()


def _numbers(text, dtype):
    return np.frombuffer(base64.b64decode(text, validate=True), dtype)
