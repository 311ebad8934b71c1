"""Everything around the loop of ``fit``, from the first look at the data to the way out.

Devices, optimiser, schedule, checkpoint, progress, Ctrl-C and losses that are no numbers.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from course_utils.engine import checkpoint as disk
from course_utils.engine import preflight, speed
from course_utils.engine.progress import Progress
from course_utils.engine.threads import Threads
from course_utils.losses import Loss

LOOK_EVERY = 25  # batches between two looks at the loss: on a GPU each look waits for the device


class Session:
    """One call of ``fit``; the arguments are explained there.

    Made, it has looked for mistakes; entered, all is in its place.

    Left, even by an error or by Ctrl-C, model and optimiser are back on the device that they came
    from, in eval mode.
    """

    def __init__(
        self,
        model: nn.Module,
        loss: Loss,
        history: Any,
        data: Any,
        validation: Any,
        *,
        epochs: int,
        batch_size: int,
        lr: float,
        optimizer: torch.optim.Optimizer | None,
        schedule: Any,
        seed: int,
        device: Any,
        checkpoint: str | Path | None,
        progress: bool | None,
        on_epoch: Any,
    ):
        preflight.check_settings(model, loss, optimizer, schedule, epochs, batch_size, lr, seed)
        preflight.check_function(on_epoch)
        preflight.need_labels(loss, data=data, validation=validation)
        self.model, self.loss, self.history, self.seed = model, loss, history, int(seed)
        self.epochs, self.batch_size, lr = int(epochs), int(batch_size), float(lr)
        weights = next(model.parameters())
        self.home, self.device = weights.device, speed.choose_device(device)
        self.images, self.labels = preflight.pair("data", data, weights.dtype)
        self.held_out = None
        if validation is not None:
            self.held_out = preflight.pair("validation", validation, weights.dtype)
        self.threads: Threads | None = None
        self.settings: dict[str, Any] = {}
        self.given, self.lr, self.schedule = optimizer, lr, schedule
        self.checkpoint = Path(checkpoint).expanduser() if checkpoint else None
        self.bar = Progress(progress, epochs, len(self.images))

    def __enter__(self) -> Session:
        try:
            self._begin()
        except BaseException:
            self._put_back()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: object) -> bool:
        self._put_back()
        if kind is not KeyboardInterrupt:
            return False
        self.history.stopped = "interrupted"
        print(
            f"Stopped by you after {len(self.history)} of {self.epochs} epochs; "
            "the model keeps what it has learned."
        )
        return True

    def _begin(self) -> None:
        sets = {"data": (self.images, self.labels)}
        if self.held_out:
            sets["validation"] = self.held_out
        # First on the CPU, where a label out of range is an error that can be told; on a GPU it
        # would end the process.
        on_cpu = self.model if self.home.type == "cpu" else copy.deepcopy(self.model).cpu()
        for name, (images, labels) in sets.items():
            preflight.try_out(name, on_cpu, self.loss, images, labels, torch.device("cpu"))
        preflight.try_last_batch(on_cpu, self.loss, self.images, self.labels, self.batch_size)
        if self.checkpoint:
            self.settings = disk.settings(
                self.checkpoint,
                self.model,
                self.given,
                self.schedule,
                self.loss,
                (self.images, self.labels),
                self.held_out,
                batch_size=self.batch_size,
                seed=self.seed,
                lr=None if self.given else self.lr,
                epochs=self.epochs if self.schedule else None,
            )
        speed.place(self.model, self.given, self.device)
        self.images, self.labels = self.images.to(self.device), self.labels.to(self.device)
        if self.held_out:
            self.held_out = self.held_out[0].to(self.device), self.held_out[1].to(self.device)
        if self.device.type != "cpu":
            data = self.images, self.labels
            preflight.try_out("data", self.model, self.loss, *data, self.device)
        torch.manual_seed(self.seed)
        self.optimizer = self.given or speed.adam(self.model, self.lr)
        self.scheduler = preflight.scheduler(self.schedule, self.optimizer)
        if self.checkpoint:
            state = self.model, self.optimizer, self.scheduler, self.history
            if not disk.resume(self.checkpoint, self.settings, self.epochs, *state):
                self.checkpoint = None
            self.bar.skip(len(self.history))

    def _put_back(self) -> None:
        self.bar.close()
        self.model.zero_grad()  # no gradients of the last batch are left behind
        speed.place(self.model, self.given, self.home)
        self.model.eval()
        if self.checkpoint and self.settings:
            disk.left(self.checkpoint, self.settings, self.model, self.given)

    @contextmanager
    def training(self, epoch: int) -> Iterator[Epoch]:
        """Training mode, the machine's switches and the clock, while the ``with`` block lasts."""
        train_mode(self.model)
        threads = self.threads = self.threads or Threads(self.model, self._one_loss, self.device)
        this = Epoch(self, epoch, threads)
        with speed.switched_on(self.device), threads.taken():
            yield this
        this.look()
        this.seconds = time.perf_counter() - this.start
        self.model.eval()

    def _one_loss(self) -> Tensor:
        size = self.batch_size
        return self.loss(self.model, self.images[:size], self.labels[:size])

    @torch.no_grad()
    def validation_loss(self) -> float | None:
        """The loss over the validation images in eval mode.

        A loss that draws noise draws the same in every epoch.
        """
        if not self.held_out:
            return None
        images, labels = self.held_out
        with preflight.own_noise(self.device):
            torch.manual_seed(self.seed)
            losses = [
                self.loss(self.model, x, y) for x, y in zip(images.split(1000), labels.split(1000))
            ]
        return mean(losses, len(images), 1000)

    def after(self, epoch: int) -> None:
        """What follows an epoch: the schedule's step, the checkpoint, the bar."""
        history = self.history
        if isinstance(self.scheduler, torch.optim.lr_scheduler.ReduceLROnPlateau):
            self.scheduler.step((history.validation_loss or history.train_loss)[-1])
        elif self.scheduler:
            self.scheduler.step()
        if self.checkpoint:
            disk.write(
                self.checkpoint, self.settings, self.model, self.optimizer, self.scheduler, history
            )
        self.bar.show(epoch, len(self.images), history.train_loss[-1], history.validation_loss)


class Epoch:
    """The losses of one pass over the images; one that is not finite ends the training."""

    def __init__(self, session: Session, number: int, threads: Threads):
        self.session, self.number, self.losses = session, number, list[Tensor]()
        self.threads = threads
        self.learning_rate = session.optimizer.param_groups[0]["lr"]
        self.start, self.seconds = time.perf_counter(), 0.0

    def add(self, loss: Tensor) -> None:
        """The loss of one more batch."""
        self.losses.append(loss.detach())
        self.threads.after_step()
        if len(self.losses) % LOOK_EVERY == 0:
            recent = self.look()
            self.session.bar.show(self.number, len(self.losses) * self.session.batch_size, recent)

    def look(self) -> float:
        """The mean of the latest losses.

        Raises FloatingPointError, which names the first batch where it went wrong.
        """
        values = torch.stack(self.losses[-LOOK_EVERY:]).tolist()
        bad = next((i for i, value in enumerate(values) if not math.isfinite(value)), None)
        if bad is not None:
            batch = len(self.losses) - len(values) + bad + 1
            raise FloatingPointError(
                f"the loss became {values[bad]:g} in epoch {self.number}, batch {batch}, "
                f"at learning rate {self.learning_rate:g}; "
                "build the model anew and try a smaller rate"
            )
        return sum(values) / len(values)

    def mean(self) -> float:
        """The mean over all images."""
        return mean(self.losses, len(self.session.images), self.session.batch_size)


def train_mode(model: nn.Module) -> None:
    """Training mode, but for layers whose parameters are all frozen.

    Those of a batch norm keep its running statistics, too.
    """
    model.train()
    for layer in model.modules():
        parameters = list(layer.parameters())
        if parameters and not any(p.requires_grad for p in parameters):
            layer.eval()


def mean(losses: list[Tensor], n: int, batch_size: int) -> float:
    """The mean over n images of the means over batches, of which the last may be smaller."""
    values = torch.stack(losses).cpu().double()
    sizes = torch.full_like(values, batch_size)
    sizes[-1] = n - batch_size * (len(values) - 1)
    return float((values * sizes).sum() / n)
