"""One training loop for every lesson: ``fit(model, data, loss, epochs=…)``.

What is learned is said by the loss, a plain function ``loss(model, images, labels)`` that returns one number (a scalar
tensor): reconstruction, denoising and classification are three short functions here, and not three loops.
"""

from __future__ import annotations

import hashlib
import math
import os
import re
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from tqdm import tqdm

from course_utils import plots, speed

Loss = Callable[[nn.Module, Tensor, Tensor], Tensor]
LOOK_EVERY = 25  # batches between two looks at the loss: on a GPU each look waits for the device


def reconstruction(model: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    """Mean squared error per pixel between each image and what the model makes of it; the labels are not used."""
    return F.mse_loss(_same_shape(model(images), images), images)


def denoising(corruptor: Callable[[Tensor], Tensor]) -> Loss:
    """A loss: the model sees ``corruptor(images)`` and is compared with the clean images, in validation as well."""

    def loss(model: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
        return F.mse_loss(_same_shape(model(corruptor(images)), images), images)

    loss.__qualname__ = f"denoising({getattr(corruptor, '__qualname__', corruptor)})"
    return loss


def classification(model: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy in nats; the model returns one score (logit) for each class, (N, classes)."""
    return F.cross_entropy(model(images), labels)


def elbo(beta: float = 1.0) -> Loss:
    """Minus the evidence lower bound of a variational autoencoder, in nats for each image: binary cross-entropy *summed* over
    pixels plus ``beta`` times KL(N(mu, sigma^2) || N(0, I)) *summed* over code units; the mean over images comes last.

    Source: Kingma and Welling, *Auto-Encoding Variational Bayes*, 2014, eq. 10; beta: Higgins et al., *beta-VAE*, 2017.
    """

    def loss(model: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
        mu, log_var = model[0].moments(images)
        reconstructed = model[1](mu + (log_var / 2).exp() * torch.randn_like(mu))
        distortion = F.binary_cross_entropy(_same_shape(reconstructed, images), images, reduction="sum")
        kl = (mu**2 + log_var.exp() - 1 - log_var).sum() / 2
        return (distortion + beta * kl) / len(images)

    loss.__qualname__ = f"elbo({beta})"
    return loss


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
    of layers that hold nothing else. Ctrl-C stops cleanly and returns what has been learned so far.

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
        checkpoint: a file, written after each epoch. Run the same call again and training goes on where it was, exactly.
        progress: show a bar; by itself only in a terminal or a notebook, and never with COURSE_PROGRESS=0.
        on_epoch: called as ``on_epoch(model, history)`` after each epoch.

    Raises:
        ValueError: a shape, range or setting that cannot work; or a checkpoint of another training.
        FloatingPointError: the loss became NaN or infinite.
    """
    images, labels = _checked("data", data)
    held_out = None if validation is None else _checked("validation", validation)
    _check_settings(model, epochs, batch_size, lr, patience, validation)
    home, device = _device_of(model), _choose_device(device)
    images, labels = images.to(device), labels.to(device)
    torch.manual_seed(seed)
    speed.place(model, optimizer, device)
    optimizer = optimizer or speed.adam(model, lr, device)
    scheduler = schedule(optimizer) if schedule else None
    history, best = History(), {}
    bar = _Progress(progress, epochs, len(images))
    try:
        _try_out(model, loss, images, labels, device)
        for epoch in range(len(history) + 1, epochs + 1):
            with speed.switched_on(device):
                start, losses = time.perf_counter(), []
                _train_mode(model)
                for batch in torch.randperm(len(images)).to(device).split(batch_size):
                    value = loss(model, images[batch], labels[batch])
                    optimizer.zero_grad()
                    value.backward()
                    optimizer.step()
                    losses.append(value.detach())
                    if len(losses) % LOOK_EVERY == 0:
                        bar.show(epoch, len(losses) * batch_size, _finite(losses, epoch, optimizer))
                _finite(losses, epoch, optimizer)
            model.eval()
            history.train_loss.append(_mean(losses, len(images), batch_size))
            history.seconds.append(time.perf_counter() - start)
            history.learning_rate.append(optimizer.param_groups[0]["lr"])
            if held_out is not None:
                history.validation_loss.append(_validation_loss(model, loss, held_out, seed, device))
            if patience and history.best_epoch == epoch:
                best = {name: value.clone() for name, value in model.state_dict().items()}
            if isinstance(scheduler, torch.optim.lr_scheduler.ReduceLROnPlateau):
                scheduler.step((history.validation_loss or history.train_loss)[-1])
            elif scheduler:
                scheduler.step()
            bar.show(epoch, len(images), history.train_loss[-1], history.validation_loss)
            if on_epoch:
                on_epoch(model, history)
            if patience and epoch - history.best_epoch >= patience:
                history.stopped = "early"
                break
    except KeyboardInterrupt:
        history.stopped = "interrupted"
        print(f"Stopped by you in epoch {len(history) + 1} of {epochs}; the model keeps what it has learned so far.")
    finally:
        bar.close()
        if best:
            model.load_state_dict(best)
        speed.place(model, optimizer, home)
        model.eval()
    return history


def _checked(name: str, data) -> tuple[Tensor, Tensor]:
    """(images, labels) of an ImageSet, a pair or a tensor, or a ValueError in plain words."""
    images, labels = (data.images, data.labels) if hasattr(data, "images") else data if isinstance(data, (tuple, list)) else (data, None)
    if not isinstance(images, Tensor) or not images.is_floating_point():
        kind = f"{images.dtype} tensor" if isinstance(images, Tensor) else type(images).__name__
        raise ValueError(f"{name}: images must be a float32 tensor, pixels in [0, 1], got a {kind}; load_images returns such")
    if not len(images):
        raise ValueError(f"{name}: there is no image in it")
    labels = torch.zeros(len(images), dtype=torch.long) if labels is None else torch.as_tensor(labels)
    if len(labels) != len(images):
        raise ValueError(f"{name}: {len(images)} images but {len(labels)} labels")
    low, high = (float(bound) for bound in torch.aminmax(images))
    if not math.isfinite(low + high):
        raise ValueError(f"{name}: the images hold NaN or infinite values")
    if images.dim() == 4 and images.shape[1] in (1, 3) and (low < 0 or high > 1):
        raise ValueError(f"{name}: pixels must lie in [0, 1], found {low:g} to {high:g}; divide by 255, or normalise inside the model")
    return images, labels


def _check_settings(model, epochs, batch_size, lr, patience, validation) -> None:
    for name, number in {"epochs": epochs, "batch_size": batch_size, "patience": 1 if patience is None else patience}.items():
        if isinstance(number, bool) or not isinstance(number, int) or number < 1:
            raise ValueError(f"{name} must be a positive integer, got {number!r}")
    if not lr > 0:
        raise ValueError(f"lr, the learning rate, must be a positive number, got {lr!r}")
    if patience and validation is None:
        raise ValueError("patience watches the validation loss: pass validation=… as well")
    if not any(p.requires_grad for p in model.parameters()):
        raise ValueError("the model has no parameter that may learn: all are frozen (requires_grad=False)")


def _try_out(model: nn.Module, loss: Loss, images: Tensor, labels: Tensor, device: torch.device) -> None:
    """The loss of two images, those with the smallest and the largest label, so that mistakes show before the first step."""
    two = torch.stack([labels.argmin(), labels.argmax()]) if labels.dim() == 1 else torch.arange(2, device=device) % len(labels)
    model.eval()
    with torch.no_grad(), torch.random.fork_rng([device] if device.type == "cuda" else []):
        try:
            value = loss(model, images[two], labels[two])
        except (RuntimeError, IndexError, TypeError, ValueError) as error:
            raise ValueError(f"the loss cannot be computed on images of shape {tuple(images[two].shape)} and labels "
                             f"{labels[two].tolist()}: {error}") from error
    if not isinstance(value, Tensor) or value.dim() or not value.is_floating_point():
        raise ValueError(f"loss(model, images, labels) must return one number, a scalar tensor, got {value!r:.60}")


def _same_shape(output: Tensor, images: Tensor) -> Tensor:
    if output.shape != images.shape:
        raise ValueError(f"the model returns shape {tuple(output.shape)}, the images have {tuple(images.shape)}; they must agree")
    return output


def _device_of(model: nn.Module) -> torch.device:
    return next(model.parameters()).device


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
    values = torch.stack(list(losses)).double().cpu()
    sizes = torch.full_like(values, batch_size)
    sizes[-1] = n - batch_size * (len(values) - 1)
    return float((values * sizes).sum() / n)


def _finite(losses: Sequence[Tensor], epoch: int, optimizer: torch.optim.Optimizer) -> float:
    """The mean of the latest losses, or a FloatingPointError that names the first batch where it went wrong."""
    recent = torch.stack(losses[-LOOK_EVERY:])
    mean = float(recent.mean())
    if not math.isfinite(mean):
        batch = len(losses) - len(recent) + int((~recent.isfinite()).nonzero()[0]) + 1
        raise FloatingPointError(f"the loss became {float(recent[batch - len(losses) - 1]):g} in epoch {epoch}, batch {batch}, at learning "
                                 f"rate {optimizer.param_groups[0]['lr']:g}; try a smaller learning rate")
    return mean


@torch.no_grad()
def _validation_loss(model: nn.Module, loss: Loss, held_out: tuple[Tensor, Tensor], seed: int, device: torch.device) -> float:
    """The loss over the validation images; a loss that draws noise draws the same in every epoch."""
    images, labels = held_out
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        losses = [loss(model, x.to(device), y.to(device)) for x, y in zip(images.split(1000), labels.split(1000))]
    return _mean(losses, len(images), 1000)


class _Progress:
    """A text bar with loss and images per second; silent in scripts, under tests and with COURSE_PROGRESS=0."""

    def __init__(self, wanted: bool | None, epochs: int, n: int):
        seen = "ipykernel" in sys.modules or sys.stderr.isatty()
        quiet = os.environ.get("COURSE_PROGRESS") == "0" or "PYTEST_CURRENT_TEST" in os.environ
        self.n, self.epochs = n, epochs
        self.bar = tqdm(total=epochs * n, unit=" images", unit_scale=True, disable=not (seen and not quiet if wanted is None else wanted))

    def show(self, epoch: int, images: int, loss: float, validation: Sequence[float] = ()) -> None:
        self.bar.set_description(f"epoch {epoch}/{self.epochs}", refresh=False)
        self.bar.set_postfix_str(f"loss {loss:.4g}" + (f", validation {validation[-1]:.4g}" if validation else ""), refresh=False)
        self.bar.update((epoch - 1) * self.n + min(images, self.n) - self.bar.n)

    def close(self) -> None:
        self.bar.close()
