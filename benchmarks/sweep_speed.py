"""What side-by-side training and a second process bring to a latent sweep. Prints a table; two to five quiet minutes on two cores.

Three layouts of the same runs (Fashion-MNIST, 11,000 images, one epoch, two seeds), and the sum of the single runs for comparison:
one process with two torch threads, each model by itself; the same with the models side by side; two processes of one thread each.
"""

import time

import torch

from course_utils import models, sweeps
from course_utils.data import load_images

SPLITS = [load_images("FashionMNIST", "train").images[:11_000], *(load_images("FashionMNIST", split).images[:500] for split in ("validation", "test"))]


def seconds(dims, together, processes):
    start = time.perf_counter()
    table = sweeps.latent_sweep(models.dense_autoencoder, dims, [0, 1], {"FashionMNIST": SPLITS}, epochs=1, together=together, n_jobs=processes)
    assert (table["error"] == "").all()
    return time.perf_counter() - start, (table["seconds"]).sum()


def main():
    torch.set_num_threads(2)
    print("widths                       one by one  side by side  two processes  two processes, side by side   (seconds)")
    for dims in ([8, 16, 32, 64, 128], [256, 512], [784, 940, 1568]):
        seconds(dims[:1], 0, 2)  # start the processes first: that is paid once
        times = [seconds(dims, together, processes)[0] for processes in (1, 2) for together in (0, max(dims))]
        print(f"{str(dims):28} {times[0]:10.1f}  {times[1]:12.1f}  {times[2]:13.1f}  {times[3]:27.1f}", flush=True)


if __name__ == "__main__":
    main()
