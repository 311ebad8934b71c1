"""The same denoising model at many latent dimensions, with several seeds, on several data sets: one table of what came out.

The same call runs in this process, on all cores (``n_jobs=-1``) or on a Dask cluster (``with joblib.parallel_config("dask")``).
"""

from __future__ import annotations

import hashlib
import inspect
import json
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from tqdm import tqdm

from course_utils import metrics
from course_utils.corruption import Dropout
from course_utils.data import load_images
from course_utils.training import fit

SPLITS = ("train", "validation", "test")
_ONE_AT_A_TIME = threading.Lock()  # torch's random numbers belong to the process: two runs in threads would share them


def latent_sweep(build: Callable[[int], nn.Module], dims: Iterable[int], seeds: Iterable[int],
                 datasets: Sequence[str] | Mapping[str, Sequence], *, corruptor: Callable[[Tensor], Tensor] = Dropout(0.5),
                 epochs: int = 10, batch_size: int = 128, lr: float = 1e-3, together: int = 0,
                 store: str | Path | None = None, n_jobs: int | None = None, progress: bool | None = None) -> pd.DataFrame:
    """Train ``build(dim)`` to undo ``corruptor`` for every data set, latent dimension and seed; one row for each run.

    Adam's learning rate falls along a cosine from ``lr`` to zero. Every model is scored on the same corrupted images.

    Args:
        build: latent dimension -> ``nn.Sequential(encoder, decoder)``, made after ``torch.manual_seed(seed)``.
        datasets: names for ``load_images``, or name -> (train, validation, test), image sets or tensors (N, 1, 28, 28).
        together: models of up to this latent dimension, of one data set and seed, are trained side by side: each corrupted
            batch is made once for all of them. The numbers stay the same; small models take half the time.
        store: a folder that keeps each finished run at once. The same call then computes only what is missing. The file's
            name is a hash of all that determines the run, so a changed setting finds no old result. A Dask cluster's workers
            must see this folder, since they read the images there.
        n_jobs: processes, as joblib counts them; each takes one torch thread when there are several.

    Returns:
        Columns dataset, latent_dim, seed; errors per pixel: validation_error (by which to choose), test_error, both with
        corruption on, clean_error (test images not corrupted), halfway_error (validation_error after half of the epochs);
        psnr in dB of test_error; dead_units, zero for every corrupted validation image; seconds (a block's, divided by
        together, the models in it); error, "" or what went wrong with this run.

    Raises:
        ValueError: nothing to train, or settings that cannot work.
    """
    dims, seeds = sorted(set(dims), reverse=True), sorted(set(seeds))
    names = [datasets] if isinstance(datasets, str) else list(datasets)
    if not (dims and seeds and names):
        raise ValueError("a sweep needs at least one latent dimension, one seed and one data set")
    if epochs < 1:
        raise ValueError(f"epochs must be a positive integer, got {epochs!r}")
    sets = {name: [_images(split) for split in (datasets[name] if isinstance(datasets, Mapping) else
                                                [load_images(name, split) for split in SPLITS])] for name in names}
    settings = {"corruption": _describe(corruptor), "epochs": epochs, "batch_size": batch_size, "lr": lr}
    digests = {name: [_digest(split.numpy().tobytes()) for split in splits] for name, splits in sets.items()}
    rows, blocks = [], []
    for seed in seeds:
        for name in names:
            runs = {dim: {"dataset": name, "latent_dim": dim, "seed": seed, **settings} for dim in dims}
            files = {dim: _file(store, run, build, digests[name]) for dim, run in runs.items()}
            stored = {dim: json.loads(file.read_text()) for dim, file in files.items() if file is not None and file.exists()}
            rows += stored.values()
            small = [(runs[dim], files[dim]) for dim in dims if dim not in stored and dim <= together]
            blocks += [[(runs[dim], files[dim])] for dim in dims if dim not in stored and dim > together]
            blocks += [small] if small else []
    several = joblib.effective_n_jobs(n_jobs) > 1
    weight = {id(block): sum(run["latent_dim"] + 100 for run, _ in block) for block in blocks}  # a model's cost, roughly
    with tempfile.TemporaryDirectory(prefix="images-", dir=store, ignore_cleanup_errors=True) as folder:
        where = {name: [_shared(folder, *pair) if several else pair[0] for pair in zip(sets[name], digests[name])] for name in names}
        results = joblib.Parallel(n_jobs=n_jobs, return_as="generator_unordered", batch_size=1)(
            joblib.delayed(_run_block)(block, build, corruptor, where[block[0][0]["dataset"]], several) for block in blocks)
        with _bar(progress, sum(weight.values())) as bar:
            for new in results:
                rows += new
                bar.set_description(f"{len(rows)} of {len(names) * len(dims) * len(seeds)} runs", refresh=False)
                bar.update(sum(row["latent_dim"] + 100 for row in new))
    return pd.DataFrame(rows).sort_values(["dataset", "latent_dim", "seed"], ignore_index=True)


def summary(table: pd.DataFrame, column: str = "validation_error") -> pd.DataFrame:
    """Mean, standard deviation over seeds, standard error (deviation / sqrt(runs)) and number of runs of one column.

    One row for each data set and latent dimension; failed runs are left out.
    """
    groups = table[table["error"].fillna("") == ""].groupby(["dataset", "latent_dim"])[column]
    return groups.agg(mean="mean", deviation="std", standard_error="sem", runs="count").reset_index()


def shipped(dataset: str) -> pd.DataFrame:
    """The sweep that comes with the course for "FashionMNIST" or "MNIST": full data, ten latent dimensions, see `latent_sweep`."""
    table = pd.read_csv(Path(__file__).with_name("tables") / "latent_sweep.csv", keep_default_na=False)
    if dataset not in set(table["dataset"]):
        raise ValueError(f"the shipped sweep holds {', '.join(sorted(set(table['dataset'])))}, not {dataset!r}")
    return table[table["dataset"] == dataset].reset_index(drop=True)


def _run_block(block: list, build, corruptor, where: list, several: bool) -> list[dict]:
    """Train the block's models side by side, score each and store each; a block that fails is tried one model at a time."""
    if several:
        torch.set_num_threads(1)
    if all(file is not None and file.exists() for _, file in block):  # finished by a worker that died before it could report
        return [json.loads(file.read_text()) for _, file in block]
    try:
        with _ONE_AT_A_TIME:
            rows = _train(block, build, corruptor, [_open(split) for split in where])
    except Exception as problem:  # one bad run must not end the others: it becomes a row that says why
        if len(block) > 1:
            return [row for run in block for row in _run_block([run], build, corruptor, where, several)]
        return [{**block[0][0], "error": f"{type(problem).__name__}: {problem}"}]
    for row, (_, file) in zip(rows, block):
        if file is not None:
            part = file.with_suffix(f".{os.getpid()}.part")
            part.write_text(json.dumps(row))
            os.replace(part, file)  # whole or not at all
    return rows


def _train(block: list, build, corruptor, splits: list[Tensor]) -> list[dict]:
    train, validation, test = splits
    first, halfway, models = block[0][0], {}, []
    for run, _ in block:
        torch.manual_seed(run["seed"])
        models.append(build(run["latent_dim"]))

    def loss(together: nn.ModuleList, images: Tensor, labels: Tensor) -> Tensor:
        corrupted = corruptor(images)  # once for all models; Adam treats each weight by itself, so none feels the others
        return sum(F.mse_loss(model(corrupted), images) for model in together)

    def at_half_time(together: nn.ModuleList, history) -> None:
        if len(history.train_loss) == (first["epochs"] + 1) // 2:
            halfway.update(enumerate(error(model, validation) for model in together))

    def error(model: nn.Module, images: Tensor) -> float:
        return metrics.reconstruction_error(model, images, damaged[id(images)])

    damaged = {id(images): _corrupted(corruptor, images) for images in (validation, test)}
    start = time.perf_counter()
    history = fit(nn.ModuleList(models), train, loss, epochs=first["epochs"], batch_size=first["batch_size"], lr=first["lr"], seed=first["seed"],
        schedule=lambda optimizer: torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, first["epochs"]), on_epoch=at_half_time,
        progress=False)
    if history.stopped:
        raise KeyboardInterrupt  # fit stops cleanly, but a run that is not finished is no result
    seconds = (time.perf_counter() - start) / len(block)
    codes = [metrics.apply_in_batches(model[0], damaged[id(validation)]) for model in models]
    return [{**run, "validation_error": error(model, validation), "test_error": error(model, test),
             "clean_error": metrics.reconstruction_error(model, test), "halfway_error": halfway[i],
             "psnr": metrics.psnr(error(model, test)), "dead_units": int((codes[i] == 0).all(0).sum()), "seconds": round(seconds, 2),
             "together": len(block), "train_images": len(train), "error": ""} for i, ((run, _), model) in enumerate(zip(block, models))]


def _corrupted(corruptor, images: Tensor) -> Tensor:
    """The images, corrupted in the same way for every model of every sweep."""
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        corrupted = corruptor(images)
    if torch.equal(corrupted, images):
        raise ValueError("the corruptor left every image as it was: is it an nn.Dropout in eval mode?")
    return corrupted


def _images(split) -> Tensor:
    return getattr(split, "images", split).contiguous()


def _shared(folder: str, images: Tensor, digest: str) -> Path:
    """A file that all processes map into memory: one copy in the machine, however many read it."""
    path = Path(folder).resolve() / f"{digest}.npy"
    np.save(path, images.numpy())
    return path


@lru_cache(maxsize=6)
def _open(split: Tensor | Path) -> Tensor:
    return split if isinstance(split, Tensor) else torch.from_numpy(np.load(split, mmap_mode="c"))


def _file(store, run: dict, build, digests: list[str]) -> Path | None:
    """Where a run is kept: its name hashes the settings, the images, the model's text and its weights before training."""
    if store is None:
        return None
    Path(store).mkdir(parents=True, exist_ok=True)
    torch.manual_seed(run["seed"])
    try:
        model = build(run["latent_dim"])
    except Exception:  # the run itself will fail in the same way and say so in its row
        return None
    weights = [_digest(value.numpy().tobytes()) for value in model.state_dict().values()]
    kinds = sorted({_describe(type(part)) for part in model.modules() if not type(part).__module__.startswith("torch.")})
    everything = json.dumps([run, digests, _describe(build), repr(model), kinds, weights], sort_keys=True)
    return Path(store) / f"{run['dataset']}_{run['latent_dim']}_{run['seed']}_{_digest(everything.encode())}.json"


def _describe(thing) -> str:
    """The text of a function or class; what an object prints, and its class's text. Changes with what the thing does."""
    if not (inspect.isroutine(thing) or inspect.isclass(thing)):
        kind = type(thing)
        return repr(thing) if kind.__module__.startswith(("torch.", "course_utils.")) else f"{repr(thing)} {_describe(kind)}"
    try:
        return inspect.getsource(thing)
    except (OSError, TypeError):  # typed into a bare Python prompt
        return f"{thing.__qualname__} {getattr(getattr(thing, '__code__', None), 'co_code', b'').hex()}"


def _digest(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=12).hexdigest()


def _bar(wanted: bool | None, total: int) -> tqdm:
    seen = ("ipykernel" in sys.modules or sys.stderr.isatty()) and os.environ.get("COURSE_PROGRESS") != "0"
    return tqdm(total=total, disable=not (seen if wanted is None else wanted), unit=" units", bar_format="{desc} {bar} {elapsed}, {remaining} left")
