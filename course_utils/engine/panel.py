"""What a page of sliders is made of; `widgets.py` says what they move."""

from __future__ import annotations

import html
import io
import math
from collections.abc import Callable, Mapping
from typing import Any

import ipywidgets
import numpy as np
from matplotlib.figure import Figure
from torch import Tensor

from course_utils.engine.drawing import small
from course_utils.metrics import apply_in_batches

WIDE = {"description_width": "11em"}
Draw = Callable[..., tuple[Figure, str]]


class Panel(ipywidgets.VBox):
    """Controls above a picture above a sentence.

    ``draw(**values of the controls)`` returns the figure and the sentence.
    """

    def __init__(self, draw: Draw, controls: Mapping[str, Any], columns: int = 1):
        self._draw, self._controls = draw, controls
        self._image, self._words = ipywidgets.Image(format="png"), ipywidgets.HTML()
        # In its own size, not the page's width.
        self._image.layout = {"max_width": "100%", "align_self": "flex-start"}
        for control in controls.values():
            control.style = WIDE
            control.layout.width = "26em"
            if hasattr(control, "continuous_update"):
                control.continuous_update = False
            control.observe(self._update, names="value")
        layout = {"grid_template_columns": f"repeat({columns}, 27em)"}
        grid = ipywidgets.GridBox(list(controls.values()), layout=layout)
        super().__init__([grid, self._image, self._words])
        self._update()

    def _update(self, change: object = None) -> None:
        values = {name: control.value for name, control in self._controls.items()}
        figure, self.sentence = self._draw(**values)
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=80, pil_kwargs={"compress_level": 1})
        self._image.value = buffer.getvalue()
        words = html.escape(self.sentence)
        self._words.value = f'<span role="status" aria-live="polite">{words}</span>'

    def _repr_mimebundle_(self, **options: Any) -> Any:
        """The live view, and for a page that cannot run it the picture with a sentence."""
        data = {
            "application/vnd.jupyter.widget-view+json": {
                "version_major": 2, "version_minor": 0, "model_id": self.model_id,
            },
            "image/png": small(self._image.value),
            "text/plain": self.sentence,
        }  # fmt: skip
        return data, {"image/png": {"alt": self.sentence}}


def on_cpu(function: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """The same function for images on the CPU, wherever a module's weights lie; in eval mode."""
    return lambda images: apply_in_batches(function, images)


def row(images: Mapping[str, Tensor]) -> Figure:
    """A few images beside each other, each under its name.

    Laid out by hand, since a layout engine would draw everything twice.
    """
    fig = Figure(figsize=(2.1 * len(images), 2.4))
    places = {"left": 0.01, "right": 0.99, "bottom": 0.02, "top": 0.83, "wspace": 0.05}
    axes = fig.subplots(1, len(images), squeeze=False, gridspec_kw=places)
    for ax, (name, image) in zip(axes[0], images.items()):
        show(ax, image)
        ax.set_title(name, fontsize=10)
    return fig


def show(ax: Any, image: Any) -> Any:
    """One image, as it is, without axes."""
    ax.axis("off")
    pixels = np.asarray(image).reshape(28, 28)
    return ax.imshow(pixels, cmap="gray", vmin=0, vmax=1, interpolation="nearest")


def slider(description: str, low: float, high: float, value: float) -> ipywidgets.FloatSlider:
    """Fifty steps over [low, high], laid so that ``value`` is one of them.

    A key pressed and its opposite lead back to it.
    """
    step = (high - low) / 50 or 0.02
    low = value - math.ceil((value - low) / step - 1e-6) * step
    high = value + math.ceil((high - value) / step - 1e-6) * step
    return ipywidgets.FloatSlider(
        value, min=low, max=high, step=step, description=description, readout_format=".2f"
    )


def choice(description: str, n: int, value: int) -> ipywidgets.IntSlider:
    return ipywidgets.IntSlider(value=value, min=0, max=n - 1, description=description)
