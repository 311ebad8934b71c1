"""Fashion-MNIST and MNIST as tensors, from the first of these places that has them:

1. the folder that the environment variable COURSE_DATA names (`COURSE_DATA=sample` goes straight to
   number 5);
2. the cache: COURSE_CACHE, or `autoencoder-course` in the user's cache folder;
3. torchvision's mirrors, downloaded into the cache: bounded in time, one process at a time;
4. Debian's package `dataset-fashion-mnist`, unpacked into the cache;
5. the sample that is shipped with the course: 8,000 training and 2,000 test images.

A line is printed, once, for each place that was tried and failed. All folders have torchvision's
layout, `FashionMNIST/raw/train-images-idx3-ubyte`, packed (`.gz`) or not. Of the full data no file
is used unless its SHA-256 is right.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from course_utils.engine.download import SHA256, cache_folder, fetch, problem, read_file, say

SPLITS = ("train", "validation", "test")
DIGITS = "zero one two three four five six seven eight nine".split()
GARMENTS = "T-shirt/top Trouser Pullover Dress Coat Sandal Shirt Sneaker Bag".split()
CLASS_NAMES = {
    "FashionMNIST": (*GARMENTS, "Ankle boot"),
    "MNIST": tuple(f"{digit} - {name}" for digit, name in enumerate(DIGITS)),
}
SAMPLE = Path(__file__).with_name("sample")


@dataclass(frozen=True)
class ImageSet:
    """Images with their labels, and where they come from."""

    images: Tensor  # float32 (N, 1, 28, 28) in [0, 1]
    labels: Tensor  # int64 (N,)
    class_names: tuple[str, ...]
    name: str  # "FashionMNIST" or "MNIST"
    split: str  # "train", "validation" or "test"
    source: str  # "full" or "sample"

    def __len__(self) -> int:
        return len(self.images)


def load_images(name: str, split: str, sample: bool = False) -> ImageSet:
    """Load one split of "FashionMNIST" or "MNIST".

    Splits: "train" (55,000 images), "validation" (5,000, see `validation_mask`) and "test" (10,000
    images); of the sample 7,333, 667 and 2,000. Returns images float32 (N, 1, 28, 28) in [0, 1] and
    labels int64 (N,), new tensors at each call. Raises ValueError for an unknown name or split.

    Without a network it does not fail but uses the sample, and says so. With ``sample`` it takes
    the shipped sample, whatever else is at hand, and says nothing.
    """
    if name not in tuple(SHA256):
        raise ValueError(f"unknown data set {name!r}: choose one of {', '.join(SHA256)}")
    if split not in SPLITS:
        raise ValueError(f"unknown split {split!r}: choose one of {', '.join(SPLITS)}")
    if sample:
        (pixels, labels), source = _read_sample(name, split != "test"), "sample"
    else:
        wanted = os.environ.get("COURSE_DATA", "")
        pixels, labels, source = _find(name, split != "test", wanted, cache_folder())
    if split != "test":
        keep = validation_mask(labels) == (split == "validation")
        pixels, labels = pixels[keep], labels[keep]
    images = pixels.unsqueeze(1).float().div_(255)
    return ImageSet(images, labels.long(), CLASS_NAMES[name], name, split, source)


def validation_mask(labels: Tensor) -> Tensor:
    """Which training images are for validation: every twelfth of each class, in the file's order.

    No random numbers, so it is the same everywhere and for ever. Classes keep their shares; where
    these are not whole numbers, the largest remainders are rounded up. Takes integers (N,) from 0
    to 9, returns bool (N,) with round(N / 12) of them True.
    """
    counts = torch.bincount(labels.long(), minlength=10)
    shares = counts // 12
    short = round(len(labels) / 12) - int(shares.sum())
    shares[torch.argsort(counts % 12, descending=True, stable=True)[:short]] += 1
    mask = torch.zeros(len(labels), dtype=torch.bool)
    for label, share in enumerate(shares.tolist()):
        mask[torch.nonzero(labels == label).flatten()[::12][:share]] = True
    return mask


def one_of_each(image_set: ImageSet) -> ImageSet:
    """The first image of each class, in class order.

    Of the test set these are the ten images that every figure reuses.
    """
    labels = range(len(image_set.class_names))
    first = torch.stack([torch.nonzero(image_set.labels == label)[0, 0] for label in labels])
    return replace(image_set, images=image_set.images[first], labels=image_set.labels[first])


@lru_cache
def _find(name: str, train: bool, course_data: str, cache: Path) -> tuple[Tensor, Tensor, str]:
    """Pixels uint8 (N, 28, 28), labels uint8 (N,), and "full" or "sample": where they come from."""
    root = _place(name, course_data, cache)
    return (*_read(root, name, train), "full") if root else (*_read_sample(name, train), "sample")


@lru_cache
def _place(name: str, course_data: str, cache: Path) -> Path | None:
    """The folder of all four files of a data set, all of them right; None for the sample.

    Decided once for the set: the sample's test images are among the full set's training images.
    """
    if course_data.lower() == "sample" and not Path(course_data).is_dir():
        course_data = "sample"
    if course_data not in ("", "sample"):
        root = Path(os.path.expanduser(course_data))
        wrong = [why for file in SHA256[name] if (why := problem(root / name / "raw", name, file))]
        if not wrong:
            return root
        say(f"COURSE_DATA={course_data} cannot be used for {name} ({wrong[0]}); looking elsewhere.")
    if course_data != "sample" and (found := fetch(name, cache)):
        return found
    say(
        f"{name}: using the sample shipped with the course, 8,000 training and 2,000 test images "
        "instead of 60,000 and 10,000. Everything runs; models come out somewhat worse than the "
        "texts say. To use the full data, set COURSE_DATA to their folder."
    )
    return None


@lru_cache
def _read_sample(name: str, train: bool) -> tuple[Tensor, Tensor]:
    return _read(SAMPLE, name, train, check=False)


def _read(root: Path, name: str, train: bool, check: bool = True) -> tuple[Tensor, Tensor]:
    """Pixels uint8 (N, 28, 28), labels uint8 (N,) from below `root`; raises as `read_file` does."""
    files = [file for file in SHA256[name] if file.startswith("train") == train]
    images, labels = (read_file(root / name / "raw", name, file, check) for file in files)
    # The IDX format: a header (images 16 bytes, labels 8), then a byte for each pixel or label.
    pixels = np.frombuffer(images, np.uint8, offset=16).reshape(-1, 28, 28)
    return torch.tensor(pixels), torch.tensor(np.frombuffer(labels, np.uint8, offset=8))
