"""Latent sweep 2: PCA's curve from a spectrum, crossings, the engine's call, a difference and its standard error."""

from __future__ import annotations

import numpy as np
import torch
from course_utils import data, models, sweeps
from course_utils.corruption import Dropout

from grading.judging import Question, Wrong, close, number
from grading.secret_images import altered


# 1. PCA's curve

def given_spectrum(random):
    values = torch.rand(60, generator=random, dtype=torch.float64).sort(descending=True).values ** 3
    return {"double": values, "single": values.float(), "pixels": 50 + int(torch.randint(0, 800, (1,), generator=random))}


def ask_curve(student, given):
    return {"curve": [float(v) for v in student.pca_curve(given["double"], given["pixels"])], "default": [float(v) for v in student.pca_curve(given["single"])]}


def judge_curve(given, answers):
    values = given["double"].tolist()
    dropped = np.array([sum(values[k:]) for k in range(len(values) + 1)])
    for name, pixels in (("curve", given["pixels"]), ("default", 784)):
        got, expected = np.array(answers[0][name], float), dropped / pixels
        if got.shape != expected.shape:
            raise Wrong(f"{len(values)} variances give {len(expected)} errors (k = 0 and k = {len(values)} included), got {len(got)}")
        if np.allclose(got, expected[::-1], atol=1e-5) or np.allclose(got, dropped[0] / pixels - expected, atol=1e-5):
            raise Wrong("these are the variances that are kept; the error is what is dropped")
        if np.allclose(got, dropped, rtol=1e-3, atol=1e-6):
            raise Wrong("the error is asked for per pixel: divide by `pixels`")
        if not np.allclose(got, expected, rtol=1e-4, atol=1e-6):
            raise Wrong("not the error of PCA on a hidden spectrum")


# 2. crossings

def given_curves(random):
    """Pairs of small whole numbers, so that ties and several crossings occur."""
    cases = []
    for _ in range(40):
        n = 3 + int(torch.randint(0, 7, (1,), generator=random))
        dims = torch.randperm(100, generator=random)[:n].sort().values.tolist()
        cases.append([dims, *torch.randint(1, 5, (2, n), generator=random).tolist()])
    return {"cases": [*cases, [[1, 2, 3], [1, 1, 1], [1, 1, 1]], [[1, 2, 3], [3, 3, 3], [1, 2, 2]]]}


def ask_crossing(student, given):
    found = [student.crossing(dims, first, second) for dims, first, second in given["cases"]]
    return {"found": [None if pair is None else [int(dim) for dim in pair] for pair in found]}


def judge_crossing(given, answers):
    for (dims, first, second), got in zip(given["cases"], answers[0]["found"], strict=True):
        known = [(dim, a > b) for dim, a, b in zip(dims, first, second) if a != b]
        expected = next(([before, dim] for (before, was), (dim, now) in zip(known, known[1:]) if was != now), None)
        if got != expected:
            raise Wrong(f"widths {dims} with errors {first} and {second}: expected {expected}, got {got}")


# 4. the engine

def given_sweep(random):
    splits = [altered(data.load_images("MNIST", split).images[:300], random) for split in ("train", "validation", "test")]
    return {"train": splits[0], "validation": 0.6 * splits[1], "test": splits[2], "epochs": 2 + int(torch.randint(0, 2, (1,), generator=random))}


def ask_measure(student, given):
    table = student.measure([given[name] for name in ("train", "validation", "test")], [6, 3], [0, 4], given["epochs"])
    columns = ["latent_dim", "seed", "validation_error", "test_error"]
    said = {name: [str(value) for value in table[name]] for name in ("corruption", "epochs")}
    return {**said, "rows": [[float(value) for value in row] for row in table[columns].values], "names": [str(name) for name in table["dataset"]]}


def judge_measure(given, answers):
    splits = [given[name] for name in ("train", "validation", "test")]
    table = sweeps.latent_sweep(models.dense_autoencoder, [3, 6], [0, 4], {"measured": splits}, corruptor=Dropout(0.5), epochs=given["epochs"])
    expected = table[["latent_dim", "seed", "validation_error", "test_error"]].values
    got = np.array(sorted(answers[0]["rows"]))
    if got.shape != expected.shape or not np.array_equal(got[:, :2], expected[:, :2]):
        raise Wrong("expected one row for each of two widths and two seeds")
    if set(answers[0]["names"]) != {"measured"}:
        raise Wrong('the data set is to be called "measured"')
    if set(answers[0]["corruption"]) != {"Dropout(p=0.5)"} or set(answers[0]["epochs"]) != {str(given["epochs"])}:
        raise Wrong("the chapter's corruption, Dropout(0.5), and the given epochs are asked for")
    if not np.allclose(got[:, 2:], expected[:, 2:], rtol=0.02):
        raise Wrong("not the errors of the chapter's model with the chapter's corruption. Likely cause: epochs, splits, model or corruptor not handed on")


# 5. a difference

def given_lists(random):
    return {"a": torch.rand(5, generator=random).tolist(), "b": (2 * torch.rand(3, generator=random)).tolist()}


def ask_difference(student, given):
    value, error = student.difference(given["a"], given["b"])
    return {"value": float(value), "error": float(error)}


def judge_difference(given, answers):
    a, b = np.array(given["a"]), np.array(given["b"])
    close("the difference", number(answers[0], "value"), a.mean() - b.mean(), 1e-4, 1e-6, {"the other way round": b.mean() - a.mean()})
    close("its standard error", number(answers[0], "error"), float(np.sqrt(a.var(ddof=1) / 5 + b.var(ddof=1) / 3)), 1e-4, 1e-6, {
        "n instead of n - 1": float(np.sqrt(a.var() / 5 + b.var() / 3)), "deviations not divided by the root of n": float(np.sqrt(a.var(ddof=1) + b.var(ddof=1))),
        "standard errors add as squares": float(a.std(ddof=1) / 5**0.5 + b.std(ddof=1) / 3**0.5)})


QUESTIONS = [
    Question("check_pca_curve", given_spectrum, (ask_curve,), judge_curve, seconds=20),
    Question("check_crossing", given_curves, (ask_crossing,), judge_crossing, seconds=20),
    Question("check_measure", given_sweep, (ask_measure,), judge_measure, seconds=60),
    Question("check_difference", given_lists, (ask_difference,), judge_difference, seconds=20),
]
