"""Pictures to move by hand: sliders and menus over a figure, and one sentence that says what the figure shows.

Each function returns a ``Panel``, shown where a cell ends with it. It works by keyboard (Tab to a control, arrow keys to move it).
Where widgets cannot run (a printout, GitHub) the same cell shows the picture as it stood at the start.
"""

from __future__ import annotations

import base64
import html
import io
import math
from collections.abc import Callable, Mapping, Sequence

import ipywidgets
import matplotlib.pyplot as plt
import numpy as np
import torch
from IPython.display import display
from matplotlib.figure import Figure
from torch import Tensor, nn

from course_utils import plots
from course_utils.metrics import mse, psnr

WIDE = {"description_width": "11em"}
Draw = Callable[..., tuple[Figure, str]]


class Panel(ipywidgets.VBox):
    """Controls above a picture above a sentence. ``draw(**values of the controls)`` returns the figure and the sentence."""

    def __init__(self, draw: Draw, controls: Mapping[str, ipywidgets.Widget], columns: int = 1):
        self._draw, self._controls = draw, controls
        self._image, self._words = ipywidgets.Image(format="png"), ipywidgets.HTML()
        self._image.layout = {"max_width": "100%", "align_self": "flex-start"}  # its own size, not the page's width
        for control in controls.values():
            control.style = WIDE
            control.layout.width = "26em"
            if hasattr(control, "continuous_update"):
                control.continuous_update = False
            control.observe(self._update, names="value")
        grid = ipywidgets.GridBox(list(controls.values()), layout={"grid_template_columns": f"repeat({columns}, 27em)"})
        super().__init__([grid, self._image, self._words])
        self._update()

    def _update(self, change: object = None) -> None:
        figure, self.sentence = self._draw(**{name: control.value for name, control in self._controls.items()})
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=80, pil_kwargs={"compress_level": 1})
        self._image.value = buffer.getvalue()
        self._words.value = f'<span role="status" aria-live="polite">{html.escape(self.sentence)}</span>'

    def _repr_mimebundle_(self, **options):
        """The live view, and for a page that cannot run it the picture with a sentence."""
        bundle = super()._repr_mimebundle_(**options)
        data, *metadata = bundle if isinstance(bundle, tuple) else (bundle,)
        picture = base64.b64encode(self._image.value).decode()
        words = html.escape(self.sentence, quote=True)
        data["text/plain"] = self.sentence
        data["text/html"] = (f'<img alt="{words}" src="data:image/png;base64,{picture}"><p>{words}<br>'
                             "<em>Run this cell in JupyterLab or Colab to move the controls.</em></p>")
        return (data, *metadata) if metadata else data


def _row(images: Mapping[str, Tensor]) -> Figure:
    """A few images beside each other, each under its name; laid out by hand, since a layout engine would draw everything twice."""
    fig = Figure(figsize=(2.1 * len(images), 2.4))
    axes = fig.subplots(1, len(images), squeeze=False, gridspec_kw={"left": 0.01, "right": 0.99, "bottom": 0.02, "top": 0.83, "wspace": 0.05})
    for ax, (name, image) in zip(axes[0], images.items()):
        ax.imshow(image.reshape(28, 28).numpy(), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
        ax.set_title(name, fontsize=10)
        ax.axis("off")
    return fig


def _slider(description: str, low: float, high: float, value: float) -> ipywidgets.FloatSlider:
    """Fifty steps over [low, high], laid so that ``value`` is one of them: a key pressed and its opposite lead back to it."""
    step = (high - low) / 50
    low, high = value - math.ceil((value - low) / step - 1e-6) * step, value + math.ceil((high - value) / step - 1e-6) * step
    return ipywidgets.FloatSlider(value=value, min=low, max=high, step=step, description=description, readout_format=".2f")


def _choice(description: str, n: int, value: int) -> ipywidgets.IntSlider:
    return ipywidgets.IntSlider(value=value, min=0, max=n - 1, description=description)


@torch.no_grad()
def latent_traversal(autoencoder: nn.Sequential, images: Tensor, start: int = 0) -> Panel:
    """A slider for each code unit, starting at the code of ``images[start]``; the decoded image follows.

    Each slider runs over the values that its unit takes on ``images`` (N, 1, 28, 28); a unit that never changes is marked as dead and locked.
    """
    encoder, decoder = autoencoder
    codes = encoder(images)  # (N, k)
    low, high, code = codes.amin(0), codes.amax(0), codes[start]
    dead = high == low
    reconstructed = decoder(code[None])

    def draw(**units: float) -> tuple[Figure, str]:
        with torch.no_grad():
            decoded = decoder(torch.tensor([list(units.values())], dtype=code.dtype))
        moved = sum(abs(value - float(code[int(name[1:])])) > 1e-3 for name, value in units.items())
        figure = _row({"original": images[start].detach(), "its code, decoded": reconstructed, "your code, decoded": decoded})
        return figure, (f"{moved} of {len(units)} units moved away from the original's code, {int(dead.sum())} units dead; "
                        f"mean squared difference from the original {mse(decoded, images[start][None]):.4f} per pixel.")

    sliders = {}
    for unit in range(len(code)):
        top = float(high[unit]) if not dead[unit] else float(low[unit]) + 1
        sliders[f"u{unit}"] = _slider(f"unit {unit + 1}" + (" (dead)" if dead[unit] else ""), float(low[unit]), top, float(code[unit]))
        sliders[f"u{unit}"].disabled = bool(dead[unit])
    return Panel(draw, sliders, columns=2 if len(sliders) > 4 else 1)


def corrupt_and_restore(models: Mapping[str, Callable[[Tensor], Tensor]], images: Tensor,
                        corruptors: Mapping[str, Callable[[float], Callable[[Tensor], Tensor]]]) -> Panel:
    """Choose an image, a kind of corruption and its level; see what each model restores, with its PSNR in decibels.

    Args:
        models: name -> model, the denoising one and its control for instance.
        corruptors: kind -> a function from level in [0, 1] to a corruptor: ``{"dropout": Dropout}``.
    """

    def draw(image: int, kind: str, level: float) -> tuple[Figure, str]:
        clean = images[image : image + 1]
        with torch.no_grad(), torch.random.fork_rng([]):
            torch.manual_seed(image)  # the same image is spoiled in the same way, so that only the level changes
            corrupted = corruptors[kind](level)(clean)
            restored = {name: model(corrupted) for name, model in models.items()}
        quality = {name: f"{psnr(mse(output, clean)):.1f} dB" for name, output in {"corrupted": corrupted, **restored}.items()}
        figure = _row({"original": clean, **{f"{name}\n{quality[name]}": x for name, x in {"corrupted": corrupted, **restored}.items()}})
        return figure, f"Image {image}, {kind} at level {level:.2f}. PSNR: " + ", ".join(f"{name} {q}" for name, q in quality.items()) + "."

    return Panel(draw, {"image": _choice("image", len(images), 0),
                        "kind": ipywidgets.SelectionSlider(options=list(corruptors), description="kind of corruption"),
                        "level": ipywidgets.FloatSlider(value=0.5, min=0, max=0.95, step=0.05, description="level")})


def interpolation(autoencoder: nn.Sequential, images: Tensor) -> Panel:
    """Choose two of ``images`` (N, 1, 28, 28) and walk from one to the other, in code space and in pixel space."""
    encoder, decoder = autoencoder

    def draw(first: int, second: int, way: float) -> tuple[Figure, str]:
        a, b = images[first : first + 1], images[second : second + 1]
        with torch.no_grad():
            through_code = decoder(torch.lerp(encoder(a), encoder(b), way))
        through_pixels = torch.lerp(a, b, way)
        figure = _row({"first": a, "between, by code": through_code, "between, by pixels": through_pixels, "second": b})
        return figure, (f"{100 * way:.0f} % of the way from image {first} to image {second}; the two ways differ by "
                        f"{mse(through_code, through_pixels):.4f} per pixel (mean square).")

    return Panel(draw, {"first": _choice("first image", len(images), 0), "second": _choice("second image", len(images), min(1, len(images) - 1)),
                        "way": _slider("way", 0.0, 1.0, 0.5)})


def latent_map(decoder: Callable[[Tensor], Tensor], codes: Tensor, labels: Tensor, class_names: Sequence[str]) -> Panel:
    """A scatter of two-dimensional codes (N, 2); two sliders move a cross over it, and the decoded image follows."""
    low, high, middle = codes.amin(0).tolist(), codes.amax(0).tolist(), codes.mean(0).tolist()
    shown = torch.linspace(0, len(codes) - 1, min(len(codes), 1000)).long()
    points, classes = codes[shown].numpy(), labels[shown].numpy()

    fig = Figure(figsize=(8.4, 4.2))  # drawn once; then only the cross and the image change
    ax, right = fig.subplots(1, 2, gridspec_kw={"left": 0.08, "right": 0.99, "bottom": 0.13, "top": 0.92, "width_ratios": [1.3, 1], "wspace": 0.45})
    for c in np.unique(classes):
        ax.plot(*points[classes == c].T, plots.MARKERS[c], markersize=3, color=plots.CLASS_COLOURS[c], label=class_names[c])  # the whole picture in two thirds of the time that scatter takes
    (cross,) = ax.plot(*middle, "+", color="black", markersize=22, markeredgewidth=3)
    ax.set(xlabel="code unit 1", ylabel="code unit 2")
    ax.legend(fontsize=7, loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    picture = right.imshow(np.zeros((28, 28)), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    right.set_title("decoded at the cross", fontsize=10)
    right.axis("off")

    def draw(x: float, y: float) -> tuple[Figure, str]:
        with torch.no_grad():
            decoded = decoder(torch.tensor([[x, y]], dtype=codes.dtype))
        cross.set_data([x], [y])
        picture.set_data(decoded.reshape(28, 28).numpy())
        near = classes[((points - np.array([x, y])) ** 2).sum(1).argmin()]
        return fig, f"The cross is at ({x:.2f}, {y:.2f}); the nearest code there belongs to the class {class_names[near]}."

    return Panel(draw, {"x": _slider("code unit 1", low[0], high[0], middle[0]), "y": _slider("code unit 2", low[1], high[1], middle[1])})


def live_training(images: Tensor) -> Callable[[nn.Module, object], None]:
    """For ``fit(…, on_epoch=live_training(images))``: after each epoch the loss curve and the images (n, 1, 28, 28) are redrawn."""
    handle = None

    def redraw(model: nn.Module, history) -> None:
        nonlocal handle
        with torch.no_grad():
            output = model(images.to(next(model.parameters()).device)).cpu()
        n, epochs = len(images), len(history.train_loss)
        fig = plt.figure(figsize=(0.9 * n, 4.4), layout="constrained")
        top, bottom = fig.subfigures(2, 1, height_ratios=[1.4, 1])
        ax = top.subplots()
        ax.plot(range(1, epochs + 1), history.train_loss, "o-", markersize=4, label="training")
        if history.validation_loss:
            ax.plot(range(1, epochs + 1), history.validation_loss, "s--", markersize=4, label="validation")
        ax.set(xlabel="epoch", ylabel="loss")
        ax.xaxis.get_major_locator().set_params(integer=True)
        ax.legend(frameon=False)
        for ax, image in zip(bottom.subplots(2, n).flat, torch.cat([images, output])):
            ax.imshow(image.reshape(28, 28).numpy(), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
            ax.axis("off")
        plots.finish(fig, f"After epoch {epochs}: loss {history.train_loss[-1]:.4f}", "Loss after each epoch; originals above what the model makes of them.")
        if handle is None:
            handle = display(fig, display_id=True)
        else:
            handle.update(fig)

    return redraw
