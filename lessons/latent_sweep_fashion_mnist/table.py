"""Makes course_utils/tables/latent_sweep.csv, the sweep that comes with the course.

Ten latent dimensions, three seeds, both data sets, 12 epochs with a learning rate that
falls to zero, on the full data. About 20 minutes of one quiet core. Finished pieces are
kept in build/latent_sweep, so it can be stopped; a piece is one data set with one seed.
The table is written after each seed, but only when all of that seed's runs went well.

    PYTHONPATH=. python lessons/latent_sweep_fashion_mnist/table.py [FILE]
"""

import sys
from pathlib import Path

import pandas as pd

from course_utils import models, sweeps
from tools import tables

NAME = "latent_sweep"
DIMS = [8, 16, 32, 64, 128, 256, 512, 784, 940, 1568]
DATA_SETS = ["FashionMNIST", "MNIST"]


def sweep(seeds: list[int]) -> pd.DataFrame:
    return sweeps.latent_sweep(
        models.dense_autoencoder,
        DIMS,
        seeds,
        DATA_SETS,
        epochs=12,
        together=max(DIMS),
        store=tables.ROOT / "build/latent_sweep",
        progress=True,
    )


def main(path: Path) -> int:
    for seeds in ([0], [0, 1], [0, 1, 2]):
        table = sweep(seeds)
        failed = table[table["error"] != ""]
        if len(failed):
            print(failed, file=sys.stderr)
            return 1
        if set(table["train_images"]) != {55_000}:
            print("the full data is needed: set COURSE_DATA", file=sys.stderr)
            return 1
        decimals = {name: 7 for name in table.columns if name.endswith("_error")}
        tables.write(path, table.round({**decimals, "psnr": 3}).to_dict("records"))
        print(f"{len(table)} runs written to {path}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(tables.target(NAME)))
