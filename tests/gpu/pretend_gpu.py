"""A GPU that is not there, for tests of code that runs on a device, on machines that have none.

After `install()`, once in a process, torch says that CUDA is available. Tensors that are moved to
or made on "cuda" compute on the CPU but carry a tag; `.device`, `.cpu()`, `.to()` and `.numpy()`
behave as with a GPU, and an operation on tensors of both kinds raises what CUDA would raise
(tensors without dimensions excepted).

It sees what passes through torch's Python interface. It does not see times, streams, graphs,
memory, or the profiler's device times.
"""

import torch
import torch.profiler
from torch.nn.parameter import UninitializedTensorMixin
from torch.overrides import TorchFunctionMode
from torch.utils import _pytree as pytree
from torch.utils.weak import WeakTensorKeyDictionary

CUDA = torch.device("cuda", 0)
DEVICE, IS_CUDA = torch.Tensor.device.__get__, torch.Tensor.is_cuda.__get__
VALUES = (  # give a Python value, or none
    *("item", "tolist", "__bool__", "__float__", "__int__", "__index__", "__format__"),
    *("__repr__", "backward"),
)
MIXED = (  # may see tensors of both kinds
    *("__get__", "__set__", "__deepcopy__", "__hash__", "__len__", "__instancecheck__"),
    *("_has_compatible_shallow_copy_type", "copy_", "data_ptr", "dim", "element_size", "expand_as"),
    *("is_complex", "is_contiguous", "is_floating_point", "is_same_size", "load_state_dict"),
    *("new_tensor", "numel", "register_hook", "requires_grad_", "reshape_as", "retain_grad"),
    *("save", "size", "storage_offset", "stride", "type_as", "untyped_storage", "view_as"),
)
_tags = WeakTensorKeyDictionary()


def on_gpu(tensor):
    return isinstance(tensor, torch.Tensor) and _tags.get(tensor, False)


def _tensors(value):
    return [leaf for leaf in pytree.tree_leaves(value) if isinstance(leaf, torch.Tensor)]


def _tag(value, on):
    for tensor in _tensors(value):
        _tags[tensor] = on
    return value


def _is_device(value):
    return isinstance(value, str | torch.device) or type(value) is int


def _means_gpu(device):
    return isinstance(device, int) or torch.device(device).type == "cuda"


def _matters(tensor):
    """Whether the tensor must be on the same device as the others of its operation."""
    return not isinstance(tensor, UninitializedTensorMixin) and tensor.dim() > 0


class PretendGpu(TorchFunctionMode):
    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs, name = dict(kwargs or {}), getattr(func, "__name__", "")
        first = args[0] if args else None
        if func == DEVICE:
            return CUDA if on_gpu(first) else func(first)
        if func == IS_CUDA:
            return on_gpu(first)
        if name in ("numpy", "__array__") and on_gpu(first):
            raise TypeError(
                "can't convert cuda:0 device type tensor to numpy. Use Tensor.cpu() first."
            )
        if name == "cpu":
            return _tag(first.clone() if on_gpu(first) else func(*args), False)
        if name == "cuda":
            return first if on_gpu(first) else _tag(first.clone(), True)
        if name in VALUES:
            return func(*args, **kwargs)
        if name == "to":
            return self._moved(func, first, args, kwargs)
        if name == "__set__":
            result = func(*args, **kwargs)
            if len(_tensors(args)) == 2:
                _tag(first, on_gpu(args[1]))
            return result
        where, device = None, kwargs.get("device")
        if device is not None and torch.device(device).type in ("cpu", "cuda"):
            where, kwargs["device"] = _means_gpu(device), "cpu"
        given = _tensors((args, kwargs))
        self._check(name, first, given)
        result = func(*args, **kwargs)
        if where is None and not any(map(on_gpu, given)):
            return result
        return _tag(result, any(map(on_gpu, given)) if where is None else where)

    def _check(self, name, first, given):
        if name == "__getitem__" and not on_gpu(first) and any(map(on_gpu, given[1:])):
            raise RuntimeError(
                "indices should be either on cpu or on the same device as the indexed tensor (cpu)"
            )
        if name in MIXED:
            return
        matter = [tensor for tensor in given if _matters(tensor)]
        if name in ("__getitem__", "__setitem__"):  # indices may stay on the CPU
            matter = [t for t in matter if t.dtype not in (torch.int64, torch.bool)]
        if len({bool(on_gpu(tensor)) for tensor in matter}) == 2:
            raise RuntimeError(
                "Expected all tensors to be on the same device, "
                f"but found at least two devices, cuda:0 and cpu! ({name})"
            )

    def _moved(self, func, first, args, kwargs):
        before, where, args = on_gpu(first), None, list(args)
        for i, value in enumerate(args[1:], 1):
            if _is_device(value):
                where, args[i] = _means_gpu(value), "cpu"
            elif isinstance(value, torch.Tensor):
                where = on_gpu(value)
        if kwargs.get("device") is not None:
            where, kwargs["device"] = _means_gpu(kwargs["device"]), "cpu"
        where = before if where is None else where
        result = func(*args, **kwargs)
        if where != before and result is first:  # another device is another tensor
            copy = first.detach().clone() if first.is_leaf else first.clone()
            result = copy.requires_grad_(first.requires_grad)
        return _tag(result, where)


def install():
    """From now on, in this process and thread, there is a GPU."""
    cuda = torch.cuda
    answers = {
        **{"is_available": True, "device_count": 1, "current_device": 0},
        **{"get_device_name": "a pretended GPU", "get_device_capability": (8, 0)},
        **{"is_bf16_supported": True, "memory_allocated": 0, "max_memory_allocated": 0},
        **dict.fromkeys(["synchronize", "empty_cache", "set_device", "reset_peak_memory_stats"]),
    }
    for name, answer in answers.items():
        setattr(cuda, name, lambda *args, answer=answer, **kwargs: answer)
    for name in ("_accelerator_graph_capture_health_check", "_cuda_graph_capture_health_check"):
        setattr(torch.optim.Optimizer, name, lambda self: None)
    profile, fork_rng = torch.profiler.profile, torch.random.fork_rng
    load, autocast = torch.load, torch.autocast
    cpu_only = [torch.profiler.ProfilerActivity.CPU]
    torch.profiler.profile = lambda *a, activities=None, **k: profile(*a, activities=cpu_only, **k)
    torch.random.fork_rng = lambda devices=None, **k: fork_rng(devices=[], **k)

    def load_here(file, map_location=None, **kwargs):
        here = isinstance(map_location, str | torch.device) and _means_gpu(map_location)
        return _tag(load(file, map_location="cpu", **kwargs), bool(here))

    class Autocast(autocast):
        def __init__(self, device_type, *args, **kwargs):
            super().__init__("cpu" if device_type == "cuda" else device_type, *args, **kwargs)

    torch.load, torch.autocast = load_here, Autocast
    PretendGpu().__enter__()
