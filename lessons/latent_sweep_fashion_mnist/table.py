"""Makes course_utils/tables/latent_sweep.csv, the sweep that comes with the course.

Ten latent dimensions, both data sets, three seeds, on the full data, at two budgets: 12
epochs, and 36 epochs at twice the rate; the learning rate falls along a cosine to zero
at the end. Finished runs are kept in build/latent_sweep, so it can be stopped. The
table is written at the end, and only when all runs went well. Three to five hours of
two cores.

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
RATES = {12: 1e-3, 36: 2e-3}  # epochs: learning rate at the start


def sweep(epochs: int) -> pd.DataFrame:
    return sweeps.latent_sweep(
        models.dense_autoencoder,
        DIMS,
        [0, 1, 2],
        DATA_SETS,
        epochs=epochs,
        lr=RATES[epochs],
        together=256,
        store=tables.ROOT / "build/latent_sweep",
        progress=True,
    )


def main(path: Path) -> int:
    table = pd.concat(map(sweep, RATES), ignore_index=True)
    failed = table[table["error"] != ""]
    if len(failed):
        print(failed, file=sys.stderr)
        return 1
    if set(table["train_images"]) != {55_000}:
        print("the full data is needed: set COURSE_DATA", file=sys.stderr)
        return 1
    table = table.sort_values(["dataset", "epochs", "latent_dim", "seed"])
    decimals = {name: 7 for name in table.columns if name.endswith("_error")}
    tables.write(path, table.round({**decimals, "psnr": 3}).to_dict("records"))
    print(f"{len(table)} runs written to {path}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(tables.target(NAME)))
