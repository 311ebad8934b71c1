"""Makes course_utils/tables/error_against_k.csv, behind the figure "error against k".

The code that trains is the lesson's own, its cells with the tag "error-table", so that
the table and the lesson cannot differ. PCA's pictures are cut to [0, 1] before they are
measured. About twenty minutes on one quiet core; run again after an interruption and
the rows that are there stay.

    PYTHONPATH=. python lessons/07_dimensionality_reduction/table.py [FILE]
"""

from __future__ import annotations

import itertools
from functools import cache
from pathlib import Path

import torch

from course_utils.data import ImageSet, load_images
from course_utils.metrics import PCABaseline
from tools import tables

NAME, KEYS = "error_against_k", ["data_set", "model", "k", "seed"]
DATA_SETS = ("FashionMNIST", "MNIST")
ALL_SIZES = [2, 5, 10, 20, 50, 100]
SIZES = {"convolutional": [5, 10, 50]}  # a model that is not named here gets all

SOURCE = Path(__file__).with_name("lesson.py")
LESSON = tables.tagged_cells(SOURCE, "error-table", torch=torch)
PCAS = [(name, "PCA", k, 0) for name in DATA_SETS for k in ALL_SIZES]
NETWORKS = [
    (data_set, model, k, seed)
    for model, seed, data_set in itertools.product(LESSON["BUILD"], range(3), DATA_SETS)
    for k in SIZES.get(model, ALL_SIZES)
]
RUNS = [dict(zip(KEYS, run)) for run in [*PCAS, *NETWORKS]]


@cache
def splits(name: str) -> list[ImageSet]:
    return [load_images(name, split) for split in ("train", "validation", "test")]


@cache
def pca(name: str) -> PCABaseline:
    return PCABaseline(splits(name)[0].images)


def measure(data_set: str, model: str, k: int, seed: int) -> dict:
    if model != "PCA":
        return LESSON["train_one"](model, k, seed, *splits(data_set))[0]
    _, validation, test = splits(data_set)
    return {
        "validation_error": pca(data_set).error(validation.images, k, clip=True),
        "test_error": pca(data_set).error(test.images, k, clip=True),
        "epochs": 0,
        "seconds": 0.0,
    }


def main(path: Path) -> None:
    tables.fill(path, KEYS, RUNS, measure)


if __name__ == "__main__":
    main(tables.target(NAME))
