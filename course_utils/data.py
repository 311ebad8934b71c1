"""Fashion-MNIST and MNIST as tensors, from wherever they can be had.

`load_images` looks in this order and says in one line whenever it cannot use what comes first:

1. the folder that the environment variable COURSE_DATA names (`COURSE_DATA=sample` goes straight to number 5);
2. the cache: COURSE_CACHE, or `autoencoder-course` in the user's cache folder;
3. a download from torchvision's mirrors into the cache: bounded in time, one process at a time;
4. Debian's package `dataset-fashion-mnist`, unpacked into the cache;
5. the sample that is shipped with the course: 8,000 training and 2,000 test images.

All folders have torchvision's layout, `<folder>/FashionMNIST/raw/train-images-idx3-ubyte` (or the same with `.gz`). Outside the
sample, no file is used unless its SHA-256 is the right one: mirrors have served MNIST under Fashion-MNIST's name.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import queue
import tempfile
import threading
import time
import uuid
import zlib
from dataclasses import dataclass, replace
from functools import lru_cache
from http.client import HTTPException
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

import numpy as np
import torch
from filelock import FileLock, Timeout
from torch import Tensor
from torchvision import datasets

SPLITS = ("train", "validation", "test")
SAMPLE = Path(__file__).with_name("sample")
SYSTEM = {"FashionMNIST": Path("/usr/share/datasets/fashion-mnist")}  # Debian: apt install dataset-fashion-mnist
CONNECT_SECONDS = 10  # for looking up a mirror, connecting, and each wait for more data
TOTAL_SECONDS = 300  # for one data set from all mirrors
RETRY_SECONDS = 120  # a failed download is not tried again so soon, so that thirty processes do not queue to fail
LARGEST_FILE = 100_000_000  # bytes, unpacked

# SHA-256 of the unpacked files, the same on every honest mirror however it packs them.
SHA256 = {
    "FashionMNIST": {
        "train-images-idx3-ubyte": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
        "train-labels-idx1-ubyte": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
        "t10k-images-idx3-ubyte": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
        "t10k-labels-idx1-ubyte": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    },
    "MNIST": {
        "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    },
}


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


def load_images(name: str, split: str) -> ImageSet:
    """Load one split of a data set.

    Args:
        name: "FashionMNIST" or "MNIST".
        split: "train" (55,000 images), "validation" (5,000, see `validation_mask`) or "test" (10,000);
            on the shipped sample 7,333, 667 and 2,000.

    Returns: an `ImageSet` with images float32 (N, 1, 28, 28) in [0, 1] and labels int64 (N,). The tensors are yours to change.
    Raises: ValueError for an unknown name or split. Never fails for want of a network: then the sample is used, and a line says so.
    """
    if name not in tuple(SHA256):
        raise ValueError(f"unknown data set {name!r}: choose one of {', '.join(SHA256)}")
    if split not in SPLITS:
        raise ValueError(f"unknown split {split!r}: choose one of {', '.join(SPLITS)}")
    pixels, labels, source = _find(name, split != "test", os.environ.get("COURSE_DATA", ""), cache_folder())
    if split != "test":
        keep = validation_mask(labels) == (split == "validation")
        pixels, labels = pixels[keep], labels[keep]
    images = pixels.unsqueeze(1).float().div_(255)
    return ImageSet(images, labels.long(), tuple(getattr(datasets, name).classes), name, split, source)


def validation_mask(labels: Tensor) -> Tensor:
    """Mark one training image in twelve for validation: every twelfth of each class, in the order of the file.

    It needs no random numbers, so it is the same everywhere and for ever. Classes keep their shares; where these are not whole
    numbers, the largest remainders are rounded up.

    Args: labels: integers (N,) from 0 to 9. Returns: bool (N,), round(N / 12) of them True.
    """
    counts = torch.bincount(labels.long(), minlength=10)
    quota = counts // 12
    short = round(len(labels) / 12) - int(quota.sum())
    quota[torch.argsort(counts % 12, descending=True, stable=True)[:short]] += 1
    mask = torch.zeros(len(labels), dtype=torch.bool)
    for label, number in enumerate(quota.tolist()):
        mask[torch.nonzero(labels == label).flatten()[::12][:number]] = True
    return mask


def one_of_each(image_set: ImageSet) -> ImageSet:
    """The first image of each class, in class order: of the test set, the ten images that every figure reuses."""
    first = torch.stack([torch.nonzero(image_set.labels == label)[0, 0] for label in range(len(image_set.class_names))])
    return replace(image_set, images=image_set.images[first], labels=image_set.labels[first])


def cache_folder() -> Path:
    """Where downloads are kept: COURSE_CACHE, else below XDG_CACHE_HOME or ~/.cache; without a home, a temporary folder."""
    if os.environ.get("COURSE_CACHE"):
        return Path(os.environ["COURSE_CACHE"]).expanduser()
    if os.environ.get("XDG_CACHE_HOME"):
        return Path(os.environ["XDG_CACHE_HOME"]) / "autoencoder-course"
    home = Path(os.path.expanduser("~"))
    if not home.is_dir() or os.environ.get("HOME") == "":
        _say(f"There is no home folder; data is kept in {_temporary_folder()} until that is emptied.")
        return _temporary_folder()
    return home / ".cache" / "autoencoder-course"


def full_data_at_hand(name: str) -> bool:
    """Whether COURSE_DATA or the cache holds the full data set, so that loading it needs no network."""
    course_data = os.environ.get("COURSE_DATA", "")
    for folder in {course_data, str(cache_folder())} - {"", "sample"}:
        try:
            return course_data != "sample" and all(_read(Path(folder), name, train) for train in (True, False))
        except (OSError, ValueError):
            continue
    return False


@lru_cache
def _find(name: str, train: bool, course_data: str, cache: Path) -> tuple[Tensor, Tensor, str]:
    """Pixels uint8 (N, 28, 28), labels uint8 (N,), and "full" or "sample", from the first source that has them."""
    if course_data != "sample":
        if course_data:
            try:
                return *_read(Path(course_data).expanduser(), name, train), "full"
            except (OSError, ValueError) as error:
                _say(f"COURSE_DATA={course_data} cannot be used for {name} ({error}); looking elsewhere.")
        for folder in (cache, _temporary_folder()):
            try:
                return *_read(folder, name, train), "full"
            except (OSError, ValueError):  # missing or spoilt: `_fetch` says which and mends it
                continue
        if folder := _fetch(name, cache):
            return *_read(folder, name, train), "full"
    _say(f"{name}: using the sample shipped with the course, 8,000 training and 2,000 test images instead of 60,000 and 10,000. "
         "Everything runs; models come out somewhat worse than the texts say. For the full data set COURSE_DATA to its folder.")
    return *_read(SAMPLE, name, train, check=False), "sample"


def _read(root: Path, name: str, train: bool, check: bool = True) -> tuple[Tensor, Tensor]:
    """Pixels and labels in torchvision's layout below `root`. Raises OSError or ValueError that says which file is wrong."""
    images, labels = (_verified(root / name / "raw", name, file, check) for file in SHA256[name] if file.startswith("train") == train)
    # The IDX format: a header (16 bytes for images, 8 for labels), then one byte for each pixel or label.
    pixels = np.frombuffer(images, np.uint8, offset=16).reshape(-1, 28, 28)
    return torch.tensor(pixels), torch.tensor(np.frombuffer(labels, np.uint8, offset=8))


def _verified(folder: Path, name: str, file: str, check: bool = True) -> bytes:
    """One file's content, unpacked if only `file.gz` is there. Raises FileNotFoundError, or ValueError if it is not what it should be."""
    path = folder / file
    if not path.is_file():
        path = folder / f"{file}.gz"
    if not path.is_file():
        raise FileNotFoundError(f"there is no {folder / file}")
    content = path.read_bytes()
    return _checked(content, name, file, packed=path.suffix == ".gz", where=str(path)) if check else gzip.decompress(content)


def _checked(content: bytes, name: str, file: str, packed: bool, where: str) -> bytes:
    """`content` unpacked, if its SHA-256 is right. Raises ValueError that says what it is instead."""
    try:
        raw = gzip.GzipFile(fileobj=io.BytesIO(content)).read(LARGEST_FILE) if packed else content
    except (OSError, EOFError, zlib.error):
        raise ValueError(f"{where} is cut short or is no gzip file ({len(content):,} bytes)") from None
    digest = hashlib.sha256(raw).hexdigest()
    if digest == SHA256[name][file]:
        return raw
    known = {sha256: f"{other}'s {twin}" for other, files in SHA256.items() for twin, sha256 in files.items()}
    raise ValueError(f"{where} is {known.get(digest, f'something of {len(raw):,} bytes')}, not {name}'s {file}")


@lru_cache
def _fetch(name: str, cache: Path) -> Path | None:
    """Put the full data set into the cache (or a temporary folder) and return that folder; None, with a line why, if it cannot be had.

    One process at a time; those that waited find the files there, or the note that fetching has just failed.
    """
    root = _writable(cache)
    folder, note = root / name / "raw", root / name / "download-failed"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(root / name / "lock", timeout=TOTAL_SECONDS + 60):
            missing = [file for file in SHA256[name] if not _kept(folder, name, file)]
            if missing and note.exists() and time.time() - note.stat().st_mtime < RETRY_SECONDS:
                _say(f"{name}: a download failed less than {RETRY_SECONDS} s ago and is not tried again yet.")
                return None
            try:
                _download(folder, name, missing)
                note.unlink(missing_ok=True)
            except ConnectionError as error:
                note.touch()
                _say(f"{name}: not downloaded ({error}).")
                return None
        return root
    except (OSError, Timeout) as error:
        _say(f"{name}: cannot be kept in {folder} ({error}).")
        return None


def _kept(folder: Path, name: str, file: str) -> bool:
    """Whether the cache holds a good copy of a file; a bad one is named and set aside."""
    try:
        return bool(_verified(folder, name, file))
    except FileNotFoundError:
        return False
    except ValueError as error:
        for path in (folder / file, folder / f"{file}.gz"):
            if path.exists():
                path.replace(path.with_name(path.name + ".bad"))
        _say(f"{error}; it is set aside as *.bad and fetched again.")
        return False


def _download(folder: Path, name: str, files: list[str]) -> None:
    """Put files into `folder`, from the mirrors or the system's own copy. Raises ConnectionError that says what each mirror did."""
    if files:
        _say(f"{name}: downloading to {folder}, only this once (about 30 MB).")
    for leftover in folder.glob("*.part"):  # of a download that was killed
        leftover.unlink()
    mirrors, deadline, errors, from_system = list(getattr(datasets, name).mirrors), time.monotonic() + TOTAL_SECONDS, {}, False
    for file in files:
        for mirror in [*mirrors, *mirrors]:
            if mirror not in mirrors:
                continue
            try:
                content = _checked(_get(f"{mirror}{file}.gz", deadline), name, file, packed=True, where=f"{mirror}{file}.gz")
                break
            except (OSError, ValueError, HTTPException) as error:
                reason = getattr(error, "reason", error)
                errors[mirror] = str(reason) if mirror in str(reason) else f"{mirror}: {reason}"
                if isinstance(error, (TimeoutError, URLError)) and not isinstance(error, HTTPError):
                    mirrors.remove(mirror)  # cannot be reached: no second chance
        else:
            try:
                content, from_system = _verified(SYSTEM[name], name, file), True
            except (KeyError, OSError, ValueError):
                raise ConnectionError("; ".join(errors.values())) from None
        part = folder / f"{file}.{uuid.uuid4().hex}.part"
        try:
            part.write_bytes(content)
            part.replace(folder / file)  # at once: no other process ever sees half a file
        finally:
            part.unlink(missing_ok=True)
    if from_system:
        _say(f"{name}: taken from {SYSTEM[name]}, since no mirror served it ({'; '.join(errors.values())}).")


def _get(url: str, deadline: float) -> bytes:
    """The content behind an address. Raises TimeoutError if it does not answer in CONNECT_SECONDS or is not all there at the deadline."""
    answers: queue.SimpleQueue = queue.SimpleQueue()

    def ask() -> None:  # in a thread, since looking up a name and trying a host's many addresses know no time limit
        try:
            answers.put(urlopen(url, timeout=CONNECT_SECONDS))
        except Exception as error:
            answers.put(error)

    threading.Thread(target=ask, daemon=True).start()
    try:
        answer = answers.get(timeout=max(0, min(CONNECT_SECONDS, deadline - time.monotonic())))
    except queue.Empty:
        raise TimeoutError(f"no answer within {CONNECT_SECONDS} s") from None
    if isinstance(answer, Exception):
        raise answer
    content = bytearray()
    with answer:
        while chunk := answer.read1(1 << 20):
            content += chunk
            if time.monotonic() > deadline or len(content) > LARGEST_FILE:
                raise TimeoutError(f"not all there after {TOTAL_SECONDS} s" if len(content) <= LARGEST_FILE else "far too large")
    return bytes(content)


def _writable(cache: Path) -> Path:
    """The cache if it can be written, else a temporary folder, with a line that says so."""
    try:
        cache.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=cache).close()
        return cache
    except OSError as error:
        _say(f"{cache} cannot be written ({error.strerror}); data is kept in {_temporary_folder()} until that is emptied.")
        return _temporary_folder()


def _temporary_folder() -> Path:
    return Path(tempfile.gettempdir()) / f"autoencoder-course-{getattr(os, 'getuid', lambda: 'user')()}"


@lru_cache
def _say(line: str) -> None:
    """Print a line, once in a process."""
    print(line, flush=True)
