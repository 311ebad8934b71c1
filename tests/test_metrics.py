"""Errors and baselines: against numpy, closed forms and what is known of the full data."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from course_utils import metrics
from course_utils.data import load_images


@pytest.fixture(scope="module")
def images():
    return load_images("FashionMNIST", "validation").images[:600]


def test_mse():
    a, b = torch.rand(5, 1, 28, 28), torch.rand(5, 1, 28, 28)
    assert metrics.mse(a, b) == pytest.approx(np.mean((a.numpy() - b.numpy()) ** 2), rel=1e-6)
    assert metrics.mse(torch.zeros(2, 1, 28, 28), torch.full((2, 1, 28, 28), 0.5)) == 0.25
    with pytest.raises(ValueError, match="one shape"):
        metrics.mse(a, b[:1])  # would broadcast
    with pytest.raises(ValueError, match="at least one image"):
        metrics.mse(a[:0], b[:0])


def test_psnr():
    assert metrics.psnr(1.0) == 0
    assert metrics.psnr(0.01) == pytest.approx(20)
    assert metrics.psnr(0.0244) == pytest.approx(16.126, abs=1e-3)
    assert metrics.psnr(0.0) == math.inf
    for wrong in (-0.1, math.nan):
        with pytest.raises(ValueError, match="mean squared error"):
            metrics.psnr(wrong)


def test_psnr_agrees_with_scikit_image():
    skimage = pytest.importorskip("skimage.metrics")
    a, b = np.random.default_rng(0).random((2, 28, 28))
    assert metrics.psnr(float(np.mean((a - b) ** 2))) == pytest.approx(
        skimage.peak_signal_noise_ratio(a, b, data_range=1)
    )


def test_apply_in_batches_is_eval_and_leaves_modes_alone(images):
    model = nn.Sequential(
        nn.Flatten(), nn.Dropout(0.5), nn.Linear(784, 3), nn.Sequential(nn.BatchNorm1d(3))
    )
    model.train()
    model[3].eval()  # a part that its owner froze
    out = metrics.apply_in_batches(model, images, batch_size=77)
    assert out.shape == (len(images), 3) and not out.requires_grad
    torch.testing.assert_close(out, metrics.apply_in_batches(model, images, batch_size=10_000))
    assert [m.training for m in (model, model[1], model[3], model[3][0])] == [
        True,
        True,
        False,
        False,
    ]
    assert torch.equal(metrics.apply_in_batches(lambda batch: batch + 1, images), images + 1)


def test_modes_come_back_after_an_error(images):
    model = nn.Sequential(nn.Linear(3, 3)).train()
    with pytest.raises(RuntimeError):
        metrics.apply_in_batches(model, images)
    assert model.training and model[0].training


def test_reconstruction_error_compares_with_the_originals(images):
    identity = nn.Identity()
    assert metrics.reconstruction_error(identity, images) == 0
    black = torch.zeros_like(images)
    assert metrics.reconstruction_error(identity, images, inputs=black) == pytest.approx(
        float((images**2).mean())
    )


def test_pca_is_the_best_linear_code(images):
    pca = metrics.PCABaseline(images)
    assert pca.error(images, 0) == pytest.approx(
        metrics.mse(images.mean(0).expand_as(images), images), rel=1e-5
    )
    errors = [pca.error(images, k) for k in (0, 1, 2, 5, 10, 50, 300)]
    assert errors == sorted(errors, reverse=True)
    # Its own theory: the error is the variance of the components left out.
    variance = float(images.flatten(1).var(dim=0, correction=0).sum()) / 784
    assert pca.error(images, 10) == pytest.approx(
        variance * (1 - pca.explained_variance_ratio[:10].sum()), rel=1e-3
    )
    torch.manual_seed(0)
    basis = torch.linalg.qr(torch.randn(784, 10))[0]
    centred = images.flatten(1) - pca.mean
    assert pca.error(images, 10) < float((centred @ basis @ basis.T - centred).square().mean())
    cut = pca.decode(pca.encode(images, 10)).clamp(0, 1)
    assert pca.error(images, 10, clip=True) == pytest.approx(metrics.mse(cut, images))
    assert pca.error(images, 10, clip=True) < pca.error(images, 10)
    assert pca.encode(images, 10).shape == (len(images), 10)
    assert pca.decode(pca.encode(images, 10)).shape == images.shape
    for k in (-1, len(pca.components) + 1, 10.0):
        with pytest.raises(ValueError, match=f"k must be a whole number from 0 to the .* got {k}"):
            pca.encode(images, k)


KNOWN = {
    "FashionMNIST": {0: 0.0866, 2: 0.0461, 10: 0.0244, 50: 0.0120, 64: 0.0104},
    "MNIST": {0: 0.0675, 10: 0.0341},
}


@pytest.mark.parametrize("name, known", KNOWN.items())
def test_pca_on_the_full_data(name, known):
    train, test = load_images(name, "train"), load_images(name, "test")
    if train.source != "full":
        pytest.skip("the known figures are those of the full data")
    pca = metrics.PCABaseline(train.images)
    for k, error in known.items():
        assert pca.error(test.images, k) == pytest.approx(error, abs=1.5e-4), (
            f"PCA with {k} components"
        )


def test_affine_denoiser(images):
    torch.manual_seed(0)
    train = load_images("FashionMNIST", "train").images[:6000]
    corrupt = nn.Dropout(0.5)
    affine = metrics.AffineDenoiser(corrupt(train), train)
    corrupted = corrupt(images)
    restored = affine(corrupted)
    assert restored.shape == images.shape and restored.min() >= 0 and restored.max() <= 1
    error = metrics.reconstruction_error(affine, images, corrupted)
    mean_image = metrics.mse(train.mean(0).expand_as(images), images)
    best_scale = min(metrics.mse(corrupted * scale, images) for scale in np.linspace(0, 1, 21))
    assert error < 0.3 * min(mean_image, best_scale), (
        f"{error:.4f}, mean image {mean_image:.4f}, one factor {best_scale:.4f}"
    )
    with pytest.raises(ValueError, match="pairs"):
        metrics.AffineDenoiser(corrupted[:5], images)


def test_affine_denoiser_finds_an_affine_map(images):
    """Where the clean image *is* an affine function of the corrupted one, nothing is lost."""
    dimmed = 0.1 + 0.5 * images.flip(-1)
    affine = metrics.AffineDenoiser(dimmed[:500], images[:500], ridge=1e-9)
    assert metrics.reconstruction_error(affine, images[:500], dimmed[:500]) < 1e-6
