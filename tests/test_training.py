"""The training loop: what it computes, what it says when something is wrong, what survives."""

import functools
import io
import os
import random
import re
import subprocess
import sys
import textwrap
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from course_utils import corruption, losses, models, pretrained, training
from course_utils.engine import checkpoint, progress, speed
from course_utils.engine.identity import describe

generator = torch.Generator().manual_seed(0)
IMAGES = (torch.rand(300, 1, 28, 28, generator=generator) ** 4 * 255).round() / 255
LABELS = torch.randint(10, (300,), generator=generator)


@pytest.fixture(autouse=True)
def one_thread():
    """Exact equality is promised on one thread."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def fresh(build=lambda: models.dense_autoencoder(10)):
    torch.manual_seed(0)
    return build()


def same(a: nn.Module, b: nn.Module) -> bool:
    return all(
        torch.equal(x, y)
        for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True)
    )


def plain_loop(model, epochs, batch_size=128, lr=1e-3, seed=0):
    """What `fit` does, without any switch, schedule or safety."""
    torch.manual_seed(seed)
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)
    losses = []
    for _ in range(epochs):
        total = 0.0
        for batch in torch.randperm(len(IMAGES)).split(batch_size):
            loss = F.mse_loss(model(IMAGES[batch]), IMAGES[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += float(loss.detach()) * len(batch)
        losses.append(total / len(IMAGES))
    return losses


@pytest.mark.parametrize("build", [lambda: models.dense_autoencoder(10), models.conv_autoencoder])
def test_same_as_the_plain_loop(build):
    history = training.fit(fresh(build), IMAGES, epochs=5)
    assert history.train_loss == pytest.approx(plain_loop(fresh(build), 5), rel=2e-3)
    assert history.train_loss[-1] < history.train_loss[0]


def test_reproducible_and_seeded():
    runs = {}
    for name, seed in [("a", 0), ("b", 0), ("c", 1)]:
        runs[name] = fresh()
        training.fit(
            runs[name], IMAGES, losses.denoising(corruption.Dropout(0.5)), epochs=2, seed=seed
        )
    assert same(runs["a"], runs["b"]) and not same(runs["a"], runs["c"])


def test_validation_and_on_epoch_leave_the_training_as_it_is():
    loss = losses.denoising(corruption.Masking(0.5))
    a, b = fresh(), fresh()
    training.fit(a, IMAGES, loss, epochs=2)
    history = training.fit(
        b,
        IMAGES,
        loss,
        epochs=2,
        validation=IMAGES[:50],
        on_epoch=lambda model, history: torch.rand(7),
    )
    assert same(a, b) and len(history.validation_loss) == 2


def test_validation_is_in_eval_mode_with_the_same_noise():
    modes = []

    def loss(model, images, labels):
        modes.append(model.training)
        return F.mse_loss(model(images + torch.rand(len(images), 1, 1, 1)), images)

    model = fresh()
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-30)
    history = training.fit(
        model, IMAGES, loss, epochs=2, validation=IMAGES[:50], optimizer=optimizer
    )
    assert history.validation_loss[0] == history.validation_loss[1]
    assert modes == [False, False] + [True, True, True, False] * 2  # both sets are tried out first


def test_twice_trains_on():
    model = fresh()
    first = training.fit(model, IMAGES, epochs=3)
    second = training.fit(model, IMAGES, epochs=3)
    assert second.train_loss[0] < first.train_loss[-1] and not model.training


def test_own_optimizer_goes_on_over_two_calls():
    build = models.conv_autoencoder
    whole, halves = fresh(build), fresh(build)
    for model, parts in ((whole, [4]), (halves, [2, 2])):
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
        for epochs in parts:
            training.fit(model, IMAGES, epochs=epochs, batch_size=300, optimizer=optimizer)
    assert all(
        torch.allclose(a, b, atol=1e-6) for a, b in zip(whole.parameters(), halves.parameters())
    )
    assert all(p.is_contiguous() for p in halves.parameters())
    assert all(
        value.is_contiguous() for state in optimizer.state.values() for value in state.values()
    )


def test_frozen_parameters_and_statistics_stay():
    body = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.5), nn.Flatten())
    before = {name: value.clone() for name, value in body.state_dict().items()}
    classifier = nn.Sequential(body.requires_grad_(False), nn.Linear(4 * 26 * 26, 10))
    head = classifier[1].weight.clone()
    history = training.fit(
        classifier,
        (IMAGES, LABELS),
        losses.classification,
        epochs=2,
        validation=(IMAGES[:20], LABELS[:20]),
    )
    assert all(torch.equal(before[name], value) for name, value in body.state_dict().items())
    assert not torch.equal(head, classifier[1].weight) and len(history) == 2


def test_image_sets_features_and_losses_of_ones_own():
    data = SimpleNamespace(images=IMAGES, labels=LABELS)
    head = fresh(lambda: nn.Linear(784, 10))
    assert (
        training.fit(
            head, (IMAGES.flatten(1) * 5 - 1, LABELS), losses.classification, epochs=1
        ).train_loss[0]
        > 0
    )
    assert (
        training.fit(
            fresh(),
            data,
            lambda model, images, labels: (model(images) - images).abs().mean(),
            epochs=1,
        ).train_loss[0]
        > 0
    )


def test_schedules():
    history = training.fit(
        fresh(),
        IMAGES,
        epochs=4,
        lr=0.01,
        schedule=lambda o: torch.optim.lr_scheduler.StepLR(o, 2, gamma=0.1),
    )
    assert history.learning_rate == pytest.approx([0.01, 0.01, 0.001, 0.001])
    still = fresh()
    history = training.fit(
        still,
        IMAGES,
        epochs=5,
        optimizer=torch.optim.SGD(still.parameters(), lr=1e-6),
        validation=IMAGES,
        schedule=lambda o: torch.optim.lr_scheduler.ReduceLROnPlateau(o, patience=0, factor=0.5),
    )
    assert history.learning_rate[0] == 1e-6 and history.learning_rate[-1] < 1e-6


def test_history_as_table_and_figure():
    history = training.fit(fresh(), IMAGES, epochs=2, validation=IMAGES)
    assert list(history.table().columns) == [
        "epoch",
        "train_loss",
        "validation_loss",
        "seconds",
        "learning_rate",
    ]
    assert "validation_loss" not in training.fit(fresh(), IMAGES, epochs=1).table()
    assert history.plot("Title", "Caption").get_suptitle() == "Title"


def test_switches_are_put_back():
    torch.set_float32_matmul_precision("high")
    try:
        with speed.switched_on(torch.device("cpu")):
            assert torch.get_float32_matmul_precision() == (
                "medium" if speed.has_bf16() else "high"
            )
        assert torch.get_float32_matmul_precision() == "high"
    finally:
        torch.set_float32_matmul_precision("highest")


BUILDS = {
    "dense": lambda: models.dense_autoencoder(10),
    "conv": models.conv_autoencoder,
    "resnet": lambda: models.resnet_autoencoder(4),
}


# --- what goes wrong, in words


@pytest.mark.parametrize(
    ("data", "arguments", "words"),
    [
        (IMAGES * 255, {}, r"pixels must lie in \[0, 1\], found 0 to 255"),
        ((IMAGES * 255).byte(), {}, "float32 tensor.* got a torch.uint8 tensor"),
        (IMAGES.numpy(), {}, "got a ndarray"),
        (IMAGES[:0], {}, "no image"),
        (IMAGES / 0, {}, "NaN or infinite"),
        ((IMAGES, LABELS[:7]), {}, "300 images but 7 labels"),
        (IMAGES[..., :20], {}, r"images of shape \(2, 1, 28, 20\)"),
        (IMAGES, {"validation": IMAGES * 2}, "validation: pixels"),
        (IMAGES, {"validation": IMAGES[..., :20]}, r"validation: .*\(2, 1, 28, 20\)"),
        (IMAGES, {"epochs": 0}, "epochs must be a positive integer, got 0"),
        (IMAGES, {"batch_size": 12.5}, "batch_size must be a positive integer, got 12.5"),
        (IMAGES, {"lr": -1}, "learning rate, must be a positive number, got -1"),
        (IMAGES, {"loss": lambda model, images, labels: model(images)}, "must return one number"),
        (
            (IMAGES, LABELS),
            {
                "loss": lambda model, images, labels: F.cross_entropy(
                    model[0](images)[:, :9], labels
                )
            },
            "9",
        ),
    ],
)
def test_mistakes_are_said_before_the_first_step(data, arguments, words):
    model = fresh()
    with pytest.raises(ValueError, match=words):
        training.fit(model, data, **{"epochs": 1} | arguments)
    assert same(model, fresh())


class Two(nn.Module):
    """A model that returns what no loss of the course takes."""

    def __init__(self, kind):
        super().__init__()
        self.kind, self.inner = kind, models.dense_autoencoder(2)

    def forward(self, images):
        output = self.inner(images)
        return {"image": output} if self.kind is dict else (output, output)


def detached(model, images, labels):
    return F.mse_loss(model(images).detach(), images)


def step_of(model, images, labels):
    return F.cross_entropy(model(images).flatten(1)[:, :10], labels)


NORMED = lambda: nn.Sequential(
    nn.Flatten(), nn.Linear(784, 784), nn.BatchNorm1d(784), nn.Unflatten(1, (1, 28, 28))
)


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"data": [IMAGES] * 3}, "got a list of 3; torch.stack"),
        ({"data": (IMAGES, LABELS, LABELS)}, "got a tuple of 3"),
        ({"data": [IMAGES[0], IMAGES[1]]}, "got a list of 2; torch.stack"),
        ({"data": {"images": IMAGES}}, "got a dict"),
        ({"loss": nn.MSELoss()}, r"a function loss\(model, images, labels\).* got a MSELoss"),
        ({"loss": F.mse_loss}, r"a function loss\(model, images, labels\).* got a function"),
        ({"loss": "mse"}, "got 'mse'"),
        ({"device": "gpu"}, "device must be .* got 'gpu'"),
        ({"data": IMAGES.double()}, r"float64 and the model's weights .*say images\.float\(\)"),
        ({"data": IMAGES[0]}, r"single image; images\.unsqueeze\(0\)"),
        ({"data": (IMAGES, LABELS.int()), "loss": step_of}, r"int32: say labels\.long\(\)"),
        ({"data": (IMAGES, ["a"] * 300)}, "labels must be a tensor of whole numbers, got a list"),
        ({"build": lambda: Two(tuple)}, "the model returns a tuple, and this loss needs one"),
        ({"build": lambda: Two(dict)}, "the model returns a dict, and this loss needs one"),
        ({"loss": detached}, r"nothing can be learned: is there a \.detach"),
        ({"optimizer": torch.optim.SGD(fresh().parameters(), 0.1)}, "make the optimizer anew"),
        ({"optimizer": torch.optim.SGD}, "got the class SGD"),
        ({"optimizer": "adam"}, "got 'adam'"),
        ({"schedule": "cosine"}, "must be a function that takes the optimizer.* got 'cosine'"),
        ({"schedule": lambda o: None}, "must return a scheduler, got a NoneType"),
        ({"schedule": torch.optim.lr_scheduler.StepLR}, "takes the optimizer alone.*step_size"),
        ({"lr": "1e-3"}, "must be a positive number, got '1e-3'"),
        ({"build": NORMED, "batch_size": 299}, "batch norm needs two: with 300 images choose"),
    ],
)
def test_raw_errors_have_become_words(how, words):
    model = fresh(how.pop("build", BUILDS["dense"]))
    with pytest.raises(ValueError, match=words):
        training.fit(model, how.pop("data", IMAGES), **{"epochs": 1} | how)


def test_an_optimizer_of_a_model_of_which_a_part_was_rebuilt_is_refused():
    """The new part would stay as it is. To train a part alone, freeze the other."""
    model = fresh()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    model[1] = fresh()[1]
    with pytest.raises(ValueError, match="lacks 1.linear.weight, 1.linear.bias .* built before"):
        training.fit(model, IMAGES, epochs=1, optimizer=optimizer)
    only = torch.optim.SGD(model[0].parameters(), 0.1)
    assert len(training.fit(model, IMAGES, epochs=1, optimizer=only)) == 1


def test_a_made_scheduler_is_refused_and_numpys_numbers_are_numbers():
    model = fresh()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    made = torch.optim.lr_scheduler.StepLR(optimizer, 2)
    with pytest.raises(ValueError, match="must be a function .* got a StepLR"):
        training.fit(model, IMAGES, epochs=1, optimizer=optimizer, schedule=made)
    numbers = {"epochs": np.int64(1), "batch_size": np.int32(100), "lr": np.float32(0.01)}
    assert len(training.fit(model, IMAGES, seed=np.int64(3), **numbers)) == 1
    assert corruption.Masking(np.float32(0.5)).p == 0.5
    assert corruption.RandomErasing(np.int64(3))(IMAGES).shape == IMAGES.shape


def test_shapes_that_would_broadcast_and_frozen_models_are_refused():
    with pytest.raises(ValueError, match=r"returns shape \(2, 784\)"):
        training.fit(nn.Sequential(nn.Flatten(), nn.Linear(784, 784)), IMAGES, epochs=1)
    with pytest.raises(ValueError, match="no parameter that may learn"):
        training.fit(fresh().requires_grad_(False), IMAGES, epochs=1)


def test_nan_names_epoch_batch_and_rate():
    calls = []

    def loss(model, images, labels):
        calls.append(1)
        return F.mse_loss(model(images), images) * (
            float("nan") if len(calls) == 1 + 30 + 8 else 1
        )  # one call tries it out

    with pytest.raises(
        FloatingPointError, match="became nan in epoch 2, batch 8, at learning rate 0.002"
    ):
        training.fit(fresh(), IMAGES, loss, epochs=3, batch_size=10, lr=0.002)
    assert torch.get_float32_matmul_precision() == "highest"


def test_ctrl_c_returns_what_was_learned(capsys):
    def interrupt(model, history):
        if len(history) == 2:
            raise KeyboardInterrupt

    model = fresh()
    history = training.fit(model, IMAGES, epochs=5, on_epoch=interrupt)
    assert (len(history), history.stopped, model.training) == (2, "interrupted", False)
    assert "after 2 of 5 epochs" in capsys.readouterr().out
    other = fresh()
    training.fit(other, IMAGES, epochs=2)
    assert same(model, other)


def test_progress_only_when_wanted(capsys, monkeypatch):
    training.fit(fresh(), IMAGES, epochs=2)
    assert capsys.readouterr() == ("", "")
    narrow = functools.partial(progress.tqdm, ncols=80)  # as in a terminal
    monkeypatch.setattr(progress, "tqdm", narrow)
    training.fit(fresh(), IMAGES, epochs=100, progress=True, validation=IMAGES)
    last = capsys.readouterr().err.rstrip().split("\r")[-1]
    form = r"epoch 100/100: .* 00:00 left, .* images/s, loss 0\.\d{4,}, validation 0\.\d{4,}"
    assert re.fullmatch(form, last) and len(last) <= 80, f"cut off: {last}"


# --- nothing is lost

SETTINGS = {
    "epochs": 6,
    "batch_size": 100,
    "validation": IMAGES[:50],
    "loss": losses.denoising(corruption.Dropout(0.5)),
}
MORE = {
    "plain": {},
    "schedule": {"schedule": lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, 6)},
}


@pytest.mark.parametrize("build", BUILDS)
@pytest.mark.parametrize("more", MORE)
def test_resumed_equals_uninterrupted(tmp_path, build, more):
    more = MORE[more]
    path, data = tmp_path / "folder" / "a.ckpt", IMAGES[:100] if build == "resnet" else IMAGES

    def stop(model, history):
        if len(history) in (1, 3):
            raise KeyboardInterrupt

    whole, parts = fresh(BUILDS[build]), None
    expected = training.fit(whole, data, **SETTINGS, **more)
    after = torch.rand(3)
    for on_epoch in (stop, stop, None):
        parts = fresh(BUILDS[build])
        history = training.fit(parts, data, checkpoint=path, on_epoch=on_epoch, **SETTINGS, **more)
        if on_epoch:  # the next call must not stop where it stopped before
            assert history.stopped == "interrupted"
    assert torch.equal(after, torch.rand(3)) and same(whole, parts)
    for name in ("train_loss", "validation_loss", "learning_rate", "stopped"):
        assert getattr(history, name) == getattr(expected, name)
    assert [file.name for file in path.parent.iterdir()] == ["a.ckpt"]


def test_finished_training_only_loads_and_says_so(tmp_path, capsys):
    path, model = tmp_path / "a.ckpt", fresh()
    expected = training.fit(model, IMAGES, checkpoint=path, **SETTINGS)
    again = fresh()
    assert (
        training.fit(
            again, IMAGES, checkpoint=path, on_epoch=lambda *_: pytest.fail("trained"), **SETTINGS
        )
        == expected
    )
    assert same(model, again)
    assert capsys.readouterr().out == f"{path}: all 6 epochs loaded, nothing trained.\n"
    longer, whole = fresh(), fresh()
    training.fit(longer, IMAGES, checkpoint=path, **SETTINGS | {"epochs": 8})
    training.fit(whole, IMAGES, **SETTINGS | {"epochs": 8})
    assert same(longer, whole)


class Edited(models.Encoder):
    """An encoder whose weights are the other's, and whose forward is not."""

    def forward(self, image):
        return super().forward(image) * 2


def edited():
    model = models.dense_autoencoder(10)
    model[0].__class__ = Edited
    return model


def half_blackened():
    images = IMAGES.clone()
    images[1::2] = 0  # every second: a hundred images of 300 would not show it
    images[::3] = IMAGES[::3]
    return images


def constant(factor):
    return lambda o: torch.optim.lr_scheduler.LambdaLR(o, lambda epoch: factor)


def two_groups(model, lr):
    encoder, decoder = model
    groups = [{"params": encoder.parameters()}, {"params": decoder.parameters(), "lr": lr}]
    return torch.optim.SGD(groups, lr=0.1)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"batch_size": 50}, r"batch_size \(100 there, 50 here\)"),
        ({"seed": 1}, r"seed \(0 there, 1 here\)"),
        ({"lr": 0.1}, r"lr \(0.001 there, 0.1 here\)"),
        ({"loss": losses.reconstruction}, "loss"),
        ({"loss": losses.denoising(corruption.Dropout(0.1))}, "loss"),
        ({"loss": losses.denoising(lambda images: images * 0.5)}, "loss"),
        ({"validation": None}, "validation"),
        ({"epochs": 2}, "holds 6 epochs, more than 2"),
        ({"schedule": lambda o: torch.optim.lr_scheduler.StepLR(o, 2)}, "schedule"),
        ({"model": lambda: models.dense_autoencoder(11)}, "model"),
        ({"model": lambda: models.dense_autoencoder(10, activation=nn.Identity())}, "model"),
        ({"model": edited}, "in model; it"),
        ({"first": 1}, "in first weights; it"),
        ({"data": IMAGES[:200]}, "in data; it"),
        ({"data": half_blackened()}, "in data; it"),
        ({"data": (IMAGES, LABELS)}, "in data; it"),
        ({"loss": losses.denoising(x for x in [])}, "loss .it holds a generator, which cannot be"),
    ],
)
def test_another_training_gets_nothing_of_this_one(tmp_path, capsys, changed, words):
    """The old file is kept, a line says what differs, and what comes is a training of its own."""
    path, changed = tmp_path / "a.ckpt", dict(changed)
    training.fit(fresh(), IMAGES, checkpoint=path, **SETTINGS)
    before = path.read_bytes()
    build, data = changed.pop("model", BUILDS["dense"]), changed.pop("data", IMAGES)
    seed = changed.pop("first", 0)
    if "generator" in words:
        changed["loss"] = holding(changed["loss"])
    capsys.readouterr()

    def start():
        torch.manual_seed(seed)
        return build()

    model, alone = start(), start()
    training.fit(model, data, checkpoint=path, **SETTINGS | changed)
    said = capsys.readouterr().out
    assert re.search(f"a.ckpt .*{words}.* kept as a.ckpt.other1, and training starts anew", said)
    assert (tmp_path / "a.ckpt.other1").read_bytes() == before
    training.fit(alone, data, **SETTINGS | changed)
    assert same(model, alone)


def holding(thing):
    """A loss that holds something that nobody can know again."""

    def loss(model, images, labels):
        return losses.reconstruction(model, images, labels) if thing else None

    return loss


CELLS = {
    "helper": ("def half(x):\n    return x * {}", ("0.5", "0.25")),
    "corruptor": ("half = lambda x: x * {}", ("0.5", "0.25")),
    "value": ("level = {}\ndef half(x):\n    return x * level", ("0.5", "0.25")),
    "object": ("from course_utils.corruption import *\nhalf = Masking({})", ("0.5", "0.25")),
    "tensor": ("seen = torch.full((28,), {})\ndef half(x):\n    return x * seen", ("0.5", "0.25")),
    "mended": ("def half(x):\n    return {}", ("x.square()", "x * 0.5")),
}


@pytest.mark.parametrize("kind", CELLS)
def test_what_a_notebooks_loss_calls_belongs_to_it(tmp_path, kind):
    """The cell of the loss stays, the one of what it calls is repaired: trained anew."""
    text, (wrong, right) = CELLS[kind]

    def train(repaired, checkpoint=None):
        names = {"__name__": "__main__", "torch": torch, "F": F}
        loss = (
            "def loss(model, images, labels):\n    return F.mse_loss(model(half(images)), images)"
        )
        exec(text.format(repaired) + "\n" + loss, names)
        model = fresh()
        training.fit(model, IMAGES, names["loss"], epochs=1, checkpoint=checkpoint)
        return model

    first, second = train(wrong, tmp_path / "a.ckpt"), train(right, tmp_path / "a.ckpt")
    assert same(second, train(right)) and not same(first, second)


@pytest.mark.parametrize("part", ["schedule", "groups"])
def test_functions_of_a_schedule_and_settings_of_groups_count(tmp_path, capsys, part):
    for factor in (0.5, 0.1, 0.1):
        model = fresh()
        more = {"schedule": constant(factor), "optimizer": two_groups(model, 0.1)}
        if part == "groups":
            more = {"optimizer": two_groups(model, factor)}
        training.fit(model, IMAGES, epochs=1, checkpoint=tmp_path / "a.ckpt", **more)
    kept, loaded = capsys.readouterr().out.splitlines()
    assert ("optimizer" if part == "groups" else "schedule") in kept
    assert loaded.endswith("a.ckpt: all 1 epochs loaded, nothing trained.")


@pytest.mark.parametrize("own", [False, True])
def test_the_model_in_memory_goes_on_after_ctrl_c(tmp_path, capsys, own):
    """The cell with ``fit`` is run again, that with the model is not."""

    def interrupted(model, images, labels):
        calls.append(1)
        if len(calls) == 1 + 2 * 3 + 2:  # in the third epoch, after a step
            raise KeyboardInterrupt
        return losses.reconstruction(model, images, labels)

    calls, model, whole = Quiet(), fresh(), fresh()
    how = {"epochs": 4, "batch_size": 100, "checkpoint": tmp_path / "a.ckpt"}
    sgd = {"optimizer": torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)} if own else {}
    history = training.fit(model, IMAGES, interrupted, **how, **sgd)
    assert len(history) == 2
    history = training.fit(model, IMAGES, interrupted, **how, **sgd)
    assert len(history) == 4 and len(calls) == 9 + 1 + 6
    sgd = {"optimizer": torch.optim.SGD(whole.parameters(), 0.1, momentum=0.9)} if own else {}
    training.fit(whole, IMAGES, losses.reconstruction, epochs=4, batch_size=100, **sgd)
    assert same(model, whole)
    assert "2 of 4 epochs loaded, training goes on" in capsys.readouterr().out
    training.fit(model, IMAGES, interrupted, **how)  # a checkpoint of the model as it is now?
    assert own == ("other1" in capsys.readouterr().out)


@pytest.mark.parametrize("lost", ["other", "damaged", "missing"])
def test_a_trained_model_whose_file_was_not_loaded_is_not_what_it_was_before(
    tmp_path, capsys, recwarn, lost
):
    """Only the cell with ``fit`` is run again, with another rate or without its file."""
    path, model, alone = tmp_path / "a.ckpt", fresh(), fresh()
    training.fit(model, IMAGES, epochs=5, checkpoint=path)
    more = {"epochs": 3, "lr": 0.01}
    if lost == "missing":
        path.unlink()
    elif lost == "damaged":
        path.write_bytes(b"")
    training.fit(model, IMAGES, checkpoint=path, **more)
    said = capsys.readouterr().out + "".join(str(warning.message) for warning in recwarn)
    assert "anew" not in said
    assert ("the model trains on from its present weights" in said) == (lost != "missing")
    trained = {name: value.clone() for name, value in model.state_dict().items()}
    training.fit(model, IMAGES, checkpoint=path, **more)
    assert "all 3 epochs loaded" in capsys.readouterr().out
    assert all(torch.equal(value, trained[name]) for name, value in model.state_dict().items())
    new = fresh()  # as in tomorrow's process
    training.fit(new, IMAGES, checkpoint=path, **more)
    assert "in first weights; it" in capsys.readouterr().out
    training.fit(alone, IMAGES, **more)
    assert same(new, alone)


class Quiet(list):
    """A list that is no part of what a loss does."""

    def __reduce_ex__(self, protocol):
        return list, ()


def test_a_folder_that_cannot_be_used_warns_and_trains_on(tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    for place in (tmp_path / "file/a.ckpt", "/proc/nowhere/a.ckpt", tmp_path / "folder"):
        with pytest.warns(
            UserWarning, match="cannot be used .*training goes on without it"
        ) as said:
            history = training.fit(fresh(), IMAGES, epochs=2, checkpoint=place)
        assert len(history) == 2 and len(said) == 1


def test_a_file_that_is_no_checkpoint_is_kept(tmp_path, capsys):
    torch.save(fresh().state_dict(), tmp_path / "weights.pt")
    training.fit(fresh(), IMAGES, epochs=1, checkpoint=tmp_path / "weights.pt")
    assert "is no checkpoint of a training; it is kept as weights.pt.other1" in (
        capsys.readouterr().out
    )
    fresh().load_state_dict(torch.load(tmp_path / "weights.pt.other1"))


@pytest.mark.parametrize(
    "damage",
    [lambda b: b[:-100], lambda b: b"", lambda b: b[:5000] + bytes([b[5000] ^ 1]) + b[5001:]],
)
def test_damaged_checkpoint_is_set_aside(tmp_path, damage):
    path = tmp_path / "a.ckpt"
    training.fit(fresh(), IMAGES, checkpoint=path, **SETTINGS)
    damaged = damage(path.read_bytes())
    path.write_bytes(damaged)
    with pytest.warns(UserWarning, match="a.ckpt is damaged; it is kept as a.ckpt.damaged1"):
        history = training.fit(fresh(), IMAGES, checkpoint=path, **SETTINGS)
    assert len(history) == 6 and (tmp_path / "a.ckpt.damaged1").read_bytes() == damaged


def test_full_disk_does_not_stop_the_training(tmp_path, monkeypatch):
    monkeypatch.setattr(
        os, "fsync", lambda _: (_ for _ in ()).throw(OSError(28, "No space left on device"))
    )
    with pytest.warns(UserWarning, match="could not be written .*No space left"):
        history = training.fit(fresh(), IMAGES, epochs=2, checkpoint=tmp_path / "a.ckpt")
    assert len(history) == 2 and not list(tmp_path.iterdir())


def test_checkpoint_opens_with_torch_load(tmp_path):
    model = fresh()
    history = training.fit(model, IMAGES, checkpoint=tmp_path / "a.ckpt", **SETTINGS)
    state = torch.load(tmp_path / "a.ckpt", weights_only=True)
    assert state["history"]["train_loss"] == history.train_loss
    fresh().load_state_dict(state["model"])
    assert all(
        torch.equal(value, state["model"][name]) for name, value in model.state_dict().items()
    )


def test_a_flipped_bit_is_found_or_harmless(tmp_path):
    """Forty random bits, each in a copy: found, or what is read is what was written."""
    path, chance = tmp_path / "a.ckpt", random.Random(0)
    training.fit(fresh(lambda: models.dense_autoencoder(50)), IMAGES, epochs=1, checkpoint=path)
    good, harmless = path.read_bytes(), 0
    for _ in range(40):
        bit = chance.randrange(8 * len(good))
        flipped = bytearray(good)
        flipped[bit // 8] ^= 1 << bit % 8
        if checkpoint._is_whole(bytes(flipped)):
            harmless += 1
            whole, read = (
                torch.load(io.BytesIO(content), weights_only=True)
                for content in (good, bytes(flipped))
            )
            assert describe(read) == describe(whole)
    assert harmless <= 2


def test_checkpoint_runs_no_code(tmp_path):
    """A pickle that would run a command is refused by torch's own loader, and set aside."""

    class Attack:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "attacked"),)

    torch.save({"settings": Attack()}, tmp_path / "a.ckpt")
    training.fit(fresh(), IMAGES, checkpoint=tmp_path / "a.ckpt", epochs=1)
    assert not (tmp_path / "attacked").exists() and (tmp_path / "a.ckpt.other1").exists()


def test_kill_9_at_twenty_random_moments(tmp_path):
    """Each child is killed at a random moment; the next goes on.

    One parent that forks spares each child torch's import.
    """
    parent = textwrap.dedent("""
        import os, random, signal, sys, time, torch
        from course_utils import models, training
        torch.set_num_threads(1)
        path = sys.argv[1]
        images = torch.rand(500, 1, 28, 28, generator=torch.Generator().manual_seed(0))

        def train(epochs, checkpoint):
            torch.manual_seed(0)
            model = models.dense_autoencoder(50)
            say = lambda model, history: os.write(1, b"%d\\n" % len(history))
            history = training.fit(
                model, images, epochs=epochs, checkpoint=checkpoint, on_epoch=say
            )
            return [model.state_dict(), history.train_loss]

        def child(*arguments):
            pid = os.fork()
            if not pid:
                torch.save(train(*arguments), path + ".end")
                os._exit(0)
            return pid

        start = time.perf_counter()
        os.waitpid(child(5, path + ".first"), 0)
        five_epochs = time.perf_counter() - start
        print("start", flush=True)
        chance = random.Random(1)
        for kill in range(20):
            pid = child(120, path)
            time.sleep(chance.uniform(0, five_epochs))
            os.kill(pid, signal.SIGKILL)  # finds an ended child, too: it waits for its parent
            os.waitpid(pid, 0)
        assert os.waitpid(child(120, path), 0)[1] == 0
        print("whole", flush=True)
        weights, losses = train(120, None)
        theirs, their_losses = torch.load(path + ".end", weights_only=True)
        assert losses == their_losses
        assert all(torch.equal(value, theirs[name]) for name, value in weights.items())
        print("equal", flush=True)
    """)
    run = subprocess.run(
        [sys.executable, "-c", parent, str(tmp_path / "a.ckpt")],
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0 and run.stdout.endswith("equal\n") and "damaged" not in run.stderr, (
        run.stdout[-500:] + run.stderr
    )
    said = run.stdout.split("start")[1].split("whole")[0].splitlines()
    epochs = [int(line) for line in said if line.isdigit()]  # `fit` says, too, what it loaded
    assert (
        epochs == sorted(set(epochs)) and epochs[-1] == 120
    )  # none twice; one may be written, but killed before it was said


# --- shipped weights


@pytest.mark.parametrize("name", sorted(path.stem for path in pretrained.FOLDER.glob("*.json")))
def test_shipped_weights_give_the_error_on_their_card(full_data, name):
    from course_utils.data import load_images
    from tools import make_weights

    recipe, card = make_weights.RECIPES[name], pretrained.card(name)
    images = load_images(recipe.dataset, "test").images
    model = pretrained.load(name)
    assert not model.training and make_weights.error(
        model, images, recipe.corruptor
    ) == pytest.approx(card["test_error"], rel=1e-4)
    history = pretrained.history(name)
    assert (
        len(history) == card["epochs"]
        and {"train_loss", "validation_loss"} <= set(history)
        and card["training_seconds"] > 0
    )
    assert (
        card["bytes"]
        == (pretrained.FOLDER / f"{name}.safetensors").stat().st_size
        <= make_weights.LARGEST + 100_000
    )


def test_weights_that_are_not_there_or_damaged(tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="no shipped weights 'cnov'; there are: "):
        pretrained.load("cnov")
    for file in pretrained.FOLDER.glob("conv.*"):
        content = file.read_bytes()
        (tmp_path / file.name).write_bytes(
            content[:-1] + b"?" if file.suffix == ".safetensors" else content
        )
    monkeypatch.setattr(pretrained, "FOLDER", tmp_path)
    with pytest.raises(ValueError, match="conv.safetensors is damaged"):
        pretrained.load("conv")
