"""What latent sweep 2's answers state of MNIST beside Fashion-MNIST."""

import numpy as np
import pytest

from course_utils import metrics, models, sweeps
from course_utils.data import load_images

NAMES = ["FashionMNIST", "MNIST"]


def groups(name, epochs=36):
    return sweeps.shipped(name, epochs).groupby("latent_dim")["validation_error"]


def in_standard_errors(epochs):
    """MNIST minus Fashion-MNIST at each width, in standard errors of the difference."""
    fashion, mnist = (groups(name, epochs) for name in NAMES)
    noise = (mnist.sem() ** 2 + fashion.sem() ** 2) ** 0.5
    return (mnist.mean() - fashion.mean()) / noise


def test_mnist_is_the_harder_one_up_to_64_units_and_the_easier_one_from_128(record):
    gap = in_standard_errors(36)
    record(
        "36 epochs: MNIST minus Fashion-MNIST, in standard errors",
        str(gap.round(1).to_dict()),
    )
    assert (gap[gap.index <= 64] > 0).all() and (gap[gap.index >= 128] < -10).all()
    assert round(gap[64], 1) == 1.3


def test_after_a_third_of_the_epochs_the_crossing_was_elsewhere():
    gap = in_standard_errors(12)
    assert (gap[gap.index <= 256] > 0).all() and (gap[gap.index >= 512] < 0).all()
    assert (gap.abs().round() >= 6).all(), "more than noise, so it seemed"
    gain = 1 - groups("MNIST").mean() / groups("MNIST", 12).mean()
    middle = gain[[128, 256, 512]].round(2)
    assert (middle.min(), middle.max()) == (0.21, 0.28)
    gain = 1 - groups("FashionMNIST").mean() / groups("FashionMNIST", 12).mean()
    middle = gain[[128, 256, 512]].round(3)
    assert middle.min() > 0.08 and middle.max() < 0.115


def test_the_errors_at_both_ends():
    fashion, mnist = (groups(name).mean() for name in NAMES)
    assert (round(fashion[8], 3), round(mnist[8], 3)) == (0.039, 0.045)
    assert (round(fashion[940], 4), round(mnist[940], 4)) == (0.0101, 0.0083)


@pytest.mark.slow
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("epochs", [72, 144])
def test_after_longer_training_the_crossing_is_a_step_to_the_left(
    full_data, record, epochs
):
    """36 epochs were not the end either; twice 72 change no answer any more."""
    how = {"epochs": epochs, "lr": 2e-3, "together": 256}
    seeds, widths = [0, 1, 2], [32, 64]
    table = sweeps.latent_sweep(models.dense_autoencoder, widths, seeds, NAMES, **how)
    groups = table.groupby(["latent_dim", "dataset"])["validation_error"]
    error, upper = groups.mean(), groups.mean() + groups.sem()
    record(f"{epochs} epochs, three seeds, errors", str(error.round(4).to_dict()))
    assert error[32, "MNIST"] > error[32, "FashionMNIST"]
    stated = {72: (0.0157, 0.0160), 144: (0.0146, 0.0157)}[epochs]
    assert tuple(round(error[64, name], 4) for name in NAMES[::-1]) == stated
    assert upper[64, "MNIST"] < 0.9 * 0.0176 < error[32, "MNIST"], "now a success"
    assert upper[64, "FashionMNIST"] > 0.9 * 0.0174, "still none"


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
