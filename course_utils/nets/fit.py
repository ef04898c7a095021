"""Do these weights belong to this net? What a checkpoint, a file and a page all have to ask."""


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
