"""The sweep that comes with the course: course_utils/tables/latent_sweep.csv, computed anew on the full data.

    make_latent_sweep.py [PROCESSES]     1 by default

Ten latent dimensions, three seeds, both data sets, 12 epochs with a learning rate that falls to zero. About 20 minutes of one
quiet core. Finished pieces are kept in build/latent_sweep, so it can be stopped; a piece is one data set with one seed. The table
is written after each seed, but only when all of that seed's runs went well.
"""

import os
import sys
from pathlib import Path

from course_utils import models, sweeps

DIMS = [8, 16, 32, 64, 128, 256, 512, 784, 940, 1568]
ROOT = Path(__file__).resolve().parents[1]
TABLE = ROOT / "course_utils/tables/latent_sweep.csv"


def main() -> int:
    processes = int(sys.argv[1]) if sys.argv[1:] else 1
    for seeds in ([0], [0, 1], [0, 1, 2]):
        table = sweeps.latent_sweep(models.dense_autoencoder, DIMS, seeds, ["FashionMNIST", "MNIST"], epochs=12, together=max(DIMS),
                                    store=ROOT / "build/latent_sweep", n_jobs=processes, progress=True)
        failed = table[table["error"] != ""]
        if len(failed) or set(table["train_images"]) != {55_000}:
            print(failed if len(failed) else "the full data is needed: set COURSE_DATA", file=sys.stderr)
            return 1
        table.round({name: 7 for name in table.columns if name.endswith("_error")} | {"psnr": 3}).to_csv(TABLE.with_suffix(".part"), index=False)
        os.replace(TABLE.with_suffix(".part"), TABLE)
        print(f"{len(table)} runs written to {TABLE.relative_to(ROOT)}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
