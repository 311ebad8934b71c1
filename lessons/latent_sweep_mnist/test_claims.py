"""What latent sweep 2's answers state of MNIST beside Fashion-MNIST."""

import numpy as np
import pytest

from course_utils import metrics, sweeps
from course_utils.data import load_images

NAMES = ["FashionMNIST", "MNIST"]
GROUPS = {
    name: sweeps.shipped(name).groupby("latent_dim")["validation_error"]
    for name in NAMES
}


def test_mnist_is_the_harder_one_when_narrow_and_the_easier_one_when_wide():
    fashion, mnist = (GROUPS[name].mean() for name in NAMES)
    harder = mnist > fashion
    assert harder[harder.index <= 256].all() and not harder[harder.index >= 512].any()
    noise = (GROUPS["MNIST"].sem() ** 2 + GROUPS["FashionMNIST"].sem() ** 2) ** 0.5
    gap = (mnist - fashion).abs()
    assert (gap > 4 * noise)[gap.index >= 16].all(), "more than noise"


def test_after_three_times_the_epochs_the_crossing_is_where_the_spectra_said(record):
    later = {
        name: sweeps.shipped(name, epochs=36).set_index("latent_dim")[
            "validation_error"
        ]
        for name in NAMES
    }
    fashion, mnist = later.values()
    ahead = (mnist - fashion).round(5)
    record(
        "36 epochs: MNIST minus Fashion-MNIST, 32, 64, 128",
        str(ahead[[32, 64, 128]].tolist()),
    )
    assert (ahead[[8, 16, 32]] > 0.001).all() and (
        ahead[ahead.index >= 128] < -0.001
    ).all()
    assert abs(ahead[64]) < 0.00015, "a hair"
    gain = 1 - mnist / GROUPS["MNIST"].mean()
    assert gain[[128, 256, 512]].round(2).between(0.21, 0.28).all()


def test_the_errors_at_both_ends():
    fashion, mnist = (GROUPS[name].mean() for name in NAMES)
    assert (round(fashion[8], 3), round(mnist[8], 3)) == (0.034, 0.042)
    assert (round(fashion[512], 4), round(mnist[512], 4)) == (0.0119, 0.0114)


@pytest.mark.slow
def test_the_spectra_that_the_prediction_names(full_data, record):
    curves, needed = [], []
    for name in NAMES:
        images = load_images(name, "train").images
        ratios = metrics.PCABaseline(images).explained_variance_ratio
        total = float(images.flatten(1).var(0, correction=0).sum())
        curves.append(total * (1 - np.cumsum(ratios)) / 784)  # from one component on
        needed.append(int((np.cumsum(ratios) < 0.99).sum()) + 1)
    fashion, mnist = curves
    turns = np.nonzero(np.diff(np.sign(fashion - mnist)[:400]))[0] + 2
    record("components at which PCA's curves change places", str(turns.tolist()))
    assert turns.tolist() == [2, 49]
    assert needed == [459, 331], "components for 99 % of the variance"
    assert (round(fashion[7], 3), round(mnist[7], 3)) == (0.027, 0.038)


@pytest.mark.slow
def test_strokes_are_black_and_white_and_garments_are_grey(full_data):
    white = {}
    for name in NAMES:
        images = load_images(name, "train").images
        white[name] = float((images[images > 0.1] >= 0.9).float().mean())
    assert white["MNIST"] == pytest.approx(1 / 2, abs=0.02)
    assert white["FashionMNIST"] == pytest.approx(1 / 8, abs=0.02)
