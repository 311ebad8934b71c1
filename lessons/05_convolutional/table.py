"""Makes course_utils/tables/code_sizes.csv, the comparison at equal code size.

Each model runs for 8 epochs, with 10 and with 64 numbers for 30 as well,
with Adam and a cosine-shaped rate that ends at zero, batches of 128, on the full
Fashion-MNIST; seeds 0, 1, 2. PCA's pictures are cut to [0, 1]. The short runs of the
convolutional model with seed 0 are the recipe of the shipped weights conv_10, conv_32
and conv_64. The cures of a last ReLU that cannot start (576 numbers) run for 2 epochs
at a constant rate, as section 2 trains the seminar's model. An hour and a half on one
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

NAME, KEYS = "code_sizes", ["model", "k", "seed", "epochs"]
SHORT, LONG, CURE = 8, 30, 2  # epochs
SIZES = (10, 32, 64)
MODELS = ("convolutional", "cured dense", "stacked")
LAST = {"sigmoid last": nn.Sigmoid, "no activation": nn.Identity, "bias 0.1": nn.ReLU}
ALL = [
    *(("PCA", k, 0, 0) for k in (*SIZES, 576)),
    *((name, k, s, SHORT) for name in MODELS for k in SIZES for s in range(3)),
    ("stacked", 576, 0, SHORT),
    *((name, k, s, LONG) for s in range(3) for name in MODELS for k in (10, 64)),
    *((cure, 576, 1, CURE) for cure in LAST),  # with a ReLU, start 1 stays black
]
RUNS = [dict(zip(KEYS, run)) for run in ALL]
HELD_OUT = ("validation", "test")


@cache
def images(split: str) -> torch.Tensor:
    return data.load_images("FashionMNIST", split).images


@cache
def pca() -> metrics.PCABaseline:
    return metrics.PCABaseline(images("train"))


def build(name: str, k: int) -> nn.Module:
    if name in LAST:
        model = models.conv_autoencoder(last=LAST[name]())
        if name == "bias 0.1":
            nn.init.constant_(model[1][-2].bias, 0.1)
        return model
    if name == "cured dense":
        mean_image = images("train").mean(dim=0)
        return models.dense_autoencoder(k, nn.Identity(), mean_image)
    if name == "stacked":
        return models.stacked_autoencoder(k)
    return models.conv_autoencoder(k, last=nn.Sigmoid())


def measure(model: str, k: int, seed: int, epochs: int) -> dict[str, float]:
    if model == "PCA":
        error = {split: pca().error(images(split), k, clip=True) for split in HELD_OUT}
    else:
        torch.manual_seed(seed)
        autoencoder = build(model, k)
        falling = lambda optimizer: CosineAnnealingLR(optimizer, T_max=epochs)
        schedule = None if model in LAST else falling
        fit(autoencoder, images("train"), epochs=epochs, seed=seed, schedule=schedule)
        error = {
            split: metrics.reconstruction_error(autoencoder, images(split))
            for split in HELD_OUT
        }
    return {f"{split}_error": round(error[split], 6) for split in HELD_OUT}


def main(path: Path) -> None:
    tables.fill(path, KEYS, RUNS, measure)


if __name__ == "__main__":
    main(tables.target(NAME))
