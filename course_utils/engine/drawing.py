"""What all figures share: texts broken into lines, logarithmic axes, and what Jupyter shows."""

from __future__ import annotations

import base64
import io
import re
import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np
from IPython.display import display
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, LogLocator, NullLocator
from PIL import Image


def wrap(text: str, width: int) -> str:
    """Break ``text`` into as few lines as ``width`` characters allow, all of about one length."""
    count = len(textwrap.wrap(text, width, break_long_words=False))
    tries = (textwrap.wrap(text, w, break_long_words=False) for w in range(1, width + 1))
    return next("\n".join(lines) for lines in tries if len(lines) <= count)


def plain_log(ax: Axes, which: str, ticks: Sequence[float] | None = None) -> None:
    """A logarithmic axis with plain numbers, 20 and not 2 x 10^1, at ``ticks`` if given."""
    ax.set(**{f"{which}scale": "log"})
    axis = {"x": ax.xaxis, "y": ax.yaxis}[which]
    plain = LogLocator(subs=(1, 2, 3, 5, 7)) if ticks is None else FixedLocator(ticks)
    axis.set_major_locator(plain)
    axis.set_major_formatter("{x:g}")
    axis.set_minor_locator(NullLocator())


def outputs(fig: Figure) -> list[tuple[dict, dict]]:
    """What Jupyter displays of a finished figure: its title, its picture, its caption.

    The words stand beside the picture, so that they can be read aloud, searched, copied and
    translated; each part is data and metadata of one output, in a form that every viewer knows.
    """
    title, caption = fig._course_words  # type: ignore[attr-defined]
    words = [text for text in (fig._suptitle, fig._supxlabel) if text]  # type: ignore[attr-defined]
    for text in words:
        text.set(visible=False, in_layout=False)
    try:
        png = picture(fig)
    finally:
        for text in words:
            text.set(visible=True, in_layout=True)
    return [
        ({"text/markdown": f"**{plain(title)}**", "text/plain": title}, {}),
        ({"image/png": png, "text/plain": f"[picture: {title}]"}, {"image/png": {"alt": title}}),
        ({"text/markdown": plain(caption), "text/plain": caption}, {}),
    ]


def picture(fig: Figure) -> str:
    """A figure as a PNG in base64."""
    drawn = io.BytesIO()
    fig.savefig(drawn, format="png", dpi=100, bbox_inches="tight", facecolor="white")
    return small(drawn.getvalue())


def small(png: bytes) -> str:
    """A PNG in 64 greys and 64 colours, none far from its own, as base64. The greys are apart, so
    that a grey image beside coloured points keeps its levels and gets no tint."""
    pixels = np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))
    coloured = np.ptp(pixels, axis=2) > 4
    places = np.rint(pixels.mean(axis=2) / 255 * 63).astype(np.uint8)
    palette = np.rint(np.linspace(0, 255, 64)).astype(np.uint8).repeat(3).tolist()
    if coloured.any():
        colours = Image.fromarray(pixels[coloured][None]).quantize(
            64, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE
        )
        places[coloured] = 64 + np.asarray(colours)[0]
        palette += (colours.getpalette() or [])[: 3 * 64]
    few, image = io.BytesIO(), Image.fromarray(places)
    image.putpalette(palette)
    image.save(few, "PNG", optimize=True)
    return base64.b64encode(few.getvalue()).decode()


def plain(text: str) -> str:
    """Markdown that shows ``text`` as it stands."""
    text = re.sub(r"([\\`*_\[\]<>$|~])", r"\\\1", " ".join(text.split()))
    return re.sub(r"^(\d*)([.)+#-] ?)", r"\1\\\2", text)  # not the start of a list


def show(fig: Figure, handles: Sequence[Any] = ()) -> list[Any]:
    """Display a finished figure, or put it in the place of an earlier one, whose handles these are.

    Returns the handles.
    """
    if not handles:
        return [
            display(data, metadata=about, raw=True, display_id=True) for data, about in outputs(fig)
        ]
    for handle, (data, about) in zip(handles, outputs(fig)):
        handle.update(data, metadata=about, raw=True)
    return list(handles)
