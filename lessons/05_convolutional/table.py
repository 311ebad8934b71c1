"""Makes course_utils/tables/code_sizes.csv, the comparison at equal code size.

Each model runs for 8 epochs with Adam and a cosine-shaped rate, batches of 128, on the
full Fashion-MNIST; seeds 0, 1, 2. The runs of the convolutional model with seed 0 are
the recipe of the shipped weights conv_10, conv_32 and conv_64. About 20 minutes on one
quiet core; run again after an interruption and the rows that are there stay.

    PYTHONPATH=. python lessons/05_convolutional/table.py [FILE]
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import torch
from torch import nn
from torch.optim.lr_scheduler import CosineAnnealingLR

from course_utils import data, metrics, models
from course_utils.training import fit
from tools import tables

NAME, KEYS = "code_sizes", ["model", "k", "seed"]
EPOCHS, SIZES = 8, (10, 32, 64)
MODELS = ("convolutional", "cured dense", "stacked")
TRAINED = [(name, k, seed) for name in MODELS for k in SIZES for seed in range(3)]
ALL = [*(("PCA", k, 0) for k in (*SIZES, 576)), *TRAINED, ("stacked", 576, 0)]
RUNS = [dict(zip(KEYS, run)) for run in ALL]


@cache
def images(split: str) -> torch.Tensor:
    return data.load_images("FashionMNIST", split).images


@cache
def pca() -> metrics.PCABaseline:
    return metrics.PCABaseline(images("train"))


def build(name: str, k: int) -> nn.Module:
    if name == "cured dense":
        mean_image = images("train").mean(dim=0)
        return models.dense_autoencoder(k, nn.Identity(), mean_image)
    if name == "stacked":
        return models.stacked_autoencoder(k)
    return models.conv_autoencoder(k, last=nn.Sigmoid())


def measure(model: str, k: int, seed: int, epochs: int = EPOCHS) -> dict[str, float]:
    held_out = {"validation_error": "validation", "test_error": "test"}
    if model == "PCA":
        errors = {
            name: pca().error(images(split), k) for name, split in held_out.items()
        }
        return {"epochs": 0} | {name: round(error, 6) for name, error in errors.items()}
    torch.manual_seed(seed)
    autoencoder = build(model, k)
    falling = lambda optimizer: CosineAnnealingLR(optimizer, T_max=epochs)
    fit(autoencoder, images("train"), epochs=epochs, seed=seed, schedule=falling)
    errors = {
        name: metrics.reconstruction_error(autoencoder, images(split))
        for name, split in held_out.items()
    }
    return {"epochs": epochs} | {
        name: round(error, 6) for name, error in errors.items()
    }


def main(path: Path) -> None:
    tables.fill(path, KEYS, RUNS, measure)


if __name__ == "__main__":
    main(tables.target(NAME))
