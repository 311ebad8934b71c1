"""The figures of the course: one palette, labelled axes, the conclusion in the title, and the same in words below.

Every function returns the matplotlib figure and knows nothing of training. Values are numpy arrays or tensors.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

# Okabe and Ito's colours, told apart by colour-blind readers; each model keeps its own through all lessons.
PALETTE = {
    "PCA": "#000000",
    "chapter": "#D55E00",
    "cured": "#0072B2",
    "stacked": "#009E73",
    "convolutional": "#CC79A7",
    "DAE": "#E69F00",
    "affine": "#56B4E9",
    "variational": "#8C6D31",
    "baseline": "#777777",
}
CLASS_COLOURS = plt.get_cmap("tab10").colors  # class c keeps CLASS_COLOURS[c]
MARKERS = "osD^vP*Xh<"  # class or line c keeps MARKERS[c], so that figures read in grey, too


def colour(name: str) -> str:
    """The palette's colour for a model's name, by its first matching word; grey for a name it does not know."""
    return next((value for key, value in PALETTE.items() if key.lower() in name.lower()), PALETTE["baseline"])


def finish(fig: Figure, title: str, caption: str) -> Figure:
    """Put the conclusion over a figure and its description under it; leave showing it to the notebook."""
    width = int(fig.get_figwidth() * 13)
    fig.suptitle("\n".join(textwrap.wrap(title, int(width * 0.8))), fontsize=12, fontweight="bold")
    fig.supxlabel("\n".join(textwrap.wrap(caption, width)), fontsize=9, color="#333333")
    plt.close(fig)  # the notebook shows the returned figure once, not twice
    return fig


def image_rows(rows: Mapping[str, Sequence], title: str, caption: str, columns: Sequence[str] | None = None) -> Figure:
    """Rows of images under each other, e.g. originals above reconstructions.

    Args:
        rows: label of the row -> images (n, 1, 28, 28); the rows have the same n.
        columns: a label over each column, class names for instance.
    """
    grids = {label: np.asarray(images, dtype=float).reshape(-1, 28, 28) for label, images in rows.items()}
    n = max(len(images) for images in grids.values())
    fig, axes = plt.subplots(len(grids), n, figsize=(1.0 * n + 1.4, 1.05 * len(grids) + 1.1), squeeze=False, layout="constrained")
    for row, (label, images) in zip(axes, grids.items()):
        row[0].set_ylabel(label, rotation=0, ha="right", va="center", fontsize=10)
        for ax in row:
            ax.set(xticks=[], yticks=[])
        for ax in row[len(images):]:
            ax.axis("off")
        for ax, image in zip(row, images):
            ax.imshow(image, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    for ax, name in zip(axes[0], columns or []):
        ax.set_title(name, fontsize=9)
    return finish(fig, title, caption)


def loss_curves(histories: Mapping[str, object], title: str, caption: str, log: bool = False) -> Figure:
    """Training (solid) and validation loss (dashed) after each epoch; one colour for each history."""
    fig, ax = plt.subplots(figsize=(7, 4), layout="constrained")
    for (name, history), marker in zip(histories.items(), MARKERS):
        epochs = range(1, len(history.train_loss) + 1)
        ax.plot(epochs, history.train_loss, color=colour(name), marker=marker, markersize=4, label=f"{name} training".strip())
        if history.validation_loss:
            ax.plot(epochs, history.validation_loss, "--", color=colour(name), marker=marker, markersize=4, fillstyle="none", label=f"{name} validation".strip())
    ax.set(xlabel="epoch", ylabel="loss", yscale="log" if log else "linear")
    ax.xaxis.get_major_locator().set_params(integer=True)
    ax.legend(frameon=False)
    return finish(fig, title, caption)


def lines(x: Sequence[float], series: Mapping[str, Sequence], title: str, caption: str, *, xlabel: str, ylabel: str,
          levels: Mapping[str, float] | None = None, log_x: bool = False, log_y: bool = False) -> Figure:
    """Lines over a common x; a series of shape (runs, len(x)) is drawn as its mean with a band of one standard deviation.

    Args:
        levels: name -> value, drawn as a labelled horizontal line (a baseline that does not depend on x).
    """
    fig, ax = plt.subplots(figsize=(7, 4.2), layout="constrained")
    for (name, values), marker in zip(series.items(), MARKERS):
        values = np.atleast_2d(np.asarray(values, dtype=float))
        mean, deviation = values.mean(0), values.std(0, ddof=1) if len(values) > 1 else None
        ax.plot(x, mean, color=colour(name), marker=marker, markersize=5, label=name)
        if deviation is not None:
            ax.fill_between(x, mean - deviation, mean + deviation, color=colour(name), alpha=0.2, linewidth=0)
    for (name, value), style in zip((levels or {}).items(), ["--", ":", "-."]):
        ax.axhline(value, linestyle=style, color=colour(name), label=name)
    ax.set(xlabel=xlabel, ylabel=ylabel, xscale="log" if log_x else "linear", yscale="log" if log_y else "linear")
    ax.legend(frameon=False)
    return finish(fig, title, caption)


def bars(values: Mapping[str, float], title: str, caption: str, *, ylabel: str, errors: Mapping[str, float] | None = None,
         level: tuple[str, float] | None = None, fmt: str = "{:.3f}") -> Figure:
    """One bar for each name, its value written on it; ``errors`` are half-lengths of the error bars."""
    fig, ax = plt.subplots(figsize=(max(6, 1.1 * len(values)), 3.8), layout="constrained")
    spread = [0 if errors is None else errors[name] for name in values]
    drawn = ax.bar(list(values), list(values.values()), color=[colour(name) for name in values], yerr=spread if errors else None, capsize=4)
    ax.bar_label(drawn, [fmt.format(value) for value in values.values()], padding=2, fontsize=9)
    if level is not None:
        ax.axhline(level[1], linestyle="--", color=colour(level[0]), label=level[0])
        ax.legend(frameon=False)
    ax.set_ylabel(ylabel)
    ax.margins(y=0.15)
    ax.tick_params(axis="x", labelrotation=20 if len(values) > 4 else 0)
    return finish(fig, title, caption)


def unit_activity(active: Sequence[float], title: str, caption: str) -> Figure:
    """For each code unit the share of images on which it is above zero, largest first."""
    share = np.sort(np.asarray(active, dtype=float))[::-1]
    fig, ax = plt.subplots(figsize=(7, 3.2), layout="constrained")
    ax.bar(range(1, len(share) + 1), 100 * share, color=PALETTE["chapter"])
    ax.scatter(np.nonzero(share == 0)[0] + 1, np.zeros((share == 0).sum()), marker="x", color="black", zorder=3, label="never above zero")
    ax.set(xlabel="code unit, busiest first", ylabel="images that switch it on (%)", ylim=(-4, 104))
    if (share == 0).any():
        ax.legend(frameon=False)
    return finish(fig, title, caption)
