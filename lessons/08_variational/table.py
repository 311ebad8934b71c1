"""Makes course_utils/tables/beta.csv, behind the figure of beta and active units.

The code that trains is the lesson's own, its cells with the tag "beta-table". About
five minutes on one quiet core; run again after an interruption and the rows that are
there stay.

    PYTHONPATH=. python lessons/08_variational/table.py [FILE]
"""

from __future__ import annotations

import itertools
from functools import cache
from pathlib import Path

import torch

from course_utils.data import ImageSet, load_images
from tools import tables

NAME, KEYS = "beta", ["distortion", "beta", "seed"]
SETTINGS = [
    *(("cross-entropy, summed", beta) for beta in (0.1, 1.0, 4.0, 16.0, 64.0)),
    ("squared error, summed", 1.0),
    ("squared error, averaged", 1.0),
]
SOURCE = Path(__file__).with_name("lesson.py")
LESSON = tables.tagged_cells(SOURCE, "beta-table", torch=torch)
ALL = itertools.product(range(3), SETTINGS)
RUNS = [dict(zip(KEYS, (*setting, seed))) for seed, setting in ALL]


@cache
def images(split: str) -> ImageSet:
    return load_images("FashionMNIST", split)


def measure(distortion: str, beta: float, seed: int) -> dict:
    parts = images("train"), images("validation")
    return LESSON["train_with"](distortion, beta, seed, *parts)[0]


def main(path: Path) -> None:
    tables.fill(path, KEYS, RUNS, measure)


if __name__ == "__main__":
    main(tables.target(NAME))
