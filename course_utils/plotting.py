"""Figures of the course: pictures of images, filters, confusions, and a plot that grows.

matplotlib is imported where it is used, since it costs half a second.
"""

import base64
from io import BytesIO
from pathlib import Path

ALPHA_STEP = 17  # sixteen degrees of transparency, which only the rims of letters and lines need
STYLE = Path(__file__).with_name("course.mplstyle")


def use_course_style():
    """Draw every figure of this kernel in the course's style, as a sharp PNG, transparent."""
    import matplotlib.pyplot as plt
    from IPython import get_ipython
    from matplotlib.figure import Figure
    from matplotlib_inline.backend_inline import set_matplotlib_formats

    from course_utils.settings import in_notebook

    plt.style.use(STYLE)
    if in_notebook():
        set_matplotlib_formats("png")
        get_ipython().display_formatter.formatters["image/png"].for_type(Figure, sharp_png)


def show_images(images, titles=None, cols=8, scale=1.2, cmap="gray", vmin=None, vmax=None):
    """Show images in a grid.

    images: tensor or array (N, H, W), (N, 1, H, W) or (N, 3, H, W), or a list of such images.
    titles: N strings, or None. cols: images in a row. scale: inches per image.
    vmin, vmax: grey levels drawn black and white; None: each image's own extremes.
    Returns the figure.
    """
    import matplotlib.pyplot as plt
    import torch

    images = [torch.as_tensor(image).detach().cpu() for image in images]
    cols = min(cols, len(images))
    rows = -(-len(images) // cols)
    lines = max(str(title).count("\n") + 1 for title in titles) if titles is not None else 0
    height = scale + 0.16 * lines  # inches; a line of a title needs 0.16
    fig, axes = plt.subplots(rows, cols, figsize=(cols * scale, rows * height), squeeze=False)
    for i, ax in enumerate(axes.flat):
        ax.set_axis_off()
        if i >= len(images):
            continue
        image = images[i]
        if image.ndim == 3:
            image = image[0] if image.shape[0] == 1 else image.permute(1, 2, 0)
        ax.imshow(image, cmap=cmap, vmin=vmin, vmax=vmax)
        if titles is not None:
            ax.set_title(str(titles[i]), fontsize=8)
    fig.tight_layout(pad=0.3)
    return fig


def draw_windows(ax, size, windows, title, padding=0):
    """Draw a line of `size` pixels for every window, with the pixels that it reads in blue.

    windows: positions of each one's pixels, such as range(0, 3); what lies outside is grey.
    padding: pixels outside that are drawn on each side even if no window reads them.
    """
    import numpy as np
    from matplotlib.colors import ListedColormap

    first = min(-padding, *map(min, windows))
    end = max(size + padding, *(max(window) + 1 for window in windows))
    pixels = np.arange(first, end)
    table = np.tile(np.where((pixels < 0) | (pixels >= size), 0.5, 0), (len(windows), 1))
    for row, window in zip(table, windows, strict=True):
        row[np.array(window) - first] = 1
    grey_to_blue = ListedColormap(["white", "#bbbbbb", "#0072B2"])
    edges = np.arange(first, end + 1), np.arange(len(windows) + 1)
    ax.pcolormesh(*edges, table, cmap=grey_to_blue, vmin=0, vmax=1, ec="#808080", lw=0.6)
    for i in range(size):
        ax.text(i + 0.5, -0.5, i, ha="center", va="center", fontsize=7)
    ax.set_title(title, fontsize=9)
    ax.set(aspect="equal", ylim=(len(windows) + 0.1, -1))
    ax.set_axis_off()


def show_filters(weight, cols=8, scale=0.9):
    """Show a convolution's filters, one picture each, on a scale that is symmetric about zero.

    weight: (C_out, C_in, k_h, k_w). One input channel: grey levels run from blue (negative) to
    red (positive); three: shown as colours; otherwise the mean over the input channels.
    """
    weight = weight.detach().cpu().float()
    if weight.shape[1] == 3:
        low, high = weight.amin(), weight.amax()
        return show_images((weight - low) / (high - low), cols=cols, scale=scale)
    filters = weight.mean(dim=1)
    limit = filters.abs().max().item() or 1.0
    return show_images(filters, cols=cols, scale=scale, cmap="RdBu_r", vmin=-limit, vmax=limit)


def show_feature_maps(maps, cols=8, scale=0.9, limit=16):
    """Show the channels of one example's feature maps (C, H, W), the first `limit` of them."""
    return show_images(maps[:limit], cols=cols, scale=scale, cmap="viridis")


def plot_confusion(matrix, classes, ax=None):
    """Draw a confusion matrix.

    matrix: (K, K) counts, row = true class, column = predicted class.
    classes: K names. Shown as shares of each row, in per cent; the diagonal is left pale.
    """
    import matplotlib.pyplot as plt
    import numpy as np

    counts = np.asarray(matrix, dtype=float)
    share = 100 * counts / counts.sum(axis=1, keepdims=True).clip(min=1)
    wrong = share.copy()
    np.fill_diagonal(wrong, 0)
    if ax is None:
        _, ax = plt.subplots(figsize=(5.6, 5.0))
    ax.imshow(wrong, cmap="Oranges", vmin=0, vmax=max(wrong.max(), 1))
    names = range(len(classes))
    ax.set_xticks(names, classes, rotation=45, ha="right")
    ax.set_yticks(names, classes)
    ax.set(xlabel="predicted", ylabel="true")
    ax.grid(False)
    for i in names:
        for j in names:
            if share[i, j] >= 0.5:
                ax.text(j, i, f"{share[i, j]:.0f}", ha="center", va="center", fontsize=8, c="k")
    return ax.figure


class Animator:
    """A line plot that grows while something runs; in a saved notebook its last state stays.

    xlabel, ylabel: axis labels. legend: a name for each line. xlim, ylim: ranges or None.
    `add(x, ys)` appends one point to each line (None: no point) and `close()` draws the last time.
    Where there is one line only, its name and its y need no list.
    Source: Dive into Deep Learning, 3.6 (the idea and the name); text and code are our own.
    """

    def __init__(self, xlabel=None, ylabel=None, legend=(), xlim=None, ylim=None, live=None):
        from course_utils.settings import progress_mode

        self.live = progress_mode() == "live" if live is None else live
        self.labels = {"xlabel": xlabel, "ylabel": ylabel, "xlim": xlim, "ylim": ylim}
        self.legend = [legend] if isinstance(legend, str) else list(legend)
        self.lines = []
        self._handle = None
        self._drawn_at = 0.0

    def add(self, x, ys):
        """Append the point (x, y) to each line; redraw at most twice a second."""
        import time

        is_number = getattr(ys, "ndim", 1) == 0 or not hasattr(ys, "__len__")
        ys = [ys] if is_number else ys  # a tensor of one number has a __len__, too
        self.lines += [([], []) for _ in range(len(ys) - len(self.lines))]
        for (line_x, line_y), y in zip(self.lines, ys, strict=False):
            if y is not None:
                line_x.append(float(x))
                line_y.append(float(y.detach() if hasattr(y, "detach") else y))
        if self.live and time.monotonic() - self._drawn_at > 0.5:
            self._show()
            self._drawn_at = time.monotonic()

    def draw(self):
        """The figure of all points so far."""
        import matplotlib.pyplot as plt

        fig, ax = plt.subplots()
        styles = ["-", "--", "-.", ":"]
        for i, (x, y) in enumerate(self.lines):
            name = self.legend[i] if i < len(self.legend) else None
            mark = "o" if len(x) < 2 else None
            ax.plot(x, y, styles[i % len(styles)], marker=mark, label=name)
        ax.set(**{name: value for name, value in self.labels.items() if value is not None})
        if self.legend:
            ax.legend()
        return fig

    def close(self):
        """Show the final figure: in place of the live one, or as the only one."""
        from course_utils.settings import in_notebook

        if in_notebook() and self.lines:
            self._show()

    def _show(self):
        import matplotlib.pyplot as plt
        from IPython.display import display

        fig = self.draw()
        if self._handle is None:
            self._handle = display(fig, display_id=True)
        else:
            self._handle.update(fig)
        plt.close(fig)


def sharp_png(figure):
    """PNG of a matplotlib figure, as IPython's formatter for `image/png` returns it.

    Returns (PNG in base64, {"width": …, "height": …}), the size in CSS pixels: half of the file's.
    The same figure gives the same bytes.
    """
    from IPython.core.pylabtools import retina_figure
    from PIL import Image

    data, size = retina_figure(figure, bbox_inches="tight", metadata={"Software": None})
    with Image.open(BytesIO(data)) as image:
        smaller = _with_palette(image)
        buffer = BytesIO()
        smaller.save(buffer, "png", optimize=True)
    return base64.b64encode(buffer.getvalue()).decode("ascii"), size


def _with_palette(image):
    """The picture with a palette if 256 colours do, each at most 4 levels of 255 off; else itself.

    image: RGBA. A photograph in colour stays as it is.
    """
    import numpy as np
    from PIL import Image

    pixels = np.asarray(image.convert("RGBA")).astype(int)
    alpha = (pixels[..., 3:] + ALPHA_STEP // 2) // ALPHA_STEP * ALPHA_STEP
    for step in (1, 2, 4, 8):
        colours = np.minimum((pixels[..., :3] + step // 2) // step * step, 255)
        rounded = np.concatenate([colours * (alpha > 0), alpha], axis=-1)
        packed = np.ascontiguousarray(rounded.astype(np.uint8)).view(np.uint32)[..., 0]
        palette, indices = np.unique(packed, return_inverse=True)
        if len(palette) <= 256:
            small = Image.fromarray(indices.reshape(packed.shape).astype(np.uint8), "P")
            small.putpalette(palette.view(np.uint8).tobytes(), "RGBA")
            return small
    return image
