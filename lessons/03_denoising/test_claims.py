"""What lesson 03 says about denoising, its trap, its control and its reach.

Fashion-MNIST, full data, validation images.
"""

import functools

import numpy as np
import pytest
import torch
from scipy.ndimage import median_filter
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

from course_utils.corruption import (
    Dropout,
    Gaussian,
    Masking,
    RandomErasing,
    SaltAndPepper,
)
from course_utils.data import load_images
from course_utils.losses import denoising, reconstruction
from course_utils.metrics import AffineDenoiser, apply_in_batches, mse
from course_utils.models import dense_autoencoder
from course_utils.training import fit

pytestmark = pytest.mark.usefixtures("full_data")

SEEDS = (0, 1, 2)
EPOCHS = 6
KINDS = (
    Dropout(0.5),
    Masking(0.5),
    Gaussian(0.3),
    SaltAndPepper(0.25),
    RandomErasing(12),
)


def any_kind(images):
    """Spoil a batch in one of the five ways."""
    return KINDS[int(torch.randint(len(KINDS), ()))](images)


LOSS = {
    "DAE": denoising(Dropout(0.5)),
    "control": reconstruction,
    "generalist": denoising(any_kind),
}


@functools.cache
def data(split):
    return load_images("FashionMNIST", split)


@functools.cache
def trained(kind, seed, n=None, epochs=EPOCHS):
    torch.manual_seed(seed)
    model = dense_autoencoder(int(784 * 1.2))
    fit(model, data("train").images[:n], LOSS[kind], epochs=epochs, seed=seed)
    return model


def rounded(values, digits=4):
    return [round(float(value), digits) for value in values]


@functools.cache
def affine():
    torch.manual_seed(0)
    return AffineDenoiser(Dropout(0.5)(data("train").images), data("train").images)


def spoiled(damage):
    return damage(data("validation").images, torch.Generator().manual_seed(7))


def error(denoiser, inputs):
    return mse(apply_in_batches(denoiser, inputs), data("validation").images)


def test_dropout_doubles_in_train_mode_and_is_the_identity_in_eval_mode():
    images = data("validation").images[:100]
    layer = nn.Dropout()
    spoiled_grey = layer.train()(torch.full((1, 1, 28, 28), 0.25))
    assert spoiled_grey.unique().tolist() == [0.0, 0.5]
    assert torch.equal(layer.eval()(images), images)
    assert not torch.equal(Dropout(0.5)(images), images)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_wrong_test_prefers_the_control(seed, record):
    """On clean input the control wins, on corrupted the DAE, after a small training."""
    found = {}
    for kind in ("DAE", "control"):
        model = trained(kind, seed, n=10_000, epochs=4)
        all_in_one = nn.Sequential(nn.Dropout(), *model).eval()
        found[kind] = (
            error(all_in_one, data("validation").images),
            error(model, spoiled(Dropout(0.5))),
        )
    record(
        f"seed {seed}, 10,000 images, 4 epochs: "
        "error by the wrong test, by the right one",
        {kind: rounded(pair) for kind, pair in found.items()},
    )
    assert found["control"][0] < 0.9 * found["DAE"][0]
    assert found["control"][1] > 1.1 * found["DAE"][1]


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_dae_beats_the_affine_denoiser_and_the_control_does_not(record):
    inputs, images = spoiled(Dropout(0.5)), data("validation").images
    rival = error(affine(), inputs)
    record("best affine denoiser at p = .5", round(rival, 4))
    mean_image = data("train").images.mean(0).expand_as(images)
    average = mse(mean_image, images)
    found, clean = {}, {}
    for kind in ("DAE", "control"):
        models = [trained(kind, seed) for seed in SEEDS]
        found[kind] = [error(model, inputs) for model in models]
        clean[kind] = [error(model, images) for model in models]
        name = f"{kind} after {EPOCHS} epochs"
        record(f"{name}: error on corrupted input", rounded(found[kind]))
        record(f"{name}: error on clean input", rounded(clean[kind]))
    assert max(found["DAE"]) < 0.8 * rival
    # "about nine tenths of the way from the mean image"
    made = [(average - rival) / (average - error) for error in found["DAE"]]
    record("the formula's part of the way from mean image to DAE", rounded(made, 2))
    assert all(0.88 < part < 0.95 for part in made)
    assert min(found["control"]) > 2 * rival
    assert max(clean["control"]) < 0.5 * min(clean["DAE"])
    # "another start moves the error in the fourth decimal, no more"
    assert np.std(found["DAE"], ddof=1) < 0.0003


def test_the_normal_equations_written_out_are_the_affine_denoiser():
    train, images = data("train").images[:5000], data("validation").images[:500]
    spoiled_train = Dropout(0.5)(train, torch.Generator().manual_seed(0))
    inputs = Dropout(0.5)(images, torch.Generator().manual_seed(1))
    x, y = spoiled_train.flatten(1), train.flatten(1)
    x_mean, y_mean = x.mean(0), y.mean(0)
    x, y = x - x_mean, y - y_mean
    ridge = 1e-4 * len(x) * torch.eye(784)
    weights = torch.linalg.solve(x.T @ x + ridge, x.T @ y)
    ours = ((inputs.flatten(1) - x_mean) @ weights + y_mean).clamp(0, 1)
    theirs = AffineDenoiser(spoiled_train, train)(inputs)
    assert torch.allclose(ours.reshape(theirs.shape), theirs, atol=1e-3)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_control_fills_the_holes_in_part(record):
    images, inputs = data("validation").images, spoiled(Dropout(0.5))
    holes, survivors = (images > 0) & (inputs == 0), inputs > 0
    black = mse(torch.zeros_like(images[holes]), images[holes])
    mean_image = data("train").images.mean(0).expand_as(images)
    average = mse(mean_image[holes], images[holes])
    by_formula = mse(affine()(inputs)[holes], images[holes])
    name = "error in the holes of the garment: left black, mean image, affine denoiser"
    record(name, rounded([black, average, by_formula], 3))
    for seed in SEEDS:
        outputs = {
            kind: apply_in_batches(trained(kind, seed), inputs)
            for kind in ("DAE", "control")
        }
        in_holes, kept = (
            {
                kind: mse(output[place], images[place])
                for kind, output in outputs.items()
            }
            for place in (holes, survivors)
        )
        record(
            f"seed {seed}: error in the holes and on the survivors, DAE and control",
            [rounded(found.values(), 3) for found in (in_holes, kept)],
        )
        # two thirds of the error are gone; the mean image takes off about as much
        assert in_holes["control"] < 0.45 * black
        assert 0.9 < in_holes["control"] / average < 1.1
        assert max(in_holes["DAE"], by_formula) < 0.5 * average
        # of what survived the control errs most; it is ahead on the black ground alone
        restored, ground = affine()(inputs), images == 0
        of_formula = mse(restored[survivors], images[survivors])
        assert max(kept["DAE"], of_formula) < kept["control"]
        rivals = outputs["DAE"], restored
        on_ground = mse(outputs["control"][ground], images[ground])
        assert on_ground < min(mse(rival[ground], images[ground]) for rival in rivals)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_generalist_loses_on_dropout_and_wins_on_the_four_others(record):
    for seed in SEEDS:
        found = {
            kind: [error(trained(kind, seed), spoiled(damage)) for damage in KINDS]
            for kind in ("DAE", "generalist")
        }
        record(
            f"seed {seed}: DAE and generalist, five kinds of damage",
            [rounded(errors) for errors in found.values()],
        )
        specialist, generalist = found["DAE"], found["generalist"]
        assert generalist[0] > 1.3 * specialist[0]
        assert all(g < 0.5 * s for g, s in zip(generalist[1:], specialist[1:]))


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_what_was_learned_is_one_kind_of_repair(record):
    levels = [0.1, 0.3, 0.5, 0.7, 0.9]
    for seed in SEEDS:
        dae, control = trained("DAE", seed), trained("control", seed)
        by_level = [error(dae, spoiled(Dropout(p))) for p in levels]
        record(f"seed {seed}: DAE's error at p = {levels}", rounded(by_level))
        assert 0.006 < by_level[0] < by_level[2]
        assert by_level[4] > 3 * by_level[2]
        for damage in (Gaussian(0.3), SaltAndPepper(0.25)):
            inputs = spoiled(damage)
            filtered = median_filter(inputs.numpy(), size=(1, 1, 3, 3))
            errors = {
                "DAE": error(dae, inputs),
                "control": error(control, inputs),
                "median": mse(torch.from_numpy(filtered), data("validation").images),
                "affine": error(affine(), inputs),
            }
            record(
                f"seed {seed}: {damage}", dict(zip(errors, rounded(errors.values())))
            )
            assert errors["DAE"] > 1.1 * errors["control"]
            assert errors["DAE"] > 1.1 * errors["median"]
            if damage == Gaussian(0.3):  # "by the third it is the worst"
                assert max(errors, key=errors.get) == "DAE"
        masked = spoiled(Masking(0.5))
        assert error(dae, masked) > 2 * error(dae, 2 * masked)
        assert abs(error(dae, 2 * masked) - by_level[2]) < 0.0005


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_corruption_makes_filters_local_and_the_code_a_little_better(record):
    def concentration(model):
        energy = model[0].linear.weight.detach().reshape(-1, 1, 28, 28) ** 2
        windows = 81 * nn.functional.avg_pool2d(energy, 9, stride=1)
        return (windows.amax(dim=(1, 2, 3)) / energy.sum(dim=(1, 2, 3))).median().item()

    def probe(model, draw):
        train, validation = data("train"), data("validation")
        generator = torch.Generator().manual_seed(draw)
        few = torch.randperm(len(train), generator=generator)[:1000]
        codes = apply_in_batches(model[0], train.images[few])
        held_out = apply_in_batches(model[0], validation.images)
        regression = LogisticRegression(C=0.01, max_iter=500)
        classifier = make_pipeline(StandardScaler(), regression)
        classifier.fit(codes.numpy(), train.labels[few].numpy())
        return classifier.score(held_out.numpy(), validation.labels.numpy())

    gains, together, bare = [], [], []
    for seed in SEEDS:
        dae, control = trained("DAE", seed), trained("control", seed)
        shares = concentration(dae), concentration(control)
        record(
            f"seed {seed}: share of a filter in its best window, DAE and control",
            rounded(shares, 2),
        )
        assert shares[0] > 1.5 * shares[1]
        pairs = np.array([[probe(dae, d), probe(control, d)] for d in range(5)])
        gains += list(pairs[:, 0] - pairs[:, 1])
        torch.manual_seed(seed)
        untrained = dense_autoencoder(int(784 * 1.2))
        bare += [pairs[d, 1] - probe(untrained, d) for d in range(5)]
        spread = rounded(pairs.std(axis=0, ddof=1), 3)
        together.append(np.corrcoef(pairs.T)[0, 1])
        record(
            f"seed {seed}: deviation over draws of DAE's probe, control's, the gain",
            [*spread, round((pairs[:, 0] - pairs[:, 1]).std(ddof=1).item(), 3)],
        )
    record(
        "correlation of the two probes over the draws, by seed", rounded(together, 2)
    )
    record(
        "probe with 1,000 labels, DAE's code minus control's, "
        "three seeds by five draws",
        rounded(gains, 3),
    )
    record("the same, control's code minus the untrained one's", rounded(bare, 3))
    assert np.mean(bare) < 0.5 * np.mean(gains)  # "hardly ahead of that"
    assert min(gains) > 0
    assert np.mean(gains) > 2 * np.std(gains, ddof=1) / len(gains) ** 0.5
