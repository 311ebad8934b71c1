"""How many threads a training takes: one or all, whichever is faster beside what else is running.

A small model is done before a second thread has woken up, and two threads that wait for each other
lose more to a busy neighbour than one alone. So ``fit`` chooses, but never in a way that changes a
result: where one thread and all of them give other bits, the size of the model alone decides.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from typing import Any

import joblib
import torch
from torch import Tensor, nn

from course_utils.engine.preflight import own_noise

OWN_CHOICE = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")
AT_IMPORT = torch.get_num_threads()
SMALL = 1e7  # products of a forward pass below which one thread is the faster
TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
TRIAL, WARM = 8, 2  # steps of a trial, and how many of them come first and do not count
AGAIN = 5.0  # seconds until the next trials: a neighbour may have come or gone


def is_chosen() -> bool:
    """Whether somebody has said how many it shall be, by OMP_NUM_THREADS or set_num_threads."""
    named = any(os.environ.get(name) for name in OWN_CHOICE)
    return named or torch.get_num_threads() != AT_IMPORT


class Threads:
    """The choice for one training."""

    def __init__(self, model: nn.Module, one_loss: Callable[[], Tensor], device: torch.device):
        """``one_loss()`` is the loss of one batch in training mode, to be looked at."""
        self.before = self.number = torch.get_num_threads()
        self.numbers: Generator[int, float, None] | None = None
        if is_chosen() or device.type != "cpu":
            return
        # No more than the processors that this process may use: affinity and a container's quota.
        self.number = self.most = min(self.before, joblib.cpu_count())
        if self.most == 1:
            return
        products, same = _look(model, one_loss, self.most)
        self.number = 1 if products < SMALL else self.most
        if same and products >= SMALL:
            self.numbers = self._faster()
            self.number = next(self.numbers)

    @contextmanager
    def taken(self) -> Iterator[None]:
        """While the ``with`` block lasts, torch takes the chosen number."""
        try:
            torch.set_num_threads(self.number)
            self.last = time.perf_counter()
            yield
        finally:
            torch.set_num_threads(self.before)

    def after_step(self) -> None:
        """A step was done: the next may take another number."""
        if self.numbers is None:
            return
        now = time.perf_counter()
        number = self.numbers.send(now - self.last)
        if number != self.number:
            torch.set_num_threads(number)
            self.number = number
        self.last = now

    def _faster(self) -> Generator[int, float, None]:
        """The number for each next step; it is sent how long each step took."""
        while True:
            seconds = {1: 0.0, self.most: 0.0}
            for number in (self.most, 1, 1, self.most):
                for step in range(TRIAL):
                    taken = yield number
                    seconds[number] += taken if step >= WARM else 0
            best, end = min(seconds, key=lambda n: seconds[n]), time.perf_counter() + AGAIN
            while time.perf_counter() < end:
                yield best


def _look(model: nn.Module, one_loss: Callable[[], Tensor], most: int) -> tuple[int, bool]:
    """(products of a forward pass, whether one thread and ``most`` give the same bits)."""
    learning = [p for p in model.parameters() if p.requires_grad]
    kept = [(buffer, buffer.clone()) for buffer in model.buffers()]  # a batch norm's averages
    before, found, products = torch.get_num_threads(), [], [0]

    def count(layer: Any, inputs: tuple[Tensor, ...], output: Any) -> None:
        if not isinstance(output, Tensor):
            return
        each = layer.weight[0].numel()  # of a transposed convolution: for each of its inputs
        products[0] += each * (inputs[0] if layer.__class__ in TRANSPOSED else output).numel()

    weights = [(layer, getattr(layer, "weight", None)) for layer in model.modules()]
    layers = [layer for layer, w in weights if isinstance(w, Tensor) and w.dim() > 1]
    hooks = [layer.register_forward_hook(count) for layer in layers]
    try:
        for number in (1, most):
            torch.set_num_threads(number)
            with own_noise(torch.device("cpu")):
                loss = one_loss()
                found.append([loss, *torch.autograd.grad(loss, learning, allow_unused=True)])
            with torch.no_grad():
                for buffer, value in kept:
                    buffer.copy_(value)
    finally:
        torch.set_num_threads(before)
        for hook in hooks:
            hook.remove()
    same = all(a is b is None or torch.equal(a, b) for a, b in zip(*found))
    return products[0] // 2, same
