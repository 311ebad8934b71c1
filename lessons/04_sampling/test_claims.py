"""What lesson 04 says about perturbed, random and fitted codes. Fashion-MNIST, full data, validation images."""

import functools

import pytest
import torch
from sklearn.decomposition import PCA
from sklearn.mixture import GaussianMixture
from sklearn.neighbors import NearestNeighbors

from course_utils.corruption import Dropout
from course_utils.data import load_images
from course_utils.metrics import apply_in_batches
from course_utils.models import dense_autoencoder
from course_utils.training import denoising, fit

pytestmark = pytest.mark.usefixtures("full_data")

SEEDS = (0, 1, 2)
EPOCHS = 6
N = 300


@functools.cache
def data(split):
    return load_images("FashionMNIST", split)


@functools.cache
def trained(seed, n=None, epochs=EPOCHS):
    torch.manual_seed(seed)
    model = dense_autoencoder(int(784 * 1.2))
    fit(model, data("train").images[:n], denoising(Dropout(0.5)), epochs=epochs, seed=seed)
    return model


@functools.cache
def training_index():
    return NearestNeighbors(n_neighbors=1, algorithm="brute").fit(data("train").images.flatten(1).numpy())


def to_real(samples):
    """Distances (root mean square per pixel) from each sample to the nearest training image."""
    return torch.from_numpy(training_index().kneighbors(samples.flatten(1).numpy())[0][:, 0]) / 28


def to_sample(samples):
    """Distances from each of N real pictures to the nearest sample."""
    index = NearestNeighbors(n_neighbors=1, algorithm="brute").fit(samples.flatten(1).numpy())
    return torch.from_numpy(index.kneighbors(data("validation").images[:N].flatten(1).numpy())[0][:, 0]) / 28


@pytest.mark.parametrize("seed", SEEDS)
def test_multiplicative_noise_leaves_inactive_units_inactive(seed, record):
    encoder, _ = trained(seed, n=10_000, epochs=2)
    encoded = apply_in_batches(encoder, data("validation").images[:500])
    torch.manual_seed(seed)
    perturbed_latent = encoded * (1 + torch.randn(encoded.shape))
    assert 0.1 < (encoded == 0).float().mean() < 0.9  # there is something to leave alone
    assert torch.equal(perturbed_latent == 0, encoded == 0)
    negative = (perturbed_latent[encoded > 0] < 0).float().mean().item()
    record(f"seed {seed}: active units pushed below zero", round(negative, 3))
    assert negative == pytest.approx(0.159, abs=0.005)  # a normal number below -1


def test_the_mean_image_passes_one_distance_and_fails_the_other(record):
    images = data("validation").images
    mean_image, others = data("train").images.mean(0, keepdim=True).expand(N, -1, -1, -1), images[N : 2 * N]
    found = {name: (to_real(s).mean().item(), to_sample(s).mean().item()) for name, s in (("mean image", mean_image), ("real", others))}
    record("sample to real, real to sample", {name: [round(d, 3) for d in pair] for name, pair in found.items()})
    assert found["mean image"][0] < 1.15 * found["real"][0]
    assert found["mean image"][1] > 1.4 * found["real"][1]


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("seed", SEEDS)
def test_samples_from_the_mixture_are_closer_to_real_images_than_samples_from_random_codes(seed, record):
    encoder, decoder = trained(seed)
    codes = apply_in_batches(encoder, data("train").images[:6000])
    axes = PCA(32, random_state=0).fit(codes.numpy())
    known = axes.transform(codes.double().numpy())
    held_out = axes.transform(apply_in_batches(encoder, data("validation").images).double().numpy())
    mixtures = {k: GaussianMixture(k, reg_covar=1e-3, tol=0.01, random_state=seed).fit(known) for k in (1, 20)}
    assert mixtures[20].score(held_out) > mixtures[1].score(held_out) + 5

    def sample(mixture):
        return apply_in_batches(decoder, torch.from_numpy(axes.inverse_transform(mixture.sample(N)[0])).float().clamp(min=0))

    torch.manual_seed(seed)
    shuffled_codes = codes.gather(0, torch.randint(len(codes), (N, codes.shape[1])))
    normal_codes = (codes.mean(0) + codes.std(0) * torch.randn(N, codes.shape[1])).clamp(min=0)
    samples = {"shuffled": apply_in_batches(decoder, shuffled_codes), "normal": apply_in_batches(decoder, normal_codes),
               "one Gaussian": sample(mixtures[1]), "mixture": sample(mixtures[20])}
    score = {name: (to_real(s).mean().item(), to_sample(s).mean().item()) for name, s in samples.items()}
    record(f"seed {seed}: sample to real, real to sample", {name: [round(d, 3) for d in pair] for name, pair in score.items()})
    for direction in (0, 1):
        assert score["mixture"][direction] < 0.85 * min(score["shuffled"][direction], score["normal"][direction])
        assert score["mixture"][direction] < 0.95 * score["one Gaussian"][direction]

    real_codes = apply_in_batches(encoder, data("validation").images[:N])
    home, away = (torch.cdist(c, codes).amin(1).mean() for c in (real_codes, shuffled_codes))
    record(f"seed {seed}: distance to the nearest code, shuffled over real", round((away / home).item(), 2))
    assert away > 2 * home


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("seed", SEEDS)
def test_a_perturbed_sample_is_no_copy_but_stays_near_its_original(seed, record):
    encoder, decoder = trained(seed)
    real = data("validation").images[:N]
    encoded = apply_in_batches(encoder, real)
    torch.manual_seed(seed)
    samples = apply_in_batches(decoder, encoded * (1 + torch.randn(encoded.shape)))
    origin, training, among_real = ((samples - real) ** 2).flatten(1).mean(1).sqrt(), to_real(samples), to_real(real)
    share = (origin < training).float().mean().item()
    record(f"seed {seed}: sample to training, sample to original, real to training, share nearest to the original",
           [round(v, 3) for v in (training.mean().item(), origin.mean().item(), among_real.mean().item(), share)])
    assert training.mean() > 0.75 * among_real.mean() and training.min() > 0.03  # not copied
    assert share > 0.2  # one picture against 55,000
    assert abs(origin.mean() - training.mean()) < 0.03  # "about as near"

    torch.manual_seed(seed)
    further = to_real(apply_in_batches(decoder, encoded * (1 + 2 * torch.randn(encoded.shape)))).mean()
    unperturbed = to_real(apply_in_batches(decoder, encoded)).mean()
    record(f"seed {seed}: sample to training at strength 0 and 2", [round(v.item(), 3) for v in (unperturbed, further)])
    assert unperturbed < training.mean() < among_real.mean() < further


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("seed", SEEDS)
def test_between_two_garments_the_code_owes_its_lead_to_the_blur(seed, record):
    encoder, decoder = trained(seed)
    first, second = data("validation").images[:N].split(N // 2)
    codes = apply_in_batches(encoder, first), apply_in_batches(encoder, second)
    fade = (first + second) / 2
    found = {"cross-fade": fade, "cross-fade, through the DAE": apply_in_batches(trained(seed), fade),
             "code": apply_in_batches(decoder, (codes[0] + codes[1]) / 2), "one end, through the DAE": apply_in_batches(trained(seed), first)}
    distance = {name: to_real(pictures).mean().item() for name, pictures in found.items()}
    record(f"seed {seed}: from the middle to the nearest training image", {name: round(d, 3) for name, d in distance.items()})
    assert distance["one end, through the DAE"] < distance["cross-fade, through the DAE"] < distance["code"] < distance["cross-fade"]
