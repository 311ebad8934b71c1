"""The variational model: shapes, the draw, and its loss against torch's and against sampling."""

import pytest
import torch
from torch.distributions import Normal, kl_divergence
from torch.nn import functional as F

from course_utils import losses, models, training


@pytest.fixture
def images():
    return torch.rand(6, 1, 28, 28, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def model():
    torch.manual_seed(0)
    return models.variational_autoencoder(4, (32, 16))


def test_is_an_encoder_and_a_decoder(model, images):
    assert len(model) == 2
    mu, log_var = model[0].moments(images)
    assert mu.shape == log_var.shape == (6, 4)
    assert model(images).shape == images.shape
    assert 0 <= float(model(images).detach().min()) and float(model(images).detach().max()) <= 1


def test_draws_in_train_mode_and_returns_the_mean_in_eval_mode(model, images):
    mu, log_var = model[0].moments(images)
    assert not torch.equal(model[0](images), model[0](images))
    model.eval()
    assert torch.equal(model[0](images), mu)
    model.train()
    draws = torch.stack([model[0](images) for _ in range(4000)]).detach()
    torch.testing.assert_close(draws.mean(0), mu.detach(), atol=0.08, rtol=0)
    torch.testing.assert_close(draws.var(0), log_var.exp().detach(), atol=0, rtol=0.15)


def test_the_draw_lets_gradients_through_to_both_halves_of_the_code(model, images):
    model(images).sum().backward()
    assert model[0].mu.weight.grad.abs().sum() > 0
    assert model[0].log_var.weight.grad.abs().sum() > 0


@pytest.mark.parametrize("beta", [0.0, 1.0, 4.0])
def test_elbo_is_cross_entropy_and_kl_in_nats_for_each_image(model, images, beta):
    torch.manual_seed(5)
    measured = losses.elbo(beta)(model, images, None)
    torch.manual_seed(5)
    mu, log_var = model[0].moments(images)
    posterior = Normal(mu, (log_var / 2).exp())
    reconstructed = model[1](mu + posterior.scale * torch.randn_like(mu))
    distortion = torch.stack(
        [F.binary_cross_entropy(r, i, reduction="sum") for r, i in zip(reconstructed, images)]
    )
    kl = kl_divergence(posterior, Normal(0.0, 1.0)).sum(1)
    torch.testing.assert_close(measured, (distortion + beta * kl).mean())


def test_elbo_of_a_batch_is_the_mean_of_its_parts(model, images):
    mean_only = losses.elbo()
    model[0].log_var.weight.data.zero_()
    model[0].log_var.bias.data.fill_(
        -60.0
    )  # no noise to speak of, so that the parts may be compared
    whole, first, second = (
        mean_only(model, part, None) for part in (images, images[:2], images[2:])
    )
    torch.testing.assert_close(whole, (2 * first + 4 * second) / 6)


def test_trains_in_the_common_loop(model, images):
    history = training.fit(model, images, losses.elbo(), epochs=3, batch_size=3, validation=images)
    assert history.train_loss[-1] < history.train_loss[0]
    assert len(history.validation_loss) == 3


def test_refuses_a_size_that_is_none():
    with pytest.raises(ValueError, match="latent_dim must be a positive integer"):
        models.variational_autoencoder(0)
