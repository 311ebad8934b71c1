"""What lesson 02 says about codes, probes and neighbours.

Fashion-MNIST, full data, validation images, three seeds.
"""

import functools

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier, NearestNeighbors
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

from course_utils.data import load_images
from course_utils.losses import classification
from course_utils.metrics import PCABaseline, apply_in_batches, reconstruction_error
from course_utils.models import Encoder, dense_autoencoder
from course_utils.training import fit

pytestmark = pytest.mark.usefixtures("full_data")

SEEDS = (0, 1, 2)
EPOCHS = 8


@functools.cache
def data(split):
    return load_images("FashionMNIST", split)


@functools.cache
def trained(kind, seed, k=10):
    torch.manual_seed(seed)
    model = dense_autoencoder(k, nn.Identity() if kind == "linear" else None)
    fit(model, data("train"), epochs=EPOCHS, seed=seed)
    return model


def code(kind, seed):
    """The trained encoder as a function of images."""
    return lambda images: apply_in_batches(trained(kind, seed)[0], images)


def rounded(values, digits=3):
    return [round(float(value), digits) for value in values]


def fitted_probe(features, n_labels, draw):
    generator = torch.Generator().manual_seed(draw)
    few = torch.randperm(len(features), generator=generator)[:n_labels]
    strength = 1.0 if features.shape[1] < 100 else 0.01
    regression = LogisticRegression(C=strength, max_iter=1000)
    probe = make_pipeline(StandardScaler(), regression)
    return probe.fit(features[few], data("train").labels[few])


def accuracy(encode, n_labels=1000, draws=3):
    features, held_out = encode(data("train").images), encode(data("validation").images)
    probes = [fitted_probe(features, n_labels, draw) for draw in range(draws)]
    return np.mean(
        [probe.score(held_out, data("validation").labels) for probe in probes]
    )


def probe_of(kind, seed):
    return accuracy(code(kind, seed))


def neighbours(known, asked):
    """For each row of `asked` the place of the nearest row of `known`."""
    search = NearestNeighbors(n_neighbors=1, algorithm="brute").fit(known.numpy())
    return search.kneighbors(asked.numpy(), return_distance=False)[:, 0]


def test_a_worse_code_probes_worse(record):
    images = data("validation").images
    errors, probes = {}, {}
    for kind in ("chapter", "linear"):
        errors[kind] = [reconstruction_error(trained(kind, s), images) for s in SEEDS]
        probes[kind] = [probe_of(kind, s) for s in SEEDS]
        record(f"{kind}: errors", rounded(errors[kind], 4))
        record(f"{kind}: accuracy of the probe, 1,000 labels", rounded(probes[kind]))
    assert min(errors["chapter"]) > max(errors["linear"]) + 0.002
    assert np.mean(probes["linear"]) > np.mean(probes["chapter"]) + 0.015
    assert min(probes["linear"]) > max(probes["chapter"])


def test_random_directions_reach_far_and_training_further(record):
    found = {}
    kinds = {"random directions": nn.Identity(), "untrained encoder": nn.ReLU()}
    for name, activation in kinds.items():
        found[name] = []
        for seed in range(5):
            torch.manual_seed(seed)
            encode = functools.partial(apply_in_batches, Encoder(10, activation))
            found[name].append(accuracy(encode))
        record(f"{name}: accuracy of the probe, 1,000 labels", rounded(found[name]))
    trained_ones = [probe_of("linear", s) for s in SEEDS]
    assert min(found["random directions"]) > 0.5
    assert min(trained_ones) > max(found["random directions"]) + 0.05
    assert np.mean(found["untrained encoder"]) < np.mean(found["random directions"])
    chapter = [probe_of("chapter", s) for s in SEEDS]
    assert min(chapter) > max(found["untrained encoder"])


def test_error_and_probe_go_together_over_codes_of_all_sizes(record):
    pca, images = PCABaseline(data("train").images), data("validation").images
    sizes = {"chapter": (5, 10, 20), "linear": (2, 5, 10, 20)}
    points = []
    for kind, ks in sizes.items():
        for k in ks:
            model = trained(kind, 0, k)
            encode = functools.partial(apply_in_batches, model[0])
            points.append((reconstruction_error(model, images), accuracy(encode)))
    for k in (2, 3, 5, 7, 10, 14, 20):
        encode = functools.partial(pca.encode, k=k)
        points.append((pca.error(images, k), accuracy(encode)))
    correlation = np.corrcoef(np.array(points).T)[0, 1]
    name = f"correlation of error and accuracy, {len(points)} encoders"
    record(name, round(correlation, 2))
    assert correlation < -0.85


def test_linear_code_is_level_with_pca_and_keeps_nine_tenths_of_the_pixels_accuracy(
    record,
):
    pca = PCABaseline(data("train").images)
    linear = np.mean([probe_of("linear", s) for s in SEEDS])
    with_pca = accuracy(lambda images: pca.encode(images, 10))
    pixels = accuracy(lambda images: images.flatten(1))
    name = "PCA-10 and pixels: accuracy of the probe, 1,000 labels"
    record(name, rounded([with_pca, pixels]))
    assert abs(linear - with_pca) < 0.015
    assert 0.87 < linear / pixels < 0.95


def test_shirts_are_recognised_worst_and_pixels_find_neighbours_of_the_class_more_often(
    record,
):
    known, labels = data("train").images, data("train").labels
    images, wanted = data("validation").images, data("validation").labels
    # tops and dresses, trousers, shoes, bags
    families = torch.tensor([0, 1, 0, 0, 0, 2, 0, 2, 3, 2])

    def hits(encode):
        found = labels[neighbours(encode(known), encode(images[:1000]))]
        return (found == wanted[:1000]).float().mean().item()

    pixels = hits(lambda images: images.flatten(1))
    for seed in SEEDS:
        encode = code("linear", seed)
        probe = fitted_probe(encode(known), 5000, seed)
        answers = torch.from_numpy(probe.predict(encode(images)))
        wrong = answers != wanted
        own = families[wanted[wrong]]
        at_home = (families[answers[wrong]] == own).float().mean().item()
        by_chance = ((torch.bincount(families)[own] - 1) / 9).mean().item()
        name = f"seed {seed}: share of the errors inside a family, and by chance"
        record(name, rounded([at_home, by_chance], 2))
        assert at_home > 0.75  # "by far the most"
        assert by_chance < 0.5

        right = (~wrong).float()
        recognised = torch.stack([right[wanted == c].mean() for c in range(10)])
        by_code = hits(encode)
        record(
            f"seed {seed}: shirts recognised; same class among neighbours "
            "by code, by pixels",
            [round(recognised.min().item(), 2), round(by_code, 3), round(pixels, 3)],
        )
        assert data("train").class_names[int(recognised.argmin())] == "Shirt"
        assert by_code + 0.02 < pixels


def test_neighbours_read_more_than_a_linear_probe_and_of_shirts_much_more(record):
    labels, wanted = data("train").labels, data("validation").labels
    shirts = wanted == 6
    for seed in SEEDS:
        encode = code("linear", seed)
        known, asked = encode(data("train").images), encode(data("validation").images)
        probe = fitted_probe(known, len(known), 0)
        right = {"probe": probe.predict(asked)}
        for n in (1, 15):
            right[n] = KNeighborsClassifier(n).fit(known, labels).predict(asked)
        right = {name: torch.from_numpy(a) == wanted for name, a in right.items()}
        shares = {
            name: [r.float().mean(), r[shirts].float().mean()]
            for name, r in right.items()
        }
        record(
            f"seed {seed}: right by probe with all labels, by 1 and by 15 neighbours; "
            "the same of the shirts",
            [rounded(column) for column in zip(*shares.values())],
        )
        for n, margin in ((1, 0.0), (15, 0.02)):
            lead = right[n].float() - right["probe"].float()
            assert lead.mean() > margin + 2 * lead.std() / len(lead) ** 0.5
        assert shares[15][1] > shares["probe"][1] + 0.05


def test_frozen_encoders_do_not_move_and_forgotten_ones_do():
    images, labels = data("train").images[:2000], data("train").labels[:2000]
    for frozen in (True, False):
        torch.manual_seed(0)
        encoder = Encoder(10).requires_grad_(not frozen)
        before = {name: value.clone() for name, value in encoder.state_dict().items()}
        classifier = nn.Sequential(encoder, nn.Linear(10, 10))
        head = classifier[1].weight.clone()
        fit(classifier, (images, labels), classification, epochs=1)
        state = encoder.state_dict()
        stayed = all(torch.equal(state[name], value) for name, value in before.items())
        assert stayed is frozen
        assert not torch.equal(classifier[1].weight, head)
