"""The same denoising model at many latent dimensions, with several seeds, on several data sets.

One table says what came out. The same call runs in this process, on all cores (``n_jobs=-1``) or on
a Dask cluster (``with joblib.parallel_config("dask")``).
"""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from numbers import Integral, Real
from pathlib import Path
from typing import Any

import joblib
import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim.lr_scheduler import CosineAnnealingLR
from tqdm import tqdm

from course_utils import metrics
from course_utils.corruption import Dropout
from course_utils.data import load_images
from course_utils.engine import preflight
from course_utils.engine import store as kept
from course_utils.engine.identity import printed
from course_utils.engine.progress import shown
from course_utils.training import fit

SPLITS = ("train", "validation", "test")
# Dead units keep the weights that they were born with. Drawn from the same seed, 0, the mask of one
# image is the weights of one unit over again: it keeps the pixels of positive weight, and the unit
# fires. So units are counted under noise of a seed that no sweep has.
OTHER_NOISE = 2**31 - 1


def latent_sweep(
    build: Callable[[int], nn.Module],
    dims: int | Iterable[int],
    seeds: int | Iterable[int],
    datasets: str | Sequence[str] | Mapping[str, Sequence],
    *,
    corruptor: Callable[[Tensor], Tensor] = Dropout(0.5),  # noqa: B008 (it cannot be changed)
    epochs: int = 10,
    batch_size: int = 128,
    lr: float = 1e-3,
    together: int = 0,
    store: str | Path | None = None,
    n_jobs: int | None = None,
    progress: bool | None = None,
) -> pd.DataFrame:
    """Train ``build(dim)`` to undo ``corruptor``, for every data set, latent dimension and seed.

    Adam's learning rate falls along a cosine from ``lr`` to zero. Every model is scored on the same
    corrupted images.

    Args:
        build: latent dimension -> ``nn.Sequential(encoder, decoder)``, made after
            ``torch.manual_seed(seed)``.
        datasets: names for ``load_images``, or name -> (train, validation, test), image sets or
            tensors (N, 1, 28, 28).
        together: models of up to this latent dimension, of one data set and seed, are trained side
            by side: each corrupted batch is made once for all of them. The numbers stay the same;
            small models take about two thirds of the time.
        store: a folder that keeps each finished run at once. The same call then computes only what
            is missing, and a line says what was loaded. The file's name is a hash of all that
            determines the run, so a changed setting or function finds no old result. A Dask
            cluster's workers must see this folder, since they read the images there.
        n_jobs: processes, as joblib counts them; each takes one torch thread when there are
            several.

    Returns:
        One row for each run: dataset, latent_dim, seed and the settings. Errors per pixel:
        validation_error (by which to choose), test_error and train_error (of the first training
        images, as many as there are validation images), all with corruption on; clean_error (test
        images not corrupted). psnr in dB of test_error; dead_units, zero for every validation image
        under another corruption; seconds (a block's, divided by together, the models in it);
        error, "" or what went wrong.

    Raises:
        ValueError: nothing to train, or settings that cannot work.
    """
    whole = {"latent dimension": _list(dims), "seed": _list(seeds), "epochs": [epochs]}
    whole |= {"batch_size": [batch_size], "together": [together]}
    for what, numbers in whole.items():
        lowest = 0 if what in ("seed", "together") else 1
        for number in numbers:
            if isinstance(number, bool) or not isinstance(number, Integral) or number < lowest:
                kind = "a positive integer" if lowest else "an integer, 0 or more"
                raise ValueError(f"{what} must be {kind}, got {number!r}")
    for what, function in {"build": build, "corruptor": corruptor}.items():
        if not callable(function) or (what == "build" and isinstance(function, nn.Module)):
            got = repr(function) if isinstance(function, str) else f"a {type(function).__name__}"
            raise ValueError(f"{what} must be a function (help(latent_sweep)), got {got}")
    if isinstance(lr, bool) or not isinstance(lr, Real) or not float(lr) > 0:
        raise ValueError(f"lr, the learning rate, must be a positive number, got {lr!r}")
    epochs, batch_size, lr = int(epochs), int(batch_size), float(lr)
    dims = sorted({int(dim) for dim in whole["latent dimension"]}, reverse=True)
    seeds = sorted({int(seed) for seed in whole["seed"]})
    if isinstance(datasets, Tensor):
        raise ValueError(
            "datasets must be names or name -> (train, validation, test), got a Tensor"
        )
    names = [datasets] if isinstance(datasets, str) else list(datasets)
    if not (dims and seeds and names):
        raise ValueError("a sweep needs at least one latent dimension, one seed and one data set")
    sets = {name: _splits(name, datasets) for name in names}
    hashes = {name: [kept.hash_of(split) for split in splits] for name, splits in sets.items()}
    settings = {
        "corruption": printed(corruptor),
        "epochs": epochs,
        "batch_size": batch_size,
        "lr": lr,
    }
    store = None if store is None else Path(store).expanduser()
    rows: list[dict[str, Any]] = []
    blocks: list[kept.Block] = []
    for seed, name in itertools.product(seeds, names):
        missing: kept.Block = []
        for dim in dims:
            run = {"dataset": name, "latent_dim": dim, "seed": seed, **settings}
            file = kept.file_of(store, run, build, corruptor, hashes[name])
            if (row := kept.read(file)) is not None:
                rows.append(row)
            else:
                missing.append((run, file))
        blocks += [[one] for one in missing if one[0]["latent_dim"] > together]
        small = [one for one in missing if one[0]["latent_dim"] <= together]
        blocks += [small] if small else []
    several = joblib.effective_n_jobs(n_jobs) > 1
    total = len(names) * len(dims) * len(seeds)
    if rows:
        rest = f"{total - len(rows)} still to train" if blocks else "nothing trained"
        print(f"{store}: {len(rows)} of {total} runs loaded, {rest}.")
    with kept.shared_folder(store) as folder:
        where: dict[str, list] = dict(sets)
        if several:
            where = {
                name: [kept.share(folder, split, f"{i}-{j}") for j, split in enumerate(sets[name])]
                for i, name in enumerate(names)
            }
        work = (
            joblib.delayed(kept.run_block)(
                _train, block, build, corruptor, where[first["dataset"]], several, os.getpid()
            )
            for block in blocks
            for first, _ in block[:1]
        )
        results = joblib.Parallel(n_jobs, return_as="generator_unordered", batch_size=1)(work)
        cost = sum(_cost(run) for block in blocks for run, _ in block)
        with _bar(progress, cost) as bar:
            for new in results:
                rows += new
                bar.set_description(f"{len(rows)} of {total} runs", refresh=False)
                bar.update(sum(map(_cost, new)))
    failed = [row["error"] for row in rows if row["error"]]
    if failed:
        print(f"{len(failed)} of {total} runs failed; the first: {failed[0]}")
    return pd.DataFrame(rows).sort_values(["dataset", "latent_dim", "seed"], ignore_index=True)


def summary(table: pd.DataFrame, column: str = "validation_error") -> pd.DataFrame:
    """One column's mean, deviation over seeds, standard error (deviation / sqrt(runs)) and runs.

    One row for each data set and latent dimension; failed runs are left out.

    Raises:
        ValueError: every run failed, or the table has no such column.
    """
    whole = table[table["error"].fillna("") == ""]
    if whole.empty and len(table):
        raise ValueError(f"every run of this sweep failed; the first: {table['error'].iloc[0]}")
    if column not in table:
        there = ", ".join(table.columns)
        raise ValueError(f"the table has no column {column!r}; there are {there}")
    groups = whole.groupby(["dataset", "latent_dim"])[column]
    return groups.agg(
        mean="mean", deviation="std", standard_error="sem", runs="count"
    ).reset_index()


def shipped(dataset: str, epochs: int = 36) -> pd.DataFrame:
    """The sweep that comes with the course, for "FashionMNIST" or "MNIST".

    It was made on the full data, with ten latent dimensions. Columns as in `latent_sweep`;
    dead_units is missing for seed 0, where it had been counted wrongly.

    Args:
        epochs: the budget: 36, or 12 at half the learning rate; three seeds each.

    Raises:
        ValueError: a data set or a budget that the table does not hold.
    """
    file = Path(__file__).with_name("tables") / "latent_sweep.csv"
    gaps = {"train_error": [""], "dead_units": [""]}
    table = pd.read_csv(file, keep_default_na=False, na_values=gaps)
    if dataset not in set(table["dataset"]):
        there = ", ".join(sorted(set(table["dataset"])))
        raise ValueError(f"the shipped sweep holds {there}, not {dataset!r}")
    table = table[table["dataset"] == dataset]
    budgets = sorted(set(table["epochs"]))
    if epochs not in budgets:
        raise ValueError(f"the shipped sweep has budgets of {budgets} epochs, not {epochs}")
    return table[table["epochs"] == epochs].reset_index(drop=True)


def _list(numbers: int | Iterable[int]) -> list[int]:
    return list(numbers) if isinstance(numbers, Iterable) else [numbers]


def _splits(name: str, datasets: Any) -> list[Tensor]:
    """The images of the three splits, from where the caller said."""
    if isinstance(datasets, Mapping):
        splits = datasets[name]
    else:
        splits = [load_images(name, split) for split in SPLITS]
    if len(splits) != len(SPLITS):
        raise ValueError(f"{name}: expected (train, validation, test), got {len(splits)} sets")
    images = [getattr(split, "images", split) for split in splits]
    for one in images:
        if not isinstance(one, Tensor):
            raise ValueError(
                f"{name}: expected image sets or tensors, got a {type(one).__name__}; "
                "torch.from_numpy and torch.stack make tensors"
            )
    for split, one in zip(SPLITS, images):
        preflight.pair(f"{name}, {split}", one, one.dtype)
        if one.dim() != 4:
            raise ValueError(
                f"{name}, {split}: expected images (N, 1, 28, 28), got shape {tuple(one.shape)}; "
                "images.unsqueeze(1) adds the channel"
            )
    return [one.contiguous() for one in images]


def _cost(run: dict[str, Any]) -> int:
    """What a run takes, roughly, in units of one code unit."""
    return run["latent_dim"] + 100


def _bar(wanted: bool | None, total: int) -> tqdm:
    form = "{desc} {bar} {elapsed}, {remaining} left"
    return tqdm(total=total, disable=not shown(wanted), unit=" units", bar_format=form)


def _train(block: kept.Block, build: Any, corruptor: Any, splits: list[Tensor]) -> list[dict]:
    """Train models side by side: one row for each."""
    train, validation, test = splits
    first, models = block[0][0], []
    for run, _ in block:
        torch.manual_seed(run["seed"])
        models.append(build(run["latent_dim"]))
    seen = train[: len(validation)]
    damaged = {id(images): _corrupted(corruptor, images) for images in (seen, validation, test)}
    other = _corrupted(corruptor, validation, OTHER_NOISE)

    def error(model: nn.Module, images: Tensor) -> float:
        return metrics.reconstruction_error(model, images, damaged[id(images)])

    def loss(together: Any, images: Tensor, labels: Tensor) -> Any:
        # Corrupted once for all models. Adam treats each weight by itself: none feels the others.
        corrupted = corruptor(images)
        return sum(F.mse_loss(model(corrupted), images) for model in together)

    start = time.perf_counter()
    history = fit(
        nn.ModuleList(models),
        train,
        loss,
        epochs=first["epochs"],
        batch_size=first["batch_size"],
        lr=first["lr"],
        seed=first["seed"],
        schedule=lambda optimizer: CosineAnnealingLR(optimizer, first["epochs"]),
        progress=False,
    )
    if history.stopped:
        raise KeyboardInterrupt  # fit stops cleanly, but a run that is not finished is no result
    seconds = (time.perf_counter() - start) / len(block)
    rows = []
    for (run, _), model in zip(block, models):
        codes = metrics.apply_in_batches(model[0], other)
        results = {
            "validation_error": error(model, validation),
            "test_error": error(model, test),
            "clean_error": metrics.reconstruction_error(model, test),
            "train_error": error(model, seen),
            "psnr": metrics.psnr(error(model, test)),
            "dead_units": int((codes == 0).all(0).sum()),
            "seconds": round(seconds, 2),
            "together": len(block),
            "train_images": len(train),
            "error": "",
        }
        rows.append({**run, **results})
    return rows


def _corrupted(corruptor: Callable[[Tensor], Tensor], images: Tensor, seed: int = 0) -> Tensor:
    """The images, corrupted in the same way for every model of every sweep."""
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        corrupted = corruptor(images)
    if torch.equal(corrupted, images):
        raise ValueError(
            "the corruptor left every image as it was: is it an nn.Dropout in eval mode?"
        )
    return corrupted
