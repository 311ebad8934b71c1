"""Where data comes from, that only the right bytes are used, and how it is split.

Downloads come from a server of our own.
"""

from __future__ import annotations

import gzip
import hashlib
import importlib.util
import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import torch
from filelock import FileLock
from torchvision import datasets

from course_utils import data
from course_utils.data import load_images, one_of_each, validation_mask
from course_utils.engine import download

ROOT = Path(__file__).resolve().parents[1]
NAMES = ("FashionMNIST", "MNIST")
FILES = tuple(download.SHA256["MNIST"])
SIZES = {
    "full": {"train": 55_000, "validation": 5_000, "test": 10_000},
    "sample": {"train": 7_333, "validation": 667, "test": 2_000},
}
NOWHERE = "http://127.0.0.1:9/"  # no server listens there


def forget() -> None:
    """Be a new process, as far as `course_utils` knows."""
    for function in (data._find, data._place, download.fetch, download._fresh_folder, download.say):
        function.cache_clear()


@pytest.fixture(autouse=True)
def fresh(tmp_path, monkeypatch):
    """An empty cache and an empty temporary folder for each test; COURSE_DATA stays, and where the
    full data lie in the cache it names that."""
    (tmp_path / "tmp").mkdir()
    here = os.environ.get("COURSE_DATA") or str(download.cache_folder())
    monkeypatch.setenv("COURSE_DATA", here)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path / "cache"))
    forget()
    yield
    forget()


# --- splits


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("split", data.SPLITS)
def test_shapes_types_and_range(name, split):
    images = load_images(name, split)
    assert len(images) == len(images.labels) == SIZES[images.source][split]
    assert (
        images.images.shape[1:] == (1, 28, 28)
        and images.images.dtype == torch.float32
        and images.labels.dtype == torch.int64
    )
    assert images.images.min() == 0 and images.images.max() == 1
    assert images.labels.unique().tolist() == list(range(10)) and len(images.class_names) == 10
    assert (images.name, images.split) == (name, split)


@pytest.mark.parametrize("seed", range(20))
def test_validation_mask_is_stratified_whatever_the_classes(seed):
    generator = torch.Generator().manual_seed(seed)
    labels = torch.multinomial(
        torch.rand(10, generator=generator), 500 + 137 * seed, replacement=True, generator=generator
    )
    mask = validation_mask(labels)
    assert int(mask.sum()) == round(len(labels) / 12)
    assert (
        (labels[mask].bincount(minlength=10) - labels.bincount(minlength=10) / 12).abs() < 1
    ).all()
    assert torch.equal(mask, validation_mask(labels.to(torch.uint8)))


PINNED = {
    ("FashionMNIST", "full"): "b581d6058dc499d5",
    ("FashionMNIST", "sample"): "a5243ec926a970ed",
    ("MNIST", "full"): "70c5494a78f6f51a",
    ("MNIST", "sample"): "e14d631beb7b5a96",
}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("source", ["full", "sample"])
def test_the_validation_split_never_changes(name, source, request, monkeypatch):
    if source == "full":
        request.getfixturevalue("full_data")
    else:
        monkeypatch.setenv("COURSE_DATA", "sample")
    _, labels, found = data._find(
        name, True, os.environ.get("COURSE_DATA", ""), Path(os.environ["COURSE_CACHE"])
    )
    assert found == source
    mask = validation_mask(labels)
    assert (
        hashlib.sha256(np.packbits(mask.numpy()).tobytes()).hexdigest()[:16] == PINNED[name, source]
    )
    train, validation = load_images(name, "train"), load_images(name, "validation")
    assert torch.equal(train.labels, labels[~mask].long()) and torch.equal(
        validation.labels, labels[mask].long()
    )
    if (name, source) == ("FashionMNIST", "full"):
        assert validation.labels.bincount().tolist() == [500] * 10


def test_repeated_loading_reads_no_file_and_gives_new_tensors():
    first = load_images("MNIST", "test")
    first.images.zero_()
    first.labels.zero_()
    read = data._find.cache_info().misses
    second = load_images("MNIST", "test")
    assert data._find.cache_info().misses == read
    assert second.images.max() == 1 and second.labels.max() == 9


def test_one_of_each():
    ten = one_of_each(load_images("FashionMNIST", "test"))
    assert ten.labels.tolist() == list(range(10)) and ten.images.shape == (10, 1, 28, 28)
    assert ten.class_names[9] == "Ankle boot"


@pytest.mark.parametrize(
    "arguments, wanted",
    [(("CIFAR10", "train"), NAMES), (("MNIST", "valid"), data.SPLITS), ((None, "test"), NAMES)],
)
def test_unknown_names_and_splits_list_the_valid_ones(arguments, wanted):
    with pytest.raises(ValueError, match=", ".join(wanted)):
        load_images(*arguments)


# --- the shipped sample


@pytest.mark.parametrize("name", NAMES)
def test_sample(name, monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("COURSE_DATA", "sample")
    for split in (*data.SPLITS, *data.SPLITS):
        images = load_images(name, split)
        assert images.source == "sample" and len(images) == SIZES["sample"][split]
    assert capsys.readouterr().out.count("\n") == 1  # one line, once
    raw = tmp_path / name / "raw"  # in torchvision's own layout, so that its classes read it too
    raw.mkdir(parents=True)
    for file in FILES:
        (raw / file).write_bytes(
            gzip.decompress((data.SAMPLE / name / "raw" / f"{file}.gz").read_bytes())
        )
    theirs = getattr(datasets, name)(tmp_path, train=False)
    assert torch.equal(theirs.data.unsqueeze(1) / 255, images.images) and torch.equal(
        theirs.targets, images.labels
    )
    assert images.class_names == tuple(theirs.classes)


@pytest.mark.parametrize("name", NAMES)
def test_the_sample_can_be_asked_for(name, capsys):
    for split in (*data.SPLITS, *data.SPLITS):
        images = load_images(name, split, sample=True)
        assert images.source == "sample" and len(images) == SIZES["sample"][split]
        images.images.zero_()  # new tensors at each call
        assert load_images(name, split, sample=True).images.max() == 1
    assert capsys.readouterr().out == ""


def test_sample_is_small():
    files = list(data.SAMPLE.glob("*/raw/*.gz"))
    assert len(files) == 8 and sum(file.stat().st_size for file in files) <= 8_000_000


@pytest.mark.parametrize("name", NAMES)
def test_sample_is_the_beginning_of_the_full_data(full_data, name, monkeypatch):
    full = data._find(
        name, True, os.environ.get("COURSE_DATA", ""), Path(os.environ["COURSE_CACHE"])
    )[:2]
    sample = data._find(name, True, "sample", Path())[:2]
    assert all(torch.equal(whole[:8_000], part) for whole, part in zip(full, sample))
    test = data._find(name, False, "sample", Path())[:2]
    if name == "MNIST":  # its sample comes from the training set alone
        assert all(torch.equal(whole[8_000:10_000], part) for whole, part in zip(full, test))
        return
    full = load_images(name, "test")
    assert torch.equal((full.images[:2_000] * 255).byte().squeeze(1), test[0])
    monkeypatch.setenv("COURSE_DATA", "sample")
    assert torch.equal(
        one_of_each(load_images(name, "test")).images, one_of_each(full).images
    )  # the figures' ten


def test_the_sample_can_be_made_again(tmp_path):
    if not download.SYSTEM["FashionMNIST"].is_dir():
        pytest.skip("needs Debian's package dataset-fashion-mnist")
    spec = importlib.util.spec_from_file_location("make_sample", ROOT / "tools/make_sample.py")
    make_sample = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(make_sample)
    make_sample.write(
        tmp_path, {"t10k": make_sample.fashion_mnist(download.SYSTEM["FashionMNIST"])["t10k"]}
    )
    for file in FILES[2:]:
        assert (tmp_path / f"{file}.gz").read_bytes()[10:] == (
            data.SAMPLE / "FashionMNIST/raw" / f"{file}.gz"
        ).read_bytes()[10:]


# --- downloads, from a server of our own that holds small data sets


def idx(array: np.ndarray) -> bytes:
    return np.array([0x800 + array.ndim, *array.shape], ">i4").tobytes() + array.tobytes()


class Server(ThreadingHTTPServer):
    """Serves `/<behaviour>/<name>/<file>.gz` and counts what was asked for."""

    daemon_threads, request_queue_size = True, 64

    def __init__(self, files: dict[str, dict[str, bytes]]):
        super().__init__(("127.0.0.1", 0), Handler)
        self.files, self.asked = files, Counter()
        self.over, self.waited_out = threading.Event(), False
        threading.Thread(
            target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
        ).start()

    def handle_error(self, request, client_address) -> None:  # of a client that lost its patience
        pass

    def keep_waiting(self) -> None:
        """Until the test is over; `waited_out` where a client waited ten minutes for it."""
        self.waited_out |= not self.over.wait(600)

    def mirror(self, name: str, behaviour: str = "good") -> str:
        return f"http://127.0.0.1:{self.server_port}/{behaviour}/{name}/"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        behaviour, name, file = self.path.strip("/").split("/")
        self.server.asked[self.path] += 1
        content = gzip.compress(self.server.files[name][file.removesuffix(".gz")])
        if behaviour == "hanging":
            self.server.keep_waiting()
        if behaviour == "missing":
            return self.send_error(404)
        if behaviour == "circling":
            self.send_response(302)
            self.send_header("Location", self.path)
            return self.end_headers()
        if behaviour == "swapped":
            content = gzip.compress(self.server.files["MNIST"][file.removesuffix(".gz")])
        if behaviour == "garbage":
            content = b"<html>Please log in to the campus network</html>"
        if behaviour == "halved":
            content = content[: len(content) // 2]
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if behaviour == "closing" or (
            behaviour == "unsteady" and self.server.asked[self.path] == 1
        ):
            content = content[: len(content) // 2]
        if behaviour == "stalling":
            self.wfile.write(content[:20])
            self.server.keep_waiting()
        if behaviour == "dripping":
            for byte in content:
                self.wfile.write(bytes([byte]))
                time.sleep(0.1)
        self.wfile.write(content)

    def log_message(self, *_) -> None:
        pass


@pytest.fixture
def server(monkeypatch, tmp_path):
    """Two small data sets, known by their hashes; no other place has any, no mirror answers."""
    files, random = {}, np.random.default_rng(0)
    for name in NAMES:
        files[name] = {}
        for part, count in (("train", 120), ("t10k", 40)):
            files[name][f"{part}-images-idx3-ubyte"] = idx(
                random.integers(0, 256, (count, 28, 28), np.uint8)
            )
            files[name][f"{part}-labels-idx1-ubyte"] = idx(
                random.permutation(np.arange(count, dtype=np.uint8) % 10)
            )
        hashes = {
            file: hashlib.sha256(content).hexdigest() for file, content in files[name].items()
        }
        monkeypatch.setitem(download.SHA256, name, hashes)
        monkeypatch.setattr(getattr(datasets, name), "mirrors", [NOWHERE])
    monkeypatch.setattr(download, "SYSTEM", {})
    monkeypatch.delenv("COURSE_DATA", raising=False)
    server = Server(files)
    yield server
    server.over.set()
    server.shutdown()
    server.server_close()


def use(monkeypatch, *mirrors: str, name: str = "FashionMNIST") -> None:
    monkeypatch.setattr(getattr(datasets, name), "mirrors", list(mirrors))


def raw(tmp_path: Path, name: str = "FashionMNIST") -> Path:
    return tmp_path / "cache" / name / "raw"


def test_download_once_into_torchvisions_layout(server, monkeypatch, tmp_path, capsys):
    use(monkeypatch, server.mirror("FashionMNIST"))
    train, validation, test = (load_images("FashionMNIST", split) for split in data.SPLITS)
    assert (len(train), len(validation), len(test)) == (110, 10, 40) and train.source == "full"
    assert capsys.readouterr().out.count("\n") == 1
    forget()
    load_images("FashionMNIST", "train")
    assert sum(server.asked.values()) == 4 and capsys.readouterr().out == ""
    theirs = datasets.FashionMNIST(tmp_path / "cache", train=False)
    assert torch.equal(theirs.data.unsqueeze(1) / 255, test.images) and torch.equal(
        theirs.targets, test.labels
    )
    assert sorted(path.name for path in raw(tmp_path).iterdir()) == sorted(FILES)


@pytest.mark.parametrize(
    "behaviour",
    ["swapped", "garbage", "halved", "closing", "missing", "hanging", "stalling", "dripping"],
)
def test_the_second_mirror_helps_when_the_first_does_not(server, monkeypatch, tmp_path, behaviour):
    if behaviour in ("hanging", "stalling", "dripping"):
        monkeypatch.setattr(download, "CONNECT_SECONDS", 3)
    use(monkeypatch, server.mirror("FashionMNIST", behaviour), server.mirror("FashionMNIST"))
    if (
        behaviour == "dripping"
    ):  # the time for all mirrors together is up; the next try, later, begins anew
        monkeypatch.setattr(download, "TOTAL_SECONDS", 1)
        assert load_images("FashionMNIST", "train").source == "sample"
        return
    assert load_images("FashionMNIST", "train").source == "full"
    assert not server.waited_out
    assert all(
        (raw(tmp_path) / file).read_bytes() == server.files["FashionMNIST"][file] for file in FILES
    )


def test_a_mirror_gets_a_second_chance(server, monkeypatch):
    use(monkeypatch, server.mirror("FashionMNIST", "unsteady"))
    assert load_images("FashionMNIST", "test").source == "full"
    assert set(server.asked.values()) == {2}


@pytest.mark.parametrize(
    "behaviour, words",
    [
        ("swapped", "but MNIST's train-images"),
        ("garbage", "damaged"),
        ("halved", "cut short"),
        ("missing", "Not Found"),
        ("hanging", "time"),
        ("stalling", "timed out"),
    ],
)
def test_without_a_good_mirror_one_line_says_why_and_the_sample_is_used(
    server, monkeypatch, tmp_path, capsys, behaviour, words
):
    if behaviour in ("hanging", "stalling", "dripping"):
        monkeypatch.setattr(download, "CONNECT_SECONDS", 3)
    use(monkeypatch, server.mirror("FashionMNIST", behaviour))
    assert {
        load_images("FashionMNIST", split).source for split in (*data.SPLITS, *data.SPLITS)
    } == {"sample"}
    assert not server.waited_out
    lines = capsys.readouterr().out.splitlines()
    assert (
        len(lines) == 3
        and "downloading to" in lines[0]
        and words in lines[1]
        and "sample" in lines[2]
    )
    assert list(raw(tmp_path).iterdir()) == []
    asked = sum(server.asked.values())
    assert asked <= 2  # not for each load again
    forget()
    load_images("FashionMNIST", "train")  # the next process does not try again at once, either
    assert sum(server.asked.values()) == asked and "last try failed" in capsys.readouterr().out
    monkeypatch.setattr(download, "RETRY_SECONDS", 0)
    use(monkeypatch, server.mirror("FashionMNIST"))
    forget()
    assert load_images("FashionMNIST", "train").source == "full"  # but later it does


def test_a_redirection_that_goes_round_is_told_in_one_line(server, monkeypatch, capsys):
    use(monkeypatch, server.mirror("FashionMNIST", "circling"))
    assert load_images("FashionMNIST", "test").source == "sample"
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3 and "infinite loop" in lines[1]


def test_without_a_network_each_data_set_is_tried_once(server, monkeypatch):
    tried = []
    real = download.urlopen
    monkeypatch.setattr(
        download, "urlopen", lambda url, **how: (tried.append(url), real(url, **how))[1]
    )
    assert {load_images(name, split).source for name in NAMES for split in data.SPLITS} == {
        "sample"
    }
    assert len(tried) <= 2 * len(NAMES)  # a second chance for each, and no try for each split


def test_a_name_that_is_not_found_in_time(server, monkeypatch, capsys):
    """Looking up a name, and trying each address of a host in turn, knows no limit of its own."""
    monkeypatch.setattr(download, "urlopen", lambda url, timeout: server.keep_waiting())
    monkeypatch.setattr(download, "CONNECT_SECONDS", 0.3)
    assert load_images("FashionMNIST", "test").source == "sample"
    assert not server.waited_out and "did not answer in time" in capsys.readouterr().out


def test_a_system_package_fills_the_cache(server, monkeypatch, tmp_path, capsys):
    folder = tmp_path / "usr/share/datasets/fashion-mnist"
    folder.mkdir(parents=True)
    for file, content in server.files["FashionMNIST"].items():
        (folder / f"{file}.gz").write_bytes(gzip.compress(content))
    monkeypatch.setattr(download, "SYSTEM", {"FashionMNIST": folder})
    assert load_images("FashionMNIST", "train").source == "full"
    assert len(capsys.readouterr().out.splitlines()) == 2
    assert datasets.FashionMNIST(tmp_path / "cache").data.shape == (120, 28, 28)
    (folder / "train-labels-idx1-ubyte.gz").write_bytes(b"spoilt")
    (raw(tmp_path) / "train-labels-idx1-ubyte").unlink()
    forget()
    assert load_images("FashionMNIST", "train").source == "sample"


THIRTY = """
import json, multiprocessing, sys
import torch
from torchvision import datasets
from course_utils import data
from course_utils.engine import download

mirror, hashes = sys.argv[1], json.loads(sys.argv[2])
datasets.FashionMNIST.mirrors, download.SYSTEM = [mirror], {}
download.SHA256.update(hashes)
torch.set_num_threads(1)
context = multiprocessing.get_context("fork")
barrier, results = context.Barrier(30), context.Queue()

def learner():
    barrier.wait()
    images = data.load_images("FashionMNIST", "test")
    results.put([images.source, float(images.images.sum())])

processes = [context.Process(target=learner) for _ in range(30)]
for process in processes:
    process.start()
outcomes = [results.get() for _ in processes]
for process in processes:
    process.join()
print("OUTCOMES " + json.dumps(outcomes))
"""


@pytest.mark.skipif(
    "fork" not in multiprocessing.get_all_start_methods(),
    reason="starts its thirty processes with fork",
)
@pytest.mark.parametrize("behaviour, source, most", [("good", "full", 4), ("garbage", "sample", 2)])
def test_of_thirty_processes_one_fetches(server, tmp_path, behaviour, source, most):
    mirror = server.mirror("FashionMNIST", behaviour)
    command = [sys.executable, "-c", THIRTY, mirror, json.dumps(download.SHA256)]
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    run = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    outcomes = json.loads(run.stdout.split("OUTCOMES ")[1])
    assert (
        len(outcomes) == 30
        and {found for found, _ in outcomes} == {source}
        and len({total for _, total in outcomes}) == 1
    )
    assert sum(server.asked.values()) == most
    assert run.stdout.count("downloading to") == 1


def test_who_waits_for_another_process_says_so(server, monkeypatch, tmp_path, capsys):
    use(monkeypatch, server.mirror("FashionMNIST"))
    raw(tmp_path).mkdir(parents=True)
    other = FileLock(tmp_path / "cache/FashionMNIST/lock", thread_local=False)
    other.acquire()
    threading.Timer(0.6, other.release).start()
    assert load_images("FashionMNIST", "test").source == "full"
    assert "another process is fetching it; waiting" in capsys.readouterr().out


# --- spoilt files, odd folders


SPOILT = {
    "truncated": lambda good, other: good[: len(good) // 2],
    "swapped": lambda good, other: other,
    "garbage": lambda good, other: b"\x1f\x8b" + bytes(100),
    "empty": lambda good, other: b"",
    "one bit": lambda good, other: good[:20] + bytes([good[20] ^ 1]) + good[21:],
}


@pytest.mark.parametrize("kind", SPOILT)
@pytest.mark.parametrize("file", [FILES[0], FILES[3]])
def test_a_spoilt_file_is_named_set_aside_and_fetched_again(
    server, monkeypatch, tmp_path, capsys, kind, file
):
    use(monkeypatch, server.mirror("FashionMNIST"))
    load_images("FashionMNIST", "train")
    spoilt = SPOILT[kind](server.files["FashionMNIST"][file], server.files["MNIST"][file])
    (raw(tmp_path) / file).write_bytes(spoilt)
    capsys.readouterr()
    forget()
    assert load_images("FashionMNIST", "train").source == "full"
    lines = capsys.readouterr().out.splitlines()
    assert (
        len(lines) == 2
        and str(raw(tmp_path) / file) in lines[0]
        and f"set aside as bad-{file}" in lines[0]
    )
    assert ("MNIST's" in lines[0].split(" but ")[1]) == (kind == "swapped")
    assert (raw(tmp_path) / f"bad-{file}").read_bytes() == spoilt
    assert (raw(tmp_path) / file).read_bytes() == server.files["FashionMNIST"][file]
    assert server.asked[f"/good/FashionMNIST/{file}.gz"] == 2 and sum(server.asked.values()) == 5


def test_a_spoilt_file_is_not_loaded_offline_either(server, monkeypatch, tmp_path):
    use(monkeypatch, server.mirror("FashionMNIST"))
    load_images("FashionMNIST", "train")
    (raw(tmp_path) / FILES[0]).write_bytes(server.files["MNIST"][FILES[0]])
    use(monkeypatch, NOWHERE)
    forget()
    assert load_images("FashionMNIST", "train").source == "sample"


def test_a_download_that_was_killed_is_taken_up_where_it_stopped(server, monkeypatch, tmp_path):
    raw(tmp_path).mkdir(parents=True)
    (raw(tmp_path) / FILES[0]).write_bytes(server.files["FashionMNIST"][FILES[0]])
    (raw(tmp_path) / f"part-{FILES[1]}").write_bytes(b"half")
    (tmp_path / "cache/FashionMNIST/lock").touch()
    use(monkeypatch, server.mirror("FashionMNIST"))
    assert load_images("FashionMNIST", "train").source == "full"
    assert sum(server.asked.values()) == 3
    assert sorted(path.name for path in raw(tmp_path).iterdir()) == sorted(FILES)


@pytest.mark.parametrize("packed", [False, True])
def test_course_data(server, monkeypatch, tmp_path, capsys, packed):
    folder = tmp_path / "mine/MNIST/raw"
    folder.mkdir(parents=True)
    for file, content in server.files["MNIST"].items():
        (folder / (f"{file}.gz" if packed else file)).write_bytes(
            gzip.compress(content) if packed else content
        )
    monkeypatch.setenv("COURSE_DATA", str(tmp_path / "mine"))
    assert load_images("MNIST", "train").source == "full" and capsys.readouterr().out == ""
    assert not (tmp_path / "cache").exists()
    assert load_images("FashionMNIST", "test").source == "sample"  # which it does not hold
    assert "COURSE_DATA" in capsys.readouterr().out.splitlines()[0]


def test_course_data_that_is_spoilt_is_named_and_left_alone(server, monkeypatch, tmp_path, capsys):
    folder = tmp_path / "mine/FashionMNIST/raw"
    folder.mkdir(parents=True)
    for file in FILES:
        (folder / file).write_bytes(server.files["MNIST"][file])
    monkeypatch.setenv("COURSE_DATA", str(tmp_path / "mine"))
    use(monkeypatch, server.mirror("FashionMNIST"))
    images = load_images("FashionMNIST", "train")
    assert images.source == "full"
    good = np.frombuffer(server.files["FashionMNIST"][FILES[0]], np.uint8, offset=16).astype(
        np.float32
    )
    loaded = images.images.sum() + load_images("FashionMNIST", "validation").images.sum()
    assert float(loaded) == pytest.approx(good.sum() / 255, rel=1e-5)
    assert "MNIST's train-images-idx3-ubyte" in capsys.readouterr().out.splitlines()[0]
    assert sorted(path.name for path in folder.iterdir()) == sorted(FILES)


@pytest.mark.parametrize("home", ["missing", "a file", "read-only"])
def test_without_a_home_a_temporary_folder_is_used_and_named(
    server, monkeypatch, tmp_path, capsys, home
):
    monkeypatch.delenv("COURSE_CACHE")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    (tmp_path / "a file").touch()
    if home == "read-only" and not Path("/proc/self").exists():
        pytest.skip("needs a folder in which even root cannot write")
    monkeypatch.setenv("HOME", "/proc" if home == "read-only" else str(tmp_path / home))
    use(monkeypatch, server.mirror("FashionMNIST"))
    assert load_images("FashionMNIST", "train").source == "full"
    assert str(tmp_path / "tmp") in capsys.readouterr().out.splitlines()[0]
    assert not (tmp_path / "missing").exists()
    forget()
    assert load_images("FashionMNIST", "train").source == "full"  # the next process finds it there
    assert sum(server.asked.values()) == 4


def test_no_room_on_the_disk(server, monkeypatch, tmp_path, capsys):
    def full(self, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    use(monkeypatch, server.mirror("FashionMNIST"))
    assert load_images("FashionMNIST", "train").source == "sample"
    assert "No space left on device" in capsys.readouterr().out
    assert list(raw(tmp_path).iterdir()) == []  # what was written gives its room back


@pytest.mark.parametrize("file", [FILES[1], FILES[2]])
@pytest.mark.parametrize("trouble", ["missing", "damaged", "pipe"])
def test_train_and_test_come_from_one_source(server, monkeypatch, tmp_path, capsys, file, trouble):
    """The sample's test images are among the full set's training images."""
    folder = tmp_path / "mine/MNIST/raw"
    folder.mkdir(parents=True)
    for name, content in server.files["MNIST"].items():
        (folder / name).write_bytes(content)
    if trouble == "damaged":
        (folder / file).write_bytes(b"cut")
    else:
        (folder / file).unlink()
    if trouble == "pipe":
        os.mkfifo(folder / file)
    monkeypatch.setenv("COURSE_DATA", str(tmp_path / "mine"))
    assert {load_images("MNIST", split).source for split in data.SPLITS} == {"sample"}
    first = capsys.readouterr().out.splitlines()[0]
    assert first.startswith("COURSE_DATA=") and file in first


def test_a_good_packed_file_beside_a_damaged_one(server, monkeypatch, tmp_path, capsys):
    folder = tmp_path / "mine/MNIST/raw"
    folder.mkdir(parents=True)
    for name, content in server.files["MNIST"].items():
        (folder / name).write_bytes(b"cut")
        (folder / f"{name}.gz").write_bytes(gzip.compress(content))
    monkeypatch.setenv("COURSE_DATA", str(tmp_path / "mine"))
    assert load_images("MNIST", "train").source == "full" and capsys.readouterr().out == ""


def test_sample_in_any_letters(monkeypatch, capsys):
    monkeypatch.setenv("COURSE_DATA", "Sample")
    assert load_images("MNIST", "test").source == "sample"
    assert "COURSE_DATA=" not in capsys.readouterr().out


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="needs users")
@pytest.mark.parametrize("planted", ["open to others", "link", "file", "somebody else's"])
def test_a_temporary_folder_that_others_may_have_made_is_not_used(
    server, monkeypatch, tmp_path, planted
):
    monkeypatch.setenv("COURSE_CACHE", "/proc/nowhere")
    use(monkeypatch, server.mirror("FashionMNIST"))
    folder, theirs = tmp_path / f"tmp/autoencoder-course-{os.getuid()}", tmp_path / "theirs"
    victim = tmp_path / "victim"
    victim.write_text("mine")
    if planted == "file":
        folder.touch()
    else:
        part = theirs / f"FashionMNIST/raw/part-{FILES[0]}"
        part.parent.mkdir(parents=True)
        part.symlink_to(victim)
        (theirs / "FashionMNIST/download-failed").symlink_to(tmp_path / "elsewhere")
        os.mkfifo(theirs / f"FashionMNIST/raw/{FILES[1]}")
        if planted == "link":
            theirs.chmod(0o700)
            folder.symlink_to(theirs)
        else:
            theirs.rename(folder)
            folder.chmod(0o755 if planted == "open to others" else 0o700)
    if planted == "somebody else's":
        monkeypatch.setattr(os, "getuid", lambda: os.geteuid() + 1)
        folder.rename(tmp_path / f"tmp/autoencoder-course-{os.getuid()}")
    assert load_images("FashionMNIST", "train").source == "full"
    assert victim.read_text() == "mine" and not (tmp_path / "elsewhere").exists()
    fresh = [path for path in (tmp_path / "tmp").iterdir() if path.name.count("-") == 2]
    used = [path for path in fresh if (path / "FashionMNIST/raw" / FILES[0]).is_file()]
    assert len(used) == 1 and used[0].stat().st_mode & 0o077 == 0


def test_a_planted_link_in_a_cache_is_not_followed(server, monkeypatch, tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("mine")
    raw(tmp_path).mkdir(parents=True)
    (raw(tmp_path) / f"part-{FILES[0]}").symlink_to(victim)
    use(monkeypatch, server.mirror("FashionMNIST"))
    assert load_images("FashionMNIST", "train").source == "full" and victim.read_text() == "mine"


@pytest.mark.parametrize("tool", ["my_course", "run_tests"])
def test_a_tool_that_loads_no_data_speaks_to_such_a_console_too(tool):
    program = f"from tools import {tool}; print('\u05d0 …')"
    environment = {**os.environ, "PYTHONIOENCODING": "cp1252", "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", program], env=environment, check=True)


@pytest.mark.parametrize("encoding", ["cp1252", "latin-1", "ascii"])
def test_a_console_of_few_letters_gets_other_signs_and_no_error(tmp_path, encoding):
    program = "from course_utils.data import load_images; load_images('MNIST', 'test'); print('✓')"
    folder = tmp_path / "\u05d0"
    environment = {**os.environ, "PYTHONIOENCODING": encoding, "COURSE_DATA": str(folder)}
    environment |= {"COURSE_CACHE": "/proc/nowhere", "PYTHONPATH": str(ROOT), "PYTHONUTF8": "0"}
    environment |= {"http_proxy": NOWHERE, "https_proxy": NOWHERE, "TMPDIR": str(tmp_path)}
    run = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True)
    said = run.stdout.decode(encoding)
    assert run.returncode == 0, run.stderr
    assert "\\u05d0" in said and "\\u2713" in said
