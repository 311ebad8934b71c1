"""What lesson 04 says about perturbed, random and fitted codes.

Fashion-MNIST, full data, validation images.
"""

import functools

import pytest
import torch
from sklearn.decomposition import PCA
from sklearn.mixture import GaussianMixture
from sklearn.neighbors import NearestNeighbors

from course_utils.corruption import Dropout
from course_utils.data import load_images
from course_utils.losses import denoising
from course_utils.metrics import apply_in_batches
from course_utils.models import dense_autoencoder
from course_utils.training import fit

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
    images, loss = data("train").images[:n], denoising(Dropout(0.5))
    fit(model, images, loss, epochs=epochs, seed=seed)
    return model


def index_of(images):
    search = NearestNeighbors(n_neighbors=1, algorithm="brute")
    return search.fit(images.flatten(1).numpy())


def distances(index, images):
    """From each image to the nearest in the index: root mean square per pixel."""
    distance, _ = index.kneighbors(images.flatten(1).numpy())
    return torch.from_numpy(distance[:, 0]) / 28


@functools.cache
def training_index():
    return index_of(data("train").images)


def to_real(samples):
    """Distance of each sample from the nearest training image."""
    return distances(training_index(), samples)


def to_sample(samples, split="validation"):
    """Distance of each of N real pictures from the nearest sample."""
    return distances(index_of(samples), data(split).images[:N])


def score(samples, split="validation"):
    """Mean distances: sample to real, real to sample."""
    return to_real(samples).mean().item(), to_sample(samples, split).mean().item()


def apart(a, b):
    """Distance of each picture from its partner: root mean square per pixel."""
    return ((a - b) ** 2).flatten(1).mean(1).sqrt()


def blurred(images):
    """A weighted mean over 3 x 3 pixels."""
    weights = torch.tensor([1.0, 2.0, 1.0])
    weights = (weights[:, None] * weights / 16).reshape(1, 1, 3, 3)
    return torch.nn.functional.conv2d(images, weights, padding=1)


def rounded(values, digits=3):
    return [round(float(value), digits) for value in values]


@pytest.mark.parametrize("seed", SEEDS)
def test_multiplicative_noise_leaves_inactive_units_inactive(seed, record):
    encoder, _ = trained(seed, n=10_000, epochs=2)
    encoded = apply_in_batches(encoder, data("validation").images[:500])
    torch.manual_seed(seed)
    perturbed_latent = encoded * (1 + torch.randn(encoded.shape))
    # there is something to leave alone
    assert 0.1 < (encoded == 0).float().mean() < 0.9
    assert torch.equal(perturbed_latent == 0, encoded == 0)
    negative = (perturbed_latent[encoded > 0] < 0).float().mean().item()
    record(f"seed {seed}: active units pushed below zero", round(negative, 3))
    assert negative == pytest.approx(0.159, abs=0.005)  # a normal number below -1


def test_the_mean_image_passes_one_distance_and_fails_the_other(record):
    images = data("validation").images
    mean_image = data("train").images.mean(0, keepdim=True).expand(N, -1, -1, -1)
    found = {"mean image": score(mean_image), "real": score(images[N : 2 * N])}
    record(
        "sample to real, real to sample",
        {name: rounded(pair) for name, pair in found.items()},
    )
    assert found["mean image"][0] < 1.15 * found["real"][0]
    assert found["mean image"][1] > 1.4 * found["real"][1]


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("seed", SEEDS)
def test_samples_from_the_mixture_are_nearer_to_real_images_than_from_random_codes(
    seed, record
):
    encoder, decoder = trained(seed)
    codes = apply_in_batches(encoder, data("train").images[:6000])
    axes = PCA(32, random_state=0).fit(codes.numpy())
    known = axes.transform(codes.double().numpy())
    held_out = apply_in_batches(encoder, data("validation").images)
    held_out = axes.transform(held_out.double().numpy())
    settings = {"reg_covar": 1e-3, "tol": 0.01, "random_state": seed}
    mixtures = {k: GaussianMixture(k, **settings).fit(known) for k in (1, 20)}
    assert mixtures[20].score(held_out) > mixtures[1].score(held_out) + 5

    def draw(points):
        drawn = torch.from_numpy(axes.inverse_transform(points)).float().clamp(min=0)
        return apply_in_batches(decoder, drawn)

    def sample(mixture):
        return draw(mixture.sample(N)[0])

    torch.manual_seed(seed)
    shuffled_codes = codes.gather(0, torch.randint(len(codes), (N, codes.shape[1])))
    normal_codes = codes.mean(0) + codes.std(0) * torch.randn(N, codes.shape[1])
    normal_codes = normal_codes.clamp(min=0)
    kinds = {"real": codes, "normal": normal_codes, "shuffled": shuffled_codes}
    zeros = {name: (c == 0).float().mean().item() for name, c in kinds.items()}
    record(
        f"seed {seed}: share of zeros in codes",
        dict(zip(zeros, rounded(zeros.values(), 2))),
    )
    assert abs(zeros["shuffled"] - zeros["real"]) < 0.02
    assert zeros["normal"] < 0.6 * zeros["real"]

    others = data("test").images[N : 2 * N]
    places = apply_in_batches(encoder, others).double().numpy()
    pictures = {
        "shuffled": apply_in_batches(decoder, shuffled_codes),
        "normal": apply_in_batches(decoder, normal_codes),
        "one Gaussian": sample(mixtures[1]),
        "mixture": sample(mixtures[20]),
        "real": others,
        "real, blurred": blurred(others),
        "real, through DAE and axes": draw(axes.transform(places)),
    }
    found = {name: score(images, "test") for name, images in pictures.items()}
    record(
        f"seed {seed}: sample to real, real to sample, test images",
        {name: rounded(pair) for name, pair in found.items()},
    )
    for direction in (0, 1):
        distance = {name: pair[direction] for name, pair in found.items()}
        invented = min(distance["shuffled"], distance["normal"])
        assert distance["mixture"] < 0.85 * invented
        assert distance["mixture"] < 0.95 * distance["one Gaussian"]
        assert distance["real, blurred"] < distance["real"]  # both reward blur
    assert found["real, through DAE and axes"][1] < found["mixture"][1]

    real_codes = apply_in_batches(encoder, data("validation").images[:N])
    home = torch.cdist(real_codes, codes).amin(1).mean()
    away = torch.cdist(shuffled_codes, codes).amin(1).mean()
    name = f"seed {seed}: distance to the nearest code, shuffled over real"
    record(name, round((away / home).item(), 2))
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
    origin = ((samples - real) ** 2).flatten(1).mean(1).sqrt()
    training, among_real = to_real(samples), to_real(real)
    share = (origin < training).float().mean().item()
    record(
        f"seed {seed}: sample to training, sample to original, real to training, "
        "share nearest to the original",
        rounded([training.mean(), origin.mean(), among_real.mean(), share]),
    )
    assert training.mean() > 0.75 * among_real.mean()
    some = data("train").images[:N]
    copied = apart(apply_in_batches(trained(seed), some), some).mean()
    record(
        f"seed {seed}: training image, drawn by the DAE, to itself",
        round(copied.item(), 3),
    )
    assert 0.7 < copied / training.mean() < 0.95  # "nearly as far away"
    assert training.min() > 0.03
    assert share > 0.2  # one picture against 55,000
    assert abs(origin.mean() - training.mean()) < 0.03  # "about as near"

    torch.manual_seed(seed)
    shaken = encoded * (1 + 2 * torch.randn(encoded.shape))
    further = to_real(apply_in_batches(decoder, shaken)).mean()
    unperturbed = to_real(apply_in_batches(decoder, encoded)).mean()
    name = f"seed {seed}: sample to training at strength 0 and 2"
    record(name, rounded([unperturbed, further]))
    assert unperturbed < training.mean() < among_real.mean() < further


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("seed", SEEDS)
def test_most_of_what_is_new_in_a_sample_is_in_the_reconstruction(seed, record):
    encoder, decoder = trained(seed)
    real = data("validation").images[:N]
    encoded = apply_in_batches(encoder, real)
    torch.manual_seed(seed)
    samples = apply_in_batches(decoder, encoded * (1 + torch.randn(encoded.shape)))
    reconstructions = apply_in_batches(decoder, encoded)
    found = [apart(reconstructions, real), apart(samples, real)]
    found = [distance.mean().item() for distance in found]
    record(f"seed {seed}: reconstruction and sample to original", rounded(found))
    assert 0.6 < found[0] / found[1] < 1


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("seed", SEEDS)
def test_halfway_between_two_codes_lies_the_mean_of_the_logits(seed, record):
    encoder, decoder = trained(seed)
    first, second = data("validation").images[:N].split(N // 2)
    middle = (apply_in_batches(encoder, first) + apply_in_batches(encoder, second)) / 2
    code = apply_in_batches(decoder, middle)
    ends = [apply_in_batches(trained(seed), images) for images in (first, second)]
    logits = sum(torch.logit(end.double()) for end in ends) / 2
    assert torch.allclose(torch.sigmoid(logits).float(), code, atol=1e-3)

    low, high = torch.minimum(*ends), torch.maximum(*ends)
    pictures = {
        "cross-fade": (low + high) / 2,
        "code": code,
        "darker of the two": low,
        "one end": ends[0],
    }
    dark, light = (x.mean((1, 2, 3), True) for x in (code, pictures["cross-fade"]))
    pictures["cross-fade, dimmed"] = pictures["cross-fade"] * dark / light
    pictures["black"] = torch.zeros_like(low)
    only_one = (high > 0.6) & (low < 0.1)
    values = [pictures[name][only_one].mean() for name in ("cross-fade", "code")]
    record(
        f"seed {seed}: brightness where one end is bright, cross-fade and code",
        rounded(values, 2),
    )
    assert values[1] < 0.6 * values[0]
    others = {"geometric mean": (low * high).sqrt(), "cross-fade": (low + high) / 2}
    away = [apart(code, picture).mean() for picture in others.values()]
    record(f"seed {seed}: from code to geometric mean and cross-fade", rounded(away))
    assert away[0] < 0.6 * away[1]
    found = {name: to_real(images).mean().item() for name, images in pictures.items()}
    record(
        f"seed {seed}: from the middle to the nearest training image",
        dict(zip(found, rounded(found.values()))),
    )
    order = ["black", "one end", "darker of the two", "code", "cross-fade"]
    assert sorted(found.keys() - {"cross-fade, dimmed"}, key=found.get) == order
    assert found["black"] < found["cross-fade, dimmed"] < found["code"] - 0.005
