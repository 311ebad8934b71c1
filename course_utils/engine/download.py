"""The full data sets' files: fetched once, checked always.

It knows nothing of tensors; `data.py` does.

No file is used unless its SHA-256 is right (a mirror has served MNIST under Fashion-MNIST's name),
files appear in the cache at once or not at all, and of many processes that start together one
fetches and the others wait for it.
"""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import stat
import tempfile
import time
import zlib
from functools import lru_cache
from http.client import HTTPException
from multiprocessing.pool import ThreadPool
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

from filelock import FileLock, Timeout

# Debian's package dataset-fashion-mnist
SYSTEM = {"FashionMNIST": Path("/usr/share/datasets/fashion-mnist")}
CONNECT_SECONDS = 10  # for finding a mirror and connecting, and for each wait for more data
TOTAL_SECONDS = 300  # for one data set from all mirrors
# A failed download is not repeated earlier, so that thirty processes do not queue up to fail.
RETRY_SECONDS = 120
LARGEST_FILE = 100_000_000  # bytes
# fmt: off
SHA256 = {  # of the unpacked files
    "FashionMNIST": {
        "train-images-idx3-ubyte":
            "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
        "train-labels-idx1-ubyte":
            "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
        "t10k-images-idx3-ubyte":
            "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
        "t10k-labels-idx1-ubyte":
            "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    },
    "MNIST": {
        "train-images-idx3-ubyte":
            "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        "train-labels-idx1-ubyte":
            "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        "t10k-images-idx3-ubyte":
            "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        "t10k-labels-idx1-ubyte":
            "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    },
}
# fmt: on


def cache_folder() -> Path:
    """Where downloads are kept: COURSE_CACHE, or `autoencoder-course` in the user's cache."""
    user = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(os.path.expanduser(os.environ.get("COURSE_CACHE") or f"{user}/autoencoder-course"))


def read_file(folder: Path, name: str, file: str, check: bool = True) -> bytes:
    """A file's content, or that of `file.gz` where the file is missing or spoilt.

    Raises OSError if it cannot be read; see also `checked`.
    """
    packed, problems = folder / f"{file}.gz", list[Exception]()
    for path in (folder / file, packed):
        if path.exists() and not path.is_file():
            problems.append(OSError(f"{path} is no regular file"))  # a pipe would never end
        elif path.exists():
            try:
                return checked(path.read_bytes(), name, file, str(path), check)
            except (OSError, ValueError) as error:
                problems.append(error)
    raise problems[0] if problems else FileNotFoundError(f"{folder / file} is missing")


def checked(content: bytes, name: str, file: str, where: str, check: bool = True) -> bytes:
    """Unpack content if it is gzip's.

    Raises ValueError that says what it is instead if its SHA-256 is wrong.
    """
    raw = content
    if content.startswith(b"\x1f\x8b"):
        try:
            raw = zlib.decompressobj(wbits=31).decompress(content, LARGEST_FILE)
        except zlib.error:
            raw = b""
    digest = hashlib.sha256(raw).hexdigest()
    if check and digest != SHA256[name][file]:
        known = {
            sha256: f"{other}'s {twin}"
            for other, files in SHA256.items()
            for twin, sha256 in files.items()
        }
        found = known.get(digest, f"something cut short or damaged ({len(content):,} bytes)")
        raise ValueError(f"{where} is not {name}'s {file} but {found}")
    return raw


def problem(folder: Path, name: str, file: str) -> str:
    """What is wrong with a file, or nothing."""
    try:
        read_file(folder, name, file)
        return ""
    except (OSError, ValueError) as error:
        return str(error)


@lru_cache
def fetch(name: str, cache: Path) -> Path | None:
    """Complete the cache, or a temporary folder, and return it; if that fails, say why: None.

    One process at a time; the others wait and then find the files there, or the note that the
    download has just failed.
    """
    for root in (cache, _temporary_folder(make=False)):
        if root and not any(problem(root / name / "raw", name, file) for file in SHA256[name]):
            return root
    root = _writable(cache)
    folder, note, missing = root / name / "raw", root / name / "download-failed", []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(root / name / "lock", timeout=TOTAL_SECONDS + 60)
        try:
            lock.acquire(timeout=0.2)
        except Timeout:
            say(f"{name}: another process is fetching it; waiting for that one.")
            lock.acquire()
        with lock:
            lock.release()  # held once, by the with block
            for file in SHA256[name]:
                if wrong := problem(folder, name, file):
                    missing.append(file)
                    for path in folder.glob(f"{file}*"):
                        path.replace(path.with_name(f"bad-{path.name}"))
                        say(f"{wrong}; set aside as bad-{path.name}, to be fetched again.")
            if (
                missing
                and note.exists()
                and abs(time.time() - note.stat().st_mtime) < RETRY_SECONDS
            ):
                raise OSError(f"the last try failed less than {RETRY_SECONDS} s ago")
            try:
                _download(folder, name, missing)
                note.unlink(missing_ok=True)
                return root
            except OSError:
                note.touch()
                raise
    except (
        OSError,
        Timeout,
        NotImplementedError,
    ) as error:  # the last: a file system without locks
        say(f"{name}: not downloaded ({error}).")
        return None


def _download(folder: Path, name: str, files: list[str]) -> None:
    """Put files into `folder`, from the mirrors or the system's copy.

    Raises OSError that says what each mirror did.
    """
    from torchvision import datasets  # here, since it takes a second and most runs need no download

    if files:
        say(f"{name}: downloading to {folder}, about 30 MB (55 MB on the disk), only this once.")
    mirrors, errors = list(getattr(datasets, name).mirrors), {}
    deadline = time.monotonic() + TOTAL_SECONDS
    for file in files:
        for mirror in [*mirrors, *mirrors]:
            if mirror not in mirrors:
                continue
            url = f"{mirror}{file}.gz"
            try:
                content = checked(_get(url, deadline), name, file, url)
                break
            except (OSError, ValueError, HTTPException) as error:
                reason = " ".join(str(getattr(error, "reason", error)).split())
                why = f"{mirror} {reason}"
                errors[mirror] = why.replace(f"{mirror} {mirror}", mirror)
                if isinstance(error, (TimeoutError, URLError)) and not isinstance(error, HTTPError):
                    mirrors.remove(mirror)  # cannot be reached: no second chance
        else:
            try:
                content = read_file(SYSTEM[name], name, file)
            except (KeyError, OSError, ValueError):
                raise OSError("; ".join(errors.values())) from None
            mirrors = []
            why = "; ".join(errors.values())
            say(f"{name}: taken from {SYSTEM[name]}, since no mirror had it ({why}).")
        part = folder / f"part-{file}"
        try:
            part.unlink(missing_ok=True)  # of a process that was killed, or a link to elsewhere
            with open(part, "xb") as new:
                new.write(content)
            part.replace(folder / file)  # at once: nobody sees half a file
        except OSError:
            part.unlink(missing_ok=True)  # a full disk gets its room back
            raise


def _get(url: str, deadline: float) -> bytes:
    """The content behind an address.

    Raises TimeoutError without an answer in CONNECT_SECONDS or if not done by the deadline.
    """
    seconds = max(0, min(CONNECT_SECONDS, deadline - time.monotonic()))
    try:
        # urlopen's own limit leaves out looking up the name and starts afresh for each address
        with ThreadPool(1) as pool:
            answer = pool.apply_async(urlopen, (url,), {"timeout": CONNECT_SECONDS}).get(seconds)
    except multiprocessing.TimeoutError:
        raise TimeoutError("did not answer in time") from None
    content = bytearray()
    with answer:
        while chunk := answer.read1(1 << 20):
            content += chunk
            if time.monotonic() > deadline or len(content) > LARGEST_FILE:
                raise TimeoutError("was too slow or sent too much")
    return bytes(content)


def _writable(cache: Path) -> Path:
    """The cache if it can be written, else a temporary folder, with a line that says so.

    A missing home is not created.
    """
    try:
        cache.parent.mkdir(exist_ok=True)
        cache.mkdir(exist_ok=True)
        tempfile.TemporaryFile(dir=cache).close()
        return cache
    except OSError as error:
        folder = _temporary_folder()
        say(
            f"{cache} cannot be written ({error.strerror}); data is kept in {folder} until that "
            "is emptied."
        )
        return folder


def _temporary_folder(make: bool = True) -> Path:
    """A folder of one's own among the temporary files, the same for all processes of a user.

    Others can write there: what is no real folder, or somebody else's, or open to others, is not
    used, and a fresh one is made in its place. Unless it is to be made, it may be missing.
    """
    user = getattr(os, "getuid", lambda: "user")()
    folder = Path(tempfile.gettempdir()) / f"autoencoder-course-{user}"
    if make:
        try:
            folder.mkdir(mode=0o700)
        except FileExistsError:
            pass
    try:
        found = folder.lstat()
    except FileNotFoundError:
        return folder
    ours = os.name == "nt" or (found.st_uid == user and not found.st_mode & 0o077)
    return folder if stat.S_ISDIR(found.st_mode) and ours else _fresh_folder()


@lru_cache
def _fresh_folder() -> Path:
    return Path(tempfile.mkdtemp(prefix="autoencoder-course-"))


@lru_cache
def say(line: str) -> None:
    """Print a line, once in a process."""
    print(line, flush=True)
