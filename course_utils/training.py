"""One training loop for every lesson: ``fit(model, data, loss, epochs=…)``.

What is learned is said by the loss, a plain function ``loss(model, images, labels)`` that returns one number (a scalar
tensor): reconstruction, denoising, classification and the ELBO are four short functions in ``losses.py``, and not four loops.
"""

from __future__ import annotations

import math
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import pandas as pd
import torch
from torch import Tensor, nn
from tqdm import tqdm

from course_utils.engine import checkpoint as disk
from course_utils import plots
from course_utils.engine import preflight, speed
from course_utils.losses import Loss, reconstruction

LOOK_EVERY = 25  # batches between two looks at the loss: on a GPU each look waits for the device


@dataclass
class History:
    """What happened in each epoch: one entry an epoch in every list (``validation_loss`` is empty without validation)."""

    train_loss: list[float] = field(default_factory=list)  # mean over the epoch's batches, while the weights moved
    validation_loss: list[float] = field(default_factory=list)  # after the epoch
    seconds: list[float] = field(default_factory=list)  # of training, without validation
    learning_rate: list[float] = field(default_factory=list)
    stopped: str = ""  # "early" or "interrupted" where fewer epochs were trained than asked for

    def __len__(self) -> int:
        return len(self.train_loss)

    @property
    def best_epoch(self) -> int:
        """The epoch, counted from 1, with the smallest validation loss (training loss without validation); 0 before any."""
        losses = self.validation_loss or self.train_loss
        return losses.index(min(losses)) + 1 if losses else 0

    def add(self, train_loss: float, validation_loss: float | None, seconds: float, learning_rate: float) -> None:
        """One more epoch."""
        self.train_loss.append(train_loss)
        self.validation_loss += [] if validation_loss is None else [validation_loss]
        self.seconds.append(seconds)
        self.learning_rate.append(learning_rate)

    def table(self) -> pd.DataFrame:
        """One row for each epoch."""
        columns = {name: values for name, values in asdict(self).items() if isinstance(values, list) and values}
        return pd.DataFrame({"epoch": range(1, len(self) + 1), **columns})

    def plot(self, title: str = "Loss after each epoch", caption: str = "Training (solid) and validation loss (dashed)."):
        """The loss curves as a figure."""
        return plots.loss_curves({"": self}, title=title, caption=caption)


def fit(model: nn.Module, data, loss: Loss = reconstruction, *, epochs: int, batch_size: int = 128, validation=None,
        lr: float = 1e-3, optimizer: torch.optim.Optimizer | None = None, schedule: Callable | None = None,
        patience: int | None = None, seed: int = 0, device: str | torch.device | None = None,
        checkpoint: str | Path | None = None, progress: bool | None = None,
        on_epoch: Callable[[nn.Module, History], None] | None = None) -> History:
    """Train ``model`` in place and return the history. The model ends in eval mode, on the device it came from.

    Called twice, it trains on. Parameters with ``requires_grad=False`` stay as they are, and so do the running statistics
    of layers that hold nothing else. Ctrl-C stops cleanly: ``history.stopped`` says so, the model keeps what it has learned.

    Args:
        data: an ``ImageSet``, a pair (images, labels) or images: float32 (N, …), pictures (N, 1 or 3, H, W) in [0, 1].
        loss: ``loss(model, images, labels)`` -> scalar tensor; labels are zeros where none were given.
        validation: as ``data``; its loss is measured after each epoch in eval mode, with the same noise every time.
        lr: Adam's learning rate; an ``optimizer`` of your own brings its own.
        schedule: makes a learning-rate scheduler, stepped after each epoch:
            ``lambda optimizer: torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=20)``.
        patience: stop when the validation loss has not fallen for so many epochs; the best epoch's weights are kept.
        seed: of batch order and noise (``torch.manual_seed``); the model is initialised before, by the caller.
        device: chosen by itself (CUDA, else MPS, else CPU) unless given.
        checkpoint: a file, written after each epoch. The same call goes on where it stopped, exactly; once done, it only loads.
        progress: show a bar; by itself only in a terminal or a notebook, and never with COURSE_PROGRESS=0.
        on_epoch: called as ``on_epoch(model, history)`` after each epoch.

    Raises:
        ValueError: a shape, range or setting that cannot work; or a checkpoint of another training.
        FloatingPointError: the loss became NaN or infinite.
    """
    images, labels = preflight.pair("data", data)
    held_out = None if validation is None else preflight.pair("validation", validation)
    preflight.check_settings(model, epochs, batch_size, lr, patience, validation)
    home, device = next(model.parameters()).device, _choose_device(device)
    images, labels = images.to(device), labels.to(device)
    torch.manual_seed(seed)
    history, best, bar = History(), {}, _Progress(progress, epochs, len(images))
    try:
        speed.place(model, optimizer, device, training=True)
        optimizer = optimizer or speed.adam(model, lr, device)
        scheduler = schedule(optimizer) if schedule else None
        preflight.try_out("data", model, loss, images, labels)
        if held_out:
            held_out = tuple(part.to(device) for part in held_out)
            preflight.try_out("validation", model, loss, *held_out)
        if checkpoint:
            settings = disk.settings(model, optimizer, scheduler, loss, (images, labels), held_out, batch_size=batch_size, seed=seed,
                                     patience=patience, epochs=epochs if schedule else None)
            best = disk.resume(checkpoint, settings, epochs, model, optimizer, scheduler, history)
            speed.place(model, optimizer, device, training=True)
            bar.skip(len(history))
        for epoch in range(len(history) + 1, 1 if history.stopped else epochs + 1):
            start, rate = time.perf_counter(), optimizer.param_groups[0]["lr"]
            with speed.switched_on(device):
                train_loss = _train_one_epoch(model, images, labels, loss, optimizer, batch_size, bar, epoch)
            seconds = time.perf_counter() - start
            model.eval()
            history.add(train_loss, _validation_loss(model, loss, held_out, seed) if held_out else None, seconds, rate)
            if patience and history.best_epoch == epoch:
                best = {name: value.clone() for name, value in model.state_dict().items()}
            if patience and epoch - history.best_epoch >= patience:
                history.stopped = "early"
            if scheduler:
                plateau = isinstance(scheduler, torch.optim.lr_scheduler.ReduceLROnPlateau)
                scheduler.step(*[(history.validation_loss or history.train_loss)[-1]] if plateau else [])
            if checkpoint:
                disk.write(checkpoint, settings, model, optimizer, scheduler, history, best)
            bar.show(epoch, len(images), history.train_loss[-1], history.validation_loss)
            if on_epoch:
                with preflight.own_noise(device):
                    on_epoch(model, history)
            if history.stopped:
                break
    except KeyboardInterrupt:
        history.stopped = "interrupted"
        print(f"Stopped by you after {len(history)} of {epochs} epochs; the model keeps what it has learned.")
    finally:
        bar.close()
        if best:
            model.load_state_dict(best)
        model.zero_grad()  # no gradients of the last batch are left behind
        speed.place(model, optimizer, home, training=False)
        model.eval()
    return history


def _train_one_epoch(model, images, labels, loss, optimizer, batch_size, bar, epoch) -> float:
    """One pass over all images in a new random order; returns the mean loss. This is the loop that does all the learning."""
    _train_mode(model)
    losses = []
    for batch in torch.randperm(len(images)).to(images.device).split(batch_size):
        value = loss(model, images.index_select(0, batch), labels.index_select(0, batch))  # images[batch], three times as fast
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        losses.append(value.detach())
        if len(losses) % LOOK_EVERY == 0:
            bar.show(epoch, len(losses) * batch_size, _finite_mean(losses[-LOOK_EVERY:], epoch, len(losses), optimizer))
    _finite_mean(losses[-LOOK_EVERY:], epoch, len(losses), optimizer)
    return _mean(losses, len(images), batch_size)


def _choose_device(device: str | torch.device | None) -> torch.device:
    found = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    return torch.device(device or found)


def _train_mode(model: nn.Module) -> None:
    """Training mode, but for layers whose parameters are all frozen: a batch norm's running statistics are frozen, too."""
    model.train()
    for layer in model.modules():
        parameters = list(layer.parameters())
        if parameters and not any(p.requires_grad for p in parameters):
            layer.eval()


def _mean(losses: Sequence[Tensor], n: int, batch_size: int) -> float:
    """The mean over n images of the means over batches, of which the last may be smaller."""
    values = torch.stack(list(losses)).cpu().double()
    sizes = torch.full_like(values, batch_size)
    sizes[-1] = n - batch_size * (len(values) - 1)
    return float((values * sizes).sum() / n)


def _finite_mean(recent: list[Tensor], epoch: int, batch: int, optimizer: torch.optim.Optimizer) -> float:
    """The mean of the latest losses up to ``batch``, or a FloatingPointError that names the first batch where it went wrong."""
    values = torch.stack(recent).tolist()
    bad = next((i for i, value in enumerate(values) if not math.isfinite(value)), None)
    if bad is not None:
        raise FloatingPointError(f"the loss became {values[bad]:g} in epoch {epoch}, batch {batch - len(values) + bad + 1}, at learning rate "
                                 f"{optimizer.param_groups[0]['lr']:g}; build the model anew and try a smaller rate")
    return sum(values) / len(values)


@torch.no_grad()
def _validation_loss(model: nn.Module, loss: Loss, held_out: tuple[Tensor, Tensor], seed: int) -> float:
    """The loss over the validation images; a loss that draws noise draws the same in every epoch."""
    images, labels = held_out
    with preflight.own_noise(images.device):
        torch.manual_seed(seed)
        losses = [loss(model, x, y) for x, y in zip(images.split(1000), labels.split(1000))]
    return _mean(losses, len(images), 1000)


class _Progress:
    """A text bar with loss and images per second; silent in scripts, under tests and with COURSE_PROGRESS=0."""

    def __init__(self, wanted: bool | None, epochs: int, n: int):
        seen = "ipykernel" in sys.modules or sys.stderr.isatty()
        quiet = os.environ.get("COURSE_PROGRESS") == "0" or "PYTEST_CURRENT_TEST" in os.environ
        self.n, self.epochs = n, epochs
        self.bar = tqdm(total=epochs * n, unit=" images", unit_scale=True, disable=not (seen and not quiet if wanted is None else wanted))

    def skip(self, epochs: int) -> None:
        """Epochs that a checkpoint holds are done, but took no time now."""
        self.bar.n = self.bar.initial = epochs * self.n

    def show(self, epoch: int, images: int, loss: float, validation: Sequence[float] = ()) -> None:
        self.bar.set_description(f"epoch {epoch}/{self.epochs}", refresh=False)
        self.bar.set_postfix_str(f"loss {loss:.4g}" + (f", validation {validation[-1]:.4g}" if validation else ""), refresh=False)
        self.bar.update((epoch - 1) * self.n + min(images, self.n) - self.bar.n)

    def close(self) -> None:
        self.bar.close()
