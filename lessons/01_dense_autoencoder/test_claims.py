"""What lesson 01 says about the chapter's autoencoder, its dead units and their cures.

Fashion-MNIST, full data, validation images.
"""

import functools
import statistics

import pytest
import torch
from sklearn.neighbors import KNeighborsClassifier
from torch import nn
from torch.nn import functional as F

from course_utils.data import load_images, one_of_each
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
    "stacked, no ReLU": lambda: without_relu(stacked_autoencoder()),
}


def without_relu(model):
    return nn.Sequential(
        *[
            nn.Sequential(*[part for part in half if not isinstance(part, nn.ReLU)])
            for half in model
        ]
    )


@functools.cache
def data(split):
    return load_images("FashionMNIST", split)


@functools.cache
def mean_image():
    return data("train").images.mean(dim=0)


@functools.cache
def pca():
    return PCABaseline(data("train").images)


def dead_units(model, offset=0.0):
    """Which code units fire for none of the training images."""
    codes = apply_in_batches(model[0], data("train").images - offset)
    return (codes <= 0).all(dim=0)


def rounded(values, digits=4):
    return [round(float(value), digits) for value in values]


def trained(name, seed, epochs=EPOCHS):
    """Validation error, dead units before and after training, and the model; once."""
    return _trained(name, seed, epochs)


@functools.cache
def _trained(name, seed, epochs):
    torch.manual_seed(seed)
    model = BUILD[name]()
    before = int(dead_units(model).sum())
    fit(model, data("train"), epochs=epochs, seed=seed)
    error = reconstruction_error(model, data("validation").images)
    return error, before, int(dead_units(model).sum()), model


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
    record("dead units of ten", dead)
    assert not any(dead_before), "every unit fires before training"
    assert min(dead) >= 3, dead
    assert min(found) > level, found


def test_chapters_model_loses_to_pca_and_its_units_die(record):
    chapter_loses_and_units_die(range(3), record)


@pytest.mark.slow
def test_the_same_for_more_seeds(record):
    chapter_loses_and_units_die(range(10), record)


def first_steps(seed, offset=0.0, steps=60):
    """The chapter's model, trained for a few steps.

    Returns its decoder's weights before them, which units are dead before each step
    (steps, 10) and the shift of the units' inputs after ten.
    """
    torch.manual_seed(seed)
    model = dense_autoencoder(10)
    painted = model[1].linear.weight.detach().clone()  # (784, 10)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    inputs = (data("validation").images - offset).flatten(1)
    start, dead, shift = model[0].linear(inputs).detach(), [], None
    torch.manual_seed(seed)
    for step, batch in enumerate(torch.randperm(len(data("train"))).split(128)[:steps]):
        dead.append(dead_units(model, offset))
        if step == 10:
            shift = (model[0].linear(inputs).detach() - start).mean(dim=0)
        images = data("train").images[batch]
        loss = F.mse_loss(model(images - offset), images)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return painted, torch.stack(dead), shift


def test_units_die_in_the_first_steps_for_good_and_their_fate_is_set_before(record):
    # the untrained decoder is too bright by about this
    brighter = (0.5 - mean_image()).flatten()
    first, last, at_ten, right = [], [], [], 0
    for seed in range(10):
        painted, dead, _ = first_steps(seed)
        at_the_end = dead[-1]
        deaths = dead[:, at_the_end].int().argmax(dim=0)
        first.append(int(deaths.min()))
        last.append(int(deaths.max()))
        at_ten.append(int(dead[10].sum()))
        right += int(((brighter @ painted > 0) == at_the_end).sum())
        assert not dead[0].any(), "every unit fires before training"
        assert (dead.any(dim=0) == at_the_end).all(), "the dead stay dead"
    record("steps until the first unit is dead, ten seeds", first)
    record("steps until the last of those that die is dead, ten seeds", last)
    record("dead units after ten steps, ten seeds", at_ten)
    record("units of 100 whose fate the decoder's first weights tell", right)
    assert max(first) <= 15
    assert max(last) < 60
    assert right >= 70


def test_a_shift_by_one_pixel_costs_more_than_the_chapters_whole_error(record):
    images = data("validation").images
    sideways = images.roll(1, dims=3)
    shifts = [mse(sideways, images), mse(sideways.roll(1, dims=2), images)]
    record("error of a shift by one pixel, sideways and diagonally", rounded(shifts, 3))
    chapter = errors("chapter", range(3), record)
    assert max(chapter) < shifts[0] < shifts[1]


def test_a_reader_sees_another_kind_in_many_drawings(record):
    images, labels = data("validation").images[:1000], data("validation").labels[:1000]
    reader = KNeighborsClassifier(5, algorithm="brute")
    reader.fit(data("train").images.flatten(1), data("train").labels)

    def read(pictures):
        return (reader.predict(pictures.flatten(1)) == labels.numpy()).mean()

    models = [trained("chapter", seed)[3] for seed in range(3)]
    drawings = [read(apply_in_batches(model, images)) for model in models]
    record(
        "read rightly: originals, drawings by seed",
        rounded([read(images), *drawings], 2),
    )
    assert read(images) > max(drawings) + 0.1


def test_the_mean_of_a_class_costs_half_of_a_real_garment_of_the_class(record):
    images, labels = data("validation").images, data("validation").labels
    stocks = [data("train").images[data("train").labels == kind] for kind in range(10)]
    blurred = mse(torch.stack([stock.mean(0) for stock in stocks])[labels], images)
    ratios = []
    for seed in range(3):
        torch.manual_seed(seed)
        picks = [stocks[k][torch.randint(len(stocks[k]), ())] for k in labels.tolist()]
        ratios.append(blurred / mse(torch.stack(picks), images))
    record(
        "error of the class's mean, over that of one of the class", rounded(ratios, 2)
    )
    assert all(0.47 < ratio < 0.53 for ratio in ratios)


def repainted(model):
    """Mean share of a pullover's pixels that a living unit changes by more than .25."""
    codes = apply_in_batches(model[0], data("train").images)
    start = model[0](one_of_each(data("test")).images[[2]]).detach()
    shares = []
    for unit in (codes.amax(0) > codes.amin(0)).nonzero().flatten():
        ends = start.repeat(2, 1)
        ends[:, unit] = torch.stack([codes[:, unit].min(), codes[:, unit].max()])
        low, high = model[1](ends).detach()
        shares.append(((high - low).abs() > 0.25).float().mean().item())
    return statistics.mean(shares)


@pytest.mark.slow
def test_a_unit_repaints_half_of_the_picture_in_a_healthy_code_too(record):
    shares = {}
    for name in ("chapter", "linear"):
        shares[name] = [repainted(trained(name, seed)[3]) for seed in range(3)]
        record(f"{name}, pixels that one unit repaints", rounded(shares[name], 2))
    assert min(shares["linear"]) > 0.35
    assert statistics.mean(shares["chapter"]) > statistics.mean(shares["linear"])


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
    record(f"{name}, dead units", dead)
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


@pytest.mark.slow
def test_without_relu_the_hourglass_is_a_linear_code(record):
    """As many parameters, and no bend: level with one layer, far from the hourglass."""
    bent = errors("stacked", range(3), record, epochs=3)
    straight = errors("stacked, no ReLU", range(3), record, epochs=3)
    linear = errors("linear", range(3), record)
    assert abs(statistics.mean(straight) / statistics.mean(linear) - 1) < 0.1
    assert max(bent) < 0.9 * min(straight)
