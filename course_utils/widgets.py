"""Pictures to move by hand: sliders and menus over a figure, and a sentence that says what is seen.

Each function returns a ``Panel``, shown where a cell ends with it. It works by keyboard (Tab to a
control, arrow keys to move it). Where widgets cannot run (a printout, GitHub) the same cell shows
the picture as it stood at the start.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import is_dataclass
from typing import Any

import ipywidgets
import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from course_utils import plots
from course_utils.engine import drawing
from course_utils.engine.images import images_of
from course_utils.engine.panel import Panel, choice, on_cpu, row, show, slider
from course_utils.metrics import mse, psnr


@torch.no_grad()
def latent_traversal(autoencoder: nn.Sequential, images: Tensor, start: int = 0) -> Panel:
    """Latent traversal: a slider for each code unit; the decoded image follows.

    They start at the code of ``images[start]``. Each runs over the values that its unit takes on
    ``images`` (N, 1, 28, 28); a unit that never changes is marked as dead and locked.

    Raises:
        ValueError: the encoder's codes are no vectors (N, k).
    """
    images, (encoder, decoder) = images_of(images).cpu(), (on_cpu(part) for part in autoencoder)
    codes = encoder(images)  # (N, k)
    if codes.dim() != 2:
        raise ValueError(f"expected codes (N, k), a slider for each unit, got {tuple(codes.shape)}")
    low, high, code = codes.amin(0), codes.amax(0), codes[start]
    dead = high == low
    reconstructed = decoder(code[None])

    def draw(**units: float) -> tuple[Figure, str]:
        with torch.no_grad():
            decoded = decoder(torch.tensor([list(units.values())], dtype=code.dtype))
        moved = sum(abs(value - float(code[int(name[1:])])) > 1e-3 for name, value in units.items())
        original = images[start].detach()
        figure = row(
            {
                "original": original,
                "its code, decoded": reconstructed,
                "your code, decoded": decoded,
            }
        )
        return figure, (
            f"{moved} of {len(units)} units moved away from the original's code, "
            f"{int(dead.sum())} units dead; mean squared difference from the original "
            f"{mse(decoded, original[None]):.4f} per pixel."
        )

    sliders = {}
    for unit, value in enumerate(code.tolist()):
        name, first, last = f"unit {unit + 1}", float(low[unit]), float(high[unit])
        if dead[unit]:
            name, last = f"{name} (dead)", first + 1
        sliders[f"u{unit}"] = slider(name, first, last, value)
        sliders[f"u{unit}"].disabled = bool(dead[unit])
    return Panel(draw, sliders, columns=2 if len(sliders) > 4 else 1)


def corrupt_and_restore(
    models: Mapping[str, Callable[[Tensor], Tensor]],
    images: Tensor,
    corruptors: Mapping[str, Callable[[float], Callable[[Tensor], Tensor]]],
) -> Panel:
    """Choose an image, a kind of corruption and its level; see what each model restores.

    Its peak signal-to-noise ratio (PSNR) stands above it, in decibels.

    Args:
        models: name -> model, the denoising one and its control for instance.
        corruptors: kind -> a function from level in [0, 1] to a corruptor: ``{"dropout":
            Dropout}``.

    Raises:
        ValueError: a corruptor that was made already: it has its level.
    """
    for kind, make in corruptors.items():
        if is_dataclass(make) and not isinstance(make, type):
            raise ValueError(
                f"{kind}: give the class, Dropout and not Dropout(0.5): the slider sets its level"
            )
    images, models = (
        images_of(images).cpu(),
        {name: on_cpu(model) for name, model in models.items()},
    )

    def draw(image: int, kind: str, level: float) -> tuple[Figure, str]:
        clean = images[image : image + 1]
        with torch.no_grad(), torch.random.fork_rng([]):
            # The same image is spoiled in the same way, so that only the level changes.
            torch.manual_seed(image)
            corrupted = corruptors[kind](level)(clean)
            shown = {"corrupted": corrupted}
            shown |= {name: model(corrupted) for name, model in models.items()}
        quality = {name: f"{psnr(mse(output, clean)):.1f} dB" for name, output in shown.items()}
        titled = {f"{name}\n{quality[name]}": output for name, output in shown.items()}
        words = ", ".join(f"{name} {decibels}" for name, decibels in quality.items())
        figure = row({"original": clean, **titled})
        return figure, f"Image {image}, {kind} at level {level:.2f}. PSNR: {words}."

    kinds = ipywidgets.SelectionSlider(options=list(corruptors), description="kind of corruption")
    level = ipywidgets.FloatSlider(0.5, min=0, max=0.95, step=0.05, description="level")
    image = choice("image", len(images), 0)
    return Panel(draw, {"image": image, "kind": kinds, "level": level})


def interpolation(autoencoder: nn.Sequential, images: Tensor) -> Panel:
    """Interpolation: from one of ``images`` (N, 1, 28, 28) to another, by code and by pixels."""
    images, (encoder, decoder) = images_of(images).cpu(), (on_cpu(part) for part in autoencoder)

    def draw(first: int, second: int, way: float) -> tuple[Figure, str]:
        a, b = images[first : first + 1], images[second : second + 1]
        with torch.no_grad():
            through_code = decoder(torch.lerp(encoder(a), encoder(b), way))
        through_pixels = torch.lerp(a, b, way)
        between = {"between, by code": through_code, "between, by pixels": through_pixels}
        figure = row({"first": a, **between, "second": b})
        return figure, (
            f"{100 * way:.0f} % of the way from image {first} to image {second}; the two ways "
            f"differ by {mse(through_code, through_pixels):.4f} per pixel (mean square)."
        )

    n = len(images)
    ends = {
        "first": choice("first image", n, 0),
        "second": choice("second image", n, min(1, n - 1)),
    }
    return Panel(draw, {**ends, "way": slider("way", 0.0, 1.0, 0.5)})


def latent_map(
    decoder: Callable[[Tensor], Tensor], codes: Tensor, labels: Tensor, class_names: Sequence[str]
) -> Panel:
    """A map of two-dimensional codes (N, 2), coloured by class.

    Two sliders move a cross over it, and the decoded image follows.

    Raises:
        ValueError: the codes are not (N, 2), or there is not one label for each.
    """
    decoder, codes, labels = on_cpu(decoder), codes.detach().cpu(), labels.cpu()
    if codes.shape != (len(labels), 2):
        raise ValueError(
            f"latent_map takes codes (N, 2) and N labels, got {tuple(codes.shape)} and "
            f"{len(labels)}"
        )
    low, high, middle = (
        values.tolist() for values in (codes.amin(0), codes.amax(0), codes.mean(0))
    )
    shown = torch.linspace(0, len(codes) - 1, min(len(codes), 1000)).long()
    points, classes = codes[shown].numpy(), labels[shown].numpy()

    fig = Figure(figsize=(8.4, 4.2))  # drawn once; then only the cross and the image change
    places = {"left": 0.08, "right": 0.99, "bottom": 0.13, "top": 0.92, "wspace": 0.45}
    ax, right = fig.subplots(1, 2, gridspec_kw={**places, "width_ratios": [1.3, 1]})
    for c in np.unique(classes):  # plot takes two thirds of the time that scatter takes
        look = {"color": plots.CLASS_COLOURS[c], "markersize": 3, "label": class_names[c]}
        ax.plot(*points[classes == c].T, plots.MARKERS[c], **look)
    (cross,) = ax.plot(*middle, "+", color="black", markersize=22, markeredgewidth=3)
    ax.set(xlabel="code unit 1", ylabel="code unit 2")
    ax.legend(fontsize=7, loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    picture = show(right, np.zeros((28, 28)))
    right.set_title("decoded at the cross", fontsize=10)

    def draw(x: float, y: float) -> tuple[Figure, str]:
        with torch.no_grad():
            decoded = decoder(torch.tensor([[x, y]], dtype=codes.dtype))
        cross.set_data([x], [y])
        picture.set_data(decoded.reshape(28, 28).numpy())
        near = classes[((points - np.array([x, y])) ** 2).sum(1).argmin()]
        return fig, (
            f"The cross is at ({x:.2f}, {y:.2f}); the nearest code there belongs to the class "
            f"{class_names[near]}."
        )

    x, y = (slider(f"code unit {i + 1}", low[i], high[i], middle[i]) for i in (0, 1))
    return Panel(draw, {"x": x, "y": y})


def live_training(images: Tensor) -> Callable[[nn.Module, object], None]:
    """For ``fit(…, on_epoch=live_training(images))``: the training, redrawn after each epoch.

    Shown are the loss curve and what the model makes of the images (n, 1, 28, 28).
    """
    handles: list[Any] = []  # of the outputs that are on the page
    images = images_of(images).cpu()

    def redraw(model: nn.Module, history: Any) -> None:
        nonlocal handles
        with torch.no_grad():
            output = model(images.to(next(model.parameters()).device)).cpu()
        n, epochs = len(images), len(history.train_loss)
        fig = plt.figure(figsize=(0.9 * n, 4.4), layout="constrained")
        parts: Any = fig.subfigures(2, 1, height_ratios=[1.4, 1])
        top, bottom = parts
        ax = top.subplots()
        ax.plot(range(1, epochs + 1), history.train_loss, "o-", markersize=4, label="training")
        if history.validation_loss:
            held_out = history.validation_loss
            ax.plot(range(1, epochs + 1), held_out, "s--", markersize=4, label="validation")
        ax.set(xlabel="epoch", ylabel="loss")
        ax.xaxis.get_major_locator().set_params(integer=True)
        ax.legend(frameon=False)
        for ax, image in zip(bottom.subplots(2, n).flat, torch.cat([images, output])):
            show(ax, image)
        title = f"After epoch {epochs}: loss {history.train_loss[-1]:.4f}"
        caption = "Loss after each epoch; originals above what the model makes of them."
        handles = drawing.show(plots.finish(fig, title, caption), handles)

    return redraw
