"""What the two latent-sweep solutions state, against the table that comes with the
course; and that table against new runs."""

import pytest
import torch

from course_utils import corruption, metrics, models, sweeps
from course_utils.data import load_images

NAMES = ["FashionMNIST", "MNIST"]
TABLES = {name: sweeps.shipped(name) for name in NAMES}
LONGER = {
    name: sweeps.shipped(name, epochs=36).set_index("latent_dim") for name in NAMES
}
MEANS = {
    name: table.groupby("latent_dim")["validation_error"].mean()
    for name, table in TABLES.items()
}
SEMS = {
    name: table.groupby("latent_dim")["validation_error"].sem()
    for name, table in TABLES.items()
}


def rules(name):
    mean, best = MEANS[name], MEANS[name].idxmin()
    return best, mean[mean <= mean[best] + SEMS[name][best]].index.min()


@pytest.mark.parametrize("name", NAMES)
def test_the_table_is_whole(name):
    table = TABLES[name]
    dims = set(table["latent_dim"])
    assert len(dims) >= 10 and {8, 784, 940, 1568} <= dims
    assert (table.groupby("latent_dim")["seed"].nunique() == 3).all()
    assert not table.duplicated(["latent_dim", "seed"]).any()
    assert (table["error"] == "").all()
    assert (table["train_images"] == 55_000).all()
    assert set(table["corruption"]) == {"Dropout(p=0.5)"}


@pytest.mark.parametrize("name", NAMES)
def test_the_error_falls_to_the_widest_model_and_both_rules_take_it(name, record):
    mean = MEANS[name]
    assert mean.is_monotonic_decreasing
    record(
        f"{name}: width by rule one and rule two",
        str(tuple(int(dim) for dim in rules(name))),
    )
    assert rules(name) == (1568, 1568)
    assert mean[784] - mean[1568] < 0.12 * mean[784], (
        "what comes after 784 is about a tenth or less"
    )


@pytest.mark.parametrize("name", NAMES)
def test_three_times_the_epochs_give_the_same_ranking(name, record):
    longer = LONGER[name]
    assert set(longer["seed"]) == {0} and set(longer["train_images"]) == {55_000}
    for dim, error in longer["validation_error"].items():
        record(f"{name}: validation error, {dim} units, 36 epochs", round(error, 5))
    ranks = [
        list(e.sort_values().index) for e in (longer["validation_error"], MEANS[name])
    ]
    assert ranks[0] == ranks[1]
    over = longer["validation_error"] / longer["train_error"] - 1
    record(f"{name}: validation over training, 1,568 units", round(over[1568], 3))
    assert over[1568] > 0.07 and over[over.index <= 64].abs().max() < 0.02


@pytest.mark.parametrize(
    "name, dim, error",
    [
        ("FashionMNIST", 128, 0.0150),
        ("FashionMNIST", 784, 0.0114),
        ("FashionMNIST", 940, 0.0112),
        ("FashionMNIST", 1568, 0.0107),
        ("MNIST", 128, 0.0160),
        ("MNIST", 256, 0.0136),
        ("MNIST", 784, 0.0104),
        ("MNIST", 940, 0.0101),
        ("MNIST", 1568, 0.0094),
    ],
)
def test_errors_that_the_answers_name(name, dim, error, record):
    record(f"{name}: validation error with {dim} units", round(MEANS[name][dim], 5))
    assert MEANS[name][dim] == pytest.approx(error, abs=1e-4)


def test_what_the_answer_says_of_gains():
    mean = MEANS["FashionMNIST"]
    longer = LONGER["FashionMNIST"]["validation_error"]
    gain = (1 - longer / mean)[mean.index >= 128]
    assert 0.075 < gain.min() and gain.max() < 0.115, "8 to 11 % smaller"
    assert 1 - mean[1568] / mean[784] == pytest.approx(0.06, abs=0.005)
    assert 1 - longer[1568] / longer[784] == pytest.approx(0.03, abs=0.005)
    assert longer[8] > mean[8], "worse with 8 units"
    short = TABLES["FashionMNIST"].set_index("latent_dim")["validation_error"][8]
    assert short.max() / short.min() > 1.08, "which differ by a tenth among themselves"


def affine_error(name):
    torch.manual_seed(0)
    train = load_images(name, "train").images
    validation = load_images(name, "validation").images
    denoiser = metrics.AffineDenoiser(corruption.Dropout(0.5)(train), train)
    return metrics.reconstruction_error(
        denoiser, validation, corruption.Dropout(0.5)(validation)
    )


@pytest.mark.slow
@pytest.mark.parametrize("name, smallest", [("FashionMNIST", 128), ("MNIST", 256)])
def test_the_smallest_successful_width(full_data, name, smallest, record):
    limit = 0.9 * affine_error(name)
    record(f"{name}: a tenth below the best affine denoiser", round(limit, 5))
    successful = [
        dim
        for dim in MEANS[name].index
        if dim < 784 and MEANS[name][dim] + SEMS[name][dim] < limit
    ]
    assert successful[0] == smallest
    later = LONGER[name]["validation_error"]
    assert later.index[later < limit].min() == 128, "on both sets, after 36 epochs"


@pytest.mark.slow
def test_the_spectrum_that_the_answer_names(full_data):
    pca = metrics.PCABaseline(load_images("FashionMNIST", "train").images)
    held = pca.explained_variance_ratio.cumsum()
    assert [int((held < share).sum()) + 1 for share in (0.9, 0.95)] == [84, 187]


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_the_table_can_be_computed_again(full_data, name, record):
    """A subset: the three seeds of two narrow widths, one seed of 784. Rounding differs
    between processors, so 2 % are allowed."""
    for dims, seeds in (([16, 64], [0, 1, 2]), ([784], [0])):
        again = sweeps.latent_sweep(
            models.dense_autoencoder,
            dims,
            seeds,
            [name],
            epochs=int(TABLES[name]["epochs"].max()),
            together=64,
        )
        both = again.merge(
            TABLES[name], on=["latent_dim", "seed"], suffixes=("", "_shipped")
        )
        assert len(both) == len(dims) * len(seeds)
        worst = max(
            float((both[column] / both[f"{column}_shipped"] - 1).abs().max())
            for column in ("validation_error", "test_error", "clean_error")
        )
        record(
            f"{name}, widths {dims}: largest relative difference to the table",
            round(worst, 5),
        )
        assert worst < 0.02
