"""What all figures share: texts broken into lines, logarithmic axes, and what Jupyter shows."""

from __future__ import annotations

import base64
import io
import textwrap
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, LogLocator, NullLocator


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


def output(fig: Figure, words: str) -> tuple[dict, dict]:
    """What Jupyter displays: the picture, and for those who do not see it the words."""
    picture = io.BytesIO()
    fig.savefig(picture, format="png", dpi=100, bbox_inches="tight", facecolor="white")
    png = base64.b64encode(picture.getvalue()).decode()
    return {"image/png": png, "text/plain": words}, {"image/png": {"alt": words}}
