"""What a page of sliders is made of; `widgets.py` says what they move."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Callable, Mapping
from typing import Any

import ipywidgets
from matplotlib.figure import Figure

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
        bundle = super()._repr_mimebundle_(**options)
        data, *metadata = bundle if isinstance(bundle, tuple) else (bundle,)
        picture = base64.b64encode(self._image.value).decode()
        words = html.escape(self.sentence, quote=True)
        data["text/plain"] = self.sentence
        data["text/html"] = (
            f'<img alt="{words}" src="data:image/png;base64,{picture}"><p>{words}<br>'
            "<em>Run this cell in JupyterLab or Colab to move the controls.</em></p>"
        )
        return (data, *metadata) if metadata else data
