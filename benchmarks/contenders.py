"""One process for one way of training: `python -m benchmarks.contenders NAME`.

It waits for a line of JSON on its standard input, trains, and answers with a line. A request names
a model, how many images and epochs, and a seed. The answer holds the seconds that the epochs took
(start-up does not count, for anyone; compiling falls into the first request for a model), the share
of the time that it waited for a processor, and the test error where it was asked for.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from pathlib import Path
from unittest import mock

BATCH, LR = 128, 1e-3
MODELS = {
    "dense 784-10-784": 10,
    "dense 784-940-784": 940,
    "convolutional": None,
}  # name -> latent dimension


def images(split: str):
    """The pictures (N, 1, 28, 28) of a split as course_utils gives them, read once."""
    if split not in images.kept:
        from course_utils.data import load_images

        images.kept[split] = load_images("FashionMNIST", split).images
    return images.kept[split]


images.kept = {}


class Torch:
    """A contender that trains the course's own model; `epoch` is what differs."""

    def prepare(self, model: str, n: int, seed: int) -> None:
        import torch

        from course_utils import models

        torch.manual_seed(seed)
        self.model = (
            models.dense_autoencoder(MODELS[model]) if MODELS[model] else models.conv_autoencoder()
        )
        self.n, self.seed = n, seed

    def train(self, epochs: int) -> float:
        import torch

        torch.manual_seed(self.seed)
        optimizer = torch.optim.Adam(self.model.parameters(), lr=LR)
        start = time.perf_counter()
        for _ in range(epochs):
            for x in self.batches():
                loss = torch.nn.functional.mse_loss(self.model(x), x)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
        return time.perf_counter() - start

    def error(self) -> float:
        from course_utils import metrics

        return metrics.reconstruction_error(self.model, images("test"))


class Plain(Torch):
    """The loop as lesson 01 writes it: float32, Adam as it comes, batches by index, no switch."""

    def batches(self):
        import torch

        pictures = images("train")[: self.n]
        return (pictures[chosen] for chosen in torch.randperm(self.n).split(BATCH))


class Loader(Torch):
    """The loop of most tutorials: torchvision's data set with ToTensor and a DataLoader."""

    def batches(self):
        return (x for x, _ in self.data)

    def prepare(self, model: str, n: int, seed: int) -> None:
        super().prepare(model, n, seed)
        self.data = self.loader()

    def loader(self):
        import torch
        from torch.utils.data import DataLoader

        return DataLoader(
            Pictures(self.n),
            batch_size=BATCH,
            shuffle=True,
            generator=torch.Generator().manual_seed(self.seed),
        )


class Pictures:
    """What torchvision.datasets.FashionMNIST does for each picture: PIL image, then ToTensor."""

    def __init__(self, n: int):
        from torchvision.transforms import ToTensor

        self.bytes, self.transform = (
            (images("train")[:n, 0] * 255).round().byte().numpy(),
            ToTensor(),
        )

    def __len__(self) -> int:
        return len(self.bytes)

    def __getitem__(self, i: int):
        from PIL import Image

        return self.transform(Image.fromarray(self.bytes[i])), 0


class Lightning(Loader):
    """Lightning's Trainer over the same DataLoader, logger, checkpoints and bar switched off."""

    def train(self, epochs: int) -> float:
        import lightning
        import torch

        class Module(lightning.LightningModule):
            def __init__(self, model):
                super().__init__()
                self.model, self.seconds = model, 0.0

            def training_step(self, batch, _):
                return torch.nn.functional.mse_loss(self.model(batch[0]), batch[0])

            def configure_optimizers(self):
                return torch.optim.Adam(self.parameters(), lr=LR)

            def on_train_epoch_start(self):
                self.start = time.perf_counter()

            def on_train_epoch_end(self):
                self.seconds += time.perf_counter() - self.start

        module = Module(self.model)
        lightning.Trainer(
            max_epochs=epochs,
            accelerator="cpu",
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        ).fit(module, self.data)
        return module.seconds


class Fit(Torch):
    """The course's `fit`."""

    without = contextlib.nullcontext

    def train(self, epochs: int) -> float:
        from course_utils import training

        with self.without():
            return sum(
                training.fit(
                    self.model,
                    images("train")[: self.n],
                    epochs=epochs,
                    batch_size=BATCH,
                    lr=LR,
                    seed=self.seed,
                ).seconds
            )


class Limit(Torch):
    """The bare step on one fixed batch with the switches of `fit`: no data are handled.

    It takes one thread or all of them, whichever is faster.
    """

    def train(self, epochs: int) -> float:
        import torch

        from course_utils.engine import speed

        x, device, most = images("train")[:BATCH].clone(), torch.device("cpu"), os.cpu_count() or 1
        optimizer, steps = speed.adam(self.model, LR), -(-self.n // BATCH)
        with speed.switched_on(device):
            trials = {number: self.steps(x, optimizer, 20, number) for number in (most, 1)}
            return self.steps(x, optimizer, epochs * steps, min(trials, key=trials.__getitem__))

    def steps(self, x, optimizer, steps: int, threads: int) -> float:
        import torch

        from course_utils import losses

        torch.set_num_threads(threads)
        start = time.perf_counter()
        for _ in range(steps):
            value = losses.reconstruction(self.model, x, None)
            optimizer.zero_grad()
            value.backward()
            optimizer.step()
        return time.perf_counter() - start


class Keras:
    """Keras on the backend that KERAS_BACKEND names, trained by its own `fit` in memory."""

    def prepare(self, model: str, n: int, seed: int) -> None:
        import keras
        from keras import layers

        keras.utils.set_random_seed(seed)
        self.x, self.seconds = images("train")[:n].permute(0, 2, 3, 1).contiguous().numpy(), 0.0
        if MODELS[model]:
            body = [
                layers.Flatten(),
                layers.Dense(MODELS[model], "relu"),
                layers.Dense(784, "sigmoid"),
                layers.Reshape((28, 28, 1)),
            ]
        else:
            body = [
                layer
                for filters in (16, 32, 64)
                for layer in (
                    layers.Conv2D(filters, 3, padding="same", activation="relu"),
                    layers.MaxPooling2D(2),
                )
            ]
            body += [
                layers.Conv2DTranspose(filters, size, 2, activation="relu")
                for filters, size in ((32, 3), (16, 2), (1, 2))
            ]
        self.model = keras.Sequential([keras.Input((28, 28, 1)), *body])
        self.model.compile(keras.optimizers.Adam(LR), "mse")

    def train(self, epochs: int) -> float:
        import keras

        times = []
        clock = keras.callbacks.LambdaCallback(
            on_epoch_begin=lambda *_: times.append(-time.perf_counter()),
            on_epoch_end=lambda *_: times.append(time.perf_counter()),
        )
        self.model.fit(
            self.x,
            self.x,
            batch_size=BATCH,
            epochs=epochs,
            shuffle=True,
            verbose=0,
            callbacks=[clock],
        )
        return sum(times)

    def error(self) -> float:
        x = images("test").permute(0, 2, 3, 1).numpy()
        return float(
            ((self.model.predict(x, batch_size=1000, verbose=0).astype("float64") - x) ** 2).mean()
        )


def without(target: str, value):
    """`fit` with one switch taken out, to measure what it brings."""
    return type("FitWithout", (Fit,), {"without": lambda self: mock.patch(target, value)})


def plain_adam(model, lr):
    import torch

    return torch.optim.Adam(model.parameters(), lr=lr)


CONTENDERS = {
    "fit": Fit,
    "limit": Limit,
    "plain loop": Plain,
    "PyTorch, DataLoader": Loader,
    "Lightning": Lightning,
    "Keras on JAX": Keras,
    "Keras on torch": Keras,
    "without bf16": without("course_utils.engine.speed.has_bf16", lambda: False),
    "without fused Adam": without("course_utils.engine.speed.adam", plain_adam),
}


def waited() -> float:
    """Seconds that this process was ready to run while another had the processor.

    0 if the system does not say.
    """
    return (
        sum(
            int(task.read_text().split()[1]) for task in Path("/proc/self/task").glob("*/schedstat")
        )
        / 1e9
    )


def serve(name: str) -> None:
    """Answer requests until the input ends."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever a framework prints goes to the errors
    contender, prepared = CONTENDERS[name](), None
    for line in sys.stdin:
        request = json.loads(line)
        wanted = (request["model"], request["images"], request["seed"])
        if wanted != prepared or request["error"]:
            contender.prepare(*wanted)
            prepared = wanted
        start, before = time.perf_counter(), waited()
        seconds = contender.train(request["epochs"])
        answer = {
            "seconds": seconds,
            "waited": max(0.0, waited() - before) / (time.perf_counter() - start),
        }
        if request["error"]:
            answer["error"] = contender.error()
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    serve(sys.argv[1])
