"""The bar that shows how far a long piece of work is."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from tqdm import tqdm


def shown(wanted: bool | None) -> bool:
    """What was asked for; if nothing was, only in a terminal or a notebook.

    Then never in a test or with COURSE_PROGRESS=0.
    """
    seen = "ipykernel" in sys.modules or sys.stderr.isatty()
    quiet = os.environ.get("COURSE_PROGRESS") == "0" or "PYTEST_CURRENT_TEST" in os.environ
    return seen and not quiet if wanted is None else wanted


class Progress:
    """Of a training: epoch, images per second and loss, in the 80 columns of a terminal."""

    FORM = "{desc} {bar} {remaining} left, {rate_fmt}{postfix}"

    def __init__(self, wanted: bool | None, epochs: int, n: int):
        self.n, self.epochs = n, epochs
        self.bar = tqdm(
            total=epochs * n,
            unit=" images",
            unit_scale=True,
            bar_format=self.FORM,
            disable=not shown(wanted),
        )

    def skip(self, epochs: int) -> None:
        """Epochs that a checkpoint holds are done, but took no time now."""
        self.bar.n = self.bar.initial = epochs * self.n

    def show(self, epoch: int, images: int, loss: float, validation: Sequence[float] = ()) -> None:
        held_out = f", validation {validation[-1]:.4g}" if validation else ""
        self.bar.set_description(f"epoch {epoch}/{self.epochs}", refresh=False)
        self.bar.set_postfix_str(f"loss {loss:.4g}{held_out}", refresh=False)
        self.bar.update((epoch - 1) * self.n + min(images, self.n) - self.bar.n)

    def close(self) -> None:
        self.bar.close()
