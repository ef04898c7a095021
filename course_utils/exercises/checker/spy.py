"""What an answer really does: the calls of PyTorch that it makes, and the traces that it leaves."""

import dis
import inspect
import re
from dataclasses import dataclass

import torch
from torch.overrides import TorchFunctionMode

SEED = 4_277_009_102  # of the answer's random numbers; no learner seeds with it by chance
AGAIN = SEED + 1  # of a second call, which must draw anew
DRAWS = re.compile(
    r"rand\w*|normal_?|uniform_|bernoulli_?|multinomial|binomial|random_|exponential_"
)
# what builds or runs a layer: who is to predict does neither
LAYERS = r".*(conv|pool|linear|unfold|batch_norm)\w*|kaiming_uniform_"


@dataclass(frozen=True)
class Called:
    """One call: the function's name, its arguments, and a copy of what it returned."""

    name: str
    args: tuple
    kwargs: dict
    result: object


class Spy(TorchFunctionMode):
    """Notes every call of PyTorch that is made under it, while `on`.

    keep: also keep arguments and results; otherwise only names, so that nothing lives longer.
    """

    def __init__(self, keep=False):
        super().__init__()
        self.on, self.keep, self.calls = True, keep, []

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        if self.on:
            kept = (args, kwargs, _copy(result)) if self.keep else ((), {}, None)
            self.calls.append(Called(_name(func, args), *kept))
        return result

    def results(self, names):
        """The tensors that functions returned whose names match."""
        named = (call for call in self.calls if re.fullmatch(names, call.name))
        return [call.result for call in named if isinstance(call.result, torch.Tensor)]

    def drawn(self, count=1):
        """Random tensors of at least so many numbers, in order."""
        tensors = (call.result for call in self.calls if DRAWS.fullmatch(call.name))
        return [t for t in tensors if isinstance(t, torch.Tensor) and t.numel() >= count]

    def gradients(self, *shape):
        """All different gradients that were looked at, those whose last axes have this shape."""
        kept = []
        for call in self.calls:
            if call.name not in (".grad", "grad"):
                continue
            for gradient in call.result if isinstance(call.result, tuple) else (call.result,):
                fits = isinstance(gradient, torch.Tensor) and gradient.shape[-len(shape) :] == shape
                if fits and not any(gradient.equal(other) for other in kept):
                    kept.append(gradient)
        return kept


def _copy(value):
    if isinstance(value, torch.Tensor):
        return value.detach().clone()
    return tuple(map(_copy, value)) if isinstance(value, tuple) else value


def _name(func, args):
    name = getattr(func, "__name__", str(func))
    if name == "__get__":
        return "." + getattr(func.__self__, "__name__", "")
    if name == "_record_function_enter_new":  # how an optimizer's step shows itself
        return str(args[0]).partition("#")[2] or name
    return name


def has_loop(code):
    """Whether compiled code, or a function within it, goes round."""
    steps = {step.opname for step in dis.get_instructions(code)}
    inner = (constant for constant in code.co_consts if inspect.iscode(constant))
    return any("FOR_ITER" in s or "BACKWARD" in s for s in steps) or any(map(has_loop, inner))


# What must not be left behind. Each gives sentences; what the solution does, others may do.


def forbidden(exercise, fn, spy, arguments):
    """Calls and loops that the exercise's text forbids."""
    names = {call.name for call in spy.calls}
    names |= {exercise.forbids} & set(fn.__code__.co_names if hasattr(fn, "__code__") else ())
    patterns = [exercise.forbids] if exercise.forbids else []
    patterns += [LAYERS] if exercise.kind == "predict" else []
    for name in sorted(names):
        if any(re.fullmatch(pattern, name) for pattern in patterns):
            instead = "is to be predicted" if exercise.kind == "predict" else "is to be done"
            yield f"It uses `{name.strip('._')}`: here it {instead} without that."
    if exercise.loop_free and len(arguments[exercise.loop_free]) > 100:
        many = len(spy.calls) >= len(arguments[exercise.loop_free])
        taken_out = (
            names & {"tolist", "numpy"} and hasattr(fn, "__code__") and has_loop(fn.__code__)
        )
        if many or taken_out:
            yield f"Python goes round for every entry of `{exercise.loop_free}`: do without."


def left_behind(exercise, before, after, flags_before, result):
    """Traces in the arguments: what changed, and what the result shares with them."""
    mine = storages(result)
    for name, value in after.items():
        if name not in exercise.changes:
            if not unchanged(state(before[name]), state(value)):
                yield f"It changes its argument `{name}` in place: work on a copy."
            if name not in exercise.shares and mine & storages(value):
                yield (
                    f"Its result shares memory with `{name}`: who changes the one changes the "
                    "other. Return a copy."
                )
        for what, was, now in zip(
            ("`requires_grad`", "mode (training or evaluation)"),
            flags_before[name],
            flags(value),
            strict=True,
        ):
            if was != now:
                yield f"It leaves `{name}` with another {what} than it had."
    if torch.default_generator.initial_seed() not in (SEED, AGAIN):
        yield (
            "It seeds the random generator that all programs share: every later random number "
            "is the same each time. Leave it alone, or take a `torch.Generator()` of your own."
        )


def state(value):
    """What an argument has become: a module's parameters and buffers, or the value itself."""
    if isinstance(value, torch.nn.Module):
        return {**dict(value.named_buffers()), **value.state_dict()}
    return value


def flags(value):
    """(who requires gradients, who is in training mode) of an argument, as far as it has such."""
    if isinstance(value, torch.nn.Module):
        learns = {name: p.requires_grad for name, p in value.named_parameters()}
        return learns, {name: module.training for name, module in value.named_modules()}
    if isinstance(value, list | tuple):
        pairs = [flags(entry) for entry in value]
        return [learns for learns, _ in pairs], [mode for _, mode in pairs]
    return getattr(value, "requires_grad", None), None


def unchanged(before, after):
    if isinstance(before, torch.Tensor):
        if not isinstance(after, torch.Tensor) or before.dtype != after.dtype:
            return False
        return torch.equal(before.detach().nan_to_num(), after.detach().nan_to_num())
    if isinstance(before, dict):
        before, after = list(before.items()), list(after.items())
    if isinstance(before, list | tuple):
        return len(before) == len(after) and all(map(unchanged, before, after))
    return not isinstance(before, int | float | str) or before == after


def storages(value):
    """Where the tensors of a value lie in memory."""
    if isinstance(value, torch.nn.Module):
        return storages([*value.parameters(), *value.buffers()])
    if isinstance(value, dict):
        return storages(list(value.values()))
    if isinstance(value, list | tuple):
        return set().union(*map(storages, value))
    if isinstance(value, torch.Tensor) and value.layout == torch.strided and value.numel():
        return {value.untyped_storage().data_ptr()} - {0}
    return set()
