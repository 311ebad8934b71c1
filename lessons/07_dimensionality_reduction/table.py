"""Train the models behind lesson 07's figure "error against k" and write course_utils/tables/error_against_k.csv.

The code that trains is the lesson's own: this script runs the cells of sources/notebooks/07_dimensionality_reduction.py that carry
the tag "error-table", so that the table and the lesson cannot differ. A row is written as soon as it is measured; run again after
an interruption and the rows that are there stay. About twenty minutes on one quiet core; give another file name to start afresh.

    python tools/make_error_table.py [FILE]
"""

from __future__ import annotations

import itertools
import sys
from pathlib import Path

import jupytext
import pandas as pd
import torch

from course_utils.data import load_images
from course_utils.metrics import PCABaseline

ROOT = Path(__file__).resolve().parents[1]
SIZES = {"convolutional": [5, 10, 50]}  # code sizes; a model that is not named here gets all of these:
ALL_SIZES = [2, 5, 10, 20, 50, 100]


def tagged_cells(source: Path, tag: str) -> str:
    """The code of all cells of a lesson's source that carry a tag."""
    cells = jupytext.read(source).cells
    return "\n\n".join(cell.source for cell in cells if tag in cell.metadata.get("tags", []))


def main(table: Path) -> None:
    lesson = {"torch": torch}
    exec(tagged_cells(ROOT / "sources/notebooks/07_dimensionality_reduction.py", "error-table"), lesson)
    done = set()
    if table.exists():
        done = set(pd.read_csv(table)[["data_set", "model", "k", "seed"]].itertuples(index=False, name=None))
    parts = {name: [load_images(name, split) for split in ("train", "validation", "test")] for name in ("FashionMNIST", "MNIST")}
    if not done:
        rows = [
            {"data_set": name, "model": "PCA", "k": k, "seed": 0, "validation_error": pca.error(validation.images, k),
             "test_error": pca.error(test.images, k), "epochs": 0, "seconds": 0.0}
            for name, (train, validation, test) in parts.items()
            for pca in [PCABaseline(train.images)]
            for k in ALL_SIZES
        ]
        pd.DataFrame(rows).to_csv(table, index=False, float_format="%.6g")
    for name, seed, data_set in itertools.product(lesson["BUILD"], range(3), parts):
        for k in SIZES.get(name, ALL_SIZES):
            if (data_set, name, k, seed) in done:
                continue
            row, _ = lesson["train_one"](name, k, seed, *parts[data_set])
            pd.DataFrame([row]).to_csv(table, mode="a", header=not table.exists(), index=False, float_format="%.6g")
            print(row, flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "course_utils/tables/error_against_k.csv")
