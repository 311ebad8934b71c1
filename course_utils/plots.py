"""The figures of the course: one palette, labelled axes, the conclusion in title and words.

Every function returns the matplotlib figure and knows nothing of training. Values are numpy arrays
or tensors on the CPU. A cell ends with the call itself, ``plots.bars(...)``, and the notebook shows
the figure once. For a figure of your own: ``fig, ax = plt.subplots(layout="constrained")``, draw,
and end with ``plots.finish(fig, title, caption)``.

``title`` is the conclusion in a sentence, ``caption`` the same for someone who cannot see the
picture.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import cycle
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from course_utils.engine.drawing import plain_log, show, wrap

# Okabe and Ito's colours, told apart by colour-blind readers (jfly.uni-koeln.de/color), and three
# more; each model keeps its own in all lessons.
PALETTE = {
    "PCA": "#000000",
    "chapter": "#D55E00",
    # lesson 01's cures: one colour, told apart by their marks and lines
    **dict.fromkeys(("cured", "centred", "leaky", "linear"), "#0072B2"),
    "stacked": "#009E73",
    "convolutional": "#CC79A7",
    "DAE": "#E69F00",
    "affine": "#56B4E9",
    "variational": "#8C6D31",
    "ResNet": "#5B3FA0",
    "baseline": "#777777",
}
CLASS_COLOURS = [plt.get_cmap("tab10")(c)[:3] for c in range(10)]  # class c keeps its colour
MARKERS = "osD^vP*Xh<"  # class or line c keeps MARKERS[c], so that figures read in grey, too
LINES = ("-", "--", ":", "-.")
LEGEND = {"framealpha": 0.85, "edgecolor": "none"}


def colour(name: str) -> str:
    """The palette's colour for a model's name, by its first matching word; grey if none matches."""
    return next(
        (value for key, value in PALETTE.items() if key.lower() in str(name).lower()),
        PALETTE["baseline"],
    )


def _looks(names: Iterable[str]) -> list[dict]:
    """Colour, marker and line of each series; no two look alike in grey.

    A colour that comes again has another line.
    """
    colours, looks = [colour(name) for name in names], []
    for i, c in enumerate(colours):
        line = LINES[colours[:i].count(c) % len(LINES)]
        looks.append({"color": c, "marker": MARKERS[i % len(MARKERS)], "linestyle": line})
    return looks


def finish(fig: Figure, title: str, caption: str) -> Figure:
    """Give a figure its conclusion and its description, and hand it over, once.

    Jupyter shows them as text above and below the picture, where they can be read aloud and
    searched; a file that ``fig.savefig`` writes holds them inside.
    """
    width = fig.get_figwidth()
    fig.suptitle(wrap(title, int(9.5 * width)), fontsize=12, fontweight="bold")
    fig.supxlabel(wrap(caption, int(14 * width)), fontsize=9, color="#333333")
    if fig.get_layout_engine() is None:
        fig.set_layout_engine("constrained")  # otherwise the caption would lie on the axes
    plt.close(fig)  # the cell's last expression shows it; open, it would be shown twice
    fig._course_words = title, caption  # type: ignore[attr-defined]
    fig._ipython_display_ = lambda: show(fig)  # type: ignore[attr-defined]
    return fig


def image_rows(
    rows: Mapping[str, Any], title: str, caption: str, columns: Sequence[str] | None = None
) -> Figure:
    """Rows of images under each other, e.g. originals above reconstructions.

    Values outside [0, 1] are shown as black or white.

    Args:
        rows: label of the row -> images (n, 1, 28, 28); a row with fewer images than the others
            leaves its last places empty.
        columns: a label over each column, class names for instance.

    Raises:
        ValueError: a row does not hold images of 28 x 28 pixels, or there are not as many column
            labels as columns.
    """
    grids = {}
    for label, images in rows.items():
        images = np.asarray(images, dtype=float)
        if images.shape[-2:] != (28, 28) or images.size != len(images) * 784 or not len(images):
            raise ValueError(
                f"row {label!r} must hold images of the shape (n, 1, 28, 28), got {images.shape}"
            )
        grids[label] = images.reshape(-1, 28, 28)
    n = max(len(images) for images in grids.values())
    if columns is not None and len(columns) != n:
        raise ValueError(
            f"one label for each column: the rows have {n} images, got {len(columns)} labels"
        )
    size = (max(1.0 * n + 1.4, 6), 1.05 * len(grids) + 0.9)
    fig, axes = plt.subplots(len(grids), n, figsize=size, squeeze=False, layout="compressed")
    for row, (label, images) in zip(axes, grids.items()):
        row[0].set_ylabel(wrap(label, 16), rotation=0, ha="right", va="center", fontsize=10)
        for ax, image in zip(row, images):
            ax.imshow(image, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
            ax.set(xticks=[], yticks=[])
        for ax in row[len(images) :]:
            ax.axis("off")
    for ax, name in zip(axes[0], columns or []):
        ax.set_title(name, fontsize=9)
    return finish(fig, title, caption)


def loss_curves(
    histories: Mapping[str, Any], title: str, caption: str, log: bool = False, ylabel: str = "loss"
) -> Figure:
    """Training (solid, filled marks) and validation loss (dashed, open marks) after each epoch.

    Each history has its colour.

    Args:
        histories: name -> anything with the lists ``train_loss`` and ``validation_loss`` (which may
            be empty).
        ylabel: say which loss it is, e.g. ``"mean squared error per pixel"``.
    """
    fig, ax = plt.subplots(figsize=(7, 4), layout="constrained")
    for (name, history), look in zip(histories.items(), _looks(histories)):
        epochs = range(1, len(history.train_loss) + 1)
        look |= {"markersize": 4, "markevery": max(1, len(epochs) // 15), "linestyle": "-"}
        ax.plot(epochs, history.train_loss, **look, label=f"{name} training".strip())
        if len(history.validation_loss):
            look |= {"linestyle": "--", "fillstyle": "none"}
            ax.plot(epochs, history.validation_loss, **look, label=f"{name} validation".strip())
    ax.set(xlabel="epoch", ylabel=ylabel)
    if log:
        plain_log(ax, "y")
    ax.xaxis.set_major_locator(MaxNLocator("auto", integer=True, steps=[1, 2, 5, 10]))
    ax.legend(**LEGEND)
    return finish(fig, title, caption)


def lines(
    x: Sequence[float], series: Mapping[str, Any], title: str, caption: str, *,
    xlabel: str, ylabel: str, levels: Mapping[str, float] | None = None,
    log_x: bool = False, log_y: bool = False,
) -> Figure:  # fmt: skip
    """Lines over a common x.

    A series of shape (runs, len(x)) is drawn as its mean with a band of one standard deviation.

    Args:
        x: (n,); series: name -> (n,) or (runs, n).
        levels: name -> value, drawn as a labelled horizontal line (a baseline that does not depend
            on x).
    """
    fig, ax = plt.subplots(figsize=(7, 4.2), layout="constrained")
    for (name, values), look in zip(series.items(), _looks(series)):
        values = np.atleast_2d(np.asarray(values, dtype=float))
        mean, deviation = values.mean(0), values.std(0, ddof=1) if len(values) > 1 else None
        ax.plot(x, mean, **look, markersize=5, markevery=max(1, len(mean) // 15), label=name)
        if deviation is not None:
            low, high = mean - deviation, mean + deviation
            ax.fill_between(x, low, high, color=colour(name), alpha=0.2, linewidth=0)
    for (name, value), style in zip((levels or {}).items(), cycle(["--", ":", "-."])):
        ax.axhline(value, linestyle=style, color=colour(name), label=name)
    ax.set(xlabel=xlabel, ylabel=ylabel)
    if log_x:
        plain_log(ax, "x", x)
    if log_y:
        plain_log(ax, "y")
    if len(ax.get_legend_handles_labels()[0]) > 5:  # too many to find an empty place among them
        fig.legend(loc="outside right center", frameon=False)
    else:
        ax.legend(**LEGEND)
    return finish(fig, title, caption)


def sweep_curves(
    tables: Mapping[str, Any], curves: Mapping[str, Mapping[int, float]],
    levels: Mapping[str, float], title: str, caption: str, marks: Mapping[str, int] | None = None,
) -> Figure:  # fmt: skip
    """Error against latent dimension, both axes logarithmic.

    A sweep is drawn as its mean over seeds with bars of one standard deviation.

    Args:
        tables: name -> a pandas table with one row for each run, columns ``latent_dim`` and
            ``validation_error``.
        curves: name -> {dimension: value}; ``levels``: name -> value that does not depend on the
            dimension.
        marks: name -> a dimension, drawn as a labelled vertical line.
    """
    fig, ax = plt.subplots(figsize=(7, 4.6), layout="constrained")
    looks, dims = _looks([*tables, *curves]), set[int]()
    for (name, table), look in zip(tables.items(), looks):
        groups = table.groupby("latent_dim")["validation_error"]
        mean, deviation = groups.mean(), groups.std().fillna(0)
        ax.errorbar(mean.index, mean, deviation, capsize=3, markersize=5, **look, label=name)
        dims.update(mean.index)
    for (name, curve), look in zip(curves.items(), looks[len(tables) :]):
        ax.plot(list(dict(curve)), list(dict(curve).values()), **look, markersize=5, label=name)
    for (name, value), style in zip(levels.items(), cycle(["--", ":", "-."])):
        ax.axhline(value, linestyle=style, color=colour(name), label=name)
    for (name, dim), style in zip((marks or {}).items(), cycle(["-", "--", ":"])):
        ax.axvline(dim, linestyle=style, color="black", linewidth=1, label=f"{name}: {dim}")
    ax.set(xlabel="latent dimension (code units)", ylabel="mean squared error per pixel")
    apart = (dim for dim in sorted(dims) if not dims & set(range(int(dim / 1.3), dim)))
    plain_log(ax, "x", list(apart))  # the label 940 would lie on 784
    plain_log(ax, "y")
    ax.legend(**LEGEND)
    return finish(fig, title, caption)


def bars(
    values: Mapping[str, float], title: str, caption: str, *, ylabel: str,
    errors: Mapping[str, float] | None = None, level: tuple[str, float] | None = None,
    fmt: str = "{:.3f}",
) -> Figure:  # fmt: skip
    """One bar for each name, its value written on it.

    Args:
        errors: name -> half the length of its error bar, in the units of the values; a name may be
            missing.
        level: (name, value) of a labelled horizontal line.
        fmt: how a value is written; no more decimals than the noise leaves.
    """
    names, heights = list(values), [float(value) for value in values.values()]
    spread = None if errors is None else [float(errors.get(name, 0)) for name in names]
    width, places = max(6, 1.15 * len(names) + 0.8), range(len(names))
    fig, ax = plt.subplots(figsize=(width, 4), layout="constrained")
    drawn = ax.bar(places, heights, color=[colour(name) for name in names], yerr=spread, capsize=4)
    # White behind each value, so that the level's line does not cross it.
    behind = {"facecolor": "white", "edgecolor": "none", "pad": 0.5}
    words = [fmt.format(height) for height in heights]
    ax.bar_label(drawn, words, padding=3, fontsize=9, bbox=behind, zorder=4)
    ax.set_xticks(range(len(names)), [wrap(str(name), 13) for name in names])
    if level is not None:
        ax.axhline(level[1], linestyle="--", color=colour(level[0]), label=level[0])
        ax.legend(**LEGEND)
    ax.set_ylabel(ylabel)
    ax.margins(y=0.15)
    return finish(fig, title, caption)


def unit_activity(active: Sequence[float], title: str, caption: str) -> Figure:
    """For each code unit the share of images on which it is above zero, largest first.

    Units at zero are crossed out.

    Args:
        active: (latent_dim,), shares in [0, 1]: ``(codes > 0).float().mean(dim=0)``.

    Raises:
        ValueError: it is not one share in [0, 1] for each unit.
    """
    share = np.sort(np.asarray(active, dtype=float))[::-1]
    if share.ndim != 1 or not ((share >= 0) & (share <= 1)).all():
        raise ValueError(
            "unit_activity takes one share in [0, 1] for each unit, (codes > 0).float().mean(dim=0)"
        )
    fig, ax = plt.subplots(figsize=(7, 3.5), layout="constrained")
    ax.bar(range(1, len(share) + 1), 100 * share, color=PALETTE["chapter"])
    never = np.nonzero(share == 0)[0] + 1
    ax.scatter(never, 0 * never, marker="x", color="black", zorder=3, label="never above zero")
    ax.set(xlabel="code unit, busiest first", ylabel="share of images (%)", ylim=(-4, 104))
    if len(never):
        ax.legend(**LEGEND)
    if len(share) <= 30:
        ax.set_xticks(range(1, len(share) + 1))
    return finish(fig, title, caption)
