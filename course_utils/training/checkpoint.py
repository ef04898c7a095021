"""Checkpoints: a training run on disk, from which it goes on as if it had never stopped."""

import collections
import contextlib
import copy
import functools
import io
import os
import pickle
import zipfile

import numpy as np
import torch

from course_utils.errors import TrainingError
from course_utils.files import remove_leftovers, writing_whole
from course_utils.settings import absolute
from course_utils.training import processes
from course_utils.training.arguments import whole_number

EXTRA_STATE = "_extra_state"  # ends torch's names of what a layer's get_extra_state() gives
UNREADABLE = pickle.PickleError, AttributeError, TypeError  # what pickle raises, by the kind
FORMAT = 3  # raise it when a file of before can no longer be read


class Checkpoint:
    """Keeps the state of a training run in one file.

    path: the file; None: nothing is kept. every: steps between two saves, at least 1.
    about: what is being trained, as plain values; a file about something else is refused.
    parts: what has to be restored, by name: objects with state_dict() and load_state_dict().
    loader: gives the batches. A TensorLoader, or another one with state_dict(), is kept in the
        middle of an epoch too; a list or a DataLoader only after each epoch.
    tested: the data to evaluate on, or None. Both data must be the same, too: those of a loader
        with a description(), as a TensorLoader has, by their digest; of another one only its kind
        and its numbers of batches and examples are known.
    The random numbers of torch are always kept. On the CPU a resumed run gives bit for bit what
    the uninterrupted one gives; at most `every` steps (or an epoch, see loader) are lost.
    Raises TrainingError for a loader of another kind: nobody could tell where it was.
    """

    def __init__(self, path, every, about, parts, loader, tested=None):
        self.path = None if path is None else absolute(path)
        self.every = whole_number("checkpoint_every", every, 1)
        self.in_epochs, self.steps_in_epoch = hasattr(loader, "state_dict"), len(loader)
        if path is not None:
            self.about = about | _about(loader, "training") | _about(tested, "test")
            self.parts = parts | {"order": _order(loader), "random numbers": _RandomNumbers()}

    def resume(self, device=None):
        """Restore the state that the file holds; without a file write the first one, return False.

        So a place that cannot be written to, and a state that could not be read again, are found
        before the training. Raises TrainingError, with everything as it was before, for them, and
        if the file is no checkpoint, is damaged, or belongs to another training.
        """
        if self.path is None:
            return False
        if processes.is_writer():
            remove_leftovers(self.path)
        # one process decides: another might come when the first file is already there
        if not processes.same_everywhere(os.path.exists(self.path)):
            self.save()
            return False
        saved = read_tensors(self.path, device)
        before = {name: copy.deepcopy(part.state_dict()) for name, part in self.parts.items()}
        try:
            self._check(saved)
            for name, part in self.parts.items():
                part.load_state_dict(saved["parts"][name])
        except Exception as error:
            for name, part in self.parts.items():
                part.load_state_dict(before[name])
            if isinstance(error, TrainingError):
                raise
            raise TrainingError(
                f"{self.path} is damaged: something else is in it than a training. "
                "Remove it, or use another path."
            ) from error
        return True

    def after_step(self, step):
        """Save if step number `step` of the epoch (from 1) is due; after the last, its end is."""
        due = self.in_epochs and step % self.every == 0 and step < self.steps_in_epoch
        if self.path is not None and due:
            self.save()

    def save(self):
        """Write the state as it is now; the file is always whole."""
        if self.path is None:
            return
        state = {name: part.state_dict() for name, part in self.parts.items()}
        if processes.is_writer():
            write_tensors(self.path, {"format": FORMAT, "about": self.about, "parts": state})

    def _check(self, saved):
        known = isinstance(saved, dict) and set(saved) == {"format", "about", "parts"}
        if not known or saved["format"] != FORMAT or set(saved["parts"]) != set(self.parts):
            raise TrainingError(f"{self.path} is no checkpoint of this course: use another path")
        for name in self.about | saved["about"]:
            there, here = saved["about"].get(name), self.about.get(name)
            if there != here:
                raise TrainingError(
                    f"{self.path} is a checkpoint of another training: "
                    f"{name} is {there!r} there and {here!r} here. "
                    "Remove the file, or use another path."
                )
        if problem := misfit(self.parts["net"].state_dict(), saved["parts"]["net"]):
            raise TrainingError(f"{self.path} is a checkpoint of another net: {problem}")


def write_tensors(path, tensors):
    """Write tensors (in dicts and lists, with plain values) with torch.save, whole or not at all.

    Numbers of NumPy become Python's own. What `read_tensors` would not accept is not written.
    Raises TrainingError if the file cannot be written; what was there before stays.
    """
    path, tensors = absolute(path), _plain(tensors)
    try:
        # torch hides why it could not write to a path; a file of Python's does not
        with writing_whole(path) as temporary, temporary.open("w+b") as file:
            _write_and_read(tensors, file)
    except (OSError, RuntimeError) as error:
        reason = error if isinstance(error, OSError) else error.__context__ or error
        reason = getattr(reason, "strerror", None) or reason
        kept = "; what it held before is still there" if path.exists() else ""
        raise TrainingError(f"cannot write {path}: {reason}{kept}") from error
    except UNREADABLE as error:
        raise TrainingError(
            f"{path} could not be read again: {_unreadable(tensors)} is something else than "
            "tensors, numbers, strings, and lists and dicts of them"
        ) from error


def _plain(value):
    """The same value with Python's numbers instead of NumPy's."""
    if isinstance(value, np.generic):
        return value.item()
    if type(value) in (list, tuple):
        return type(value)(map(_plain, value))
    if type(value) in (dict, collections.OrderedDict):
        plain = copy.copy(value)  # with the versions of the layers that a state_dict() carries
        plain.update({name: _plain(inner) for name, inner in value.items()})
        return plain
    return value


def _write_and_read(tensors, file):
    """Write to an open file, and raise one of UNREADABLE if `read_tensors` would not accept it."""
    torch.save(tensors, file)
    file.seek(0)
    with contextlib.suppress(NotImplementedError):  # sparse tensors need their numbers
        torch.load(file, map_location="meta", weights_only=True)  # all but the numbers


def _unreadable(value, place=""):
    """The place inside `value` of the first thing that `read_tensors` would not accept."""
    if isinstance(value, list | tuple):
        return _unreadable(dict(enumerate(value)), place)
    for key in value if isinstance(value, dict) else ():
        try:
            _write_and_read(value[key], io.BytesIO())
        except UNREADABLE:
            return _unreadable(value[key], f"{place}[{key!r}]")
    return f"{place or 'it'} (of type {type(value).__name__})"


def read_tensors(path, device=None):
    """What `write_tensors` wrote, on `device` (None: as it was).

    Only tensors and plain values are accepted, so that a file from elsewhere cannot run code.
    Raises FileNotFoundError if there is no file, TrainingError if it is damaged or something else.
    """
    problem, path = None, absolute(path)
    try:
        if _intact(path):
            return torch.load(path, map_location=device, weights_only=True)
    except FileNotFoundError:
        raise
    except Exception as error:  # what is no such file may raise anything
        problem = error
    raise TrainingError(
        f"{path} is no file of tensors that this course wrote, or it is damaged"
    ) from problem


def _intact(path):
    """Whether each part of a file of `torch.save` has its checksum, which torch.load does not see:
    a wrong bit would be a wrong weight. Nothing in it may be packed, and take more room than it, or
    be marked as a folder, for which torch.load leaves memory as it finds it."""
    if os.path.exists(path) and not os.path.isfile(path):  # a pipe would be waited for for ever
        return False
    with zipfile.ZipFile(path) as file:
        parts = file.infolist()
        odd = any(part.compress_type != zipfile.ZIP_STORED or part.external_attr for part in parts)
        if odd or sum(part.file_size for part in parts) > os.path.getsize(path):
            return False
        return file.testzip() is None


def misfit(own, given):
    """What is wrong with `given` as the state dict of a net whose own is `own`; "" if nothing.

    Both name -> tensor or array; in `own` a shape will do.
    """
    if not isinstance(given, dict) or not all(map(_is_entry, given.items())):
        return "it holds something else than named tensors"
    if missing := [name for name in own if name not in given]:
        return f"it has no {missing[0]} ({len(missing)} missing)"
    if extra := [name for name in given if name not in own]:
        return f"it has {extra[0]}, which the net has not ({len(extra)} unknown)"
    for name, value in own.items():
        if name.endswith(EXTRA_STATE) or torch.nn.parameter.is_lazy(value):  # takes any
            continue
        wanted, found = tuple(getattr(value, "shape", value)), tuple(given[name].shape)
        if wanted != found:
            return f"{name} is {found}, the net needs {wanted}"
    return ""


def _is_entry(entry):
    """Whether this is what a state dict holds: a name and a tensor, or what a layer adds."""
    name, value = entry
    return isinstance(name, str) and (hasattr(value, "shape") or name.endswith(EXTRA_STATE))


def name_of(choice):
    """A name for a choice by name or function, to tell whether it is the same as before."""
    if isinstance(choice, functools.partial):
        return f"{name_of(choice.func)} with {choice.args} {choice.keywords}"
    return getattr(choice, "__name__", type(choice).__name__) if callable(choice) else choice


def description_of(optimizer):
    """An optimiser in words: its kind and those settings that are on."""
    groups = [
        ", ".join(
            f"{name}={float(value) if torch.is_tensor(value) else name_of(value)}"
            for name, value in _plain(group).items()
            if value and name not in ("params", "fused", "foreach", "initial_lr")
        )
        for group in optimizer.param_groups
    ]
    return f"{type(optimizer).__name__}({'; '.join(groups)})"


def _about(loader, name):
    """What is known about a loader's data, as plain values."""
    if loader is None:
        return {f"{name} data": None}
    about = {"source": getattr(loader, "source", ""), "kind": type(loader).__name__}
    for key, sized in ("batches", loader), ("examples", getattr(loader, "dataset", None)):
        with contextlib.suppress(TypeError):
            about[key] = len(sized)
    if hasattr(loader, "description"):
        about |= loader.description()
    about["digest"] = about.pop("digest", None)  # the last: what else differs says more
    return {f"{key} of the {name} data": value for key, value in about.items()}


def _order(loader):
    """The order in which `loader` gives its batches, as a part of a checkpoint."""
    if hasattr(loader, "state_dict"):
        return loader
    if isinstance(loader, list | tuple | torch.utils.data.DataLoader):
        return _Generator(getattr(loader, "generator", None))
    raise TrainingError(
        f"a checkpoint cannot keep the order of a {type(loader).__name__}: "
        "use a TensorLoader, or give it state_dict() and load_state_dict()"
    )


class _Generator:
    """A torch generator, or None, as a part of a checkpoint."""

    def __init__(self, generator):
        self.generator = generator

    def state_dict(self):
        return {} if self.generator is None else {"state": self.generator.get_state()}

    def load_state_dict(self, state):
        if state:
            self.generator.set_state(state["state"].cpu())


class _RandomNumbers:
    """torch's global generators, of all processes that train together, as a part of a checkpoint.

    On the GPU only those of rank 0 are kept.
    """

    def state_dict(self):
        rank, size = processes.world()
        state = torch.get_rng_state()
        rows = torch.zeros(size, len(state), dtype=torch.uint8)
        rows[rank] = state
        return {"cpu": processes.total(rows), "cuda": torch.cuda.get_rng_state_all()}

    def load_state_dict(self, state):
        rank, size = processes.world()
        rows = state["cpu"].cpu()
        if len(rows) == size:
            torch.set_rng_state(rows[rank].clone())  # torch crashes on a row other than the first
        if len(state["cuda"]) == torch.cuda.device_count():
            torch.cuda.set_rng_state_all([one.cpu() for one in state["cuda"]])
