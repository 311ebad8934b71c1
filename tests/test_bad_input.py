"""Mistakes of a learner, each with its one sentence; and what a sweep leaves alone."""

import os

import pytest
import torch
from torch import nn

from course_utils import losses, metrics, plots, sweeps, widgets
from course_utils.corruption import Dropout, RandomErasing, SaltAndPepper
from course_utils.data import load_images
from course_utils.models import conv_autoencoder, dense_autoencoder, resnet_autoencoder
from course_utils.training import fit

SET = load_images("FashionMNIST", "test", sample=True)
X = SET.images[:64]
BYTES = (255 * X).to(torch.uint8)
MODEL = dense_autoencoder(4)
WORDS = {"title": "t", "caption": "c"}
SPLITS = (X[:32], X[32:48], X[48:])


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: metrics.mse(BYTES, BYTES), r"got a torch.uint8 tensor; .*images.float\(\) / 255"),
        (lambda: metrics.PCABaseline(X.numpy()), "expected images, a float tensor .*, got ndarray"),
        (lambda: metrics.PCABaseline(X).error(X, 20 / 2), "k must be a whole number .* got 10.0"),
        (lambda: SaltAndPepper()(BYTES), "got a torch.uint8 tensor"),
        (lambda: RandomErasing()(X[:, 0]), r"got shape \(64, 28, 28\); images.unsqueeze\(1\)"),
        (lambda: Dropout(X), r"p must be a number from 0 to 1, got tensor[\s\S]{0,60}$"),
        (lambda: losses.denoising(Dropout), "a corruptor that was made, Dropout"),
        (lambda: losses.denoising(0.5), "a corruptor that was made, Dropout"),
        (lambda: fit(MODEL, X, losses.classification, epochs=1), "data: classification needs labe"),
        (lambda: fit(MODEL, X, losses.elbo(), epochs=1), "variational_autoencoder makes one"),
        (
            lambda: widgets.corrupt_and_restore({"m": MODEL}, X, {"d": Dropout(0.5)}),
            r"d: give the class, Dropout and not Dropout\(0.5\)",
        ),
        (lambda: widgets.latent_traversal(conv_autoencoder(), X), r"codes \(N, k\)"),
        (lambda: widgets.latent_map(MODEL[1], torch.rand(64, 3), SET.labels[:64], "ab"), "N, 2"),
        (lambda: plots.unit_activity([500, 0], **WORDS), "one share in .0, 1. for each unit"),
        (
            lambda: sweeps.latent_sweep(
                dense_autoencoder, 2, 0, {"t": (X, X, 255 * X)}, epochs=1, progress=False
            ),
            "t, test: pixels must lie in",
        ),
        (
            lambda: sweeps.latent_sweep(
                dense_autoencoder, 2, 0, {"t": [X[:, 0]] * 3}, epochs=1, progress=False
            ),
            r"t, train: expected images .*, got shape \(64, 28, 28\); images.unsqueeze\(1\)",
        ),
        (lambda: fit(MODEL, X, epochs=1, on_epoch=1), r"on_epoch\(model, history\).* got 1"),
        (lambda: dense_autoencoder(2, nn.ReLU), r"activation .* nn.ReLU\(\).*, got the class ReLU"),
        (lambda: conv_autoencoder(last="relu"), "last must be a made module, .* got 'relu'"),
    ],
)
def test_each_mistake_has_its_sentence(call, sentence):
    with pytest.raises(ValueError, match=sentence):
        call()


def test_an_image_set_does_where_images_do():
    pca = metrics.PCABaseline(SET)
    assert pca.error(SET, 5) == pca.error(SET.images, 5)
    whole = metrics.reconstruction_error(MODEL, SET.images)
    assert metrics.reconstruction_error(MODEL, SET) == whole
    widgets.interpolation(MODEL, SET)
    widgets.live_training(SET)


def test_a_widget_leaves_batch_norm_as_it_was():
    model = resnet_autoencoder(4).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    widgets.interpolation(model, X[:4])
    widgets.latent_traversal(model, X[:4])
    assert model.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_the_map_of_a_code_with_a_dead_unit_is_drawn():
    codes = torch.stack([torch.rand(64), torch.zeros(64)], dim=1).requires_grad_()
    widgets.latent_map(dense_autoencoder(2)[1], codes, SET.labels[:64], SET.class_names)


def test_all_levels_are_drawn_and_names_may_be_numbers():
    levels = {str(i): 0.1 * (i + 1) for i in range(5)}
    figure = plots.lines([1, 2], {10: [1, 2]}, xlabel="x", ylabel="y", levels=levels, **WORDS)
    assert len(figure.axes[0].lines) == 6
    plots.bars({2: 0.1, 10: 0.05}, ylabel="y", **WORDS)


def test_a_sweep_in_which_all_fails_says_so(capsys):
    table = sweeps.latent_sweep(
        lambda dim: None, [2, 3], [0], {"t": SPLITS}, epochs=1, progress=False
    )
    assert "2 of 2 runs failed; the first: " in capsys.readouterr().out
    with pytest.raises(ValueError, match="every run of this sweep failed; the first: "):
        sweeps.summary(table)


def test_a_sweep_removes_nothing_that_no_sweep_made(tmp_path):
    own = [tmp_path / "images-holiday/photo.jpg", tmp_path / "download.part"]
    own[0].parent.mkdir()
    for path in own:
        path.write_text("mine")
    for path in [*own, own[0].parent]:
        os.utime(path, (0, 0))
    sweeps.latent_sweep(
        dense_autoencoder, 2, 0, {"t": SPLITS}, epochs=1, store=tmp_path, progress=False
    )
    assert all(path.read_text() == "mine" for path in own)


def test_a_tilde_is_the_home_folder(tmp_path, monkeypatch):
    for name in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    fit(dense_autoencoder(4), X, epochs=1, checkpoint="~/model.pt", progress=False)
    sweeps.latent_sweep(
        dense_autoencoder, 2, 0, {"t": SPLITS}, epochs=1, store="~/sweep", progress=False
    )
    assert (tmp_path / "home/model.pt").exists()
    assert list((tmp_path / "home/sweep").glob("t_2_0_*.json"))
    assert not (tmp_path / "~").exists()


def test_a_file_of_another_kind_is_set_aside(tmp_path, capsys):
    file = tmp_path / "model.pt"
    torch.save(nn.Linear(2, 2), file)
    fit(dense_autoencoder(4), X, epochs=1, checkpoint=file, progress=False)
    assert "is no checkpoint of a training; it is kept as" in capsys.readouterr().out
    assert (tmp_path / "model.pt.other1").exists()
