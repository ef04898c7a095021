"""Checkpoints: a training run on disk, from which it goes on as if it had never stopped."""

import os
import zipfile

import torch

from course_utils.errors import TrainingError
from course_utils.files import remove_leftovers, writing_whole
from course_utils.training import processes

FORMAT = 2  # raise it when a file of before can no longer be read


class Checkpoint:
    """Keeps the state of a training run in one file.

    path: the file; None: nothing is kept. every: steps between two saves, at least 1.
    about: what is being trained, as plain values; a file about something else is refused.
    parts: what has to be restored, by name: objects with state_dict() and load_state_dict().
    loader: gives the batches. A TensorLoader, or another one with state_dict(), is kept in the
        middle of an epoch too; a list or a DataLoader only after each epoch.
    The random numbers of torch are always kept. On the CPU a resumed run gives bit for bit what
    the uninterrupted one gives; at most `every` steps (or an epoch, see loader) are lost.
    Raises TrainingError for a loader of another kind: nobody could tell where it was.
    """

    def __init__(self, path, every, about, parts, loader):
        if every < 1:
            raise TrainingError(f"checkpoint_every ({every}) must be at least 1 step")
        self.path, self.every, self.about = path, every, about
        self.in_epochs, self.steps_in_epoch = hasattr(loader, "state_dict"), len(loader)
        if path is not None:
            self.parts = parts | {"order": _order(loader), "random numbers": _RandomNumbers()}

    def resume(self, device=None):
        """Restore the state that the file holds; False if there is no file (yet).

        Raises TrainingError, before anything changed, if the file is no checkpoint, is torn, or
        belongs to another training.
        """
        if self.path is None:
            return False
        if processes.is_writer():
            remove_leftovers(self.path)
        try:
            saved = read_tensors(self.path, device)
        except FileNotFoundError:
            return False
        self._check(saved)
        for name, part in self.parts.items():
            part.load_state_dict(saved["parts"][name])
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
        for name, value in self.about.items():
            if saved["about"].get(name) != value:
                raise TrainingError(
                    f"{self.path} is a checkpoint of another training: "
                    f"{name} is {saved['about'].get(name)!r} there and {value!r} here. "
                    "Remove the file, or use another path."
                )
        if problem := misfit(self.parts["net"].state_dict(), saved["parts"]["net"]):
            raise TrainingError(f"{self.path} is a checkpoint of another net: {problem}")


def write_tensors(path, tensors):
    """Write tensors (in dicts and lists, with plain values) with torch.save, whole or not at all.

    Raises TrainingError if the file cannot be written.
    """
    try:
        with writing_whole(path) as temporary:
            torch.save(tensors, temporary)
    except (OSError, RuntimeError) as error:  # torch reports a missing folder as RuntimeError
        raise TrainingError(f"cannot write {path}: {error}") from error


def read_tensors(path, device=None):
    """What `write_tensors` wrote, on `device` (None: as it was).

    Only tensors and plain values are accepted, so that a file from elsewhere cannot run code.
    Raises FileNotFoundError if there is no file, TrainingError if it is damaged or something else.
    """
    problem = None
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
    if not isinstance(given, dict) or not all(hasattr(value, "shape") for value in given.values()):
        return "it holds something else than named tensors"
    if missing := [name for name in own if name not in given]:
        return f"it has no {missing[0]} ({len(missing)} missing)"
    if extra := [name for name in given if name not in own]:
        return f"it has {extra[0]}, which the net has not ({len(extra)} unknown)"
    for name, value in own.items():
        wanted, found = tuple(getattr(value, "shape", value)), tuple(given[name].shape)
        if wanted != found:
            return f"{name} is {found}, the net needs {wanted}"
    return ""


def name_of(choice):
    """A name for a choice by name or function, to tell whether it is the same as before."""
    return getattr(choice, "__name__", choice) if callable(choice) else choice


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
