"""What lesson 08 says about the KL term, samples from N(0, I), active units and posterior collapse. Fashion-MNIST, full data."""

import functools
from pathlib import Path

import pandas as pd
import pytest
import torch
from torch.nn import functional as F

import course_utils
from course_utils.data import load_images
from course_utils.metrics import PCABaseline, apply_in_batches, reconstruction_error
from course_utils.models import stacked_autoencoder, variational_autoencoder
from course_utils.training import elbo, fit

TABLE = Path(course_utils.__file__).parent / "tables/beta.csv"
SEEDS = range(3)
K = 20


@functools.cache
def data(split):
    return load_images("FashionMNIST", split)


def kl_closed_form(mu, log_var):
    return (mu**2 + log_var.exp() - 1 - log_var) / 2


def units(model):
    """Variance of mu and mean KL of each unit over the validation images."""
    with torch.no_grad():
        mu, log_var = model[0].moments(data("validation").images)
    return mu.var(dim=0), kl_closed_form(mu, log_var).mean(dim=0)


@functools.cache
def variational(seed):
    torch.manual_seed(seed)
    model = variational_autoencoder(K)
    fit(model, data("train"), elbo(), epochs=4, seed=seed)
    return model


def shipped(distortion, beta):
    table = pd.read_csv(TABLE)
    return table[(table["distortion"] == distortion) & (table["beta"] == beta)]


def test_kl_in_closed_form_agrees_with_sampling(record):
    for mu, log_var in ((1.0, -2.0), (0.0, 0.0), (-3.0, 1.5)):
        torch.manual_seed(0)
        mu, log_var = torch.tensor(mu), torch.tensor(log_var)
        q, p = torch.distributions.Normal(mu, torch.exp(log_var / 2)), torch.distributions.Normal(0.0, 1.0)
        z = q.sample((1_000_000,))
        ratio = q.log_prob(z) - p.log_prob(z)
        off = float((ratio.mean() - kl_closed_form(mu, log_var)).abs())
        record(f"closed form and sampling differ by, at mu = {mu:g}", round(off, 4))
        assert off <= 4 * float(ratio.std()) / 1000 + 1e-6


@pytest.mark.usefixtures("full_data")
def test_shipped_table_the_averaged_error_collapses_and_the_summed_does_not(record):
    mean_image = PCABaseline(data("train").images).error(data("validation").images, 0)
    averaged, summed = shipped("squared error, averaged", 1.0), shipped("squared error, summed", 1.0)
    record("active units, squared error averaged", str(sorted(averaged["active_units"])))
    record("active units, squared error summed", str(sorted(summed["active_units"])))
    assert len(averaged) >= 3 and len(summed) >= 3
    assert (averaged["active_units"] == 0).all()
    assert (averaged["error"] > 0.95 * mean_image).all()
    assert (summed["active_units"] >= 3).all()
    assert (summed["error"] < 0.6 * mean_image).all()


@pytest.mark.usefixtures("full_data")
def test_shipped_table_fewer_nats_and_more_error_as_beta_grows(record):
    betas = (0.1, 1.0, 4.0, 16.0, 64.0)
    means = [shipped("cross-entropy, summed", beta)[["active_units", "kl", "error"]].mean() for beta in betas]
    record("active units at beta = .1, 1, 4, 16, 64", str([round(float(row["active_units"]), 1) for row in means]))
    record("KL in nats at beta = .1, 1, 4, 16, 64", str([round(float(row["kl"]), 2) for row in means]))
    for less, more in zip(means, means[1:]):
        assert more["kl"] < 0.8 * less["kl"]
        assert more["error"] > less["error"]
    assert means[2]["active_units"] < means[1]["active_units"] < means[0]["active_units"]
    assert means[-1]["kl"] < 0.5 < means[-1]["active_units"]  # units pass the limit and carry next to nothing


@pytest.mark.slow
@pytest.mark.usefixtures("full_data")
@pytest.mark.parametrize("seed", SEEDS)
def test_a_mean_in_place_of_a_sum_collapses_every_unit(seed, record):
    def mistaken(model, images, labels):
        mu, log_var = model[0].moments(images)
        z = mu + torch.exp(log_var / 2) * torch.randn_like(mu)
        return F.mse_loss(model[1](z), images) + kl_closed_form(mu, log_var).sum(dim=1).mean()

    torch.manual_seed(seed)
    model = variational_autoencoder(K)
    history = fit(model, data("train"), mistaken, epochs=2, seed=seed)
    spread, _ = units(model)
    record(f"largest variance of mu after the mistake, seed {seed}", float(f"{spread.max():.2g}"))
    assert (spread < 0.01).all()
    assert history.train_loss[-1] < history.train_loss[0]  # and the loss looked healthy


@pytest.mark.slow
@pytest.mark.usefixtures("full_data")
@pytest.mark.parametrize("seed", SEEDS)
def test_a_few_units_carry_nearly_everything(seed, record):
    spread, kl = units(variational(seed))
    busy = int((kl > 0.1).sum())
    record(f"units with more than .1 nats, seed {seed}", busy)
    record(f"active units, seed {seed}", int((spread > 0.01).sum()))
    assert 4 <= busy <= 14
    assert kl.topk(busy).values.sum() > 0.85 * kl.sum()


@pytest.mark.slow
@pytest.mark.usefixtures("full_data")
@pytest.mark.parametrize("seed", SEEDS)
def test_noise_decodes_to_all_kinds_in_the_variational_model_and_not_in_the_plain_one(seed, record):
    torch.manual_seed(seed)
    plain = stacked_autoencoder(K)
    fit(plain, data("train"), epochs=4, seed=seed)  # as long as the variational one
    noise, asked = torch.randn(1000, K), data("validation").images[:1000].flatten(1)
    coverage = {}
    for name, model in (("plain", plain), ("variational", variational(seed))):
        new = apply_in_batches(model[1], noise).flatten(1)
        coverage[name] = float(torch.cdist(asked, new).amin(dim=1).mean() / 28)
        record(f"coverage, {name}, seed {seed}", round(coverage[name], 4))
    assert coverage["variational"] < 0.85 * coverage["plain"]
    assert reconstruction_error(plain, data("validation").images) < reconstruction_error(variational(seed), data("validation").images)
