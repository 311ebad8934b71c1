"""What lesson 05 says, measured on the full data."""

from importlib.resources import files

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from course_utils import metrics, models, pretrained
from course_utils.data import load_images
from course_utils.training import fit


def black_at_start(
    last: nn.Module | None, images: torch.Tensor, seeds: int = 200
) -> list[int]:
    """The seeds whose fresh model paints every pixel of every image black."""
    found = []
    for seed in range(seeds):
        torch.manual_seed(seed)
        with torch.no_grad():
            if (models.conv_autoencoder(last=last)(images) == 0).all():
                found.append(seed)
    return found


def test_nearly_half_of_all_starts_are_black(full_data, record):
    images = load_images("FashionMNIST", "validation").images[:100]
    black = black_at_start(None, images)
    record("share of 200 random starts that are black with ReLU last", len(black) / 200)
    assert (
        0.34 < len(black) / 200 < 0.54
    )  # three standard errors of a share of 200 are 0.10
    assert black_at_start(nn.Sigmoid(), images, 50) == []
    torch.manual_seed(black[0])
    stuck = models.conv_autoencoder()
    F.mse_loss(stuck(images), images).backward()
    assert max(p.grad.abs().max() for p in stuck.parameters()) == 0


def test_stuck_models_stay_stuck_and_each_cure_frees_them(full_data, record):
    """Three black starts after one short pass: untouched, and with three cures."""
    few = load_images("FashionMNIST", "train").images[:3840]
    black_error = float((few**2).mean())
    cures = {
        "none": (None, None),
        "bias 0.1": (None, 0.1),
        "sigmoid": (nn.Sigmoid(), None),
        "no activation": (nn.Identity(), None),
    }
    for seed in black_at_start(None, few[:100], 10)[:3]:
        for name, (last, bias) in cures.items():
            torch.manual_seed(seed)
            model = models.conv_autoencoder(last=last)
            if bias is not None:
                model[1][-2].bias.data.fill_(bias)
            fit(model, few, epochs=1, batch_size=64, seed=seed)
            share = metrics.reconstruction_error(model, few) / black_error
            what = f"black start {seed}, cure {name}: share of a black image's error"
            record(what, round(share, 3))
            assert share > 0.99 if name == "none" else share < 0.6, what


def test_cures_on_the_whole_data(record):
    """Two epochs, from start 1, which stays black with a ReLU: each cure learns."""
    runs = pd.read_csv(files("course_utils") / "tables" / "code_sizes.csv")
    lucky = pretrained.history("conv").set_index("epoch").validation_loss[2]
    record("ReLU, start 0: validation error after 2 epochs", round(lucky, 4))
    for cure in ("sigmoid last", "no activation", "bias 0.1"):
        error = runs[runs.model == cure].validation_error.item()
        record(f"{cure}, start 1: validation error after 2 epochs", round(error, 4))
        assert error < 0.03


def test_transposed_convolution_gives_back_the_shape_only():
    torch.manual_seed(0)
    x = torch.rand(1, 1, 7, 7)
    y, kernel = torch.randn(1, 1, 3, 3), torch.randn(1, 1, 3, 3)
    down = F.conv2d(x, kernel, stride=2)
    up = F.conv_transpose2d(down, kernel, stride=2)
    assert up.shape == x.shape
    assert not torch.allclose(up, x, atol=0.5)
    torch.testing.assert_close(
        (down * y).sum(), (x * F.conv_transpose2d(y, kernel, stride=2)).sum()
    )


def test_shipped_run_validation_stays_with_training(full_data, record):
    history = pretrained.history("conv")
    gap = float((history.validation_loss / history.train_loss - 1).tail(10).mean())
    record("validation over training loss, last ten of 100 epochs", round(gap, 4))
    assert len(history) == 100
    assert abs(gap) < 0.03


def test_pca_needs_far_fewer_numbers_than_576(full_data, record):
    validation = load_images("FashionMNIST", "validation")
    pca = metrics.PCABaseline(load_images("FashionMNIST", "train").images)
    error = metrics.reconstruction_error(pretrained.load("conv"), validation.images)

    def cut(k):
        return pca.error(validation.images, k, clip=True)

    needed = next(k for k in range(10, 577, 6) if cut(k) <= error)
    record("validation error of the shipped 576-number model", round(error, 5))
    record("PCA components that match it, cut to [0, 1]", needed)
    assert 0.25 < needed / 576 < 0.38  # about a third of its numbers
    assert cut(256) < error


def test_code_sizes_table(record):
    """Deep models lead at 10 numbers; at 64 the order depends on the epochs."""
    runs = pd.read_csv(files("course_utils") / "tables" / "code_sizes.csv")
    mean = runs.groupby(["model", "k", "epochs"]).test_error.mean()
    for (model, k, epochs), value in mean.items():
        record(f"test error, {model}, {k} numbers, {epochs} epochs", round(value, 5))
    pca = mean["PCA"].droplevel("epochs")
    for model in ("stacked", "convolutional"):
        chosen = runs[(runs.model == model) & (runs.k == 10)]
        assert chosen.test_error.max() < mean["cured dense", 10, 8] - 0.003
        assert chosen.test_error.max() < pca[10] - 0.005
    assert mean["stacked", 64, 8] > 1.3 * pca[64]
    assert mean["convolutional", 64, 8] > 1.2 * pca[64]
    assert mean["cured dense", 64, 8] < pca[64]
    assert abs(mean["stacked", 64, 30] / pca[64] - 1) < 0.05  # level
    assert mean["cured dense", 64, 30] < 0.9 * min(pca[64], mean["stacked", 64, 30])
    at_64 = runs[(runs.k == 64) & (runs.epochs == 30)].groupby("model").test_error
    assert at_64.max()["cured dense"] < at_64.min()["convolutional"]  # still ahead
    assert at_64.max()["convolutional"] < 0.95 * pca[64]  # passes PCA
    resnet = pretrained.card("resnet_64")["test_error"]  # after eight epochs
    assert at_64.max()["cured dense"] < resnet < at_64.max()["convolutional"]
    assert abs(at_64.mean()["convolutional"] / resnet - 1) < 0.03  # level with it
    for model in ("stacked", "convolutional"):  # at 10 numbers the gap only widens
        gap = {n: mean["cured dense", 10, n] - mean[model, 10, n] for n in (8, 30)}
        assert gap[30] > gap[8]
    # nine times the numbers change little where the training was short
    assert abs(mean["stacked", 576, 8] / mean["stacked", 64, 8] - 1) < 0.08
    compared = runs[(runs.model != "PCA") & (runs.k != 576)]
    assert (compared.groupby(["model", "k", "epochs"]).seed.nunique() == 3).all()


def test_shipped_small_code_weights_are_those_of_the_table(full_data):
    test = load_images("FashionMNIST", "test")
    runs = pd.read_csv(files("course_utils") / "tables" / "code_sizes.csv")
    for k in (10, 32, 64):
        of_size = runs[(runs.model == "convolutional") & (runs.k == k)]
        row = of_size[(of_size.seed == 0) & (of_size.epochs == 8)]
        error = metrics.reconstruction_error(pretrained.load(f"conv_{k}"), test.images)
        np.testing.assert_allclose(error, row.test_error.item(), rtol=0.02)


@pytest.mark.slow
def test_shuffled_pixels_hurt_convolution_only(full_data, record):
    few = load_images("FashionMNIST", "train").images[:8000]
    held_out = load_images("FashionMNIST", "validation").images
    build = {
        "dense": lambda: models.dense_autoencoder(64, nn.Identity()),
        "conv": lambda: models.conv_autoencoder(last=nn.Sigmoid()),
    }

    def error(name, places, seed):
        torch.manual_seed(seed)
        model = build[name]()
        seen, asked = (
            x.flatten(1)[:, places].reshape(x.shape) for x in (few, held_out)
        )
        fit(model, seen, epochs=3, seed=seed)
        return metrics.reconstruction_error(model, asked)

    in_order, mean_image = torch.arange(784), few.mean(dim=0)
    blind = metrics.mse(mean_image.expand_as(held_out), held_out)
    record("error of the mean image", round(blind, 4))
    for seed in range(3):
        shuffled = torch.randperm(784, generator=torch.Generator().manual_seed(seed))
        lost = {name: error(name, shuffled, seed) for name in build}
        factors = {name: lost[name] / error(name, in_order, seed) for name in build}
        record(f"error shuffled, seed {seed}, conv", round(lost["conv"], 4))
        assert 0.85 < lost["conv"] / blind < 1.15  # at the level of the mean image
        what = f"error shuffled / in order, seed {seed}, conv"
        record(what, round(factors["conv"], 2))
        assert factors["conv"] > 1.6, factors
        assert 0.9 < factors["dense"] < 1.1, factors


def lattice(model: nn.Module, images: torch.Tensor) -> float:
    """Deviation of the mean residual over the 16 places modulo 4, in bright cloth."""
    residual = metrics.apply_in_batches(model, images) - images
    bright = -F.max_pool2d(-F.pad(images, [2, 2, 2, 2]), 5, stride=1) > 0.3
    folded = [
        residual[..., r::4, c::4][bright[..., r::4, c::4]].mean()
        for r in range(4)
        for c in range(4)
    ]
    return float(torch.stack(folded).std())


def test_the_seminars_decoder_keeps_a_lattice_after_100_epochs(full_data, record):
    """The same on validation and test images; a rate that fell to zero leaves none."""
    for split in ("validation", "test"):
        images = load_images("FashionMNIST", split).images[:5000]
        strength = {
            name: lattice(pretrained.load(name), images)
            for name in ("conv", "conv_short", "conv_10", "conv_32", "conv_64")
        }
        strength["resnet_64"] = lattice(pretrained.load("resnet_64"), images)
        for name, value in strength.items():
            record(f"lattice of {name}, {split} images", round(value, 4))
        assert strength["conv"] > 4 * strength["resnet_64"]
        assert strength["conv"] > 4 * max(strength[f"conv_{k}"] for k in (10, 32, 64))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_the_lattice_wanders_at_a_constant_rate_and_settles_at_a_falling_one(
    full_data, record, seed
):
    """200 more steps of the shipped model, a look at every 20."""
    train = load_images("FashionMNIST", "train").images
    held_out = load_images("FashionMNIST", "validation").images[:1000]
    seen = {}
    for falls in (False, True):
        torch.manual_seed(seed)
        model, looks = pretrained.load("conv").train(), []
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
        for step in range(1, 201):
            if falls:
                optimizer.param_groups[0]["lr"] = 1e-3 * (1 - step / 200)
            batch = train[torch.randint(len(train), (128,))]
            loss = F.mse_loss(model(batch), batch)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            if step % 20 == 0:
                looks.append(round(lattice(model, held_out), 4))
        seen[falls] = looks
        rate = "falling" if falls else "constant"
        record(f"lattice, {rate} rate, every 20 of 200 steps, draw {seed}", str(looks))
    assert max(seen[False][3:]) > 1.5 * min(seen[False][3:])
    assert seen[True][-1] < 0.7 * np.mean(seen[False][3:])
    assert seen[True][-1] < 0.35 * lattice(pretrained.load("conv"), held_out)
