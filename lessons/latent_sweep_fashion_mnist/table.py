"""Makes course_utils/tables/latent_sweep.csv, the sweep that comes with the course.

Ten latent dimensions, three seeds, both data sets, on the full data, at three budgets:
each has twice the epochs of the one before and a learning rate that falls from the same
value to zero at its end. Finished pieces are kept in build/latent_sweep, so it can be
stopped; a piece is one data set with one seed at one budget. The table is written after
each piece, but only when all of its runs went well. Some hours of two cores.

    PYTHONPATH=. python lessons/latent_sweep_fashion_mnist/table.py [FILE]
"""

import itertools
import sys
from pathlib import Path

import pandas as pd

from course_utils import models, sweeps
from tools import tables

NAME = "latent_sweep"
DIMS = [8, 16, 32, 64, 128, 256, 512, 784, 940, 1568]
DATA_SETS = ["FashionMNIST", "MNIST"]


BUDGETS = [36, 18, 9]  # epochs
LR = 2e-3


def sweep(epochs: int, seeds: list[int], name: str) -> pd.DataFrame:
    return sweeps.latent_sweep(
        models.dense_autoencoder,
        DIMS,
        seeds,
        [name],
        epochs=epochs,
        lr=LR,
        together=max(DIMS),
        store=tables.ROOT / "build/latent_sweep",
        progress=True,
    )


def main(path: Path) -> int:
    done: dict[tuple[int, str], pd.DataFrame] = {}
    for last in range(3):
        for epochs, name in itertools.product(BUDGETS, DATA_SETS):
            done[epochs, name] = sweep(epochs, list(range(last + 1)), name)
            table = pd.concat(done.values(), ignore_index=True)
            failed = table[table["error"] != ""]
            if len(failed):
                print(failed, file=sys.stderr)
                return 1
            if set(table["train_images"]) != {55_000}:
                print("the full data is needed: set COURSE_DATA", file=sys.stderr)
                return 1
            table = table.sort_values(["dataset", "epochs", "latent_dim", "seed"])
            decimals = {
                column: 7 for column in table.columns if column.endswith("_error")
            }
            tables.write(path, table.round({**decimals, "psnr": 3}).to_dict("records"))
            print(f"{len(table)} runs written to {path}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(tables.target(NAME)))
