"""What lesson 01 says about the chapter's autoencoder, its dead units and their cures.

Fashion-MNIST, full data, validation images.
"""

import functools
import statistics

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from course_utils.data import load_images
from course_utils.metrics import (
    PCABaseline,
    apply_in_batches,
    mse,
    reconstruction_error,
)
from course_utils.models import dense_autoencoder, stacked_autoencoder
from course_utils.training import fit

pytestmark = pytest.mark.usefixtures("full_data")

EPOCHS = 10
BUILD = {
    "chapter": lambda: dense_autoencoder(10),
    "centred": lambda: dense_autoencoder(10, mean_image=mean_image()),
    "leaky": lambda: dense_autoencoder(10, nn.LeakyReLU(0.1)),
    "leaky, PyTorch's slope": lambda: dense_autoencoder(10, nn.LeakyReLU()),
    "linear": lambda: dense_autoencoder(10, nn.Identity()),
    "stacked": stacked_autoencoder,
}


@functools.cache
def data(split):
    return load_images("FashionMNIST", split)


@functools.cache
def mean_image():
    return data("train").images.mean(dim=0)


@functools.cache
def pca():
    return PCABaseline(data("train").images)


def silent(model):
    """The number of code units that fire for none of the validation images."""
    codes = apply_in_batches(model[0], data("validation").images)
    return int((codes <= 0).all(dim=0).sum())


def rounded(values, digits=4):
    return [round(float(value), digits) for value in values]


def trained(name, seed, epochs=EPOCHS):
    """Validation error, silent units before and after training; once for all tests."""
    return _trained(name, seed, epochs)


@functools.cache
def _trained(name, seed, epochs):
    torch.manual_seed(seed)
    model = BUILD[name]()
    before = silent(model)
    fit(model, data("train"), epochs=epochs, seed=seed)
    return reconstruction_error(model, data("validation").images), before, silent(model)


def errors(name, seeds, record, epochs=EPOCHS):
    found = [trained(name, seed, epochs)[0] for seed in seeds]
    record(f"{name}, {epochs} epochs, error for seeds {list(seeds)}", rounded(found))
    return found


def chapter_loses_and_units_die(seeds, record):
    level = pca().error(data("validation").images, 10)
    found = errors("chapter", seeds, record)
    dead_before = [trained("chapter", seed)[1] for seed in seeds]
    dead = [trained("chapter", seed)[2] for seed in seeds]
    record("PCA-10, error", round(level, 4))
    record("silent units of ten", dead)
    assert not any(dead_before), "every unit fires before training"
    assert min(dead) >= 3, dead
    assert min(found) > level, found


def test_chapters_model_loses_to_pca_and_its_units_die(record):
    chapter_loses_and_units_die(range(3), record)


@pytest.mark.slow
def test_the_same_for_more_seeds(record):
    chapter_loses_and_units_die(range(10), record)


def first_steps(seed, offset=0.0, steps=100):
    """The chapter's model, trained for a few steps.

    Returns its decoder's weights before them, the counts of silent units before each of
    the first 30, the shift of the units' inputs after ten, those inputs at the start,
    and which units are silent at the end.
    """
    torch.manual_seed(seed)
    model = dense_autoencoder(10)
    painted = model[1].linear.weight.detach().clone()  # (784, 10)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    inputs = data("validation").images - offset
    start, counts, shift = model[0].linear(inputs.flatten(1)).detach(), [], None
    torch.manual_seed(seed)
    for step, batch in enumerate(torch.randperm(len(data("train"))).split(128)[:steps]):
        if step <= 30:
            counts.append(int((model[0](inputs) <= 0).all(dim=0).sum()))
        if step == 10:
            shift = (model[0].linear(inputs.flatten(1)).detach() - start).mean(dim=0)
        images = data("train").images[batch]
        loss = F.mse_loss(model(images - offset), images)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    dead = (model[0](inputs) <= 0).all(dim=0)
    return painted, counts, shift, start, dead


def test_units_die_in_the_first_steps_and_their_fate_is_set_before(record):
    # the untrained decoder is too bright by about this
    brighter = (0.5 - mean_image()).flatten()
    first, after_30, right = [], [], 0
    for seed in range(10):
        painted, counts, _, _, dead = first_steps(seed)
        first.append(next(step for step, count in enumerate(counts) if count))
        after_30.append(counts[30])
        right += int(((brighter @ painted > 0) == dead).sum())
    record("steps until the first unit is silent, ten seeds", first)
    record("silent units after 30 steps, ten seeds", after_30)
    record("units of 100 whose fate the decoder's first weights tell", right)
    assert min(first) > 0
    assert max(first) <= 20
    assert min(after_30) >= 3
    assert right >= 70


def test_centring_takes_the_pull_out_of_the_first_steps(record):
    def shifts(offset):
        found = [first_steps(seed, offset, steps=11)[2] for seed in range(5)]
        return [float(shift.abs().median()) for shift in found]

    raw, centred = shifts(0.0), shifts(mean_image())
    record("shift of a unit's input in ten steps, raw, median", rounded(raw, 2))
    record("shift of a unit's input in ten steps, centred, median", rounded(centred, 3))
    assert min(raw) > 10 * max(centred)


def test_a_linear_code_beats_pca(record):
    level = pca().error(data("validation").images, 10)
    assert max(errors("linear", range(3), record)) < 0.95 * level


@pytest.mark.slow
@pytest.mark.parametrize("name", ["centred", "leaky", "linear"])
def test_each_cure_beats_pca_and_varies_less(name, record):
    level = pca().error(data("validation").images, 10)
    found = errors(name, range(5), record)
    patient = errors("chapter", range(5), record)
    dead = [trained(name, seed)[2] for seed in range(5)]
    record(f"{name}, silent units", dead)
    assert max(found) < level
    assert statistics.stdev(found) < statistics.stdev(patient) / 4
    if name == "linear":  # the simplest code is no worse than the others
        others = [errors(other, range(5), record) for other in ("centred", "leaky")]
        assert statistics.mean(found) <= min(map(statistics.mean, others))
    if name == "centred":
        assert not any(dead), "no unit dies"


@pytest.mark.slow
def test_a_small_leak_needs_more_epochs(record):
    level = pca().error(data("validation").images, 10)
    assert min(errors("leaky, PyTorch's slope", range(3), record)) > level
    assert max(errors("leaky, PyTorch's slope", range(3), record, epochs=20)) < level


@pytest.mark.slow
def test_the_linear_code_beats_pca_cut_to_the_range_of_pixels(record):
    images = data("validation").images
    cut = mse(pca().decode(pca().encode(images, 10)).clamp(0, 1), images)
    record("PCA-10 cut to [0, 1], error", round(cut, 4))
    assert max(errors("linear", range(5), record)) < cut < pca().error(images, 10)


@pytest.mark.slow
def test_the_hourglass_needs_ten_numbers_where_pca_needs_more_than_twenty(record):
    found = errors("stacked", range(3), record, epochs=3)
    assert max(found) < pca().error(data("validation").images, 20)
