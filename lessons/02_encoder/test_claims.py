"""What lesson 02 says about codes, probes and neighbours. Fashion-MNIST, full data, validation images, three seeds."""

import functools

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import NearestNeighbors
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

from course_utils.data import load_images
from course_utils.metrics import PCABaseline, apply_in_batches, reconstruction_error
from course_utils.models import Encoder, dense_autoencoder
from course_utils.training import classification, fit

pytestmark = pytest.mark.usefixtures("full_data")

SEEDS = (0, 1, 2)
EPOCHS = 6


@functools.cache
def data(split):
    return load_images("FashionMNIST", split)


@functools.cache
def trained(kind, seed):
    torch.manual_seed(seed)
    model = dense_autoencoder(10, nn.Identity() if kind == "linear" else None)
    fit(model, data("train"), epochs=EPOCHS, seed=seed)
    return model


def fitted_probe(features, n_labels, draw):
    few = torch.randperm(len(features), generator=torch.Generator().manual_seed(draw))[:n_labels]
    strength = 1.0 if features.shape[1] <= 10 else 0.01
    return make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=1000)).fit(features[few], data("train").labels[few])


def accuracy(encode, n_labels=1000, draws=3):
    features, held_out = encode(data("train").images), encode(data("validation").images)
    return np.mean([fitted_probe(features, n_labels, draw).score(held_out, data("validation").labels) for draw in range(draws)])


def probe_of(kind, seed):
    return accuracy(lambda images: apply_in_batches(trained(kind, seed)[0], images))


def test_a_worse_code_probes_worse(record):
    errors = {kind: [reconstruction_error(trained(kind, s), data("validation").images) for s in SEEDS] for kind in ("chapter", "linear")}
    probes = {kind: [probe_of(kind, s) for s in SEEDS] for kind in ("chapter", "linear")}
    for kind in errors:
        record(f"{kind}: errors", [round(e, 4) for e in errors[kind]])
        record(f"{kind}: accuracy of the probe, 1,000 labels", [round(float(p), 3) for p in probes[kind]])
    assert min(errors["chapter"]) > max(errors["linear"]) + 0.002
    assert np.mean(probes["linear"]) > np.mean(probes["chapter"]) + 0.015
    assert min(probes["linear"]) > max(probes["chapter"])


def test_random_directions_reach_far_and_training_further(record):
    random = []
    for seed in SEEDS:
        torch.manual_seed(seed)
        encoder = Encoder(10, nn.Identity())
        random.append(accuracy(lambda images: apply_in_batches(encoder, images)))
    record("random directions: accuracy of the probe, 1,000 labels", [round(float(r), 3) for r in random])
    assert min(random) > 0.5
    assert min(probe_of("linear", s) for s in SEEDS) > max(random) + 0.05


def test_linear_code_is_level_with_pca_and_keeps_nine_tenths_of_the_pixels_accuracy(record):
    pca = PCABaseline(data("train").images)
    linear, with_pca = np.mean([probe_of("linear", s) for s in SEEDS]), accuracy(lambda images: pca.encode(images, 10))
    pixels = accuracy(lambda images: images.flatten(1))
    record("PCA-10 and pixels: accuracy of the probe, 1,000 labels", [round(float(with_pca), 3), round(float(pixels), 3)])
    assert abs(linear - with_pca) < 0.015
    assert 0.87 < linear / pixels < 0.95


def test_shirts_are_recognised_worst_and_pixels_find_neighbours_of_the_class_more_often(record):
    asked = data("validation").images[:1000]

    def hits(encode):
        search = NearestNeighbors(n_neighbors=1, algorithm="brute").fit(encode(data("train").images).numpy())
        found = search.kneighbors(encode(asked).numpy(), return_distance=False)[:, 0]
        return (data("train").labels[found] == data("validation").labels[:1000]).float().mean().item()

    pixels = hits(lambda images: images.flatten(1))
    for seed in SEEDS:
        def encode(images):
            return apply_in_batches(trained("linear", seed)[0], images)

        answers = torch.from_numpy(fitted_probe(encode(data("train").images), 5000, seed).predict(encode(data("validation").images)))
        right = (answers == data("validation").labels).float()
        recognised = torch.stack([right[data("validation").labels == c].mean() for c in range(10)])
        by_code = hits(encode)
        families = torch.tensor([0, 1, 0, 0, 0, 2, 0, 2, 3, 2])  # tops and dresses, trousers, shoes, bags
        at_home = (families[answers] == families[data("validation").labels])[right == 0].float().mean().item()
        record(f"seed {seed}: share of the errors inside a family", round(at_home, 2))
        assert at_home > 0.75  # "by far the most"
        record(f"seed {seed}: shirts recognised; same class among neighbours by code, by pixels",
               [round(recognised.min().item(), 2), round(by_code, 3), round(pixels, 3)])
        assert data("train").class_names[int(recognised.argmin())] == "Shirt"
        assert by_code + 0.02 < pixels


def test_neighbours_read_more_from_the_code_than_a_linear_probe_with_the_same_labels(record):
    labels, wanted = data("train").labels, data("validation").labels
    for seed in SEEDS:
        known, asked = (apply_in_batches(trained("linear", seed)[0], data(split).images) for split in ("train", "validation"))
        found = NearestNeighbors(n_neighbors=1, algorithm="brute").fit(known.numpy()).kneighbors(asked.numpy(), return_distance=False)[:, 0]
        by_neighbour = (labels[found] == wanted).float()
        by_probe = torch.from_numpy(fitted_probe(known, len(known), 0).predict(asked) == wanted.numpy()).float()
        lead = by_neighbour - by_probe
        record(f"seed {seed}: right by neighbour, by probe with all labels", [round(r.mean().item(), 3) for r in (by_neighbour, by_probe)])
        assert lead.mean() > 2 * lead.std() / len(lead) ** 0.5


def test_frozen_encoders_do_not_move_and_forgotten_ones_do():
    images, labels = data("train").images[:2000], data("train").labels[:2000]
    for frozen in (True, False):
        torch.manual_seed(0)
        encoder = Encoder(10).requires_grad_(not frozen)
        before = {name: value.clone() for name, value in encoder.state_dict().items()}
        classifier = nn.Sequential(encoder, nn.Linear(10, 10))
        head = classifier[1].weight.clone()
        fit(classifier, (images, labels), classification, epochs=1)
        assert all(torch.equal(value, before[name]) for name, value in encoder.state_dict().items()) is frozen
        assert not torch.equal(classifier[1].weight, head)
