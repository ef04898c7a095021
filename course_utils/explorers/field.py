"""`explore_receptive_field`: what one unit sees through a stack of layers."""

from course_utils.errors import CourseError
from course_utils.explorers.output import Explorer
from course_utils.nets.convolution import out_size, receptive_field

KEYS = ("k", "s", "p", "d")
HEADINGS = ("layer", "kernel", "stride", "padding", "dilation", "units", "size", "jump", "start")


def explore_receptive_field(layers, input_size=32):
    """See which pixels a unit depends on, layer by layer; an `Explorer`.

    layers: (kernel, stride, padding, dilation) of each, first layer first, as `receptive_field`
        takes them (all but the kernel may be left out); a list, or a dict by name.
    input_size: side of the image in pixels.
    Layers can be changed, added and removed in the output, and known networks chosen there.
    Raises CourseError for a layer that makes no sense or does not fit.
    """
    if not isinstance(layers, dict):
        layers = {f"layer {i}": layer for i, layer in enumerate(layers, start=1)}
    if not layers:
        raise CourseError("a receptive field needs at least one layer")
    rows, state, units = [], [], input_size
    for i, (name, layer) in enumerate(layers.items(), start=1):
        try:
            field = receptive_field(list(layers.values())[:i])
            full = dict(zip(KEYS, (*layer, *(1, 0, 1)[len(layer) - 1 :]), strict=True))
            units = out_size(units, *full.values())
        except (TypeError, ValueError) as error:
            raise CourseError(f"{name}, {layer}: {error}") from error
        rows.append((name, *full.values(), units, *field))
        state.append({"name": name, **full})
    about = f"the receptive field of {len(rows)} layers on {input_size} pixels"
    state = {"size": input_size, "layers": state}
    return Explorer("course-field", state, about, f"{about}\n{_table(rows)}")


def _table(rows):
    cells = [[str(value) for value in row] for row in (HEADINGS, *rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = (
        [first.ljust(widths[0])]
        + [cell.rjust(width) for cell, width in zip(rest, widths[1:], strict=True)]
        for first, *rest in cells
    )
    return "\n".join("  ".join(line) for line in lines)
