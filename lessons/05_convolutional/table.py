"""Makes course_utils/tables/code_sizes.csv, the comparison at equal code size of lesson 05. About 20 minutes on one quiet core.

Each model runs for 8 epochs with Adam and a cosine-shaped rate, batches of 128, on the full Fashion-MNIST; seeds 0, 1, 2.
The runs of the convolutional model with seed 0 are the recipe of the shipped weights conv_10, conv_32 and conv_64.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import pandas as pd
import torch
from torch import nn

from course_utils import data, metrics, models
from course_utils.training import fit

TABLE = Path(__file__).resolve().parents[1] / "course_utils" / "tables" / "code_sizes.csv"
EPOCHS, SIZES = 8, (10, 32, 64)
COLUMNS = ["model", "k", "seed", "epochs", "validation_error", "test_error"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=TABLE)
    out = parser.parse_args().out
    train, validation, test = (data.load_images("FashionMNIST", split) for split in ("train", "validation", "test"))
    mean_image, pca = train.images.mean(dim=0), metrics.PCABaseline(train.images)
    build = {
        "cured dense": lambda k: models.dense_autoencoder(k, nn.Identity(), mean_image),
        "stacked": models.stacked_autoencoder,
        "convolutional": lambda k: models.conv_autoencoder(k, last=nn.Sigmoid()),
    }
    runs = [("PCA", k, 0) for k in (*SIZES, 576)] + [("stacked", 576, 0)]
    runs += [(name, k, seed) for name in build for k in SIZES for seed in range(3)]
    table = pd.read_csv(out) if out.exists() else pd.DataFrame(columns=COLUMNS)
    done = set(map(tuple, table[COLUMNS[:3]].values))
    for name, k, seed in runs:
        if (name, k, seed) in done:
            continue
        if name == "PCA":
            errors = [pca.error(part.images, k) for part in (validation, test)]
        else:
            torch.manual_seed(seed)
            model = build[name](k)
            fit(model, train, epochs=EPOCHS, seed=seed, progress=False,
                schedule=lambda optimizer: torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=EPOCHS))
            errors = [metrics.reconstruction_error(model, part.images) for part in (validation, test)]
        table.loc[len(table)] = [name, k, seed, 0 if name == "PCA" else EPOCHS, *(round(error, 6) for error in errors)]
        table.sort_values(COLUMNS[:3]).to_csv(out, index=False)
        print(*table.iloc[-1], flush=True)


if __name__ == "__main__":
    main()
