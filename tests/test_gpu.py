"""On a GPU, without one: a pretended device that refuses what a real one refuses."""

import os
import subprocess
import sys
from pathlib import Path

import matplotlib
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from course_utils import corruption, losses, metrics, models, pretrained, sweeps, training, widgets
from tests import on_gpu, pretended

generator = torch.Generator().manual_seed(0)
LESSONS = Path(__file__).resolve().parents[1] / "lessons"
SOURCES = [*LESSONS.glob("[!_.]*/lesson.py"), *LESSONS.glob("[!_.]*/exercise.py")]
FEW = ["03_denoising/exercise.py", "04_sampling/lesson.py"]  # in `make test`; ALL=1: every one
ALL = os.environ.get("COURSE_TESTS") == "all"
IMAGES = (torch.rand(300, 1, 28, 28, generator=generator) ** 4 * 255).round() / 255
LABELS = torch.randint(10, (300,), generator=generator)


@pytest.fixture
def gpu():
    with pretended.gpu() as device:
        yield device


def fresh():
    torch.manual_seed(0)
    return models.dense_autoencoder(4)


def test_it_refuses_what_a_gpu_refuses(gpu):
    there = torch.rand(3, device=gpu)
    assert there.device.type == pretended.KIND and there.cpu().device.type == "cpu"
    with pytest.raises(RuntimeError, match="same device"):
        there + torch.rand(3)
    with pytest.raises((RuntimeError, TypeError)):
        there.numpy()
    with pytest.raises(RuntimeError, match="generator"):
        torch.rand(3, device=gpu, generator=torch.Generator())
    assert (there + 1 > 0.5).all() and float(there.sum()) >= 0
    parameter = nn.Linear(3, 2).to(gpu).weight
    assert parameter.device.type == pretended.KIND and isinstance(parameter, nn.Parameter)


def test_fit_moves_and_returns_and_gives_the_same(gpu):
    there, here = fresh(), fresh()
    seen = []
    look = lambda model, history: seen.append(next(model.parameters()).device.type)
    optimizer = torch.optim.SGD(there.parameters(), 0.1, momentum=0.9)
    history = training.fit(
        there, IMAGES, epochs=2, validation=IMAGES[:50], optimizer=optimizer, on_epoch=look
    )
    optimizer = torch.optim.SGD(here.parameters(), 0.1, momentum=0.9)
    expected = training.fit(here, IMAGES, epochs=2, optimizer=optimizer, device="cpu")
    assert history.train_loss == pytest.approx(expected.train_loss, rel=2e-3)
    assert (
        seen == [pretended.KIND, pretended.KIND] and next(there.parameters()).device.type == "cpu"
    )


def test_noise_of_the_device_is_its_own(gpu):
    """Each epoch draws new noise, each validation the same, and on_epoch disturbs neither."""
    drawn = {True: [], False: []}

    def loss(model, images, labels):
        noise = torch.rand_like(images)
        drawn[model.training].append(float(noise.sum()))
        return F.mse_loss(model(images * noise), images)

    how = {"epochs": 3, "batch_size": 300, "validation": IMAGES}
    training.fit(fresh(), IMAGES, loss, **how)
    first = {mode: list(values) for mode, values in drawn.items()}
    assert len(set(first[True])) == 3 and len(set(first[False][-3:])) == 1
    drawn[True].clear()
    training.fit(fresh(), IMAGES, loss, **how, on_epoch=lambda *_: torch.rand(5, device=gpu))
    assert drawn[True] == first[True]


def test_a_checkpoint_goes_on_exactly(gpu, tmp_path):
    def stop(model, history):
        if len(history) == 2:
            raise KeyboardInterrupt

    loss = losses.denoising(corruption.Gaussian(0.3))
    whole, parts = fresh(), fresh()
    training.fit(whole, IMAGES, loss, epochs=3)
    for on_epoch in (stop, None):
        parts = fresh()
        training.fit(
            parts, IMAGES, loss, epochs=3, checkpoint=tmp_path / "a.ckpt", on_epoch=on_epoch
        )
    for one, other in zip(whole.parameters(), parts.parameters()):
        assert torch.equal(one, other)


def test_mistakes_are_told_before_the_move_and_mixing_in_words(gpu):
    classifier = nn.Sequential(nn.Flatten(), nn.Linear(784, 9))
    with pytest.raises(ValueError, match="labels.*9"):
        training.fit(classifier, (IMAGES, LABELS), losses.classification, epochs=1)

    def mixing(model, images, labels):
        return losses.reconstruction(model, images * torch.rand(images.shape), labels)

    with pytest.raises(ValueError, match="must lie where the images are: .*device=images.device"):
        training.fit(fresh(), IMAGES, mixing, epochs=1)


@pytest.mark.parametrize("model_there", [False, True])
@pytest.mark.parametrize("images_there", [False, True])
def test_every_helper_answers_on_the_cpu(gpu, model_there, images_there):
    model, images = fresh(), IMAGES[:20].to(gpu) if images_there else IMAGES[:20]
    if model_there:
        model.to(gpu)
    assert metrics.apply_in_batches(model, images).device.type == "cpu"
    assert metrics.reconstruction_error(model, images) > 0
    pca = metrics.PCABaseline(images)
    assert pca.encode(images, 3).device.type == "cpu" and pca.error(images, 3) > 0
    affine = metrics.AffineDenoiser(images * 0.5, images)
    assert affine(images).device.type == "cpu"
    assert metrics.reconstruction_error(affine, images) > 0
    matplotlib.use("agg")
    widgets.latent_traversal(model, images)
    widgets.interpolation(model, images)
    widgets.corrupt_and_restore({"it": model}, images, {"dropout": corruption.Dropout})
    flat = nn.Linear(2, 784).to(gpu) if model_there else nn.Linear(2, 784)
    codes = torch.rand(20, 2, device=images.device)
    widgets.latent_map(flat, codes, LABELS[:20].to(images.device), [str(c) for c in range(10)])


def test_a_sweep(gpu):
    data = {"a": (IMAGES, IMAGES[:50], IMAGES[50:100])}
    table = sweeps.latent_sweep(models.dense_autoencoder, [2], [0], data, epochs=1)
    assert table["error"].tolist() == [""]


def test_shipped_weights_are_float32_whatever_the_default():
    torch.set_default_dtype(torch.float64)
    try:
        model = pretrained.load("conv_10")
    finally:
        torch.set_default_dtype(torch.float32)
    assert {p.dtype for p in model.parameters()} == {torch.float32}


@pytest.mark.parametrize(
    "name", sorted(str(path.relative_to(LESSONS)) for path in SOURCES) if ALL else FEW
)
def test_every_cell_of_a_notebook_runs_there(name):
    command = [sys.executable, "-m", "tests.on_gpu", str(LESSONS / name)]
    environment = {**os.environ, "COURSE_DATA": "sample", "COURSE_PROGRESS": "0"}
    done = subprocess.run(
        command, cwd=LESSONS.parent, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0 and "cells" in done.stdout, done.stderr[-4000:]


MIXING = """
from course_utils import models, training
loss = lambda model, images, labels: (model(images) - torch.rand(images.shape)).square().mean()
training.fit(models.dense_autoencoder(2), torch.rand(9, 1, 28, 28), loss, epochs=1)
"""


@pytest.mark.parametrize(
    "cell, words",
    [
        ("torch.rand(3, device='meta').numpy()", "numpy"),
        (MIXING, "device=images.device"),
        ("print('\u2717  Expected all tensors to be on the same device')", "wrong device"),
        ("plots.finish(plt.figure(), title='Not yet: RuntimeError', caption='')", "wrong device"),
    ],
)
def test_a_cell_that_would_fail_there_is_found(tmp_path, cell, words):
    source = tmp_path / "lesson.py"
    head = "import torch\nfrom matplotlib import pyplot as plt\nfrom course_utils import plots\n"
    source.write_text(f"# %%\n{head}\n# %%\n{cell}\n", encoding="utf-8")
    with pytest.raises((Exception, SystemExit)) as caught:
        on_gpu.run(str(source))
    error, said = caught.value, ""
    while error:
        error, said = error.__context__, f"{said}\n{error}"
    assert words in said
