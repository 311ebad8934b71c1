"""One training loop for every lesson: ``fit(model, data, loss, epochs=…)``.

What is learned is said by the loss, a plain function ``loss(model, images, labels)`` that returns
one number (a scalar tensor): reconstruction, denoising, classification and the ELBO are four short
functions in ``losses.py``, and not four loops. What stands around the loop (devices, checkpoints,
the bar) is machinery and lives in ``engine/session.py``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from matplotlib.figure import Figure
from torch import nn
from torch.optim import Optimizer

from course_utils import plots
from course_utils.engine.noise import own_noise
from course_utils.engine.session import Session
from course_utils.losses import Loss, reconstruction


@dataclass
class History:
    """What happened in each epoch: one entry an epoch in every list."""

    train_loss: list[float] = field(default_factory=list)  # mean over the batches of the epoch
    validation_loss: list[float] = field(default_factory=list)  # after it; empty without validation
    seconds: list[float] = field(default_factory=list)  # of training, without validation
    learning_rate: list[float] = field(default_factory=list)
    stopped: str = ""  # "interrupted" where fewer epochs were trained than asked for

    def __len__(self) -> int:
        return len(self.train_loss)

    def add(
        self, train_loss: float, validation_loss: float | None, seconds: float, learning_rate: float
    ) -> None:
        """One more epoch."""
        self.train_loss.append(train_loss)
        self.validation_loss += [] if validation_loss is None else [validation_loss]
        self.seconds.append(seconds)
        self.learning_rate.append(learning_rate)

    def table(self) -> pd.DataFrame:
        """One row for each epoch."""
        lists = {name: values for name, values in asdict(self).items() if isinstance(values, list)}
        columns = {name: values for name, values in lists.items() if values}
        return pd.DataFrame({"epoch": range(1, len(self) + 1), **columns})

    def plot(
        self,
        title: str = "Loss after each epoch",
        caption: str = "Training (solid) and validation loss (dashed).",
    ) -> Figure:
        """The loss curves as a figure."""
        return plots.loss_curves({"": self}, title=title, caption=caption)


def fit(
    model: nn.Module,
    data: Any,
    loss: Loss = reconstruction,
    *,
    epochs: int,
    batch_size: int = 128,
    validation: Any = None,
    lr: float = 1e-3,
    optimizer: Optimizer | None = None,
    schedule: Callable[[Optimizer], Any] | None = None,
    seed: int = 0,
    device: str | torch.device | None = None,
    checkpoint: str | Path | None = None,
    progress: bool | None = None,
    on_epoch: Callable[[nn.Module, History], object] | None = None,
) -> History:
    """Train ``model`` in place and return the history.

    The model ends in eval mode, on the device it came from. Called twice, it trains on. Parameters
    with ``requires_grad=False`` stay as they are, and so do the running statistics of layers that
    hold nothing else. Ctrl-C stops cleanly: ``history.stopped`` says so, and what was learned is
    kept.

    Args:
        data: an ``ImageSet``, a pair (images, labels) or images: float32 (N, …), pictures
            (N, 1 or 3, H, W) in [0, 1].
        loss: ``loss(model, images, labels)`` -> scalar tensor; labels are zeros where none were
            given.
        validation: as ``data``; its loss is measured after each epoch in eval mode, with the same
            noise every time.
        lr: Adam's learning rate; an ``optimizer`` of your own brings its own.
        schedule: makes a learning-rate scheduler, stepped after each epoch:
            ``lambda optimizer: torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=20)``.
        seed: of batch order and noise (``torch.manual_seed``); the model is initialised before, by
            the caller.
        device: chosen by itself (CUDA, else MPS, else CPU) unless given.
        checkpoint: a file, written after each epoch. The same call goes on where it stopped,
            exactly; once done, it only loads, and a line says so. The same is a call with the same
            data, first weights and settings, whose functions do the same; for another one the old
            file is set aside, and a line says what differs.
        progress: show a bar; by itself only in a terminal or a notebook, never with
            COURSE_PROGRESS=0.
        on_epoch: called as ``on_epoch(model, history)`` after each epoch.

    Raises:
        ValueError: a shape, range or setting that cannot work.
        FloatingPointError: the loss became NaN or infinite.
    """
    history = History()
    session = Session(
        model, loss, history, data, validation,
        optimizer=optimizer, schedule=schedule, epochs=epochs, batch_size=batch_size, lr=lr,
        seed=seed, device=device, checkpoint=checkpoint, progress=progress, on_epoch=on_epoch,
    )  # fmt: skip
    with session:  # all is looked at and placed; afterwards, also after Ctrl-C, it is put back
        images, labels, optimizer = session.images, session.labels, session.optimizer
        for epoch in range(
            len(history) + 1, session.epochs + 1
        ):  # a checkpoint brings those before
            with session.training(epoch) as this:  # training mode, a clock, an eye on the loss
                order = torch.randperm(len(images)).to(images.device)
                for batch in order.split(session.batch_size):
                    x, y = images.index_select(0, batch), labels.index_select(0, batch)
                    value = loss(model, x, y)
                    optimizer.zero_grad()
                    value.backward()
                    optimizer.step()
                    this.add(value)
            history.add(this.mean(), session.validation_loss(), this.seconds, this.learning_rate)
            session.after(epoch)  # the schedule's step, the checkpoint, the bar
            if on_epoch:
                with own_noise(session.device):
                    on_epoch(model, history)
    return history
