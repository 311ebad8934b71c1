"""What lesson 08 says about the KL term, samples, active units and collapse."""

import functools
from importlib.resources import files

import pandas as pd
import pytest
import torch
from torch.nn import functional as F

from course_utils.data import load_images
from course_utils.losses import elbo
from course_utils.metrics import PCABaseline, apply_in_batches, reconstruction_error
from course_utils.models import stacked_autoencoder, variational_autoencoder
from course_utils.training import fit

TABLE = files("course_utils") / "tables" / "beta.csv"
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


@functools.cache
def plain(seed):
    torch.manual_seed(seed)
    model = stacked_autoencoder(K)
    fit(model, data("train"), epochs=4, seed=seed)  # as long as the variational one
    return model


def coverage(new):
    """Mean distance from 1,000 validation images to the nearest of the new ones."""
    asked = data("validation").images[:1000].flatten(1)
    return float(torch.cdist(asked, new.flatten(1)).amin(dim=1).mean() / 28)


def fog(images):
    """Share of images without any pixel above one half, in per cent."""
    return 100 * float((images.flatten(1).amax(dim=1) <= 0.5).float().mean())


def draw(mu, log_var):
    return mu + torch.exp(log_var / 2) * torch.randn_like(mu)


def shipped(distortion, beta):
    table = pd.read_csv(TABLE)
    return table[(table["distortion"] == distortion) & (table["beta"] == beta)]


@pytest.mark.parametrize(("mu", "log_var"), [(1.0, -2.0), (0.0, 0.0), (-3.0, 1.5)])
def test_kl_in_closed_form_agrees_with_sampling(mu, log_var, record):
    torch.manual_seed(0)
    mu, log_var = torch.tensor(mu), torch.tensor(log_var)
    q = torch.distributions.Normal(mu, torch.exp(log_var / 2))
    p = torch.distributions.Normal(0.0, 1.0)
    z = q.sample((1_000_000,))
    ratio = q.log_prob(z) - p.log_prob(z)
    off = float((ratio.mean() - kl_closed_form(mu, log_var)).abs())
    record(f"closed form and sampling differ by, at mu = {mu:g}", round(off, 4))
    assert off <= 4 * float(ratio.std()) / 1000 + 1e-6


@pytest.mark.usefixtures("full_data")
def test_shipped_table_the_averaged_error_collapses_and_the_summed_does_not(record):
    mean_image = PCABaseline(data("train").images).error(data("validation").images, 0)
    averaged = shipped("squared error, averaged", 1.0)
    summed = shipped("squared error, summed", 1.0)
    for name, rows in (("averaged", averaged), ("summed", summed)):
        record(f"active units, squared error {name}", str(sorted(rows["active_units"])))
        assert len(rows) >= 3
    assert (averaged["active_units"] == 0).all()
    assert (averaged["error"] > 0.95 * mean_image).all()
    assert (summed["active_units"] >= 3).all()
    assert (summed["error"] < 0.6 * mean_image).all()


@pytest.mark.usefixtures("full_data")
def test_shipped_table_fewer_nats_and_more_error_as_beta_grows(record):
    betas = (0.1, 1.0, 4.0, 16.0, 64.0)
    columns = ["active_units", "kl", "error"]
    swept = {b: shipped("cross-entropy, summed", b)[columns].mean() for b in betas}
    means = pd.DataFrame(swept).T
    active, kl = means["active_units"].tolist(), means["kl"].tolist()
    at = "at beta = .1, 1, 4, 16, 64"
    record(f"active units {at}", str([round(units, 1) for units in active]))
    record(f"KL in nats {at}", str([round(nats, 2) for nats in kl]))
    assert all(more < 0.8 * less for less, more in zip(kl, kl[1:]))
    assert means["error"].is_monotonic_increasing
    assert active[2] < active[1] < active[0]
    assert kl[-1] < 0.5 < active[-1]  # units pass the limit and carry next to nothing


@pytest.mark.slow
@pytest.mark.usefixtures("full_data")
@pytest.mark.parametrize("seed", range(3))
def test_a_mean_in_place_of_a_sum_collapses_every_unit(seed, record):
    def mistaken(model, images, labels):
        mu, log_var = model[0].moments(images)
        z = mu + torch.exp(log_var / 2) * torch.randn_like(mu)
        kl = kl_closed_form(mu, log_var).sum(dim=1).mean()
        return F.mse_loss(model[1](z), images) + kl

    torch.manual_seed(seed)
    model = variational_autoencoder(K)
    history = fit(model, data("train"), mistaken, epochs=2, seed=seed)
    spread, _ = units(model)
    largest = float(f"{spread.max():.2g}")
    record(f"largest variance of mu after the mistake, seed {seed}", largest)
    assert (spread < 0.01).all()
    assert history.train_loss[-1] < history.train_loss[0]  # and the loss looked healthy


@pytest.mark.slow
@pytest.mark.usefixtures("full_data")
@pytest.mark.parametrize("seed", range(3))
def test_a_few_units_carry_nearly_everything(seed, record):
    spread, kl = units(variational(seed))
    busy = int((kl > 0.1).sum())
    record(f"units with more than .1 nats, seed {seed}", busy)
    record(f"active units, seed {seed}", int((spread > 0.01).sum()))
    assert 4 <= busy <= 14
    assert kl.topk(busy).values.sum() > 0.85 * kl.sum()


@pytest.mark.slow
@pytest.mark.usefixtures("full_data")
@pytest.mark.parametrize("seed", range(3))
def test_noise_decodes_to_all_kinds_in_the_variational_model_and_not_in_the_plain_one(
    seed, record
):
    images = data("validation").images
    models = {"plain": plain(seed), "variational": variational(seed)}
    torch.manual_seed(seed)
    noise = torch.randn(1000, K)
    covers, error = {}, {}
    for name, model in models.items():
        covers[name] = coverage(apply_in_batches(model[1], noise))
        error[name] = reconstruction_error(model, images)
        record(f"coverage, {name}, seed {seed}", round(covers[name], 4))
    assert covers["variational"] < 0.85 * covers["plain"]
    assert error["plain"] < error["variational"]


@pytest.mark.slow
@pytest.mark.usefixtures("full_data")
@pytest.mark.parametrize("seed", range(3))
def test_plain_codes_are_off_centre_and_each_repair_helps(seed, record):
    codes = apply_in_batches(plain(seed)[0], data("train").images)
    middle, spread = codes.mean(dim=0), codes.std(dim=0)
    root = torch.linalg.cholesky(torch.cov(codes.T.double())).float()
    torch.manual_seed(seed)
    noise = torch.randn(1000, K)
    guesses = {
        "N(0, I)": noise,
        "scaled": spread.mean() * noise,
        "centred and scaled": middle + spread * noise,
        "full covariance": middle + noise @ root.T,
    }
    covers = [coverage(apply_in_batches(plain(seed)[1], z)) for z in guesses.values()]
    means = [round(float(m), 1) for m in (middle.min(), middle.max())]
    record(f"smallest and largest mean of a plain unit, seed {seed}", str(means))
    record(
        f"mean deviation of a plain unit, seed {seed}", round(float(spread.mean()), 2)
    )
    names = ", ".join(guesses)
    record(f"coverage of {names}, seed {seed}", str([round(c, 3) for c in covers]))
    assert middle.abs().max() > spread.mean()  # some unit is centred far from zero
    assert all(better < worse - 0.01 for worse, better in zip(covers, covers[1:]))


@pytest.mark.slow
@pytest.mark.usefixtures("full_data")
@pytest.mark.parametrize("seed", range(3))
def test_the_prior_draws_more_fog_than_the_clouds_do(seed, record):
    """So not all of it is the decoder's blur."""
    model, images = variational(seed), data("train").images
    torch.manual_seed(seed)
    with torch.no_grad():
        clouds = draw(*model[0].moments(images[torch.randperm(len(images))[:5000]]))
    shares = {
        "N(0, I)": fog(apply_in_batches(model[1], torch.randn(5000, K))),
        "clouds": fog(apply_in_batches(model[1], clouds)),
        "real images": fog(images[-5000:]),
    }
    for name, share in shares.items():
        record(f"fog from {name}, seed {seed} (%)", round(share, 2))
    assert shares["real images"] < 0.2
    assert shares["N(0, I)"] > 3
    assert shares["N(0, I)"] > 1.5 * shares["clouds"]


@pytest.mark.slow
@pytest.mark.usefixtures("full_data")
@pytest.mark.parametrize("seed", range(3))
def test_the_middle_of_the_sheet_is_pale_and_nearly_empty(seed, record):
    """Hardly any real image is as dark as what the likeliest code decodes to."""
    torch.manual_seed(seed)
    flat = variational_autoencoder(2)
    fit(flat, data("train"), elbo(), epochs=8, seed=seed)
    with torch.no_grad():
        brightest = float(flat[1](torch.zeros(1, 2)).max())
        clouds = draw(*flat[0].moments(data("validation").images))
    inside = float((clouds.norm(dim=1) < 0.3).float().mean())
    of_prior = 1 - torch.exp(torch.tensor(-(0.3**2) / 2)).item()
    record(f"brightest pixel of the sheet's middle, seed {seed}", round(brightest, 2))
    record(
        f"codes within .3 of the middle / N(0, I), seed {seed}",
        f"{inside / of_prior:.2f}",
    )
    real = data("validation").images.flatten(1).amax(dim=1)
    assert float((real <= brightest).float().mean()) < 0.01
    assert inside < 0.7 * of_prior
