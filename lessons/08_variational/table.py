"""Train the models behind lesson 08's figure of beta and active units and write course_utils/tables/beta.csv.

The code that trains is the lesson's own, its cells with the tag "beta-table". A row is written as soon as it is measured; run
again after an interruption and the rows that are there stay. About five minutes on one quiet core.

    python tools/make_beta_table.py [FILE]
"""

from __future__ import annotations

import itertools
import sys
from pathlib import Path

import pandas as pd
import torch
from make_error_table import ROOT, tagged_cells

from course_utils.data import load_images

SETTINGS = [
    *(("cross-entropy, summed", beta) for beta in (0.1, 1.0, 4.0, 16.0, 64.0)),
    ("squared error, summed", 1.0),
    ("squared error, averaged", 1.0),
]


def main(table: Path) -> None:
    lesson = {"torch": torch}
    exec(tagged_cells(ROOT / "sources/notebooks/08_variational.py", "beta-table"), lesson)
    done = set()
    if table.exists():
        done = set(pd.read_csv(table)[["distortion", "beta", "seed"]].itertuples(index=False, name=None))
    train, validation = (load_images("FashionMNIST", split) for split in ("train", "validation"))
    for seed, (distortion, beta) in itertools.product(range(3), SETTINGS):
        if (distortion, beta, seed) not in done:
            row, _, _ = lesson["train_with"](distortion, beta, seed, train, validation)
            pd.DataFrame([row]).to_csv(table, mode="a", header=not table.exists(), index=False, float_format="%.6g")
            print(row, flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "course_utils/tables/beta.csv")
